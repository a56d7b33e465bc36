"""What happens to a transaction between broadcast and finality: dropped, too cheap, unwanted, reorganised away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.network import RECIPIENT, LiveNetwork
from tests.working.stage import Stage, no_mining, staged

GWEI = 10**9
AGAIN = 0.3  # seconds until the same bytes are sent again


async def _mine(network: LiveNetwork, blocks: int = 1) -> None:
    await asyncio.to_thread(network.anvil.mine, blocks)


def _pool(network: LiveNetwork, address: str) -> dict[int, dict[str, Any]]:
    """An account's transactions in the pool, by nonce, whether they can be mined now or wait for a lower one."""
    content = network.anvil.request("txpool_content")
    found: dict[int, dict[str, Any]] = {}
    for part in ("pending", "queued"):
        of_account = {k.lower(): v for k, v in content[part].items()}.get(address.lower(), {})
        found |= {int(nonce): transaction for nonce, transaction in of_account.items()}
    return found


def _worker(network: LiveNetwork) -> str:
    return network.accounts["worker"].address


async def _waiting(stage: Stage, count: int) -> bool:
    return await stage.queue.length() == count


async def _in_state(stage: Stage, state: str, count: int) -> bool:
    return sum(record.state == state for record in await stage.records()) == count


def test_a_dropped_transaction_is_sent_again_the_same(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            ids = await stage.made(3)
            async with stage.hired(rebroadcast_after=AGAIN) as hand, no_mining(network):
                await stage.enqueue(*ids)
                await stage.until(lambda: len(_pool(network, _worker(network))) == 3, "three in the pool")
                before = {t["hash"] for t in _pool(network, _worker(network)).values()}
                for each in before:
                    network.anvil.request("anvil_dropTransaction", each)
                assert _pool(network, _worker(network)) == {}
                await stage.until(
                    lambda: len(_pool(network, _worker(network))) == 3, "three in the pool again"
                )
                assert {t["hash"] for t in _pool(network, _worker(network)).values()} == before
                await _mine(network)
                await stage.until(stage.settled(ids), "all to be settled")
                await hand.leave()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


def test_a_transaction_that_became_too_cheap_is_replaced_by_a_dearer_one(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network, BUMP_AFTER="1") as stage:
            (id,) = await stage.made(1)
            async with stage.hired(rebroadcast_after=AGAIN) as hand, no_mining(network):
                await stage.enqueue(id)
                await stage.until(lambda: _pool(network, _worker(network)), "it to be in the pool")
                first = _pool(network, _worker(network))[0]
                high = int(first["maxFeePerGas"], 16) * 3
                network.anvil.request("anvil_setNextBlockBaseFeePerGas", hex(high))
                await _mine(network)  # a block that has no place for it
                assert await stage.transactions("worker") == []

                async def raised() -> bool:
                    offer = _pool(network, _worker(network)).get(0, first)
                    return int(offer["maxFeePerGas"], 16) > high

                await stage.until(raised, "a dearer one to take its place")
                second = _pool(network, _worker(network))[0]
                assert second["input"] == first["input"], "a bump changes nothing but the fee"
                tips = [int(t["maxPriorityFeePerGas"], 16) for t in (first, second)]
                assert tips[1] * 8 >= tips[0] * 9
                record = await stage.only(id)
                assert len(record.attempts_sent) >= 2
                await _mine(network)
                await stage.until(stage.settled([id]), "it to be settled")
                await hand.leave()
            network.anvil.request("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
            await stage.assert_executed_once([id])
            assert (await stage.only(id)).tx in [t["hash"] for t in await stage.transactions("worker")]

    asyncio.run(scenario())


def test_at_its_fee_cap_the_key_takes_nothing_more_and_says_so(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network, BUMP_AFTER="1") as stage:
            ids = await stage.made(2)
            tip = int(network.anvil.request("eth_maxPriorityFeePerGas"), 16)
            base = int(network.anvil.request("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)
            cap = f"{(max(tip, GWEI) + 2 * base) / GWEI + 0.001:.9f}"
            async with (
                stage.hired(rebroadcast_after=AGAIN, MAX_FEE_GWEI=cap) as hand,
                no_mining(network),
            ):
                await stage.enqueue(ids[0])
                await stage.until(lambda: _pool(network, _worker(network)), "it to be in the pool")
                await stage.until(lambda: "the cap is" in hand.worker.house.summary(), "the cap to be told")
                await stage.enqueue(ids[1])
                for _ in range(3):  # looked at again and again, it stays so
                    await stage.until(lambda: "the cap is" in hand.worker.house.summary(), "it to stay told")
                    await asyncio.sleep(AGAIN)
                await stage.until(lambda: _waiting(stage, 1), "the second to be on the list")
                assert len(_pool(network, _worker(network))) == 1
                await _mine(network)
                await stage.until(stage.settled(ids[:1]), "the first to be settled")
                await stage.until(lambda: hand.worker.house.in_order, "the trouble to be over")
                await stage.until(lambda: _pool(network, _worker(network)), "the second to be sent")
                await _mine(network)
                await stage.until(stage.settled(ids), "the second to be settled")
                await hand.leave()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


@pytest.mark.parametrize("change", ["paused", "deleted", "redirected"])
def test_what_its_owner_stops_before_it_is_mined_is_cancelled(network: LiveNetwork, change: str) -> None:
    """The call lies in the pool; a self-transfer at the same nonce takes its place (REVIEW H6)."""

    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.made(1)
            before = await network.balance(RECIPIENT)
            async with stage.hired(rebroadcast_after=AGAIN) as hand, no_mining(network):
                await stage.enqueue(id)
                await stage.until(lambda: _pool(network, _worker(network)), "it to be in the pool")
                call = _pool(network, _worker(network))[0]
                network.anvil.request("anvil_dropTransaction", call["hash"])  # the pools have it not, we do
                match change:
                    case "paused":
                        changing = asyncio.create_task(network.pause(id))
                    case "deleted":
                        changing = asyncio.create_task(network.delete(id))
                    case _:
                        changing = asyncio.create_task(_redirect(network, id))
                while not changing.done():
                    await _mine_others(network, call["hash"])
                await changing
                await stage.until(lambda: _is_transfer(network), "the self-transfer to take its place")
                assert (await stage.only(id)).state == "cancelling"
                await _mine(network)
                wanted = "skipped"
                await stage.until(stage.settled([id], wanted), "it to be skipped")
                record = await stage.only(id)
                assert record.outcome == "cancelled"
                await hand.leave()
            assert await stage.executions() == []
            assert await network.balance(RECIPIENT) == before
            if change == "paused":
                assert not (await stage.workflow(id)).active, "it was activated again"
            await stage.assert_nonces("worker")
            await stage.assert_nothing_left()
            if change == "redirected":
                # What the owner wants now is a new generation of the same due time.
                network.finalize()
                (key,) = await stage.enqueue(id, final=True)
                assert key.endswith(":1")
                async with stage.hired(burst=True) as hand:
                    await hand.finished()
                await stage.assert_executed_once([id])
                assert await network.balance(RECIPIENT) == before

    asyncio.run(scenario())


def _is_transfer(network: LiveNetwork) -> bool:
    offer = _pool(network, _worker(network)).get(0)
    return offer is not None and offer["to"].lower() == _worker(network).lower()


async def _redirect(network: LiveNetwork, id: int) -> None:
    from autometa_cli.chain.actions import NativeTransfer, encode_action

    await network.update(id, action_data=encode_action(NativeTransfer("0x" + "12" * 20, 1)))


async def _mine_others(network: LiveNetwork, not_this: str) -> None:
    """A block without that transaction, which the worker may have sent again."""
    network.anvil.request("anvil_dropTransaction", not_this)
    await _mine(network)
    await asyncio.sleep(0.02)


def test_a_cancellation_is_raised_until_it_is_mined(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network, BUMP_AFTER="1") as stage:
            (id,) = await stage.made(1)
            async with stage.hired(rebroadcast_after=AGAIN) as hand, no_mining(network):
                await stage.enqueue(id)
                await stage.until(lambda: _pool(network, _worker(network)), "it to be in the pool")
                call = _pool(network, _worker(network))[0]
                pausing = asyncio.create_task(network.pause(id))
                while not pausing.done():
                    await _mine_others(network, call["hash"])
                await pausing
                await stage.until(lambda: _is_transfer(network), "the self-transfer to take its place")
                cancel = _pool(network, _worker(network))[0]
                resuming = asyncio.create_task(network.resume(id))
                while not resuming.done():
                    await _mine_others(network, cancel["hash"])
                await resuming
                # Wanted again or not: once it is cancelling, the call is never sent again.
                await stage.until(
                    lambda: _attempts(stage, id, 3), "the self-transfer to be raised, though resumed"
                )
                record = await stage.only(id)
                assert [each.what for each in record.attempts_sent[:3]] == ["call", "cancel", "cancel"]
                assert record.state == "cancelling"
                assert hand.worker.house.summary() == ""
                await _mine(network)
                await stage.until(stage.settled([id], "skipped"), "it to be skipped")
                await hand.leave()
            assert await stage.executions() == []

    asyncio.run(scenario())


async def _attempts(stage: Stage, id: int, count: int) -> bool:
    return len((await stage.only(id)).attempts_sent) >= count


def test_an_execution_that_a_reorg_removes_is_mined_again_once(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network, CONFIRMATIONS="finalized") as stage:
            ids = await stage.made(3)
            network.finalize()
            async with stage.hired(rebroadcast_after=AGAIN) as hand, no_mining(network):
                await stage.enqueue(*ids)
                await stage.until(lambda: len(_pool(network, _worker(network))) == 3, "three in the pool")
                await _mine(network)
                assert len(await stage.executed()) == 3
                await stage.until(lambda: _noted(stage, 3), "the worker to see them mined")
                assert await _in_state(stage, "signed", 3), "mined is not final"
                # The last block never was; what was in it is not in the pool either.
                network.anvil.request("anvil_reorg", 1, [])
                network.anvil.request("anvil_dropAllTransactions")
                assert await stage.executions() == []
                await stage.until(lambda: len(_pool(network, _worker(network))) == 3, "the same bytes again")
                await _mine(network)
                await stage.until(lambda: _noted(stage, 3), "the worker to see them mined")
                await _mine(network, 2)
                await stage.until(stage.settled(ids), "all to be settled")
                await hand.leave()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


async def _noted(stage: Stage, count: int) -> bool:
    blocks = await asyncio.gather(
        *(
            stage.queue.redis.hget(stage.queue.keys.occurrence(record.key), "mined_block")
            for record in await stage.records()
        )
    )
    return sum(block is not None for block in blocks) == count


def test_nothing_is_settled_before_it_is_final(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network, CONFIRMATIONS="finalized") as stage:
            ids = await stage.made(2)
            network.finalize()
            async with stage.hired() as hand, no_mining(network):
                await stage.enqueue(*ids)
                await stage.until(lambda: len(_pool(network, _worker(network))) == 2, "both in the pool")
                for _ in range(2):
                    await _mine(network)
                    await stage.until(lambda: _up_to_date(hand, network), "the worker to see the block")
                    await asyncio.sleep(0.1)
                    assert await _in_state(stage, "signed", 2)
                await _mine(network)
                await stage.until(stage.settled(ids), "both to be settled")
                await hand.leave()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


def _up_to_date(hand: Any, network: LiveNetwork) -> bool:
    return _head(hand) >= network.anvil.block_number()


def _head(hand: Any) -> int:
    current = hand.worker._executor.heads._current
    return current.number if current else -1


def test_somebody_else_uses_the_key(network: LiveNetwork) -> None:
    """The operator sends a transaction by hand with the worker's key: bind waits, says so, and goes on after it."""

    async def scenario() -> None:
        async with staged(network, CONFIRMATIONS="finalized") as stage:
            ids = await stage.made(4)
            network.finalize()
            async with stage.hired() as hand, no_mining(network):
                await stage.until(lambda: hand.worker.house.in_order, "the worker to be ready")
                by_hand = asyncio.create_task(network.transact("worker", network.executor, b"", value=1))
                await stage.until(lambda: _pool(network, _worker(network)), "it to be in the pool")
                await _mine(network)
                await by_hand
                await stage.enqueue(*ids)
                await stage.until(
                    lambda: "somebody else uses this worker's key" in hand.worker.house.summary(),
                    "it to be told",
                )
                miner = asyncio.create_task(_mining(network))
                await stage.until(stage.settled(ids), "the jobs to run after it")
                miner.cancel()
                await hand.leave()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


async def _mining(network: LiveNetwork) -> None:
    while True:
        await _mine(network)
        await asyncio.sleep(0.1)


def test_an_unmined_transaction_stops_its_key_after_a_while(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network, TX_TIMEOUT="1", BUMP_AFTER="600") as stage:
            ids = await stage.made(2)
            async with stage.hired() as hand, no_mining(network):
                await stage.enqueue(ids[0])
                await stage.until(lambda: "TX_TIMEOUT" in hand.worker.house.summary(), "it to be told")
                await stage.enqueue(ids[1])
                await stage.until(lambda: not hand.handling, "nothing to be in hand")
                await stage.until(lambda: _waiting(stage, 1), "the second to be on the list")
                assert len(_pool(network, _worker(network))) == 1
                await _mine(network)
                await stage.until(lambda: len(_pool(network, _worker(network))) == 1, "it to go on")
                await _mine(network)
                await stage.until(stage.settled(ids), "both to be settled")
                await hand.leave()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())
