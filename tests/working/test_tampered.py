"""Somebody who can write to Redis: bytes and receipts are believed only where they are the record's (I4, REVIEW H8)."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from autometa_cli.chain.interfaces import interface
from tests.network import RECIPIENT, LiveNetwork
from tests.working.stage import Stage, no_mining, staged

THIEF = "0x" + "7e" * 20


async def _sent(stage: Stage, count: int) -> bool:
    """So many are signed, and in the pool: bytes are written down before they are sent."""
    signed = sum(record.state == "signed" for record in await stage.records())
    return signed == count == len(stage.pool("worker"))


async def _forge(stage: Stage, network: LiveNetwork, key: str, what: str) -> None:
    """Change the record's only attempt into another transaction, hash included; or lose it."""
    redis, name = stage.queue.redis, stage.queue.keys.occurrence(key)
    worker, owner = network.signer("worker"), network.signer("owner")
    fields: dict[str, Any] = {
        "type": 2, "chainId": network.info.chain_id, "nonce": 0, "gas": 100_000, "to": network.executor,
        "maxFeePerGas": 10**11, "maxPriorityFeePerGas": 10**11, "value": 0, "data": b"",
    }  # fmt: skip
    execute = interface("ActionExecutor").functions["executeWorkflow"].encode
    match what:
        case "another's transaction":
            signed = owner.sign({**fields, "nonce": await _nonce(stage, network, "owner")})
        case "a transfer of the worker's":
            signed = worker.sign({**fields, "to": network.accounts["owner"].address, "value": 10**18})
        case "the call of another workflow":
            signed = worker.sign({**fields, "data": execute(99, b"\x01", 1, network.executor, 0)})
        case "another nonce":
            signed = worker.sign({**fields, "nonce": 7, "data": execute(1, b"\x01", 1, network.executor, 0)})
        case "noise":
            await redis.hset(name, mapping={"raw:0": b"\x02noise", "hash:0": "0x" + "ab" * 32})
            return
        case _:
            await redis.hdel(name, "raw:0", "hash:0", "n")
            return
    await redis.hset(name, mapping={"raw:0": signed.raw, "hash:0": signed.hash})


async def _nonce(stage: Stage, network: LiveNetwork, name: str) -> int:
    return await (await stage.rpc.view()).nonce(network.accounts[name].address)


FORGERIES = [
    "another's transaction",
    "a transfer of the worker's",
    "the call of another workflow",
    "another nonce",
    "noise",
]


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_bytes_are_neither_sent_nor_believed(network: LiveNetwork, forgery: str) -> None:
    """The worker that signed it died; its successor knows only what Redis says."""

    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.made(1)
            async with no_mining(network):
                async with stage.hired() as hand:
                    await stage.enqueue(id)
                    await stage.until(lambda: _sent(stage, 1), "it to be sent")
                    await hand.vanish()
                record = await stage.only(id)
                network.anvil.request("anvil_dropTransaction", record.attempts_sent[0].hash)
                await _forge(stage, network, record.key, forgery)
                await stage.forget_beats()
                async with stage.hired(rebroadcast_after=0.3) as heir:
                    await stage.until(lambda: "tampered with" in heir.worker.house.summary(), "it to be told")
                    status = network.anvil.request("txpool_status")
                    assert int(status["pending"], 16) + int(status["queued"], 16) == 0, (
                        "forged bytes were sent"
                    )
                    assert (await stage.only(id)).state == "signed"
                    # Pushed again, it is not executed under another nonce either.
                    await stage.push({"workflowId": id, "nextRun": record.next_run})
                    await asyncio.sleep(0.3)
                    assert (await stage.only(id)).nonce == 0
            assert await stage.executions() == []

    asyncio.run(scenario())


