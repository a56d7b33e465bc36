"""Bytes, and how a record ends."""

from __future__ import annotations

from autometa_cli.executor.ledger import Hold
from autometa_cli.jobs.claim import Claim
from tests.jobs.cases import CASES, Act, Case, case, claimed, recovery
from tests.jobs.cases.nonces import gap
from tests.jobs.desk import ALICE, BOB, CHAIN, EXECUTOR, Desk

# -- write_signed, takeover, note ----------------------------------------------------------------------


def _write(desk: Desk) -> Act:
    claim = desk.bound(desk.worker("ann"))
    return lambda: desk.write(claim)


CASES["write_signed", "ok", "call"] = _write
recovery("write_signed", _write)


@case("write_signed", "ok", "cancel")
def _(desk: Desk) -> Act:
    claim = desk.signed(desk.worker("ann"))
    return lambda: desk.write(claim, b"cancel", "0xcancel", cancel="paused", unwanted=True)


@case("write_signed", "already")
def _(desk: Desk) -> Act:
    _write(desk)()
    return desk.again


@case("write_signed", "fenced", "buried")
def _(desk: Desk) -> Act:
    act = _write(desk)
    desk.kill("ann")
    return act


@case("write_signed", "fenced", "another attempt stands there")
def _(desk: Desk) -> Act:
    _write(desk)()
    name, keys, args = desk.scripts.asked[-1]
    return lambda: desk.call(name, keys, [*args[:7], "0xother", *args[8:]])


@case("write_signed", "fenced", "an attempt is left out")
def _(desk: Desk) -> Act:
    _write(desk)()
    name, keys, args = desk.scripts.asked[-1]
    return lambda: desk.call(name, keys, [*args[:5], 2, *args[6:]])


@case("write_signed", "fenced", "not bound")
def _(desk: Desk) -> Act:
    claim = claimed(desk)
    return lambda: desk.write(claim)


@case("write_signed", "fenced", "another nonce")
def _(desk: Desk) -> Act:
    claim = desk.bound(desk.worker("ann"))
    desk.write(claim)
    name, keys, args = desk.scripts.asked[-1]
    return lambda: desk.call(name, keys, [*args[:4], "1", 1, *args[6:]])


@case("write_signed", "fenced", "somebody else owns the nonce")
def _(desk: Desk) -> Act:
    claim = desk.bound(desk.worker("ann"))
    desk.redis.hset(desk.keys.nonces(CHAIN, ALICE), "0", "another")
    return lambda: desk.write(claim)


@case("write_signed", "fenced", "no call after a cancellation")
def _(desk: Desk) -> Act:
    claim = desk.signed(desk.worker("ann"))
    desk.write(claim, b"cancel", "0xcancel", cancel="paused")
    return lambda: desk.write(claim, b"call", "0xcall")


def _takeover(desk: Desk, worker: str = "bob") -> Act:
    return lambda: desk.do(desk.ledger.takeover(desk.record(f"{CHAIN}:{EXECUTOR}:1:100:0"), worker))


def _orphan(desk: Desk) -> Act:
    desk.signed(desk.worker("ann"))
    desk.kill("ann")
    desk.worker("bob")
    return _takeover(desk)


CASES["takeover", "ok", ""] = _orphan
recovery("takeover", _orphan)


@case("takeover", "ok", "a self-transfer that is not signed yet")
def _(desk: Desk) -> Act:
    gap(desk)()
    desk.kill("ann")
    desk.worker("bob")
    return lambda: desk.do(desk.ledger.takeover(desk.record(f"noop:{CHAIN}:{ALICE}:0"), "bob"))


@case("takeover", "already")
def _(desk: Desk) -> Act:
    _orphan(desk)()
    return _takeover(desk)


@case("takeover", "held", "its holder lives")
def _(desk: Desk) -> Act:
    desk.signed(desk.worker("ann"))
    desk.worker("bob")
    return _takeover(desk)


@case("takeover", "held", "the caller is buried")
def _(desk: Desk) -> Act:
    desk.signed(desk.worker("ann"))
    desk.kill("ann")
    desk.kill(desk.worker("bob"))
    return _takeover(desk)


@case("takeover", "gone")
def _(desk: Desk) -> Act:
    claimed(desk)
    desk.worker("bob")
    return _takeover(desk)


def _request(desk: Desk, what: str = "cancel", wish: str = "", nonce: str = "0") -> Act:
    k, key = desk.keys, f"{CHAIN}:{EXECUTOR}:1:100:0"
    keys = [k.epoch, k.workers, k.occurrence(key), k.requests]
    return lambda: desk.call("request", keys, [key, what, wish, ALICE, nonce, 60])


def _wish(desk: Desk) -> Act:
    desk.signed(desk.worker("ann"))
    return _request(desk)


CASES["request", "ok", "cancel"] = _wish
recovery("request", _wish)


@case("request", "ok", "a cancel in the place of a bump")
def _(desk: Desk) -> Act:
    _wish(desk)
    _request(desk, "bump")()
    return _request(desk)


@case("request", "ok", "done")
def _(desk: Desk) -> Act:
    _wish(desk)()
    return _request(desk, "done", "cancel")


@case("request", "already", "asked before")
def _(desk: Desk) -> Act:
    _wish(desk)()
    return _request(desk)


@case("request", "already", "to be cancelled anyway")
def _(desk: Desk) -> Act:
    _wish(desk)()
    return _request(desk, "bump")


