"""Workers, and what dead ones leave behind."""

from __future__ import annotations

from tests.jobs.cases import CASES, Act, case, claimed, recovery, taken
from tests.jobs.desk import CHAIN, EXECUTOR, Desk

# -- register, beat, leave -----------------------------------------------------------------------------


def _register(desk: Desk, name: str = "ann") -> Act:
    return lambda: desk.do(desk.queue.workers.register(name, {"host": "h"}))


CASES["register", "ok", ""] = _register
recovery("register", _register)


@case("register", "gone")
def _(desk: Desk) -> Act:
    desk.kill(desk.worker("ann"))
    return _register(desk)


def _beat(desk: Desk) -> Act:
    desk.worker("ann")
    return lambda: desk.do(desk.queue.workers.beat("ann", {"host": "h"}))


CASES["beat", "ok", ""] = _beat
recovery("beat", _beat)


@case("beat", "gone", "buried")
def _(desk: Desk) -> Act:
    act = _beat(desk)
    desk.kill("ann")
    return act


@case("beat", "gone", "never registered")
def _(desk: Desk) -> Act:
    return lambda: desk.do(desk.queue.workers.beat("eve", {}))


CASES["pause", "ok", ""] = lambda desk: lambda: desk.do(desk.queue.pause("tea", "ann"))
CASES["pause", "ok", "for a time"] = lambda desk: lambda: desk.do(desk.queue.pause("tea", "ann", 3600))


def _leave(desk: Desk) -> Act:
    return lambda: desk.do(desk.queue.workers.leave("ann"))


@case("leave", "ok")
def _(desk: Desk) -> Act:
    desk.worker("ann")
    return _leave(desk)


@case("leave", "busy")
def _(desk: Desk) -> Act:
    desk.claim(desk.worker("ann"))
    return _leave(desk)


CASES["leave", "already", "never came"] = _leave


@case("leave", "already", "buried")
def _(desk: Desk) -> Act:
    desk.kill(desk.worker("ann"))
    return _leave(desk)


# -- reap, promote, requeue ----------------------------------------------------------------------------


def _reap(desk: Desk, element: bytes | None, seconds: int = 3600) -> Act:
    if seconds:
        desk.silence("ann", seconds)
    return lambda: desk.do(desk.queue.workers._reap("ann", element, 10.0))


def _reap_claimed(desk: Desk) -> Act:
    return _reap(desk, claimed(desk).envelope)


CASES["reap", "ok", "claimed"] = _reap_claimed
recovery("reap", _reap_claimed)


@case("reap", "ok", "the worker alone")
def _(desk: Desk) -> Act:
    desk.worker("ann")
    return _reap(desk, None)


@case("reap", "ok", "raw")
def _(desk: Desk) -> Act:
    return _reap(desk, taken(desk))


@case("reap", "ok", "an envelope whose record is gone")
def _(desk: Desk) -> Act:
    claim = claimed(desk)
    desk.redis.delete(desk.keys.occurrence(claim.key))
    return _reap(desk, claim.envelope)


@case("reap", "ok", "bound")
def _(desk: Desk) -> Act:
    return _reap(desk, desk.bound(desk.worker("ann")).envelope)


@case("reap", "ok", "signed")
def _(desk: Desk) -> Act:
    return _reap(desk, desk.signed(desk.worker("ann")).envelope)


@case("reap", "ok", "taken over by another")
def _(desk: Desk) -> Act:
    claim = desk.signed(desk.worker("ann"))
    desk.silence("ann")
    desk.do(desk.queue.workers._reap("ann", None, 10.0))
    desk.do(desk.ledger.takeover(desk.record(claim.key), desk.worker("bob")))
    return _reap(desk, claim.envelope, seconds=0)


@case("reap", "ok", "a list whose worker nobody knows")
def _(desk: Desk) -> Act:
    desk.push(desk.payload())
    return _reap(desk, desk.take("ann"), seconds=0)


def _checked_to_death(desk: Desk, times: int, *, hours: int = 0) -> Act:
    """A claimed record that so many workers died of already."""
    claim = claimed(desk)
    then = desk.now_ms() - hours * 3_600_000
    desk.redis.hset(desk.keys.occurrence(claim.key), "recoveries", " ".join([str(then)] * times))
    return _reap(desk, claim.envelope)


@case("reap", "ok", "a suspect")
def _(desk: Desk) -> Act:
    return _checked_to_death(desk, 1)


@case("reap", "ok", "poison")
def _(desk: Desk) -> Act:
    return _checked_to_death(desk, 2)


@case("reap", "ok", "suspected long ago")
def _(desk: Desk) -> Act:
    return _checked_to_death(desk, 2, hours=73)


@case("reap", "already", "element")
def _(desk: Desk) -> Act:
    desk.worker("ann")
    return _reap(desk, b"{}")


@case("reap", "already", "worker")
def _(desk: Desk) -> Act:
    desk.kill(desk.worker("ann"))
    return _reap(desk, None, seconds=0)


@case("reap", "alive")
def _(desk: Desk) -> Act:
    claim = claimed(desk)
    return _reap(desk, claim.envelope, seconds=9)


def _delayed(desk: Desk) -> str:
    claim = claimed(desk)
    desk.release(claim, "delayed", delay=60)
    return claim.key


def _promote(desk: Desk) -> Act:
    desk.mature(_delayed(desk))
    return lambda: desk.do(desk.queue.promote())


CASES["promote", "ok", ""] = _promote
recovery("promote", _promote)


@case("promote", "already", "a stale entry")
def _(desk: Desk) -> Act:
    claim = claimed(desk)
    desk.redis.zadd(desk.keys.delayed, {claim.key: 1})
    return lambda: desk.do(desk.queue.promote())


@case("promote", "early")
def _(desk: Desk) -> Act:
    k, key = desk.keys, _delayed(desk)
    return lambda: desk.call(
        "promote", [k.epoch, k.delayed, k.occurrence(key), k.pending, k.queued], [key, b"{}"]
    )


def _lost(desk: Desk) -> str:
    desk.enqueue()
    key = f"{CHAIN}:{EXECUTOR}:1:100:0"
    desk.redis.zadd(desk.keys.queued, {key: 1})
    desk.redis.delete(desk.keys.pending)
    return key


def _requeue(desk: Desk) -> Act:
    _lost(desk)
    return lambda: desk.do(desk.queue.sweep())


CASES["requeue", "ok", ""] = _requeue
recovery("requeue", _requeue)


@case("requeue", "already", "a stale entry")
def _(desk: Desk) -> Act:
    claim = claimed(desk)
    desk.redis.zadd(desk.keys.queued, {claim.key: 1})
    return lambda: desk.do(desk.queue.sweep())
