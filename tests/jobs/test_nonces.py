"""One record, one nonce: given before anything is signed, kept until a final block says who used it."""

from __future__ import annotations

import pytest

from autometa_cli.executor.ledger import Hold
from autometa_cli.jobs.claim import Claim
from tests.jobs.desk import ALICE, BOB, CHAIN, WINDOW, Desk


def nonce(desk: Desk, claim: Claim) -> int | None:
    return desk.record(claim.key).nonce


def test_nonces_are_given_in_order(desk: Desk) -> None:
    ann = desk.worker("ann")
    claims = [desk.bound(ann, workflow=workflow) for workflow in (1, 2, 3)]

    assert [nonce(desk, claim) for claim in claims] == [0, 1, 2]
    assert desk.owners() == {number: claim.key for number, claim in enumerate(claims)}
    assert desk.next_nonce() == 3
    other = desk.bound(ann, workflow=9, sender=BOB)
    assert desk.owners(BOB) == {0: other.key}


def test_the_counter_begins_where_the_chain_is(desk: Desk) -> None:
    claim = desk.claim(desk.worker("ann"))

    assert desk.bind(claim, latest=41).rest == ("41",)
    assert desk.next_nonce() == 42


def test_what_is_given_back_is_used_again_the_lowest_first(desk: Desk) -> None:
    ann = desk.worker("ann")
    claims = [desk.bound(ann, workflow=workflow) for workflow in range(1, 5)]
    for number in (2, 0, 1):
        desk.release(claims[number], "delayed")
    assert desk.freed() == [0, 1, 2]
    assert [desk.record(claim.key).nonce for claim in claims] == [None, None, None, 3]

    again = [desk.bound(ann, workflow=workflow) for workflow in range(11, 14)]

    assert [nonce(desk, claim) for claim in again] == [0, 1, 2]
    assert desk.freed() == []
    assert desk.owners() == dict(enumerate([*(claim.key for claim in again), claims[3].key]))


def test_a_nonce_that_the_chain_used_is_not_given_again(desk: Desk) -> None:
    ann = desk.worker("ann")
    lower, upper = desk.bound(ann, workflow=1), desk.bound(ann, workflow=2)
    desk.release(lower, "delayed")
    desk.release(upper, "delayed")
    third = desk.claim(ann, workflow=3)

    assert desk.bind(third, latest=1, final=0).rest == ("1",)


def test_the_window_counts_from_the_final_block(desk: Desk) -> None:
    ann = desk.worker("ann")
    for workflow in range(1, 1 + WINDOW):
        desk.bound(ann, workflow=workflow)
    last = desk.claim(ann, workflow=9)

    assert desk.bind(last).word == "wait:window"
    assert desk.bind(last, latest=2, final=0, pending=WINDOW).word == "wait:window"
    assert desk.bind(last, latest=2, final=1, pending=WINDOW).word == "ok"


def test_somebody_elses_transactions_are_waited_for(desk: Desk) -> None:
    ann = desk.worker("ann")
    desk.signed(ann, workflow=1)
    claim = desk.claim(ann, workflow=2)

    assert desk.bind(claim, latest=0, pending=1).word == "ok"  # our own


def test_somebody_elses_transaction_moves_the_counter(desk: Desk) -> None:
    ann = desk.worker("ann")
    desk.bound(ann, workflow=1)
    freed = desk.bound(ann, workflow=2)
    desk.release(freed, "delayed")
    claim = desk.claim(ann, workflow=3)

    assert desk.bind(claim, latest=5, final=5).word == "recheck"
    assert (desk.next_nonce(), desk.freed()) == (5, [])
    assert desk.again().word == "recheck"  # the check before it is void, also when the answer was lost
    desk.release(claim)
    again = desk.adopt(ann, desk.take(ann))
    assert isinstance(again, Claim)
    assert desk.bind(again, latest=5, final=5).rest == ("5",)


def test_one_record_of_a_workflow_holds_a_nonce(desk: Desk) -> None:
    ann = desk.worker("ann")
    first = desk.bound(ann, 100)
    second, third = desk.claim(ann, 200), desk.claim(ann, 0)

    assert [desk.bind(claim).word for claim in (second, third)] == ["wait:workflow"] * 2
    assert desk.answer.rest == (first.key,)
    desk.write(first)
    desk.settle(first.key, block=20)
    assert desk.bind(second, latest=1, final=0).word == "recheck"  # it was checked before the first was final
    assert desk.bind(third, latest=1, final=0, block=20).word == "ok"
    assert desk.bind(second, latest=1, final=0, block=20).word == "wait:workflow"


def test_giving_back_frees_the_workflow(desk: Desk) -> None:
    ann = desk.worker("ann")
    for to in ("queued", "delayed", "skipped", "dead"):
        desk.release(desk.bound(ann, 0, 1, force=True), to, block=5)
        desk.redis.delete(desk.keys.pending)
    assert "open" not in desk.watermark()
    assert desk.owners() == {}
    assert desk.freed() == [0]