@case("request", "already", "it is being cancelled")
def _(desk: Desk) -> Act:
    claim = desk.signed(desk.worker("ann"))
    desk.write(claim, b"cancel", "0xcancel", cancel="paused")
    return _request(desk)


@case("request", "already", "something else is asked by now")
def _(desk: Desk) -> Act:
    _wish(desk)()
    return _request(desk, "done", "bump")


@case("request", "free", "nobody holds it")
def _(desk: Desk) -> Act:
    desk.signed(desk.worker("ann"))
    desk.kill("ann")
    return _request(desk)


@case("request", "gone", "not signed")
def _(desk: Desk) -> Act:
    desk.bound(desk.worker("ann"))
    return _request(desk)


@case("request", "gone", "another nonce")
def _(desk: Desk) -> Act:
    desk.signed(desk.worker("ann"))
    return _request(desk, nonce="1")


@case("note", "ok")
def _(desk: Desk) -> Act:
    claim = desk.signed(desk.worker("ann"))
    return lambda: desk.do(desk.ledger.note(claim.key, mined_block=5))


@case("note", "gone")
def _(desk: Desk) -> Act:
    return lambda: desk.do(desk.ledger.note("nothing", mined_block=5))


# -- release, settle -----------------------------------------------------------------------------------


def _released(to: str, *, bound: bool) -> Case:
    def prepare(desk: Desk) -> Act:
        claim = desk.bound(desk.worker("ann")) if bound else claimed(desk)
        return lambda: desk.release(claim, to, delay=60, hold=to == "delayed")

    return prepare


for _to in ("queued", "delayed", "skipped", "dead"):
    CASES["release", "ok", f"claimed, {_to}"] = _released(_to, bound=False)
    CASES["release", "ok", f"bound, {_to}"] = _released(_to, bound=True)
recovery("release", _released("dead", bound=True))


@case("release", "already")
def _(desk: Desk) -> Act:
    _released("dead", bound=True)(desk)()
    return desk.again


@case("release", "signed")
def _(desk: Desk) -> Act:
    claim = desk.signed(desk.worker("ann"))
    return lambda: desk.release(claim)


@case("release", "moved")
def _(desk: Desk) -> Act:
    claim = desk.bound(desk.worker("ann"))
    return lambda: desk.release(claim, sender=BOB)


@case("release", "fenced", "another holds it")
def _(desk: Desk) -> Act:
    claim = claimed(desk)
    desk.kill("ann")
    desk.adopt(desk.worker("bob"), desk.take("bob"))
    return lambda: desk.release(claim)


@case("release", "fenced", "an older claim of the same worker")
def _(desk: Desk) -> Act:
    claim = claimed(desk)
    desk.release(claim)
    desk.adopt("ann", desk.take("ann"))
    return lambda: desk.release(claim, "dead")


def _settle(verdict: str, *, cancel: str = "", unwanted: bool = False) -> Case:
    def prepare(desk: Desk) -> Act:
        claim = desk.signed(desk.worker("ann"))
        if cancel:
            desk.write(claim, b"cancel", "0xcancel", cancel=cancel, unwanted=unwanted)
        record = desk.record(claim.key)
        return lambda: desk.settle(claim.key, verdict, record=record)

    return prepare


for _verdict in ("executed", "action_failed", "reverted", "foreign", "uncertain"):
    CASES["settle", "ok", _verdict] = _settle(_verdict)
CASES["settle", "ok", "refused"] = _settle("refused", cancel="refused")
CASES["settle", "ok", "cancelled, unwanted"] = _settle("cancelled", cancel="paused", unwanted=True)
CASES["settle", "ok", "cancelled by a person"] = _settle("cancelled", cancel="operator")
CASES["settle", "ok", "reverted, a person cancels"] = _settle("reverted", cancel="operator")
CASES["settle", "ok", "cancelled, still wanted"] = _settle("cancelled", cancel="stuck")
recovery("settle", _settle("executed"))


@case("settle", "ok", "a self-transfer")
def _(desk: Desk) -> Act:
    gap(desk)()
    record = desk.record(f"noop:{CHAIN}:{ALICE}:0")
    desk.write(Hold(record.key, "ann", record.fence), b"noop", "0xnoop", cancel="gap", unwanted=True)
    record = desk.record(record.key)
    return lambda: desk.settle(record.key, "cancelled", record=record)


@case("settle", "ok", "bound, its nonce used by somebody else")
def _(desk: Desk) -> Act:
    record = desk.record(desk.bound(desk.worker("ann")).key)
    return lambda: desk.settle(record.key, "foreign", record=record)


@case("settle", "already", "closed")
def _(desk: Desk) -> Act:
    _settle("executed")(desk)()
    return desk.again


@case("settle", "already", "another nonce by now")
def _(desk: Desk) -> Act:
    _settle("reverted")(desk)()
    proof = desk.scripts.asked[-1]
    desk.mature(str(proof[2][0]))
    desk.do(desk.queue.promote())
    again = desk.adopt("ann", desk.take("ann"))
    assert isinstance(again, Claim)
    assert desk.bind(again, latest=1, final=0, pending=1).rest == ("1",)
    desk.write(again)
    return lambda: desk.call(*proof)


@case("settle", "moved")
def _(desk: Desk) -> Act:
    act = _settle("executed")(desk)
    desk.kill("ann")
    return act
