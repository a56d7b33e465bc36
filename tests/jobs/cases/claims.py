"""From the list to a claim, and back."""

from __future__ import annotations

from autometa_cli.jobs.enqueue import enqueue_many
from autometa_cli.jobs.occurrence import Occurrence
from tests.jobs.cases import CASES, Act, case, recovery, taken
from tests.jobs.desk import CHAIN, EXECUTOR, Desk

# -- enqueue -------------------------------------------------------------------------------------------


def _enqueue(desk: Desk) -> Act:
    return desk.enqueue


CASES["enqueue", "ok", ""] = _enqueue
recovery("enqueue", _enqueue)


@case("enqueue", "already", "queued")
def _(desk: Desk) -> Act:
    desk.enqueue()
    return desk.enqueue


@case("enqueue", "already", "signed")
def _(desk: Desk) -> Act:
    desk.signed(desk.worker("ann"))
    return desk.enqueue


@case("enqueue", "stale")
def _(desk: Desk) -> Act:
    desk.settle(desk.signed(desk.worker("ann"), next_run=50).key, block=20)
    return lambda: desk.enqueue(block=19)


@case("enqueue", "unfinal")
def _(desk: Desk) -> Act:
    desk.settle(desk.signed(desk.worker("ann")).key, block=20)
    return lambda: desk.enqueue(block=30, final=False)


@case("enqueue", "dead", "unchanged")
def _(desk: Desk) -> Act:
    desk.release(desk.claim(desk.worker("ann")), "dead")
    return lambda: desk.enqueue(block=30)


@case("enqueue", "dead", "changed in the very block that buried it")
def _(desk: Desk) -> Act:
    desk.release(desk.claim(desk.worker("ann")), "dead", block=20)
    return lambda: desk.enqueue(block=20, digest="another")


@case("enqueue", "gap")
def _(desk: Desk) -> Act:
    k, key = desk.keys, f"{CHAIN}:{EXECUTOR}:1:100:2"
    before = f"{CHAIN}:{EXECUTOR}:1:100:1"
    return lambda: desk.call(
        "enqueue",
        [
            k.epoch,
            k.pending,
            k.occurrence(key),
            k.occurrence(before),
            k.workflow(CHAIN, EXECUTOR, 1),
            k.queued,
        ],
        [key, b"{}", 10, 1, 1, "100", 2, "d"],
    )


def _many(desk: Desk, *next_runs: int, block: int = 10, leader: str = "") -> Act:
    wanted = [
        (Occurrence(CHAIN, EXECUTOR, 1, next_run), desk.payload(next_run), "d") for next_run in next_runs
    ]
    return lambda: desk.do(enqueue_many(desk.queue, wanted, block=block, final=True, leader=leader))


def _enqueue_many(desk: Desk) -> Act:
    return _many(desk, 100, 200, 100)


CASES["enqueue_many", "ok", ""] = _enqueue_many
recovery("enqueue_many", _enqueue_many)


@case("enqueue_many", "already")
def _(desk: Desk) -> Act:
    desk.settle(desk.signed(desk.worker("ann"), next_run=50).key, block=20)
    desk.enqueue(100, block=30)
    desk.enqueue(200, block=30)
    return _many(desk, 100, 200, 300, block=19)


@case("enqueue_many", "deposed")
def _(desk: Desk) -> Act:
    token = desk.lead("take", "ann").rest[0]
    desk.lead("leave", "ann")
    desk.lead("take", "bob")
    return _many(desk, 100, leader=token)


@case("enqueue", "deposed")
def _(desk: Desk) -> Act:
    token = desk.lead("take", "ann").rest[0]
    desk.lead("leave", "ann")
    desk.lead("take", "bob")
    return lambda: desk.enqueue(leader=token)


# -- take ----------------------------------------------------------------------------------------------


def _take(desk: Desk) -> Act:
    desk.worker("ann")
    for _ in range(3):
        desk.push(desk.payload())
    return lambda: desk.do(desk.queue.take("ann", 2))


CASES["take", "ok", ""] = _take


@case("take", "already")
def _(desk: Desk) -> Act:
    _take(desk)()
    return desk.again


@case("take", "none")
def _(desk: Desk) -> Act:
    desk.worker("ann")
    k = desk.keys
    return lambda: desk.call(
        "take", [k.epoch, k.workers, k.worker("ann"), k.inflight("ann"), k.pending], ["ann", "token", 5]
    )


@case("take", "gone")
def _(desk: Desk) -> Act:
    desk.kill(desk.worker("ann"))
    desk.push(desk.payload())
    k = desk.keys
    return lambda: desk.call(
        "take", [k.epoch, k.workers, k.worker("ann"), k.inflight("ann"), k.pending], ["ann", "token", 5]
    )


