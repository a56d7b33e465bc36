"""How the demo looks: live and in the end, on terminals of any width."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from autometa_cli.demo import summary
from autometa_cli.demo.play import Performance
from autometa_cli.demo.view import View
from autometa_cli.demo.watch import DUE, FINAL, Line, Run, Scene
from autometa_cli.jobs.inspector import Counts
from tests.demo.stories import INFO, NOW, good_story, tx, workflow

WIDTHS = (40, 60, 75, 76, 80, 89, 90, 100, 109, 110, 120, 150, 200)


def drawn(renderable: object, width: int, *, encoding: str = "utf-8") -> list[str]:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace")
    Console(file=out, width=width, color_system=None, legacy_windows=False).print(renderable)
    out.flush()
    buffer = out.buffer
    assert isinstance(buffer, io.BytesIO)
    return [each.rstrip() for each in buffer.getvalue().decode(encoding).splitlines()]


def scene() -> Scene:
    parts = dict(good_story().cast.members)
    runs = {
        1: (Run(1, NOW, FINAL, tx=tx(1), block=12), Run(2, NOW + 6, 3, tx=tx(4))),
        2: (Run(1, NOW, FINAL, tx=tx(2), block=12),),
        3: (Run(1, NOW, DUE),),
        4: (Run(1, NOW, 2, "held", 'the contract reverted: "\x1b[31mtarget is not healthy"'),),
        5: (Run(1, NOW, 2, "buried", "forbidden_target: contract call to the escrow 0xa3a3…a3a3"),),
    }
    lines = tuple(
        Line(id, part, runs.get(id, ()), workflow(id, part, NOW + 8, active=id != 6), NOW)
        for id, part in parts.items()
    )
    return Scene(lines, 14, 12, Counts(1, 2, 3, 4, 0, 1, "", None))


def performance() -> Performance:
    story = good_story()
    return Performance(INFO, Path("/nowhere/.env"), story.verdict(), story.after, 12.3, (), kept=False)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_live_view_fits(width: int) -> None:
    view = View()
    view.step, view.scene = "The scheduler and the worker are at it", scene()

    lines = drawn(view, width)

    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert "\x1b" not in text
    assert "scheduler" in text
    if width >= 60:
        for word in ("held", "buried", "final", "paused", "due in 8s", "run 2", "1 pending, 2 in flight"):
            assert word in text, word
    assert len(lines) <= (50 if width < 60 else 24), "it must fit a terminal's height"


@pytest.mark.parametrize("width", WIDTHS)
def test_the_summary_fits(width: int) -> None:
    done = performance()

    lines = drawn(summary.Summary(done.verdict), width)

    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert text.count("✓") == 7
    assert "✗" not in text
    if width >= 60:
        for words in (
            "0.5 DEV",
            "120 TEST",
            "executed 2 times",
            "forbidden_target",
            "never again",
            "the books",
        ):
            assert words in text, words
    assert (tx(4) in text) is (width >= summary.WIDE)


def test_piped_it_is_one_line_for_each_fact() -> None:
    lines = drawn(summary.Summary(performance().verdict), 10_000)
    assert len(lines) == 1 + 6 + 4 + 1  # heading, workflows, transactions, books


def test_without_unicode_it_can_be_read() -> None:
    view = View()
    view.scene = scene()
    text = "\n".join(
        line
        for renderable in (view, summary.Summary(performance().verdict))
        for line in drawn(renderable, 80, encoding="ascii")
    )
    assert "\\u2713" not in text
    assert "ok  1" in text
    assert "####.. signed" in text


def test_what_does_not_hold_stands_out() -> None:
    story = good_story()
    story.change(deposit=story.after.deposit - 1, balances=dict.fromkeys(story.after.balances, 0))
    bad = replace(performance(), verdict=story.verdict(), after=story.after)

    text = "\n".join(drawn(summary.Summary(bad.verdict), 200))

    assert text.count("✗") == 3  # recurring, call, books
    assert "received, wei: expected 500000000000000000, found 0" in text
    assert summary.headline(bad) == f"{len(bad.verdict.checks) - 3} of {len(bad.verdict.checks)} " + (
        "expectations hold on the chain (12 s)"
    )


def test_the_headline() -> None:
    done = performance()
    assert summary.headline(done) == f"all {len(done.verdict.checks)} expectations hold on the chain (12 s)"


def test_the_document() -> None:
    document = json.loads(json.dumps(summary.document(performance())))

    assert document["ok"] is True
    assert (document["failures"], document["troubles"], document["kept"]) == ([], [], None)
    assert [each["name"] for each in document["workflows"]] == [
        "recurring", "token", "call", "failing", "forbidden", "paused",
    ]  # fmt: skip
    first = document["workflows"][0]
    assert [each["tx"] for each in first["executions"]] == [tx(1), tx(4)]
    assert first["executions"][0]["charged"] == "1000000000000000"
    assert all(check["ok"] for each in document["workflows"] for check in each["expectations"])
    assert "PRIVATE" not in json.dumps(document)
    assert "11" * 32 not in json.dumps(document)


def test_trouble_is_not_ok() -> None:
    assert replace(performance(), troubles=("the worker did not leave in time",)).ok is False
    kept = summary.document(replace(performance(), kept=True))["kept"]
    assert kept["rpc_url"] == INFO.rpc_url
