"""What dead workers held, what was delayed, and what fell out of the list: nothing is lost, and the order stays."""

from __future__ import annotations

import pytest

from autometa_cli.jobs.claim import Claim
from autometa_cli.jobs.pending import CLEARED_KEPT_SECONDS
from autometa_cli.jobs.waiting import LOST_AFTER_MS
from autometa_cli.jobs.workers import LEFT_SECONDS, TOMBSTONE_SECONDS, new_worker_id
from tests.jobs.desk import BOB, CHAIN, EXECUTOR, Desk


def workflows(desk: Desk) -> list[int]:
    """The pending list, by workflow."""
    from autometa_cli.jobs.job import parse_job

    return [parse_job(raw).workflow for raw in desk.pending()]


def key(workflow: int = 1, next_run: int = 100) -> str:
    return f"{CHAIN}:{EXECUTOR}:{workflow}:{next_run}:0"


# -- dead workers -----------------------------------------------------------------------------------


def test_everything_of_a_dead_worker_goes_back_in_its_old_order(desk: Desk) -> None:
    ann = desk.worker("ann")
    for workflow in range(1, 8):
        desk.push(desk.payload(workflow=workflow))
    for _ in range(5):
        desk.take(ann)
    for workflow in (1, 2, 3):
        assert isinstance(desk.adopt(ann, desk.payload(workflow=workflow)), Claim)
    desk.silence(ann)

    assert desk.reap() == 5

    assert workflows(desk) == [1, 2, 3, 4, 5, 6, 7]
    assert desk.inflight(ann) == []
    assert {desk.state(key(workflow)) for workflow in (1, 2, 3)} == {"queued"}


def test_signed_records_stay_with_the_tracker(desk: Desk) -> None:
    ann, bob = desk.worker("ann"), desk.worker("bob")
    claim = desk.signed(ann)
    desk.kill(ann)

    assert (desk.pending(), desk.inflight(ann)) == ([], [])
    record = desk.record(claim.key)
    assert (record.state, record.holder, record.nonce) == ("signed", "", 0)
    assert desk.do(desk.ledger.open_keys()) == [claim.key]
    hold = desk.do(desk.ledger.takeover(record, bob))
    assert hold is not None
    assert desk.write(hold, b"2", "0x2").word == "ok"
    assert desk.settle(claim.key).rest == ("settled",)


def test_a_living_worker_keeps_its_jobs(desk: Desk) -> None:
    ann = desk.worker("ann")
    desk.claim(ann)

    assert desk.reap() == 0
    assert desk.reap(ann) == 0
    assert len(desk.inflight(ann)) == 1


def test_a_worker_does_not_bury_itself(desk: Desk) -> None:
    ann = desk.worker("ann")
    desk.claim(ann)
    desk.silence(ann)

    assert desk.reap(ann) == 0


def test_a_claim_that_lands_after_the_funeral_is_found(desk: Desk) -> None:
    ann = desk.worker("ann")
    desk.kill(ann)
    raw = desk.push(desk.payload())
    desk.take(ann)

    assert desk.reap() == 1
    assert desk.pending() == [raw]


def test_a_claim_that_lands_after_the_goodbye_is_found(desk: Desk) -> None:
    ann = desk.worker("ann")
    assert desk.do(desk.queue.workers.leave(ann)).word == "ok"
    raw = desk.push(desk.payload())
    desk.take(ann)

    assert desk.reap() == 1
    assert desk.pending() == [raw]


@pytest.mark.parametrize("left", [False, True])
def test_tombstones_go_in_the_end(desk: Desk, left: bool) -> None:
    ann = desk.worker("ann")
    if left:
        desk.do(desk.queue.workers.leave(ann))
    else:
        desk.kill(ann)
    watched = LEFT_SECONDS if left else TOMBSTONE_SECONDS
    [member] = desk.do(desk.queue.workers.members())
    assert (member.buried, member.left) == (True, left)

    desk.redis.zadd(desk.keys.workers, {ann: -(desk.now_ms() - int(watched - 10) * 1000)})
    desk.reap()
    assert desk.redis.zcard(desk.keys.workers) == 1
    desk.redis.zadd(desk.keys.workers, {ann: -(desk.now_ms() - int(watched + 10) * 1000)})
    desk.push(desk.payload())
    desk.take(ann)
    desk.reap()
    assert desk.redis.zcard(desk.keys.workers) == 1  # not before its list is empty
    desk.reap()
    assert desk.redis.zcard(desk.keys.workers) == 0
    assert not desk.redis.exists(desk.keys.worker(ann))