# -- adopt, retreat, entomb ----------------------------------------------------------------------------


def _adopt(desk: Desk) -> Act:
    raw = taken(desk)
    return lambda: desk.adopt("ann", raw)


CASES["adopt", "ok", "hand-pushed"] = _adopt
recovery("adopt", _adopt)


@case("adopt", "ok", "enqueued")
def _(desk: Desk) -> Act:
    desk.enqueue()
    raw = desk.take(desk.worker("ann"))
    return lambda: desk.adopt("ann", raw)


@case("adopt", "ok", "now")
def _(desk: Desk) -> Act:
    raw = taken(desk, 0)
    return lambda: desk.adopt("ann", raw)


@case("adopt", "already")
def _(desk: Desk) -> Act:
    raw = taken(desk)
    desk.adopt("ann", raw)
    return desk.again


@case("adopt", "already", "though an equal element lies there")
def _(desk: Desk) -> Act:
    raw = taken(desk)
    desk.push(raw)
    desk.take("ann")
    desk.adopt("ann", raw)
    return desk.again


@case("adopt", "duplicate", "claimed")
def _(desk: Desk) -> Act:
    raw = taken(desk)
    desk.adopt("ann", raw)
    desk.push(raw)
    desk.take("ann")
    return lambda: desk.adopt("ann", raw)


@case("adopt", "duplicate", "of what was executed")
def _(desk: Desk) -> Act:
    desk.settle(desk.signed(desk.worker("ann")).key, block=20)
    raw = desk.push(desk.payload())
    desk.take("ann")
    return lambda: desk.adopt("ann", raw, generation=0, block=30)


@case("adopt", "duplicate", "of what was executed, its record expired")
def _(desk: Desk) -> Act:
    key = desk.signed(desk.worker("ann")).key
    desk.settle(key, block=20)
    desk.redis.delete(desk.keys.occurrence(key))
    raw = desk.push(desk.payload())
    desk.take("ann")
    return lambda: desk.adopt("ann", raw, generation=0, block=30)


@case("adopt", "twin")
def _(desk: Desk) -> Act:
    desk.claim(desk.worker("ann"), 0)
    raw = desk.push(desk.payload(0))
    desk.take("ann")
    return lambda: desk.adopt("ann", raw)


@case("adopt", "stale")
def _(desk: Desk) -> Act:
    desk.settle(desk.signed(desk.worker("ann"), 50).key, block=20)
    raw = desk.push(desk.payload())
    desk.take("ann")
    return lambda: desk.adopt("ann", raw, block=19)


@case("adopt", "unfinal")
def _(desk: Desk) -> Act:
    desk.settle(desk.signed(desk.worker("ann")).key, block=20)
    raw = desk.push(desk.payload())
    desk.take("ann")
    return lambda: desk.adopt("ann", raw, block=30, final=False)


@case("adopt", "missing")
def _(desk: Desk) -> Act:
    desk.worker("ann")
    return lambda: desk.adopt("ann", desk.payload())


@case("adopt", "gone", "buried")
def _(desk: Desk) -> Act:
    desk.kill(desk.worker("ann"))
    raw = desk.push(desk.payload())
    desk.take("ann")  # a claim that was on its way at the funeral
    return lambda: desk.adopt("ann", raw)


@case("retreat", "ok")
def _(desk: Desk) -> Act:
    raw = taken(desk)
    return lambda: desk.do(desk.queue.retreat("ann", raw))


@case("retreat", "already")
def _(desk: Desk) -> Act:
    return lambda: desk.do(desk.queue.retreat("ann", b"{}"))


@case("entomb", "ok")
def _(desk: Desk) -> Act:
    raw = desk.push(b"\x00garbage\xff")
    desk.take("ann")
    return lambda: desk.do(desk.queue.entomb("ann", raw, "unreadable", "no JSON"))


@case("entomb", "already")
def _(desk: Desk) -> Act:
    return lambda: desk.do(desk.queue.entomb("ann", b"{}", "unreadable", "no JSON"))


# -- clear, restore ------------------------------------------------------------------------------------


@case("clear", "ok")
def _(desk: Desk) -> Act:
    desk.push(desk.payload())  # which names no record, so that nothing is postponed behind it
    return lambda: desk.do(desk.queue.clear())


@case("clear", "already")
def _(desk: Desk) -> Act:
    desk.push(desk.payload())
    desk.do(desk.queue.clear())
    return desk.again


@case("postpone", "ok")
def _(desk: Desk) -> Act:
    desk.enqueue()
    return lambda: desk.do(desk.queue.clear())


@case("restore", "ok")
def _(desk: Desk) -> Act:
    desk.push(desk.payload())
    desk.do(desk.queue.clear())
    return lambda: desk.do(desk.queue.restore())
