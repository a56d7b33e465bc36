"""JSON from strangers never ends the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from autometa_cli import foreignjson

DEEP = ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000, "[" * 10_000_000]


def test_plain_documents() -> None:
    assert foreignjson.loads('{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}
    assert foreignjson.loads(b"[1]", parse_int=str) == ["1"]
    with pytest.raises(ValueError, match="Expecting"):
        foreignjson.loads("{")


@pytest.mark.parametrize("document", DEEP, ids=["lists", "objects", "closed", "10 MB"])
def test_deep_documents_after_the_libraries_that_raise_the_limit(document: str) -> None:
    # In a process of its own: without the guard it dies of a segmentation fault.
    program = (
        "import sys, eth_account\n"
        "from autometa_cli import foreignjson\n"
        "before = sys.getrecursionlimit()\n"
        "try:\n"
        "    foreignjson.loads(sys.stdin.read())\n"
        "except RecursionError:\n"
        "    print('refused', before == sys.getrecursionlimit())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=document,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "refused True\n"), done.stderr