def test_members_are_told_apart(desk: Desk) -> None:
    for name in ("ann", "bob", "eve"):
        desk.worker(name)
    desk.silence("bob", 5)
    desk.kill("eve")
    members = {member.id: member for member in desk.do(desk.queue.workers.members())}

    assert {name: member.buried for name, member in members.items()} == {
        "ann": False, "bob": False, "eve": True,
    }  # fmt: skip
    assert members["ann"].beat_age < 3
    assert 5 <= members["bob"].beat_age < 8
    assert members["ann"].fields["host"] == "test"


def test_a_beat_tells_of_a_pause(desk: Desk) -> None:
    ann = desk.worker("ann")
    desk.redis.set(desk.keys.paused, b"not utf-8: \xff")
    answer = desk.do(desk.queue.workers.beat(ann, {"state": "busy"}))

    assert abs(int(answer.rest[0]) - desk.now_ms()) < 10_000
    assert answer.rest[1] == "not utf-8: �"
    assert desk.do(desk.queue.workers.members())[0].fields["state"] == "busy"


def test_worker_ids_are_never_the_same() -> None:
    assert len({new_worker_id() for _ in range(100)}) == 100


# -- what was delayed -------------------------------------------------------------------------------


def test_delayed_jobs_come_back_when_they_are_due(desk: Desk) -> None:
    ann = desk.worker("ann")
    for workflow, delay in ((1, 0.0), (2, 60.0), (3, 0.0)):
        desk.release(desk.claim(ann, workflow=workflow), "delayed", delay=delay)
    desk.mature(key(3))

    assert desk.do(desk.queue.promote()) == 2
    assert workflows(desk) == [3, 1]
    assert [desk.state(key(workflow)) for workflow in (1, 2, 3)] == ["queued", "delayed", "queued"]
    assert desk.do(desk.queue.promote()) == 0
    [(record, due)] = desk.do(desk.inspector.delayed())
    assert record.workflow == 2
    assert 50_000 < due - desk.now_ms() <= 60_000


def test_equal_payloads_do_not_collapse_while_they_wait(desk: Desk) -> None:
    ann = desk.worker("ann")
    for workflow in (1, 1):
        desk.push(desk.payload(0, workflow, force=True))
        desk.take(ann)
    raw = desk.payload(0, 1, force=True)
    for claim in [desk.adopt(ann, raw), desk.adopt(ann, raw)]:
        assert isinstance(claim, Claim)
        desk.release(claim, "delayed")

    assert len(desk.do(desk.inspector.delayed())) == 2


def test_pauses_of_a_held_job_are_counted(desk: Desk) -> None:
    ann = desk.worker("ann")
    claim = desk.claim(ann)
    for pause in range(1, 4):
        desk.release(claim, "delayed", hold=True)
        record = desk.record(claim.key)
        assert record.holds == pause
        assert 0 <= desk.now_ms() - record.held_since < 10_000
        desk.mature(claim.key)
        desk.do(desk.queue.promote())
        again = desk.adopt(ann, desk.take(ann))
        assert isinstance(again, Claim)
        claim = again
    desk.bind(claim)
    desk.write(claim)

    assert (desk.record(claim.key).holds, desk.record(claim.key).held_since) == (0, 0)


# -- what fell out of the list ----------------------------------------------------------------------


def late(desk: Desk) -> None:
    """Let everything that is queued have been so for a long time."""
    for name in desk.redis.zrange(desk.keys.queued, 0, -1):
        desk.redis.zadd(desk.keys.queued, {name: desk.now_ms() - LOST_AFTER_MS - 1000})


def test_a_record_in_no_list_is_pushed_again(desk: Desk) -> None:
    for workflow in range(1, 6):
        desk.enqueue(workflow=workflow)
    desk.redis.lpop(desk.keys.pending, 2)  # an old consumer took two and died

    assert desk.do(desk.queue.sweep()) == 0  # not at once: they may be on their way
    late(desk)
    assert desk.do(desk.queue.sweep()) == 2
    assert workflows(desk) == [3, 4, 5, 1, 2]
    late(desk)
    assert desk.do(desk.queue.sweep()) == 0


def test_a_bound_record_in_no_list_is_pushed_again(desk: Desk) -> None:
    ann = desk.worker("ann")
    desk.bound(ann)
    desk.kill(ann)
    desk.redis.delete(desk.keys.pending)
    late(desk)

    assert desk.do(desk.queue.sweep()) == 1
    assert desk.state(key()) == "bound"
    assert isinstance(desk.adopt(desk.worker("bob"), desk.take("bob")), Claim)


def test_a_large_list_is_searched_to_its_end(desk: Desk) -> None:
    for workflow in range(1, 30):
        desk.enqueue(workflow=workflow)
    desk.redis.rpush(desk.keys.pending, *[b'{"note":%d}' % number for number in range(2500)])
    desk.redis.lrem(desk.keys.pending, 1, desk.pending()[7])
    late(desk)

    assert desk.do(desk.queue.sweep()) == 1


