"""stdout is data, stderr is prose."""

from __future__ import annotations

import io
import json
import re
import sys
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text

from autometa_cli.console import Console, printable
from autometa_cli.errors import AutometaError, ConfigError, RpcUnreachable, UsageProblem


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Balance:
    holder: str
    wei: str


def test_text_result_goes_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    Console().result({"length": 3}, "3")
    Console().result({"length": 3}, lambda: "three")
    Console().result({"length": 3})
    Console().result("bare")

    assert capsys.readouterr() == ("3\nthree\nlength  3\nbare\n", "")


def test_json_result_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    data = {
        "bytes": b"\x01\xff",
        "decimal": Decimal("1.2"),
        "path": Path("a/b"),
        "set": {"b", "a"},
        "class": Balance("0x1", str(10**30)),
        "none": None,
        "odd": "\x1b[31m\udc80…",
    }

    Console(json=True).result(data, lambda: pytest.fail("rendered for nobody"))

    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "bytes": "0x01ff",
        "decimal": "1.2",
        "path": "a/b",
        "set": ["a", "b"],
        "class": {"holder": "0x1", "wei": str(10**30)},
        "none": None,
        "odd": "\x1b[31m\udc80…",
    }
    assert out.isascii()
    assert err == ""


def test_json_of_something_else_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="a object cannot be put"):
        Console(json=True).result(object())


def test_an_empty_list_is_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    Console(json=True).result([], "none")

    assert capsys.readouterr().out == "[]\n"


def test_prose_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    for console in (Console(), Console(json=True)):
        console.status("reading")
        console.success("done")
        console.warn("low", "fill it")

        assert capsys.readouterr() == ("", "reading\ndone\nWarning: low\nHint: fill it\n")


def test_long_prose_is_not_broken(capsys: pytest.CaptureFixture[str]) -> None:
    Console().status("word " * 60 + "end")

    assert capsys.readouterr().err == "word " * 60 + "end\n"


def test_errors(capsys: pytest.CaptureFixture[str]) -> None:
    Console().error(ConfigError("X is wrong", "set X"))
    Console().error(AutometaError("failed"))

    assert capsys.readouterr() == ("", "Error: X is wrong\nHint: set X\nError: failed\n")


def test_errors_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    Console(json=True).error(RpcUnreachable("no answer", "try later"))

    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "error": {"code": 5, "kind": "RpcUnreachable", "message": "no answer", "hint": "try later"}
    }
    assert err == ""


def test_after_a_result_an_error_does_not_spoil_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(json=True)
    console.result({"ok": True})
    console.error(AutometaError("failed later"))

    out, err = capsys.readouterr()
    assert json.loads(out) == {"ok": True}
    assert err == "Error: failed later\n"


def test_a_piped_table_is_never_cut(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    long = "0x" + "ab" * 200

    console.result(
        [], lambda: console.table(("ID", "DATA", "NOTE"), [(7, long, None), (12, "0x", "[red]x[/]")])
    )

    assert capsys.readouterr().out.splitlines() == [
        f"ID  {'DATA':402}  NOTE",
        f" 7  {long}  -",
        f"12  {'0x':402}  [red]x[/]",
    ]


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()

    console.result([], lambda: console.table(("ID",), [], empty="No jobs."))

    assert capsys.readouterr().out == "No jobs.\n"


def test_a_narrow_terminal_shortens_hashes_and_folds_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    hash_, words = "0x" + "ab" * 32, "ba" * 25

    def shown(width: int, *cells: Any) -> list[str]:
        out = Terminal()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setenv("COLUMNS", str(width))
        console = Console()
        console.result([], console.table(("ID", "TEXT"), [cells]))
        lines = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines()
        assert all(len(line) <= width for line in lines)
        return [line.strip() for line in lines]

    assert shown(80, 1, hash_)[1].split() == ["1", hash_]
    assert shown(40, 1, f"{hash_} mined")[1].split() == ["1", "0xabab…abab", "mined"]
    assert "".join(shown(40, 1, words)[1:]).replace(" ", "") == f"1{words}"


def test_long_words_stand_beneath_their_row_where_a_terminal_is_too_narrow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [("a", 1, "0x" + "ab" * 20, "why \x1b it is so"), ("bcd", None, "", None), ("e", 22, "x", "no")]

    def shown(width: int) -> list[str]:
        out = Terminal()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setenv("COLUMNS", str(width))
        console = Console()
        console.result([], console.table(("ID", "N", "ADDRESS", "WHY"), rows, beneath=True))
        return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines()]

    assert len(shown(100)) == 4
    assert shown(16)[0].split()[-1] != "ADDRESS", "it would not fit without the last one, either"
    assert shown(30) == [
        "ID   N   ADDRESS",
        "a    1   0xabab…abab",
        "    why \\x1b it is so",
        "bcd  -",
        "e    22  x",
        "    no",
    ]