def test_a_forged_reverted_transaction_does_not_open_a_second_nonce(network: LiveNetwork) -> None:
    """The true bytes are mined; the record points at a stranger's transaction that reverted (REVIEW H8 ii)."""

    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.made(1)
            async with no_mining(network):
                async with stage.hired() as hand:
                    await stage.enqueue(id)
                    await stage.until(lambda: _sent(stage, 1), "it to be sent")
                    await hand.vanish()
                record = await stage.only(id)
                stranger = network.signer("owner").sign(
                    {
                        "type": 2, "chainId": network.info.chain_id,
                        "nonce": await _nonce(stage, network, "owner"), "gas": 100_000,
                        "to": network.executor, "value": 0, "data": b"\x01\x02\x03\x04",
                        "maxFeePerGas": 10**11, "maxPriorityFeePerGas": 10**11,
                    }
                )  # fmt: skip
                await stage.rpc.send_raw(stranger.raw)
                await asyncio.to_thread(network.anvil.mine)
            (receipt,) = await stage.rpc.receipts([stranger.hash])
            assert receipt is not None
            assert receipt.status == 0
            name = stage.queue.keys.occurrence(record.key)
            await stage.queue.redis.hset(name, mapping={"raw:0": stranger.raw, "hash:0": stranger.hash})
            await stage.forget_beats()
            async with stage.hired() as heir:
                await stage.until(lambda: "tampered with" in heir.worker.house.summary(), "it to be told")
                assert (await stage.only(id)).state == "signed"
            assert await stage.executed() == Counter([id])

    asyncio.run(scenario())


def test_one_forged_record_stops_no_other(network: LiveNetwork) -> None:
    """It is told, and only its own workflow waits for a person: its nonce is used, and the key goes on above it."""

    async def scenario() -> None:
        async with staged(network, TX_TIMEOUT="1") as stage:
            ids, more = await stage.made(3), await stage.made(3)
            async with no_mining(network):
                async with stage.hired() as hand:
                    await stage.enqueue(*ids)
                    await stage.until(lambda: _sent(stage, 3), "all to be sent")
                    await hand.vanish()
                forged = next(record for record in await stage.records() if record.nonce == 1)
                await _forge(stage, network, forged.key, "another's transaction")
                await stage.rpc.send_raw((await stage.record(forged.key)).attempts_sent[0].raw)
                await asyncio.to_thread(network.anvil.mine)
            await stage.forget_beats()
            async with stage.hired(rebroadcast_after=0.3) as heir:
                honest = [id for id in ids if id != forged.workflow]
                await stage.until(stage.settled(honest), "the others to be settled")
                await stage.until(lambda: "tampered with" in heir.worker.house.summary(), "it to be told")
                await asyncio.sleep(1.5)  # past TX_TIMEOUT
                await stage.enqueue(*more)
                await stage.until(stage.settled(more), "new ones to run")
                await stage.until(
                    lambda: _registered(stage, heir.worker.id, "tampered with"), "the registry to say so"
                )
                assert heir.worker.house.in_order
            assert (await stage.record(forged.key)).state == "signed"
            assert await stage.executed() == Counter(ids + more)

    asyncio.run(scenario())


async def _registered(stage: Stage, worker: str, words: str) -> bool:
    (member,) = [m for m in await stage.queue.workers.members() if m.id == worker]
    return words in member.fields.get("trouble", "")


def test_the_lowest_nonce_forged_stops_its_key_alone(network: LiveNetwork) -> None:
    """Nothing of this key can be mined before it, so that it takes nothing more; another key's worker goes on."""

    async def scenario() -> None:
        async with staged(network) as stage:
            await stage.second_key()
            (id,), more = await stage.made(1), await stage.made(3)
            async with no_mining(network):
                async with stage.hired() as hand:
                    await stage.enqueue(id)
                    await stage.until(lambda: _sent(stage, 1), "it to be sent")
                    await hand.vanish()
                record = await stage.only(id)
                network.anvil.request("anvil_dropTransaction", record.attempts_sent[0].hash)
                await _forge(stage, network, record.key, "noise")
            await stage.forget_beats()
            async with stage.hired(rebroadcast_after=0.3) as heir:
                await stage.until(lambda: "transaction" in heir.worker.house.troubles, "it to stop")
                assert "tampered with" in heir.worker.house.troubles["transaction"]
                async with stage.hired("worker2", rebroadcast_after=0.3) as other:
                    await stage.enqueue(*more)
                    await stage.until(stage.settled(more), "the other key's worker to run them")
                    assert other.worker.closed["executed"] == 3
            assert await stage.executed() == Counter(more)

    asyncio.run(scenario())


