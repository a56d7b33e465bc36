"""What the operator does with dead letters."""

from __future__ import annotations

from autometa_cli.jobs.record import Record
from tests.jobs.cases import CASES, Act, Case, case, claimed, recovery
from tests.jobs.desk import CHAIN, EXECUTOR, Desk


def _due(desk: Desk) -> Record:
    """A due occurrence that was given up, as the scheduler queued it."""
    desk.enqueue()
    ann = desk.worker("ann")
    claim = desk.adopt(ann, desk.take(ann))
    desk.release(claim, "dead")  # type: ignore[arg-type]
    return desk.record(f"{CHAIN}:{EXECUTOR}:1:100:0")


def _now(desk: Desk) -> Record:
    """A "now" job that was given up."""
    claim = desk.claim(desk.worker("ann"), 0, id="mine")
    desk.release(claim, "dead")
    return desk.record(claim.key)


def _raw(desk: Desk) -> Record:
    """An element that is no job."""
    raw = desk.push(b"\x00garbage\xff")
    desk.take(desk.worker("ann"))
    return desk.record(desk.do(desk.queue.entomb("ann", raw, "unreadable", "no JSON")))


def _retry(desk: Desk, record: Record) -> Act:
    return lambda: desk.do(desk.letters.retry(record, "the test"))


def _drop(desk: Desk, record: Record) -> Act:
    return lambda: desk.do(desk.letters.drop(record, "the test"))


for _name, _buried in (("due", _due), ("now", _now), ("raw", _raw)):
    for _script, _act in (("dead_retry", _retry), ("dead_drop", _drop)):

        def _prepare(desk: Desk, buried=_buried, act=_act) -> Act:  # type: ignore[no-untyped-def]
            done: Act = act(desk, buried(desk))
            return done

        CASES[_script, "ok", _name] = _prepare

_retry_due: Case = CASES["dead_retry", "ok", "due"]
_drop_due: Case = CASES["dead_drop", "ok", "due"]
recovery("dead_retry", _retry_due)
recovery("dead_drop", _drop_due)


@case("dead_retry", "already", "not dead any more")
def _(desk: Desk) -> Act:
    record = _now(desk)
    _drop(desk, record)()
    return _retry(desk, record)


@case("dead_retry", "already", "opened again, since its workflow changed")
def _(desk: Desk) -> Act:
    record = _due(desk)
    assert desk.enqueue(block=30, digest="another").word == "ok"
    return _retry(desk, record)


@case("dead_retry", "already", "its next generation was closed, and forgotten")
def _(desk: Desk) -> Act:
    record = _due(desk)
    desk.redis.hset(desk.keys.workflow(CHAIN, EXECUTOR, 1), "gen", "1")
    return _retry(desk, record)


@case("dead_retry", "held", "it owns a nonce")
def _(desk: Desk) -> Act:
    record = _due(desk)
    desk.redis.zadd(desk.keys.open, {record.key: 1})
    return _retry(desk, record)


@case("dead_retry", "held", "bytes")
def _(desk: Desk) -> Act:
    record = _due(desk)
    desk.redis.hset(desk.keys.occurrence(record.key), "raw:0", "bytes")
    return _retry(desk, record)


@case("dead_retry", "busy")
def _(desk: Desk) -> Act:
    record = _now(desk)
    desk.claim("ann", 0, id="another")
    return _retry(desk, record)


@case("dead_retry", "never")
def _(desk: Desk) -> Act:
    record = _due(desk)
    desk.redis.hset(desk.keys.occurrence(record.key), "kind", "noop")
    return _retry(desk, record)


@case("dead_drop", "already")
def _(desk: Desk) -> Act:
    claim = claimed(desk)
    desk.redis.zadd(desk.keys.dead, {claim.key: 1})
    return _drop(desk, desk.record(claim.key))


@case("dead_drop", "held", "it owns a nonce")
def _(desk: Desk) -> Act:
    record = _due(desk)
    desk.redis.zadd(desk.keys.open, {record.key: 1})
    return _drop(desk, record)


@case("dead_drop", "held", "bytes")
def _(desk: Desk) -> Act:
    record = _due(desk)
    desk.redis.hset(desk.keys.occurrence(record.key), "raw:0", "bytes")
    return _drop(desk, record)


@case("dead_drop", "ok", "its record is gone")
def _(desk: Desk) -> Act:
    record = _raw(desk)
    desk.redis.delete(desk.keys.occurrence(record.key))
    return _drop(desk, record)
