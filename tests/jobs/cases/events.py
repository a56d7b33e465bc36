"""Transfers that wait for a run of their workflow, and the run that takes them."""

from __future__ import annotations

from autometa_cli.jobs.claim import Claim
from tests.jobs.cases import CASES, Act, case, recovery
from tests.jobs.desk import CHAIN, EXECUTOR, Desk


def _note(desk: Desk, since: int | None = None, upto: int = 10) -> Act:
    events = [(1, "0xabc/0", 2), (7, "0xdef/1", 1)]
    return lambda: desk.do(
        desk.queue.transfers.note(CHAIN, EXECUTOR, since=since, upto=upto, genesis="g", events=events)
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


def fired(desk: Desk) -> Claim:
    """A claim that took a transfer."""
    _note(desk)()
    desk.enqueue(event=("0xabc/0:2", "0xabc/0"))
    claim = desk.adopt(desk.worker("ann"), desk.take("ann"))
    assert isinstance(claim, Claim), claim
    return claim


def later(desk: Desk) -> None:
    """Another transfer comes meanwhile."""
    events = [(1, "0xfed/0", 3)]
    desk.do(desk.queue.transfers.note(CHAIN, EXECUTOR, since=10, upto=20, genesis="g", events=events))


@case("release", "ok", "skipped, gives its transfer back")
def _(desk: Desk) -> Act:
    claim = fired(desk)
    return lambda: desk.release(claim, "skipped", gives_back=True)


@case("release", "ok", "skipped, gives its transfer to a later one")
def _(desk: Desk) -> Act:
    claim = fired(desk)
    later(desk)
    return lambda: desk.release(claim, "skipped", gives_back=True)


def cancelled(desk: Desk) -> Act:
    """Its transaction was cancelled, since its owner did not want that run any more."""
    claim = fired(desk)
    assert desk.bind(claim).word == "ok"
    desk.write(claim)
    desk.write(claim, b"cancel", "0xcancel", cancel="moved_on", unwanted=True)
    record = desk.record(claim.key)
    return lambda: desk.settle(claim.key, "cancelled", record=record, gives_back=True)


CASES["settle", "ok", "cancelled, gives its transfer back"] = cancelled


def _buried(desk: Desk, event: str = "0xabc/0:2") -> Act:
    work = desk.queue.transfers.bury
    return lambda: desk.do(work(CHAIN, EXECUTOR, 1, event, "0xabc/0", desk.payload(0), "who knows"))


@case("bury_event", "ok")
def _(desk: Desk) -> Act:
    _note(desk)()
    return _buried(desk)


@case("bury_event", "already", "another came on top of it")
def _(desk: Desk) -> Act:
    _note(desk)()
    later(desk)
    return _buried(desk)


@case("bury_event", "already", "taken")
def _(desk: Desk) -> Act:
    fired(desk)
    return _buried(desk)


recovery("bury_event", _buried)