@pytest.mark.parametrize("mined", [True, False], ids=["mined", "not mined"])
def test_lost_bytes_lead_to_no_second_execution(network: LiveNetwork, mined: bool) -> None:
    """The attempt was wiped from the record; the chain still tells what became of the nonce."""

    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.made(1)
            async with no_mining(network):
                async with stage.hired() as hand:
                    await stage.enqueue(id)
                    await stage.until(lambda: _sent(stage, 1), "it to be sent")
                    await hand.vanish()
                record = await stage.only(id)
                await _forge(stage, network, record.key, "wiped")
                if mined:
                    await asyncio.to_thread(network.anvil.mine)
                await stage.forget_beats()
                async with stage.hired(rebroadcast_after=0.3) as heir:
                    if not mined:
                        await stage.until(
                            lambda: "bytes are gone" in heir.worker.house.summary(), "it to be told"
                        )
                        await asyncio.to_thread(network.anvil.mine)
                    await stage.until(stage.settled([id]), "the chain to tell")
                    await heir.leave()
            await stage.assert_executed_once([id])

    asyncio.run(scenario())


def test_a_deleted_record_does_not_get_a_second_nonce_from_the_worker_that_signed(
    network: LiveNetwork,
) -> None:
    """REVIEW H8 i: the record is deleted and the job pushed again while the transaction is open."""

    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.made(1)
            async with stage.hired() as hand, no_mining(network):
                (key,) = await stage.enqueue(id)
                await stage.until(lambda: _sent(stage, 1), "it to be sent")
                redis, keys = stage.queue.redis, stage.queue.keys
                record = await stage.only(id)
                await redis.delete(
                    keys.occurrence(key), keys.workflow(record.chain, record.executor, id), keys.open
                )
                await stage.push({"workflowId": id, "nextRun": record.next_run})
                await stage.until(stage.held_by_reason(id, "tampered"), "it to be put off, and why")
                assert int(network.anvil.request("txpool_status")["pending"], 16) == 1
                await asyncio.to_thread(network.anvil.mine)
                await stage.until(lambda: hand.worker._executor.tracker.held() == 0, "it to be done with")
                await stage.until(stage.settled([id], "skipped"), "the chain to have moved on", hurry=True)
                await hand.leave()
            assert await stage.executed() == Counter([id])

    asyncio.run(scenario())


def test_a_redis_writer_cannot_direct_money(network: LiveNetwork) -> None:
    """Whatever the payload and the record say of target, amount and owner, the chain's word is signed."""

    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.made(1)
            (key,) = await stage.enqueue(id)
            name = stage.queue.keys.occurrence(key)
            await stage.queue.redis.hset(
                name,
                mapping={"executor": THIEF, "sender": THIEF, "nextRun": "1", "job": b"{}", "digest": "x"},
            )
            before = await network.balance(RECIPIENT)
            async with stage.hired() as hand:

                async def ended() -> bool:
                    return bool(await stage.executions()) or bool(hand.worker.house.summary())

                await stage.until(ended, "it to be executed as the chain says, or refused")
            for transaction in await stage.transactions("worker"):
                assert transaction["to"].lower() == network.executor.lower()
            assert await network.balance(THIEF) == 0
            assert await network.balance(RECIPIENT) - before <= 1
            assert (await stage.executed())[id] <= 1

    asyncio.run(scenario())
