"""From the list to a claim: what is claimed, once, with every byte as it was pushed."""

from __future__ import annotations

import pytest

from autometa_cli.jobs.claim import Claim
from autometa_cli.jobs.job import open_envelope, parse_job
from tests.jobs.desk import CHAIN, EXECUTOR, Desk

HUGE = 2**256 - 1
#: Valid JSON with everything that a careless script could spoil.
AWKWARD = (
    b' \t{ "workflowId" : %d,\r\n"nextRun":%d , "note":"\xc3\xbc \\u0000 \\" | v1|", "e": 1e400, "n":null,"b":"'
    % (HUGE, HUGE)
    + b"x" * 5000
    + b'"}\n '
)
ARBITRARY = [
    b"",
    b"\x00",
    bytes(range(256)),
    b"v1|a|b|c",
    b"v1|\xff|\xfe|x",
    b"\r\n$-1\r\n",
    b"'; return 1 --",
]


def test_a_claim_keeps_every_byte(desk: Desk) -> None:
    ann = desk.worker("ann")
    desk.push(AWKWARD)
    claim = desk.adopt(ann, desk.take(ann))
    assert isinstance(claim, Claim)

    assert (claim.job.workflow, claim.job.next_run) == (HUGE, HUGE)
    assert claim.job.raw == AWKWARD
    assert open_envelope(desk.inflight(ann)[0]) == (claim.id, claim.key, AWKWARD)
    record = desk.record(claim.key)
    assert (record.job, record.workflow, record.next_run) == (AWKWARD, HUGE, HUGE)

    desk.release(claim)
    [element] = desk.pending()
    assert element.endswith(AWKWARD.lstrip()[1:])
    assert parse_job(element).fields == {**parse_job(AWKWARD).fields, "occurrence": claim.key}


@pytest.mark.parametrize("raw", ARBITRARY, ids=range(len(ARBITRARY)))
def test_arbitrary_bytes_go_through_unread(desk: Desk, raw: bytes) -> None:
    ann = desk.worker("ann")
    desk.push(raw)
    assert desk.take(ann) == raw
    desk.do(desk.queue.retreat(ann, raw))
    assert desk.pending() == [raw]
    desk.take(ann)
    desk.kill(ann)
    opened = open_envelope(raw)
    left = opened[2] if opened else raw  # what looks like an envelope loses its wrapping
    assert desk.pending() == [left]
    bob = desk.worker("bob")
    desk.take(bob)

    key = desk.do(desk.queue.entomb(bob, left, "unreadable", "no JSON"))

    assert desk.record(key).job == left
    assert desk.inflight(bob) == []


def test_what_goes_back_and_forth_stays_the_same_job(desk: Desk) -> None:
    """A "now" job gets its id once, at its first claim."""
    ann = desk.worker("ann")
    first = desk.claim(ann, 0)
    desk.release(first)
    desk.kill(ann)
    bob = desk.worker("bob")
    second = desk.adopt(bob, desk.take(bob))
    assert isinstance(second, Claim)
    desk.release(second, "delayed", delay=0)
    desk.mature(second.key)
    desk.do(desk.queue.promote())
    third = desk.adopt(bob, desk.take(bob))
    assert isinstance(third, Claim)

    assert first.key == second.key == third.key
    assert first.id == second.id == third.id
    assert int(first.fence) < int(second.fence) < int(third.fence)
    assert third.job.raw.count(b'"id"') == third.job.raw.count(b'"occurrence"') == 1


def test_settling_empties_the_list_also_after_a_detour(desk: Desk) -> None:
    """The element in flight is then another than the one that was pushed first."""
    ann = desk.worker("ann")
    for next_run in (0, 100):
        claim = desk.claim(ann, next_run, workflow=next_run + 1)
        desk.release(claim)
        claim2 = desk.adopt(ann, desk.take(ann))
        assert isinstance(claim2, Claim)
        assert desk.bind(claim2).word == "ok"
        desk.write(claim2)
        assert desk.settle(claim2.key).word == "ok"

    assert desk.inflight(ann) == []
    assert desk.do(desk.queue.workers.leave(ann)).word == "ok"


