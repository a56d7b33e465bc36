"""Nonces."""

from __future__ import annotations

from autometa_cli.executor.head import Counts
from autometa_cli.jobs.claim import Claim
from tests.jobs.cases import CASES, Act, case, claimed, recovery
from tests.jobs.desk import ALICE, BOB, CHAIN, WINDOW, Desk

# -- bind ----------------------------------------------------------------------------------------------


def _bind(desk: Desk) -> Act:
    claim = claimed(desk)
    return lambda: desk.bind(claim)


CASES["bind", "ok", ""] = _bind
recovery("bind", _bind)


@case("bind", "ok", "by another key")
def _(desk: Desk) -> Act:
    claim = desk.bound(desk.worker("ann"))
    desk.kill("ann")
    again = desk.adopt(desk.worker("bob"), desk.take("bob"))
    assert isinstance(again, Claim)
    assert again.key == claim.key
    return lambda: desk.bind(again, BOB, earlier=(ALICE, 0))


@case("bind", "already")
def _(desk: Desk) -> Act:
    claim = desk.bound(desk.worker("ann"))
    return lambda: desk.bind(claim)


@case("bind", "recheck", "the counter is behind")
def _(desk: Desk) -> Act:
    desk.settle(desk.signed(desk.worker("ann"), workflow=2).key)
    claim = claimed(desk)
    return lambda: desk.bind(claim, latest=3)


@case("bind", "recheck", "checked too early")
def _(desk: Desk) -> Act:
    desk.settle(desk.signed(desk.worker("ann"), 50).key, block=20)
    claim = desk.adopt("ann", _pushed(desk), block=20)
    assert isinstance(claim, Claim)
    return lambda: desk.bind(claim, latest=1, block=19)


def _pushed(desk: Desk, next_run: int = 100) -> bytes:
    desk.push(desk.payload(next_run))
    return desk.take("ann")


@case("bind", "wait:workflow")
def _(desk: Desk) -> Act:
    desk.bound(desk.worker("ann"), 50)
    claim = claimed(desk)
    return lambda: desk.bind(claim)


@case("bind", "wait:foreign", "the counter")
def _(desk: Desk) -> Act:
    claim = claimed(desk)
    return lambda: desk.bind(claim, latest=0, pending=1)


@case("bind", "wait:foreign", "a nonce that was given back")
def _(desk: Desk) -> Act:
    desk.release(desk.bound(desk.worker("ann"), workflow=2), "delayed")
    claim = claimed(desk)
    return lambda: desk.bind(claim, latest=0, pending=1)


@case("bind", "wait:blocked")
def _(desk: Desk) -> Act:
    claim = claimed(desk)
    desk.redis.hset(desk.keys.sender(CHAIN, ALICE), "blocked", "by the operator")
    return lambda: desk.bind(claim)


@case("bind", "wait:window")
def _(desk: Desk) -> Act:
    desk.worker("ann")
    for workflow in range(2, 2 + WINDOW):
        desk.bound("ann", workflow=workflow)
    claim = claimed(desk)
    return lambda: desk.bind(claim)


@case("bind", "wait:chain")
def _(desk: Desk) -> Act:
    desk.bound(desk.worker("ann"), workflow=2)
    claim = claimed(desk)
    return lambda: desk.bind(claim, genesis="another")


@case("bind", "wait:owner")
def _(desk: Desk) -> Act:
    claim = claimed(desk)
    desk.redis.hset(desk.keys.nonces(CHAIN, ALICE), "0", "nobody knows")
    return lambda: desk.bind(claim)


@case("bind", "reconcile", "our nonce")
def _(desk: Desk) -> Act:
    claim = desk.bound(desk.worker("ann"))
    return lambda: desk.bind(claim, latest=1, final=0)


@case("bind", "reconcile", "another key's nonce")
def _(desk: Desk) -> Act:
    desk.bound(desk.worker("ann"))
    desk.kill("ann")
    claim = desk.adopt(desk.worker("bob"), desk.take("bob"))
    assert isinstance(claim, Claim)
    return lambda: desk.bind(claim, BOB, earlier=(ALICE, 1))


@case("bind", "gone")
def _(desk: Desk) -> Act:
    claim = desk.signed(desk.worker("ann"))
    return lambda: desk.bind(claim)


@case("bind", "fenced", "buried")
def _(desk: Desk) -> Act:
    claim = claimed(desk)
    desk.kill("ann")
    return lambda: desk.bind(claim)


@case("bind", "fenced", "buried, but nobody took the record yet")
def _(desk: Desk) -> Act:
    claim = claimed(desk)
    desk.silence("ann")
    desk.do(desk.queue.workers._reap("ann", None, 10.0))
    return lambda: desk.bind(claim)


# -- fill_gap ------------------------------------------------------------------------------------------


def gap(desk: Desk, latest: int = 0, final: int | None = None) -> Act:
    """Nonce 0 was given back, nonce 1 is signed."""
    lower = desk.bound(desk.worker("ann"), workflow=2)
    desk.signed("ann", workflow=1)
    desk.release(lower, "delayed")
    counts = Counts(latest, latest if final is None else final, latest)
    return lambda: desk.do(desk.ledger.fill_gap("ann", CHAIN, ALICE, counts, final=9))


CASES["fill_gap", "ok", ""] = gap
recovery("fill_gap", gap)


@case("fill_gap", "none", "somebody holds it")
def _(desk: Desk) -> Act:
    return gap(desk, latest=1)


@case("fill_gap", "none", "not final yet")
def _(desk: Desk) -> Act:
    return gap(desk, latest=1, final=0)


@case("fill_gap", "none", "nothing waits above")
def _(desk: Desk) -> Act:
    return gap(desk, latest=2)


@case("fill_gap", "none", "settled since the caller's head")
def _(desk: Desk) -> Act:
    lower = desk.signed(desk.worker("ann"), workflow=2)
    desk.signed("ann", workflow=1)
    desk.settle(lower.key)
    return lambda: desk.do(desk.ledger.fill_gap("ann", CHAIN, ALICE, Counts(0, 0, 0), final=9))


@case("fill_gap", "gone")
def _(desk: Desk) -> Act:
    act = gap(desk)
    desk.kill("ann")
    return act
