"""Bytes are in the ledger before they leave, and only the record's own bytes leave (I3, I4)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from autometa_cli.chain.fees import FeeCapReached, FeeQuote
from autometa_cli.executor.proof import Tampered, verify_bytes
from autometa_cli.jobs.record import Attempt
from tests.executor.bench import Bench, bench, go, hold_of
from tests.executor.fakes import CHAIN, FEES, KEY

Scenario = Callable[[Bench], Awaitable[None]]


def run(redis_url: str, scenario: Scenario, max_fee: int | None = None) -> None:
    async def main() -> None:
        async with bench(redis_url, max_fee) as made:
            await scenario(made)

    asyncio.run(main())


def _fields(attempt: Attempt) -> dict[str, Any]:
    return dict(TypedTransaction.from_bytes(HexBytes(attempt.raw)).as_dict())


def test_a_call_is_written_down_as_it_was_signed(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        claim, record = await b.bound()
        written = await b.sender.sign_call(hold_of(claim), record, go(record.workflow), FEES)
        assert written is not None
        stored = await b.record(claim.key)
        assert stored.state == written.state == "signed"
        assert stored.attempts_sent == written.attempts_sent
        verify_bytes(stored, stored.attempts_sent[0])
        fields = _fields(stored.attempts_sent[0])
        assert (fields["nonce"], fields["chainId"], fields["gas"], fields["value"]) == (0, CHAIN, 100_000, 0)
        assert (fields["maxFeePerGas"], fields["maxPriorityFeePerGas"]) == (FEES.max_fee, FEES.priority_fee)
        assert Account.recover_transaction(HexBytes(stored.attempts_sent[0].raw)) == KEY.address
        assert b.rpc.offered == [], "signing sends nothing"

    run(redis_url, scenario)


def test_who_was_robbed_throws_the_bytes_away(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        claim, record = await b.bound()
        stale = replace(hold_of(claim), fence="0")
        assert await b.sender.sign_call(stale, record, go(record.workflow), FEES) is None
        assert (await b.record(claim.key)).state == "bound"
        hold, signed = await b.signed()
        assert await b.sender.raise_fee(replace(hold, worker="bob"), signed, FEES) is None
        assert await b.sender.sign_cancel(replace(hold, fence="0"), signed, FEES, "x", unwanted=True) is None
        assert len((await b.record(hold.key)).attempts_sent) == 1

    run(redis_url, scenario)


def test_a_raise_changes_nothing_but_the_fee(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        hold, record = await b.signed()
        first = _fields(record.attempts_sent[0])
        for number in (2, 3, 4):
            raised = await b.sender.raise_fee(hold, record, FEES)
            assert raised is not None
            before, after = record.attempts_sent[-1], raised.attempts_sent[-1]
            assert after.priority_fee >= max(before.priority_fee + 1, -(-before.priority_fee * 9 // 8))
            assert after.max_fee > before.max_fee
            kept = {"nonce", "to", "data", "gas", "value", "chainId"}
            assert {k: _fields(after)[k] for k in kept} == {k: first[k] for k in kept}
            record = raised
            stored = await b.record(hold.key)
            assert stored.attempts_sent == record.attempts_sent, "attempts are only ever appended"
            assert len(stored.attempts_sent) == number
            assert stored.new_next_run == 160

    run(redis_url, scenario)


def test_a_raise_follows_the_market(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        hold, record = await b.signed()
        raised = await b.sender.raise_fee(hold, record, FeeQuote(10_000, 500, 20_500))
        assert raised is not None
        assert raised.attempts_sent[-1].max_fee == 20_500

    run(redis_url, scenario)


def test_nothing_is_signed_above_the_cap(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        hold, record = await b.signed()
        with pytest.raises(FeeCapReached):
            await b.sender.raise_fee(hold, record, FEES)
        with pytest.raises(FeeCapReached):
            await b.sender.sign_cancel(hold, record, FEES, "paused", unwanted=True)
        assert len((await b.record(hold.key)).attempts_sent) == 1

    run(redis_url, scenario, max_fee=FEES.max_fee)


def test_a_cancellation_is_a_self_transfer_at_the_same_nonce_that_pays_more(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        hold, record = await b.signed()
        cancelled = await b.sender.sign_cancel(hold, record, FEES, "paused", unwanted=True)
        assert cancelled is not None
        assert (cancelled.state, cancelled.reason, cancelled.unwanted) == ("cancelling", "paused", True)
        stored = await b.record(hold.key)
        assert (stored.state, stored.reason, stored.unwanted) == ("cancelling", "paused", True)
        attempt = stored.attempts_sent[-1]
        verify_bytes(stored, attempt)
        fields = _fields(attempt)
        assert "0x" + bytes(fields["to"]).hex() == KEY.address.lower()
        assert (bytes(fields["data"]), fields["value"], fields["nonce"], fields["gas"]) == (b"", 0, 0, 21_000)
        assert attempt.priority_fee > record.attempts_sent[0].priority_fee
        raised = await b.sender.raise_fee(hold, cancelled, FEES)
        assert raised is not None
        assert raised.state == "cancelling", "a raised self-transfer is no call"
        assert [each.what for each in raised.attempts_sent] == ["call", "cancel", "cancel"]
        call = await b.sender.sign_call(hold, raised, go(record.workflow), FEES)
        assert call is None, "no call is ever signed again"

    run(redis_url, scenario)


def test_only_what_is_the_records_is_sent(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        hold, record = await b.signed()
        answer = await b.sender.broadcast(record)
        assert answer.kind == "accepted"
        assert b.rpc.offered == [record.attempts_sent[0].raw]
        other, theirs = await b.signed()
        assert other.key != hold.key
        own, foreign = record.attempts_sent[0], theirs.attempts_sent[0]
        forged = [
            replace(record, attempts_sent=(foreign,)),
            # The hash of bytes that were sent before, with other bytes; and the other way round.
            replace(record, attempts_sent=(replace(foreign, hash=own.hash),)),
            replace(record, attempts_sent=(replace(own, raw=foreign.raw),)),
            replace(record, attempts_sent=(replace(own, hash=foreign.hash),)),
            replace(record, workflow=theirs.workflow),
            replace(record, nonce=9),
            replace(record, attempts_sent=(replace(own, what="cancel"),)),
        ]
        for each in forged:
            with pytest.raises(Tampered):
                await b.sender.broadcast(each)
        assert len(b.rpc.offered) == 1
        b.sender.forget(record)
        await b.sender.broadcast(record)  # verified anew
        assert b.rpc.offered[0] == b.rpc.offered[1]

    run(redis_url, scenario)


def test_what_the_endpoint_said_is_noted_and_decides_nothing(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        hold, record = await b.signed()
        await b.sender.broadcast(record)
        name = b.queue.keys.occurrence(hold.key)
        assert b"accepted" in await b.queue.redis.hget(name, "answer:0")
        assert (await b.record(hold.key)).state == "signed"

    run(redis_url, scenario)