def test_a_hand_pushed_copy_may_claim_a_queued_record(desk: Desk) -> None:
    """Whichever element comes first is the job; the other one is dropped."""
    ann = desk.worker("ann")
    copy = desk.push(desk.payload(100, extra="mine", id="copy"))
    desk.enqueue(100)
    claim = desk.adopt(ann, desk.take(ann))
    assert isinstance(claim, Claim)
    assert (claim.id, desk.record(claim.key).job) == ("copy", copy)
    other = desk.adopt(ann, desk.take(ann))
    assert not isinstance(other, Claim)
    assert (other.word, other.rest) == ("duplicate", ("claimed",))
    desk.bind(claim)
    desk.write(claim)
    desk.settle(claim.key)

    assert desk.inflight(ann) == []


def test_equal_elements_are_two_now_jobs(desk: Desk) -> None:
    """Byte for byte the same, pushed twice: one runs, the other is buried, none is lost."""
    ann = desk.worker("ann")
    for _ in range(2):
        desk.push(desk.payload(0))
        desk.take(ann)
    raw = desk.payload(0)
    first, second = desk.adopt(ann, raw), desk.adopt(ann, raw)

    assert isinstance(first, Claim)
    assert not isinstance(second, Claim)
    assert (second.word, second.rest) == ("twin", (first.key,))
    assert len(desk.inflight(ann)) == 1
    [buried] = desk.do(desk.inspector.dead())
    assert (buried.reason, buried.job, buried.kind) == ("duplicate", raw, "now")


def test_one_now_job_at_a_time(desk: Desk) -> None:
    ann = desk.worker("ann")
    first = desk.claim(ann, 0)
    forced = desk.claim(ann, 0, force=True)
    desk.release(forced, "skipped")
    third = desk.adopt(ann, _pushed(desk, ann))
    assert not isinstance(third, Claim)
    assert third.word == "twin"  # though the one that was forced is over, the first is not

    desk.release(first, "dead")

    assert "now_open" not in desk.watermark()
    assert isinstance(desk.adopt(ann, _pushed(desk, ann)), Claim)


def _pushed(desk: Desk, worker: str, next_run: int = 0) -> bytes:
    desk.push(desk.payload(next_run))
    return desk.take(worker)


def test_now_jobs_of_two_workflows_do_not_meet(desk: Desk) -> None:
    ann = desk.worker("ann")

    assert desk.claim(ann, 0, 1).key != desk.claim(ann, 0, 2).key


def test_an_id_runs_once(desk: Desk) -> None:
    """The same id for the same workflow again is the same job."""
    ann = desk.worker("ann")
    desk.settle(desk.signed(ann, 0, id="order-17").key)
    desk.push(desk.payload(0, id="order-17"))
    again = desk.adopt(ann, desk.take(ann), id="order-17", block=30)

    assert not isinstance(again, Claim)
    assert (again.word, again.rest) == ("duplicate", ("settled",))
    assert desk.claim(ann, 0, 2, id="order-17").id == "order-17"


def test_take_keeps_the_order(desk: Desk) -> None:
    ann = desk.worker("ann")
    raws = [desk.push(b"%d" % number) for number in range(10)]

    assert desk.do(desk.queue.take(ann, 4)) == raws[:4]
    assert desk.do(desk.queue.take(ann, 100)) == raws[4:]
    assert desk.inflight(ann) == raws
    assert desk.do(desk.queue.held(ann)) == raws


def test_the_scheduler_and_a_hand_ask_for_one_occurrence(desk: Desk) -> None:
    ann = desk.worker("ann")
    claim = desk.claim(ann, 100)

    assert desk.enqueue(100).word == "already"
    desk.settle(desk.signed(ann, 200, 2).key)
    assert desk.enqueue(200, 2, block=30, final=False).word == "unfinal"
    assert desk.pending() == []
    assert desk.state(claim.key) == "claimed"