def test_names_without_a_record_are_forgotten(desk: Desk) -> None:
    desk.redis.zadd(desk.keys.queued, {"nobody": 1})

    assert desk.do(desk.queue.sweep()) == 0
    assert desk.redis.zcard(desk.keys.queued) == 0


def test_a_double_element_is_dropped(desk: Desk) -> None:
    ann = desk.worker("ann")
    desk.enqueue()
    [element] = desk.pending()
    desk.push(element)
    assert isinstance(desk.adopt(ann, desk.take(ann)), Claim)
    second = desk.adopt(ann, desk.take(ann))

    assert not isinstance(second, Claim)
    assert (second.word, desk.pending(), len(desk.inflight(ann))) == ("duplicate", [], 1)


# -- clear and restore ------------------------------------------------------------------------------


def test_cleared_jobs_come_back_in_front(desk: Desk) -> None:
    for workflow in range(1, 2502):
        desk.push(desk.payload(workflow=workflow))
    stamp, count = desk.do(desk.queue.clear())
    desk.push(desk.payload(workflow=9000))

    assert count == 2501
    assert desk.redis.ttl(desk.keys.cleared_list(stamp)) > CLEARED_KEPT_SECONDS - 60
    assert desk.do(desk.queue.restore()) == 2501
    assert workflows(desk) == [*range(1, 2502), 9000]
    assert desk.redis.keys("*cleared*") == []


def test_the_sweep_leaves_cleared_jobs_alone_for_their_day(desk: Desk) -> None:
    desk.enqueue()
    stamp, _ = desk.do(desk.queue.clear())
    late(desk)  # also where the process that cleared died before it could mark them

    assert desk.do(desk.queue.sweep()) == 0
    desk.redis.delete(desk.keys.cleared_list(stamp))  # the day is over
    assert desk.do(desk.queue.sweep()) == 1


def test_restored_jobs_are_ordinary_again(desk: Desk) -> None:
    desk.enqueue()
    desk.do(desk.queue.clear())
    assert desk.redis.zscore(desk.keys.queued, key()) > desk.now_ms() + 80_000_000
    desk.do(desk.queue.restore())

    assert desk.redis.zscore(desk.keys.queued, key()) <= desk.now_ms()
    desk.redis.delete(desk.keys.pending)
    late(desk)
    assert desk.do(desk.queue.sweep()) == 1


def test_a_clear_that_lapsed_is_forgotten(desk: Desk) -> None:
    desk.redis.zadd(desk.keys.cleared, {"1": 1000})
    desk.push(desk.payload())
    stamp, _ = desk.do(desk.queue.clear())

    assert desk.redis.zrange(desk.keys.cleared, 0, -1) == [stamp.encode()]


def test_clearing_touches_no_record(desk: Desk) -> None:
    ann = desk.worker("ann")
    claim = desk.signed(ann)
    desk.enqueue(workflow=2)
    desk.do(desk.queue.clear())

    assert (desk.state(claim.key), desk.state(key(2))) == ("signed", "queued")
    assert len(desk.inflight(ann)) == 1
    assert desk.enqueue(workflow=2).word == "already"


# -- counting ---------------------------------------------------------------------------------------


def test_counts(desk: Desk) -> None:
    ann = desk.worker("ann")
    desk.kill(desk.worker("bob"))
    desk.release(desk.claim(ann, workflow=1), "dead")
    desk.release(desk.claim(ann, workflow=2), "delayed", delay=60)
    desk.signed(ann, workflow=3)
    desk.bound(ann, workflow=4, sender=BOB)
    desk.claim(ann, workflow=5)
    desk.enqueue(workflow=6)
    desk.enqueue(workflow=7)
    desk.take("bob")
    desk.redis.zadd(desk.keys.queued, {key(7): desk.now_ms() - 90_000})
    counts = desk.do(desk.inspector.counts())

    assert (counts.pending, counts.inflight, counts.delayed, counts.dead) == (1, 4, 1, 1)
    assert (counts.open, counts.workers, counts.paused) == (2, 1, "")
    assert counts.oldest is not None
    assert 89 < counts.oldest < 100
    assert {record.workflow for record in desk.do(desk.inspector.open())} == {3, 4}


def test_every_record_is_found(desk: Desk) -> None:
    ann = desk.worker("ann")
    for workflow in range(1, 6):
        desk.claim(ann, workflow=workflow)

    async def collect() -> set[int]:
        return {record.workflow async for record in desk.inspector.records()}

    assert desk.do(collect()) == {1, 2, 3, 4, 5}
