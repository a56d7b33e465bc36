"""The ledger's Redis process, and the recovery of what it forgot."""

from __future__ import annotations

import pytest

from autometa_cli.errors import AutometaError
from tests.jobs.cases import CASES, Act, case, doubted, recovery
from tests.jobs.desk import ALICE, CHAIN, EXECUTOR, Desk

# -- epoch, renew, recovery ----------------------------------------------------------------------------


@case("epoch", "ok")
def _(desk: Desk) -> Act:
    return lambda: desk.call("epoch", [desk.keys.epoch], [])


recovery("epoch", lambda desk: lambda: desk.call("epoch", [desk.keys.epoch], []))


def _serve(desk: Desk, executor: str = EXECUTOR) -> Act:
    return lambda: desk.do(desk.queue.serve(CHAIN, executor))


CASES["serve", "ok", ""] = _serve
recovery("serve", lambda desk: lambda: _refused(_serve(desk)))


@case("serve", "ok", "nothing is left of the others")
def _(desk: Desk) -> Act:
    _serve(desk, "0x" + "0f" * 20)()
    return _serve(desk)


@case("serve", "other")
def _(desk: Desk) -> Act:
    _serve(desk, "0x" + "0f" * 20)()
    desk.push(desk.payload())
    return lambda: _refused(_serve(desk))


def _refused(act: Act) -> None:
    with pytest.raises(AutometaError):
        act()


def _renew(desk: Desk, old: str = "another") -> Act:
    doubted(desk)
    seq = desk.redis.hget(desk.keys.epoch, "seq")
    return lambda: desk.call("renew", [desk.keys.epoch], [old, seq])


CASES["renew", "ok", ""] = _renew


@case("renew", "already")
def _(desk: Desk) -> Act:
    act = _renew(desk)
    act()
    return act


@case("renew", "moved", "somebody wrote")
def _(desk: Desk) -> Act:
    act = _renew(desk)
    desk.redis.hincrby(desk.keys.epoch, "seq", 1)
    return act


@case("renew", "moved", "recovery began")
def _(desk: Desk) -> Act:
    act = _renew(desk)
    desk.redis.hset(desk.keys.epoch, "recovering", "1")
    return act


@case("renew", "moved", "not from there")
def _(desk: Desk) -> Act:
    return _renew(desk, old="a third")


def _begin(desk: Desk) -> Act:
    return lambda: desk.call("recovery_begin", [desk.keys.epoch], [])


CASES["recovery_begin", "ok", ""] = _begin


@case("recovery_begin", "already")
def _(desk: Desk) -> Act:
    _begin(desk)()
    return _begin(desk)


def _window(desk: Desk) -> Act:
    return lambda: desk.call(
        "recovery_window", [desk.keys.epoch, desk.keys.cursor(CHAIN, EXECUTOR)], [ALICE, "7", 9]
    )


@case("recovery_window", "ok")
def _(desk: Desk) -> Act:
    _begin(desk)()
    return _window(desk)


CASES["recovery_window", "moved", "no recovery"] = _window


def _end(desk: Desk) -> Act:
    return lambda: desk.call("recovery_end", [desk.keys.epoch, desk.keys.seen], [ALICE])


@case("recovery_end", "ok")
def _(desk: Desk) -> Act:
    _begin(desk)()
    _window(desk)()
    return _end(desk)


@case("recovery_end", "open")
def _(desk: Desk) -> Act:
    _begin(desk)()
    return _end(desk)


CASES["recovery_end", "already", ""] = _end


@case("recovery_end", "moved")
def _(desk: Desk) -> Act:
    doubted(desk)
    return _end(desk)


def _bury_now(desk: Desk, key: str, element: bytes, raw: bytes) -> Act:
    k = desk.keys
    workflow = k.workflow(CHAIN, EXECUTOR, 1)
    return lambda: desk.call(
        "recovery_bury",
        [k.epoch, k.occurrence(key), workflow, k.dead, k.pending, k.delayed, k.queued],
        [key, element, raw, "id"],
    )


@case("recovery_bury", "ok", "a record")
def _(desk: Desk) -> Act:
    claim = desk.claim(desk.worker("ann"), 0)
    desk.release(claim, "queued")
    _begin(desk)()
    return _bury_now(desk, claim.key, desk.pending()[0], claim.job.raw)


@case("recovery_bury", "ok", "a raw element")
def _(desk: Desk) -> Act:
    raw = desk.push(desk.payload(0))
    _begin(desk)()
    return _bury_now(desk, "raw:1", raw, raw)


@case("recovery_bury", "ok", "bound")
def _(desk: Desk) -> Act:
    claim = desk.bound(desk.worker("ann"))
    _begin(desk)()
    return _bury_now(desk, claim.key, b"", claim.job.raw)


@case("recovery_bury", "already", "settled before")
def _(desk: Desk) -> Act:
    claim = desk.signed(desk.worker("ann"), 0)
    desk.settle(claim.key)
    _begin(desk)()
    return _bury_now(desk, claim.key, b"", b"")


@case("recovery_bury", "already", "nothing there")
def _(desk: Desk) -> Act:
    _begin(desk)()
    return _bury_now(desk, "raw:1", b"x", b"x")


@case("recovery_bury", "moved")
def _(desk: Desk) -> Act:
    raw = desk.push(desk.payload(0))
    return _bury_now(desk, "raw:1", raw, raw)