def test_sixty_polls_put_one_job_on_the_list(desk: Desk) -> None:
    words = [desk.enqueue(100, workflow).word for _ in range(60) for workflow in (1, 2, 3)]

    assert words.count("ok") == 3
    assert len(desk.pending()) == 3


# -- generations ------------------------------------------------------------------------------------


def test_a_next_run_that_comes_back(desk: Desk) -> None:
    """An owner sets the same nextRun again after it was executed: the next generation, once it is final."""
    ann = desk.worker("ann")
    desk.settle(desk.signed(ann).key, block=20)

    assert desk.enqueue(block=25, final=False).word == "unfinal"
    assert desk.enqueue(block=19).word == "stale"
    assert desk.enqueue(block=20).rest == (f"{CHAIN}:{EXECUTOR}:1:100:1",)
    assert desk.enqueue(block=21).word == "already"
    claim = desk.adopt(ann, desk.take(ann), block=21)
    assert isinstance(claim, Claim)
    assert claim.occurrence.generation == 1
    assert desk.bind(claim, latest=1, final=0, pending=1, block=21).word == "ok"
    desk.write(claim)
    desk.settle(claim.key, block=40)
    assert desk.watermark() == {"last": "100", "gen": "1", "block": "40"}
    assert desk.enqueue(block=41).rest == (f"{CHAIN}:{EXECUTOR}:1:100:2",)


def test_a_generation_goes_on_when_its_records_are_gone(desk: Desk) -> None:
    """They expire after thirty days; the workflow's watermark stays."""
    ann = desk.worker("ann")
    for generation in range(3):
        assert desk.enqueue(block=20 + generation).word == "ok"
        claim = desk.adopt(ann, desk.take(ann), block=20 + generation)
        assert isinstance(claim, Claim)
        assert claim.occurrence.generation == generation
        desk.release(claim, "skipped", block=20 + generation)
        desk.redis.delete(desk.keys.occurrence(claim.key))


def test_another_next_run_starts_at_generation_nothing(desk: Desk) -> None:
    ann = desk.worker("ann")
    desk.settle(desk.signed(ann, 100).key, block=20)

    assert desk.enqueue(200, block=25, final=False).rest == (f"{CHAIN}:{EXECUTOR}:1:200:0",)
    assert desk.enqueue(300, block=19).word == "stale"


def test_a_dead_occurrence_opens_when_its_workflow_changed(desk: Desk) -> None:
    ann = desk.worker("ann")
    desk.release(desk.claim(ann), "dead", block=20)

    assert desk.enqueue(block=30).word == "dead"
    assert desk.enqueue(block=30, final=False, digest="new").word == "unfinal"
    assert desk.enqueue(block=20, digest="new").word == "dead"
    assert desk.enqueue(block=30, digest="new").word == "ok"
    assert len(desk.do(desk.inspector.dead())) == 1  # nothing trims the dead


def test_a_hand_cannot_open_what_is_dead(desk: Desk) -> None:
    ann = desk.worker("ann")
    desk.release(desk.claim(ann), "dead", block=20)
    desk.push(desk.payload())
    answer = desk.adopt(ann, desk.take(ann), block=30)

    assert not isinstance(answer, Claim)
    assert (answer.word, answer.rest) == ("duplicate", ("dead",))


def test_an_older_occurrence_that_is_closed_late_opens_nothing(desk: Desk) -> None:
    """N waits, the owner moves on to M, M is executed; N is skipped after that."""
    ann = desk.worker("ann")
    old = desk.claim(ann, 100)
    desk.release(old, "delayed")
    new = desk.signed(ann, 200)
    desk.settle(new.key, block=30)
    desk.mature(old.key)
    desk.do(desk.queue.promote())
    again = desk.adopt(ann, desk.take(ann), generation=0, block=30)
    assert isinstance(again, Claim)
    desk.release(again, "skipped", block=31)

    assert desk.enqueue(200, block=32, final=False).word == "unfinal"
    assert desk.enqueue(100, block=32, final=False).word == "unfinal"
    assert desk.watermark()["block"] == "31"
