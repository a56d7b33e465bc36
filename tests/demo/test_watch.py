"""What the demo tells of each workflow's way, from ledger records made up for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from autometa_cli.demo.watch import DUE, FINAL, MINED, Line, Run, Scene, Watcher, changes
from autometa_cli.jobs.record import Attempt
from tests.demo.stories import NOW, good_story, record, tx, workflow

STORY = good_story()
PARTS = {part.name: (id, part) for id, part in STORY.cast.members}


def line(name: str, *runs: Run, now: int = NOW, active: bool = True, next_run: int = NOW) -> Line:
    id, part = PARTS[name]
    return Line(id, part, runs, workflow(id, part, next_run, active=active), now)


def watcher(*records: Any) -> Watcher:
    found: Any = Watcher.__new__(Watcher)  # without a chain and a queue: only what it makes of records
    found.records, found._mined, found.closing = list(records), {}, False
    return found  # type: ignore[no-any-return]


def test_each_step_is_told_once() -> None:
    steps = [
        line("token"),
        line("token", Run(1, NOW, DUE)),
        line("token", Run(1, NOW, DUE)),
        line("token", Run(1, NOW, 3, tx=tx(7))),
        line("token", Run(1, NOW, MINED, tx=tx(7), block=12)),
        line("token", Run(1, NOW, FINAL, tx=tx(7), block=12)),
    ]
    told = [text for before, now in zip([None, *steps], steps, strict=False) for text in changes(before, now)]
    assert told == [
        "2 send 120 TEST once: due",
        "2 send 120 TEST once: queued > claimed > signed 0x00000000…000007",
        "2 send 120 TEST once: mined 0x00000000…000007 in block 12",
        "2 send 120 TEST once: final 0x00000000…000007",
    ]


def test_what_stops_is_told_with_its_reason() -> None:
    held = line("failing", Run(1, NOW, 2, "held", "it would fail"))
    assert changes(None, held) == [
        "4 call a contract that refuses: due > queued > claimed > held (it would fail)"
    ]
    assert changes(held, held) == []
    gone_on = line("failing", Run(1, NOW, 2))
    assert changes(held, gone_on) == []


def test_runs_of_a_recurring_one_are_numbered() -> None:
    first = Run(1, NOW, FINAL, tx=tx(1), block=12)
    both = line("recurring", first, Run(2, NOW + 6, 1))
    assert changes(line("recurring", first), both) == ["1 pay 0.25 DEV every 6 s, run 2: due > queued"]


def test_a_pause_is_told_once() -> None:
    paused = line("paused", active=False)
    assert changes(line("paused"), paused) == ["6 pay 5 DEV, but paused in time: paused by its owner"]
    assert changes(paused, paused) == []


@pytest.mark.parametrize(
    ("name", "runs", "options", "done"),
    [
        ("recurring", (Run(1, NOW, FINAL),), {}, False),
        ("recurring", (Run(1, NOW, FINAL), Run(2, NOW, MINED)), {}, False),
        ("recurring", (Run(1, NOW, FINAL), Run(2, NOW, FINAL)), {}, True),
        ("token", (), {}, False),
        ("token", (Run(1, NOW, FINAL),), {}, True),
        ("failing", (Run(1, NOW, 2),), {}, False),
        ("failing", (Run(1, NOW, 2, "delayed"),), {}, False),
        ("failing", (Run(1, NOW, 2, "held"),), {}, True),
        ("forbidden", (Run(1, NOW, 2, "held"),), {}, False),
        ("forbidden", (Run(1, NOW, 2, "buried"),), {}, True),
        ("paused", (), {"active": False}, False),
        ("paused", (), {"active": False, "now": NOW + 2}, True),
        ("paused", (), {"active": True, "now": NOW + 2}, False),
    ],
)
def test_when_a_workflow_has_come_to_its_end(
    name: str, runs: tuple[Run, ...], options: dict[str, Any], done: bool
) -> None:
    assert line(name, *runs, **options).done is done


def test_a_scene_is_done_when_all_are() -> None:
    ended, going = line("token", Run(1, NOW, FINAL)), line("token")
    assert not Scene().done
    assert Scene((ended, ended)).done
    assert not Scene((ended, going)).done


@pytest.mark.parametrize(
    ("state", "fields", "reached", "stopped"),
    [
        ("queued", {}, 1, ""),
        ("claimed", {}, 2, ""),
        ("bound", {}, 2, ""),
        ("signed", {}, 3, ""),
        ("settled", {}, FINAL, ""),
        ("delayed", {"reason": "not_due", "text": "due in 1 s"}, 2, "delayed"),
        ("delayed", {"reason": "would_fail", "text": "no", "holds": 1}, 2, "held"),
        ("dead", {"reason": "forbidden_target", "text": f"call to 0x{'Ab' * 20}"}, 2, "buried"),
        ("skipped", {"reason": "paused"}, 2, "skipped"),
        ("cancelling", {}, 2, "cancelling"),
    ],
)
def test_how_far_a_record_has_come(state: str, fields: dict[str, Any], reached: int, stopped: str) -> None:
    id, part = PARTS["token"]
    runs = watcher(record(id, NOW, state, **fields))._runs(id, workflow(id, part, NOW), NOW)
    assert [(run.reached, run.stopped) for run in runs] == [(reached, stopped)]
    if state == "dead":
        assert runs[0].note == "forbidden_target: call to 0xAbAb…AbAb"


def test_a_receipt_is_believed_before_the_ledger_knows() -> None:
    id, part = PARTS["token"]
    signed = replace(record(id, NOW, "signed"), attempts_sent=(Attempt(b"", tx(7), "call", 1, 1),))
    found: Any = watcher(signed)
    found._mined = {tx(7): type("Receipt", (), {"hash": tx(7), "block_number": 12})}
    (run,) = found._runs(id, workflow(id, part, NOW), NOW)
    assert (run.reached, run.tx, run.block) == (MINED, tx(7), 12)


def test_what_nobody_has_queued_yet_is_due() -> None:
    id, part = PARTS["recurring"]
    found = watcher(record(id, NOW, "settled"))
    assert [run.reached for run in found._runs(id, workflow(id, part, NOW + 6), NOW + 5)] == [FINAL]
    assert [run.reached for run in found._runs(id, workflow(id, part, NOW + 6), NOW + 6)] == [FINAL, DUE]
    assert len(found._runs(id, workflow(id, part, NOW + 6, active=False), NOW + 6)) == 1
    assert len(found._runs(id, None, NOW + 6)) == 1
    found.closing = True
    assert len(found._runs(id, workflow(id, part, NOW + 6), NOW + 6)) == 1