def test_rich_cells_stay_rich(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()

    console.result([], console.fields([("state", Text("mined", style="green")), ("block", 5)]))

    assert capsys.readouterr().out == "state  mined\nblock  5\n"


@pytest.mark.parametrize("hostile", ["\x1b]0;title\x07", "\x1b[2J", "a\rb", "\x9b31m", "\x00"])
def test_text_from_outside_cannot_drive_the_terminal(
    hostile: str, capsys: pytest.CaptureFixture[str]
) -> None:
    console = Console()
    console.result([], hostile)
    console.result([], console.table(("REASON",), [(hostile,)]))
    console.result([], console.fields([("reason", hostile)]))
    console.status(hostile)
    console.error(AutometaError(hostile, hostile))

    shown = "".join(capsys.readouterr())
    assert set(shown) & set(map(chr, [*range(32), *range(127, 160)])) <= {"\n"}
    assert f"\\x{ord(hostile[0]):02x}" in shown or hostile.startswith("a")
    assert printable("tab\tand\nline") == "tab\tand\nline"


# --- asking


def _terminal(monkeypatch: pytest.MonkeyPatch, answer: str) -> Terminal:
    stdin, stderr = Terminal(answer), Terminal()
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(sys, "stderr", stderr)
    return stderr


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("", False), ("yep\n", False)],
)
def test_confirm_asks_on_stderr(
    answer: str, meaning: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stderr = _terminal(monkeypatch, answer)

    assert Console().confirm("Clear 12 jobs?") is meaning
    assert stderr.getvalue() == "Clear 12 jobs? [y/N] "
    assert capsys.readouterr().out == ""


def test_confirm_without_a_terminal_needs_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))

    with pytest.raises(UsageProblem) as caught:
        Console().confirm("Clear?")
    assert "--yes" in caught.value.hint
    assert Console().confirm("Clear?", yes=True)


def test_live_view_without_a_terminal_prints_its_last_state(capsys: pytest.CaptureFixture[str]) -> None:
    state: dict[str, Any] = {"text": "first"}

    with Console().live(lambda: Text(state["text"])):
        state["text"] = "last"

    assert capsys.readouterr() == ("", "last\n")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_listing_that_fails_half_way_is_ended_and_its_error_told(
    capsys: pytest.CaptureFixture[str], count: int
) -> None:
    """What was printed can be parsed; where nothing was, the error is the document, and no empty list."""
    console = Console(json=True)

    def listed() -> None:
        with console.listing(("N",)) as add:
            for number in range(count):
                add({"n": number, "text": "a\nb"}, (number,))
            raise AutometaError("away")

    with pytest.raises(AutometaError) as caught:
        listed()
    console.error(caught.value)
    out, err = capsys.readouterr()
    if count:
        assert [each["n"] for each in json.loads(out)] == list(range(count))
        assert "away" in err
    else:
        assert json.loads(out)["error"]["message"] == "away"


def test_a_listing_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    with console.listing(("NAME", "N"), empty="none") as add:
        add({}, ("a\x1b", None))
        add({}, ("long name", 12))
    with console.listing(("NAME",), empty="none"):
        pass
    assert capsys.readouterr().out == "NAME       N\na\\x1b      -\nlong name  12\nnone\n"


@pytest.mark.parametrize(("width", "lines"), [(0, 2), (200, 2), (60, 2), (30, 4)])
def test_a_list_in_a_narrow_terminal_is_shortened_then_its_last_columns_go_beneath(
    width: int, lines: int
) -> None:
    from autometa_cli.listing import Listing

    out = io.StringIO()
    listing = Listing(("JOB", "SENDER", "WAITS FOR"), "nothing", out, str, None, width)
    listing.add({}, ("7@100", "0x" + "ab" * 20, "a worker to take it"))
    listing.end()
    shown = out.getvalue().splitlines()
    assert len(shown) == lines
    assert "a worker to take it" in shown[-1]
    assert all(len(line) <= (width or 1000) for line in shown[1:])
    assert ("0x" + "ab" * 20 in shown[1]) == (width not in (60, 30))