def test_another_key_takes_an_unsigned_record_over(desk: Desk) -> None:
    ann, bob = desk.worker("ann"), desk.worker("bob")
    desk.bound(ann)
    desk.kill(ann)
    claim = desk.adopt(bob, desk.take(bob))
    assert isinstance(claim, Claim)
    assert claim.bound

    assert desk.bind(claim, BOB, earlier=(ALICE, 0)).rest == ("0",)

    assert (desk.owners(ALICE), desk.freed(ALICE)) == ({}, [0])
    assert (desk.owners(BOB), desk.record(claim.key).sender) == ({0: claim.key}, BOB)


def test_the_same_key_keeps_the_nonce_of_a_dead_worker(desk: Desk) -> None:
    ann, bob = desk.worker("ann"), desk.worker("bob")
    desk.bound(ann)
    desk.kill(ann)
    claim = desk.adopt(bob, desk.take(bob))
    assert isinstance(claim, Claim)

    assert (desk.bind(claim).word, desk.answer.rest) == ("already", ("0",))
    assert desk.next_nonce() == 1
    assert desk.write(claim).word == "ok"


def test_giving_back_what_another_key_bound_frees_that_keys_nonce(desk: Desk) -> None:
    ann, bob = desk.worker("ann"), desk.worker("bob")
    desk.bound(ann)
    desk.kill(ann)
    claim = desk.adopt(bob, desk.take(bob))
    assert isinstance(claim, Claim)

    assert desk.release(claim, "delayed", sender=BOB).word == "ok"

    assert (desk.freed(ALICE), desk.freed(BOB), desk.owners(ALICE)) == ([0], [], {})


# -- the dead do nothing ----------------------------------------------------------------------------


@pytest.mark.parametrize("handed_on", [False, True])
def test_a_buried_worker_changes_nothing(desk: Desk, handed_on: bool) -> None:
    ann = desk.worker("ann")
    claimed, bound, signed = (
        desk.claim(ann, workflow=1),
        desk.bound(ann, workflow=2),
        desk.signed(ann, workflow=3),
    )
    raw = desk.push(desk.payload(workflow=4))
    desk.take(ann)
    if handed_on:
        desk.kill(ann)
        bob = desk.worker("bob")
        while desk.pending():
            desk.adopt(bob, desk.take(bob))
        assert desk.do(desk.ledger.takeover(desk.record(signed.key), bob))
    else:
        desk.silence(ann)
        desk.do(desk.queue.workers._reap(ann, None, 10.0))
    before = desk.dump()

    assert desk.bind(claimed).word == "fenced"
    assert desk.bind(bound).word == "fenced"
    assert desk.write(bound).word == "fenced"
    assert desk.write(signed, b"2", "0x2").word == "fenced"
    assert desk.write(signed, b"2", "0x2", cancel="paused").word == "fenced"
    assert [desk.release(claim, "dead").word for claim in (claimed, bound, signed)] == ["fenced"] * 3
    assert desk.do(desk.queue.workers.beat(ann, {})).word == "gone"
    assert desk.do(desk.queue.workers.register(ann, {})).word == "gone"
    assert desk.dump() == before

    gone = desk.adopt(ann, raw)
    assert not isinstance(gone, Claim)
    assert gone.word == "gone"
    assert desk.pending() == ([] if handed_on else [raw])


def test_a_worker_that_is_only_slow_goes_on(desk: Desk) -> None:
    ann = desk.worker("ann")
    claim = desk.claim(ann)
    desk.silence(ann)

    assert desk.do(desk.queue.workers.beat(ann, {})).word == "ok"
    assert desk.reap() == 0
    assert desk.bind(claim).word == "ok"


# -- bytes ------------------------------------------------------------------------------------------


def test_bytes_are_kept_as_they_are(desk: Desk) -> None:
    claim = desk.bound(desk.worker("ann"))
    raw = bytes(range(256)) * 40
    desk.write(claim, raw, "0x1")
    desk.write(claim, b"second", "0x2")
    desk.write(claim, b"third", "0x3", cancel="paused", unwanted=True)
    record = desk.record(claim.key)

    assert [(one.raw, one.hash, one.what) for one in record.attempts_sent] == [
        (raw, "0x1", "call"),
        (b"second", "0x2", "call"),
        (b"third", "0x3", "cancel"),
    ]
    assert (record.attempts_sent[0].max_fee, record.attempts_sent[0].priority_fee) == (201, 1)
    assert (record.state, record.reason, record.unwanted) == ("cancelling", "paused", True)
    assert record.new_next_run == 200


def test_after_a_cancellation_no_call_is_signed(desk: Desk) -> None:
    claim = desk.signed(desk.worker("ann"))
    desk.write(claim, b"cancel", "0xc", cancel="paused")

    assert desk.write(claim, b"call", "0xd").word == "fenced"
    assert desk.write(claim, b"cancel", "0xe", cancel="paused").word == "ok"


