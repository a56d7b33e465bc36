"""Somebody who can write to Redis puts other bytes, another sender or other fees into a record: our key signs nothing
for them, and pays nothing for them (I4, REVIEW H8)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from eth_account import Account

from autometa_cli.chain.interfaces import interface
from autometa_cli.executor.proof import Tampered
from autometa_cli.jobs.record import fees_json
from autometa_cli.secrets import Signer
from tests.executor.bench import bench
from tests.executor.fakes import CHAIN, EXECUTOR, FEES
from tests.executor.test_tracker import OPEN, _at

THIEF = Signer(bytes(Account.from_key("0x" + "7e" * 32).key), chain_id=CHAIN)


def test_our_key_never_signs_what_another_key_signed_for_its_own_record(redis_url: str) -> None:
    """The bytes are the record's, which is the thief's: raised by our key, it would be his action, at our cost."""

    async def scenario() -> None:
        async with bench(redis_url) as b:
            hold, record = await b.signed()
            call = interface("ActionExecutor").functions["executeWorkflow"].encode
            data = call(record.workflow, b"\x01" + bytes(31) + b"\x7e" * 33, 160, THIEF.address, 0)
            his = THIEF.sign(
                {
                    "type": 2, "chainId": CHAIN, "nonce": record.nonce, "to": EXECUTOR, "value": 0, "data": data,
                    "gas": 10**6, "maxFeePerGas": FEES.max_fee, "maxPriorityFeePerGas": FEES.priority_fee,
                }
            )  # fmt: skip
            last = replace(record.attempts_sent[0], raw=his.raw, hash=his.hash)
            forged = replace(record, sender=THIEF.address, attempts_sent=(last,))
            await b.queue.redis.hset(b.queue.keys.occurrence(record.key), "sender", THIEF.address)
            nonces = b.queue.keys.nonces(CHAIN, THIEF.address)
            await b.queue.redis.hset(nonces, str(record.nonce), record.key)
            with pytest.raises(Tampered):
                await b.sender.raise_fee(hold, forged, FEES)
            with pytest.raises(Tampered):
                await b.sender.sign_cancel(hold, forged, FEES, "refused", unwanted=False)
            assert len((await b.record(record.key)).attempts_sent) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("state", ["signed", "cancelling"])
def test_fees_that_somebody_wrote_into_the_ledger_are_not_paid(redis_url: str, state: str) -> None:
    """They would be raised by an eighth, without MAX_FEE_GWEI up to all that the key has."""

    async def scenario() -> None:
        async with bench(redis_url) as b:
            hold, record = await b.signed()
            if state == "cancelling":
                cancelled = await b.sender.sign_cancel(hold, record, FEES, "paused", unwanted=True)
                assert cancelled is not None
            dear = 10**9 * FEES.max_fee
            last = len((await b.record(record.key)).attempts_sent) - 1
            name = b.queue.keys.occurrence(record.key)
            await b.queue.redis.hset(name, f"fee:{last}", fees_json(dear, dear))
            b.tracker.add(await b.record(record.key), hold, sent=False)
            b.tracker.pusher.bump_after = 0
            await b.tracker.tick(_at(19, OPEN, eth_getTransactionCount="0x0"))
            said = await b.tracker.bump(record.key, _at(19, OPEN, eth_getTransactionCount="0x0"))
            assert "tampered" in b.tracker.trouble, said
            assert "fees" in said
            assert all(each.max_fee < dear for each in (await b.record(record.key)).attempts_sent[last + 1 :])
            if state == "signed":  # a person may end it all the same, at what the chain asks for
                await b.tracker.cancel(record.key, _at(19, OPEN, eth_getTransactionCount="0x0"))
                ended = await b.record(record.key)
                assert ended.state == "cancelling"
                assert ended.attempts_sent[-1].max_fee < dear

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fee:0", b'{"max": Infinity, "tip": 1}'),
        ("fee:0", b'{"max": 1e999, "tip": NaN}'),
        ("spent", b"a:" + b"9" * 5000),
        ("nonce", b"9" * 5000),
        ("n", b"9" * 70),
    ],
)
def test_a_record_that_nobody_can_read_keeps_nobody_from_the_others(
    redis_url: str, field: str, value: bytes
) -> None:
    async def scenario() -> None:
        async with bench(redis_url) as b:
            _, forged = await b.signed(worker="bob")
            _, honest = await b.signed(worker="bob")
            await b.queue.redis.hset(b.queue.keys.occurrence(forged.key), field, value)
            await b.queue.redis.zadd(b.queue.keys.open, {b"\xff\xfe": 1})
            await b.queue.redis.zadd(b.queue.keys.workers, {"bob": -1})
            await b.tracker.discover("ann", ["ann"], set())
            assert b.tracker.holds(honest.key)

    asyncio.run(scenario())


@pytest.mark.parametrize("name", [b"x", b"\xff", b"9" * 5000])
def test_nor_does_what_somebody_put_among_the_transfers_that_wait(redis_url: str, name: bytes) -> None:
    async def scenario() -> None:
        async with bench(redis_url) as b:
            events = b.queue.keys.events(CHAIN, EXECUTOR.lower())
            await b.queue.redis.hset(events, mapping={name: b"y", b"7": b"\xffz", b"8": b"an event"})
            found = await b.queue.transfers.waiting(CHAIN, EXECUTOR.lower())
            assert found.keys() == {7, 8}
            assert found[8] == "an event"

    asyncio.run(scenario())
