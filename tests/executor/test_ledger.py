"""The ledger's transitions as the executor calls them; every answer of every script has its case in tests/jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from autometa_cli.executor.head import Counts
from tests.executor.bench import ME, Bench, bench, go, hold_of
from tests.executor.fakes import CHAIN, FEES, KEY

BOB = "0x" + "0b" * 20
OPEN = Counts(0, 0, 0)

Scenario = Callable[[Bench], Awaitable[None]]


def run(redis_url: str, scenario: Scenario) -> None:
    async def main() -> None:
        async with bench(redis_url) as made:
            await scenario(made)

    asyncio.run(main())


def test_each_record_gets_the_next_nonce_and_a_freed_one_first(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        claims = [(await b.bound())[0] for _ in range(3)]
        assert [(await b.record(c.key)).nonce for c in claims] == [0, 1, 2]
        await b.ledger.release(claims[1], "delayed", "r", "t", sender=KEY.address, delay=100)
        assert (await b.record(claims[1].key)).nonce is None
        again = (await b.bound())[1]
        assert again.nonce == 1, "the gap is filled first"
        assert (await b.bound())[1].nonce == 3

    run(redis_url, scenario)


def test_the_window_is_never_exceeded(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        for _ in range(8):
            await b.bound()
        claim = await b.claimed()
        told = await b.ledger.bind(claim, KEY.address, OPEN, block=10, final=8, genesis="0x00")
        assert told.word == "wait:window"
        assert (await b.record(claim.key)).nonce is None

    run(redis_url, scenario)


def test_binding_again_answers_the_same_nonce(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        claim, record = await b.bound()
        told = await b.ledger.bind(claim, KEY.address, OPEN, block=10, final=8, genesis="0x00")
        assert (told.word, told.rest[0]) == ("already", str(record.nonce))

    run(redis_url, scenario)


def test_a_check_made_before_the_workflow_was_closed_binds_nothing(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        claim = await b.claimed()
        watermark = b.queue.keys.workflow(CHAIN, claim.occurrence.executor, claim.occurrence.workflow)
        await b.queue.redis.hset(watermark, "block", "11")
        told = await b.ledger.bind(claim, KEY.address, OPEN, block=10, final=8, genesis="0x00")
        assert told.word == "recheck"

    run(redis_url, scenario)


def test_a_chain_of_the_same_id_with_another_past_is_refused(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        await b.bound()
        claim = await b.claimed()
        told = await b.ledger.bind(claim, KEY.address, OPEN, block=10, final=8, genesis="0xff")
        assert told.word == "wait:chain"

    run(redis_url, scenario)


def test_another_keys_worker_takes_over_what_was_never_signed(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        claim, _ = await b.bound()
        told = await b.ledger.bind(
            claim, BOB, OPEN, block=10, final=8, genesis="0x00", earlier=(KEY.address, 0)
        )
        assert told.word == "ok"
        record = await b.record(claim.key)
        assert (record.sender, record.nonce) == (BOB, 0)
        assert (await b.bound())[1].nonce == 0, "its old nonce is free again"
        late = await b.sender.sign_call(hold_of(claim), replace(record, sender=KEY.address), go(1), FEES)
        assert late is None

    run(redis_url, scenario)


@pytest.mark.parametrize("verdict", ["executed", "action_failed"])
def test_settling_frees_everything_and_moves_the_mark(redis_url: str, verdict: str) -> None:
    async def scenario(b: Bench) -> None:
        hold, record = await b.signed()
        told = await b.ledger.settle(record, verdict, block=20, tx="0x1", text="", fee=42)
        assert (told.word, told.rest) == ("ok", ("settled",))
        redis, keys = b.queue.redis, b.queue.keys
        assert await redis.llen(keys.inflight(ME)) == 0
        assert await redis.zcard(keys.open) == 0
        assert await redis.hlen(keys.nonces(CHAIN, KEY.address)) == 0
        mark = await redis.hgetall(keys.workflow(CHAIN, record.executor, record.workflow))
        assert mark == {b"last": b"100", b"gen": b"0", b"block": b"20"}
        ((_, entry),) = await redis.xrange(keys.history)
        assert (entry[b"outcome"], entry[b"fee"], entry[b"tx"]) == (verdict.encode(), b"42", b"0x1")
        again = await b.ledger.settle(record, verdict, block=20, tx="0x1", text="", fee=42)
        assert again.word == "already"
        assert await redis.xlen(keys.history) == 1
        assert 0 < await redis.ttl(keys.occurrence(hold.key)) <= 30 * 24 * 3600
        assert (await b.record(hold.key)).attempts_sent[0].raw == b"", "it has shrunk"

    run(redis_url, scenario)


def test_reverts_are_retried_as_often_as_allowed(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        _, record = await b.signed(workflow=7)
        for attempt in (1, 2, 3):
            told = await b.ledger.settle(record, "reverted", block=20, tx="0x1", text="no", fee=0)
            stored = await b.record(record.key)
            assert stored.attempts == attempt
            if attempt == 3:
                assert (told.rest[0], stored.reason) == ("dead", "reverted")
                return
            assert (told.rest[0], stored.nonce, stored.attempts_sent) == ("delayed", None, ())
            await b.queue.promote()
            _, record = await b.signed(workflow=7)
            assert record.nonce == 0 + attempt, "a consumed nonce is never used again"

    run(redis_url, scenario)


def test_only_a_dead_workers_record_is_taken_over(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        hold, record = await b.signed(worker="bob")
        assert await b.ledger.takeover(record, ME) is None
        await b.queue.redis.zadd(b.queue.keys.workers, {"bob": -1})
        taken = await b.ledger.takeover(record, ME)
        assert taken is not None
        assert taken.fence != hold.fence
        assert await b.sender.raise_fee(hold, record, FEES) is None, "bob's fence is void"
        assert await b.sender.raise_fee(taken, record, FEES) is not None

    run(redis_url, scenario)


def test_a_gap_is_filled_only_where_signed_ones_wait_above_it(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        assert await b.ledger.fill_gap(ME, CHAIN, KEY.address, OPEN, final=8) is None
        claim, _ = await b.bound()
        await b.signed()
        assert await b.ledger.fill_gap(ME, CHAIN, KEY.address, OPEN, final=8) is None, "nonce 0 has an owner"
        await b.ledger.release(claim, "delayed", "r", "t", sender=KEY.address, delay=100)
        found = await b.ledger.fill_gap(ME, CHAIN, KEY.address, OPEN, final=8)
        assert found is not None
        record, hold = found
        assert (record.kind, record.nonce, record.state) == ("noop", 0, "bound")
        assert await b.ledger.fill_gap("bob", CHAIN, KEY.address, OPEN, final=8) is None
        assert (await b.bound())[1].nonce == 2, "nobody else gets it"
        written = await b.sender.sign_cancel(hold, record, FEES, "gap", unwanted=True)
        assert written is not None
        told = await b.ledger.settle(written, "cancelled", block=20, tx="0x1", text="", fee=0)
        assert told.rest[0] == "settled"

    run(redis_url, scenario)


def test_notes_decide_nothing_and_make_no_records(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        hold, record = await b.signed()
        await b.ledger.note(hold.key, mined_block=7)
        assert await b.record(hold.key) == record or (await b.record(hold.key)).state == "signed"
        await b.ledger.note("nobody", mined_block=7)
        assert await b.queue.record("nobody") is None

    run(redis_url, scenario)
