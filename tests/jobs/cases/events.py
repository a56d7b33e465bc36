"""Transfers that wait for a run of their workflow, and the run that takes them."""

from __future__ import annotations

from tests.jobs.cases import CASES, Act, case, recovery
from tests.jobs.desk import CHAIN, EXECUTOR, Desk


def _note(desk: Desk, since: int | None = None, upto: int = 10) -> Act:
    events = [(1, "0xabc/0", 2), (7, "0xdef/1", 1)]
    return lambda: desk.do(
        desk.queue.note_events(CHAIN, EXECUTOR, since=since, upto=upto, genesis="g", events=events)
    )


CASES["note_events", "ok", ""] = _note
recovery("note_events", _note)


@case("note_events", "ok", "on top of earlier ones")
def _(desk: Desk) -> Act:
    _note(desk)()
    return _note(desk, since=10, upto=20)


@case("note_events", "moved")
def _(desk: Desk) -> Act:
    _note(desk)()
    return _note(desk, upto=20)


@case("enqueue", "ok", "for a transfer")
def _(desk: Desk) -> Act:
    _note(desk)()
    return lambda: desk.enqueue(event=("0xabc/0:2", "0xabc/0"))


@case("enqueue", "spent", "taken before")
def _(desk: Desk) -> Act:
    return lambda: desk.enqueue(event=("0xabc/0:2", "0xabc/0"))


@case("enqueue", "spent", "another came on top of it")
def _(desk: Desk) -> Act:
    _note(desk)()
    _note(desk, since=10, upto=20)()
    return lambda: desk.enqueue(event=("0xabc/0:2", "0xabc/0"))