# -- the end ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", ["executed", "action_failed"])
def test_executed(desk: Desk, verdict: str) -> None:
    ann = desk.worker("ann")
    claim = desk.signed(ann, 100)

    assert desk.settle(claim.key, verdict, block=20).rest == ("settled",)

    record = desk.record(claim.key)
    assert (record.state, record.outcome, record.block, record.holder) == ("settled", verdict, 20, "")
    assert [(one.raw, one.hash) for one in record.attempts_sent] == [(b"", "0xhash")]  # shrunk to the hashes
    assert desk.redis.ttl(desk.keys.occurrence(claim.key)) > 29 * 24 * 3600
    assert desk.watermark() == {"last": "100", "gen": "0", "block": "20"}
    assert (desk.owners(), desk.freed(), desk.inflight(ann)) == ({}, [], [])
    assert desk.redis.zcard(desk.keys.open) == 0
    [(_, entry)] = desk.redis.xrange(desk.keys.history)
    assert (entry[b"key"], entry[b"outcome"], entry[b"tx"]) == (claim.key.encode(), verdict.encode(), b"0xtx")


def test_reverted_is_tried_again_and_then_buried(desk: Desk) -> None:
    ann = desk.worker("ann")
    claim = desk.signed(ann)
    for attempt, state in enumerate(["delayed", "delayed", "delayed", "dead"], 1):
        assert desk.settle(claim.key, "reverted", block=20).rest == (state,)
        record = desk.record(claim.key)
        assert (record.attempts, record.state) == (attempt, state)
        if state == "dead":
            break
        assert (record.nonce, record.attempts_sent, "open" in desk.watermark()) == (None, (), False)
        desk.mature(claim.key)
        desk.do(desk.queue.promote())
        again = desk.adopt(ann, desk.take(ann))
        assert isinstance(again, Claim)
        claim = again
        assert desk.bind(claim, latest=attempt, final=0, pending=attempt).rest == (str(attempt),)
        desk.write(claim, b"%d" % attempt, f"0x{attempt}")

    assert desk.redis.hget(desk.keys.occurrence(claim.key), "spent") == b"".join(
        b"%s:%d " % (ALICE.encode(), number) for number in range(4)
    )
    assert desk.freed() == []  # what was used is never given again
    assert [letter.key for letter in desk.do(desk.inspector.dead())] == [claim.key]
    assert desk.redis.ttl(desk.keys.occurrence(claim.key)) == -1
    assert desk.watermark() == {"last": "100", "gen": "0", "block": "20"}


@pytest.mark.parametrize(
    ("verdict", "unwanted", "state", "attempts"),
    [
        ("cancelled", True, "skipped", 0),
        ("cancelled", False, "delayed", 0),
        ("refused", False, "delayed", 1),
        ("foreign", False, "delayed", 0),
        ("foreign", True, "delayed", 0),
        ("uncertain", False, "dead", 0),
    ],
)
def test_what_a_final_block_decides(
    desk: Desk, verdict: str, unwanted: bool, state: str, attempts: int
) -> None:
    claim = desk.signed(desk.worker("ann"))
    desk.write(claim, b"cancel", "0xcancel", cancel="why", unwanted=unwanted)

    assert desk.settle(claim.key, verdict).rest == (state,)

    record = desk.record(claim.key)
    assert (record.state, record.attempts) == (state, attempts)
    assert (desk.owners(), desk.freed()) == ({}, [])
    assert "open" not in desk.watermark()
    assert ("last" in desk.watermark()) == (state != "delayed")


def test_two_proofs_of_one_nonce(desk: Desk) -> None:
    """Any worker may bring the proof; the second finds it done."""
    claim = desk.signed(desk.worker("ann"))
    record = desk.record(claim.key)

    assert desk.settle(claim.key, "reverted", record=record).word == "ok"
    assert desk.settle(claim.key, "executed", record=record).word == "already"
    assert desk.state(claim.key) == "delayed"


def test_a_signed_record_cannot_be_given_back(desk: Desk) -> None:
    claim = desk.signed(desk.worker("ann"))

    for to in ("queued", "delayed", "skipped", "dead"):
        assert desk.release(claim, to).word == "signed"


def test_a_gap_is_filled_with_a_record_of_its_own(desk: Desk) -> None:
    ann = desk.worker("ann")
    lower, upper = desk.bound(ann, workflow=1), desk.signed(ann, workflow=2)
    desk.release(lower, "delayed")
    from autometa_cli.executor.head import Counts

    found = desk.do(desk.ledger.fill_gap(ann, CHAIN, ALICE, Counts(0, 0, 0), final=9))
    assert found is not None
    record, hold = found
    assert (record.kind, record.nonce, record.state) == ("noop", 0, "bound")
    assert (
        desk.write(Hold(record.key, ann, hold.fence), b"noop", "0xn", cancel="gap", unwanted=True).word
        == "ok"
    )
    assert desk.settle(record.key, "cancelled").rest == ("settled",)
    assert desk.owners() == {1: upper.key}
    assert desk.freed() == []
    assert desk.redis.keys("*workflow:*:0") == []  # it belongs to no workflow
