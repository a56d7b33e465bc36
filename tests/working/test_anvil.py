"""What a chain may do to transactions that are on their way, and what people may do to a key meanwhile.

Each ends right by itself: nobody repairs anything, and no job pays for it with an attempt (I2, I6). More of the kind is
in test_mempool.py (dropped, unwanted, capped) and test_troubles.py (before anything is sent).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from autometa_cli.chain.contracts import ROLE_IDS
from autometa_cli.chain.interfaces import interface
from tests.network import LiveNetwork
from tests.working.stage import OUTBID, Stage, mining, no_mining, staged

GWEI = 10**9
ETHER = 10**18
AGAIN = 0.3  # seconds until the same bytes are sent again


async def _mine(network: LiveNetwork, blocks: int = 1) -> None:
    await asyncio.to_thread(network.anvil.mine, blocks)


async def _sent(stage: Stage, count: int, name: str = "worker") -> None:
    await stage.until(lambda: len(stage.pool(name)) == count, f"{count} in the pool")


def _noted(stage: Stage, block: int, ids: Iterable[int]) -> Callable[[], Awaitable[bool]]:
    """Condition: the worker saw these mined in this block."""
    wanted = set(ids)

    async def condition() -> bool:
        return wanted <= {r.workflow for r in await stage.records() if r.mined_block == block}

    return condition


async def _no_attempts(stage: Stage) -> None:
    assert {record.attempts for record in await stage.records()} == {0}


@pytest.mark.parametrize("after", ["it is gone", "it is in another block"])
def test_reorgs_of_every_depth(network: LiveNetwork, after: str) -> None:
    """One to five blocks go, with an execution in the lowest. Either nothing has it any more, or another block has."""

    async def scenario() -> None:
        async with staged(network, CONFIRMATIONS="7") as stage:
            ids = await stage.made(5)
            await _mine(network, 7)
            async with stage.hired(rebroadcast_after=AGAIN) as hand, no_mining(network):
                await stage.until(lambda: hand.worker.house.in_order, "the worker to be ready")
                for depth, id in enumerate(ids, 1):
                    await stage.enqueue(id)
                    await _sent(stage, 1)
                    (call,) = stage.pool().values()
                    await _mine(network)
                    first = network.anvil.block_number()
                    await stage.until(_noted(stage, first, [id]), "the worker to see it mined")
                    await _mine(network, depth - 1)
                    again: list[Any] = []
                    if after == "it is in another block":
                        again = [[(await stage.only(id)).attempts_sent[0].raw, depth - 1]]
                        again = [["0x" + raw.hex(), place] for raw, place in again]
                    await asyncio.to_thread(network.anvil.request, "anvil_reorg", depth, again)
                    if not again:
                        network.anvil.request("anvil_dropAllTransactions")  # the pools have it neither
                        assert len(await stage.executions()) == depth - 1
                        await _sent(stage, 1)
                        assert stage.pool()[depth - 1]["hash"] == call["hash"], "the same bytes"
                        await _mine(network)
                        at = network.anvil.block_number()
                        await stage.until(_noted(stage, at, [id]), "the worker to see it mined again")
                    assert (await stage.only(id)).state == "signed"
                await _mine(network, 7)
                await stage.until(stage.settled(ids), "all to be settled")
                await hand.leave()
            await stage.assert_executed_once(ids)
            await _no_attempts(stage)

    asyncio.run(scenario())


def test_somebody_uses_the_nonce_of_a_transaction_in_the_pool(network: LiveNetwork) -> None:
    """The operator sends a dearer one by hand, with the worker's key. Proved harmless, the run gets another nonce."""

    async def scenario() -> None:
        async with staged(network, CONFIRMATIONS="finalized") as stage:
            ids = await stage.made(3)
            network.finalize()
            async with stage.hired(rebroadcast_after=AGAIN) as hand, no_mining(network):
                await stage.enqueue(*ids)
                await _sent(stage, 3)
                by_hand = asyncio.create_task(
                    network.transact("worker", network.executor, b"", value=1, gas_price=OUTBID)
                )
                await stage.until(lambda: stage.pool()[0]["input"] == "0x", "the other to take its place")
                await _mine(network)
                await by_hand
                async with mining(network):
                    await stage.until(stage.settled(ids), "all to be settled", hurry=True)
                await hand.leave()
            await stage.assert_executed_once(ids)
            outcomes = [entry[b"outcome"] async for entry in _history(stage)]
            assert outcomes.count(b"foreign") == 1
            await _no_attempts(stage)

    asyncio.run(scenario())


async def _history(stage: Stage) -> Any:
    for _, entry in await stage.queue.redis.xrange(stage.queue.keys.history):
        yield entry


def test_the_key_is_drained_and_filled_again(network: LiveNetwork) -> None:
    """With transactions in the pool, which drop out of it for want of money."""

    async def scenario() -> None:
        async with staged(network) as stage:
            ids = await stage.made(4)
            async with stage.hired(rebroadcast_after=AGAIN) as hand, no_mining(network):
                await stage.enqueue(*ids[:3])
                await _sent(stage, 3)
                network.anvil.set_balance(stage.address("worker"), 0)
                network.anvil.request("anvil_dropAllTransactions")
                await _mine(network)
                await stage.until(lambda: "gas" in hand.worker.house.summary(), "it to be told")
                await stage.enqueue(ids[3])
                await stage.until(
                    lambda: "nsufficient funds" in hand.worker.house.summary(), "the node's word, too"
                )
                assert await stage.queue.length() == 1
                network.anvil.set_balance(stage.address("worker"), ETHER)
                async with mining(network):
                    await stage.until(stage.settled(ids), "all to be settled")
                assert hand.worker.house.summary() == ""
                await hand.leave()
            await stage.assert_executed_once(ids)
            await _no_attempts(stage)

    asyncio.run(scenario())


def test_the_role_is_revoked_while_transactions_are_in_the_pool(network: LiveNetwork) -> None:
    """They are mined and revert, which is our trouble: it costs no attempt, though a single one would bury them."""

    async def scenario() -> None:
        async with staged(network, MAX_RETRIES="0") as stage:
            ids = await stage.made(3)
            async with stage.hired(rebroadcast_after=AGAIN) as hand, no_mining(network):
                await stage.enqueue(*ids)
                await _sent(stage, 3)
                await _change_role(stage, "revokeRole", ahead=True)
                await stage.until(lambda: "WORKER_ROLE" in hand.worker.house.summary(), "it to be told")
                await stage.until(lambda: hand.worker.closed["no_role"] == 3, "the reverts to be understood")
                await stage.until(lambda: _on_the_list(stage, 3), "all to wait", hurry=True)
                await _change_role(stage, "grantRole", ahead=False)
                async with mining(network):
                    await stage.until(stage.settled(ids), "all to be settled", hurry=True)
                await hand.leave()
            assert [t["status"] for t in await stage.transactions("worker")] == [0, 0, 0, 1, 1, 1]
            assert {run.workflow for run in await stage.executions()} == set(ids)
            assert len(await stage.executions()) == 3
            await _no_attempts(stage)
            await stage.assert_nothing_left()

    asyncio.run(scenario())


async def _on_the_list(stage: Stage, count: int) -> bool:
    return await stage.queue.length() == count


async def _change_role(stage: Stage, function: str, *, ahead: bool) -> None:
    """In the next block, before everything else that is in it or after."""
    network = stage.network
    call = (
        interface("ActionExecutor")
        .functions[function]
        .encode(ROLE_IDS["WORKER_ROLE"], stage.address("worker"))
    )
    before = len(stage.pool("admin"))
    changing = asyncio.create_task(
        network.transact("admin", network.executor, call, gas_price=OUTBID if ahead else OUTBID // 2)
    )
    await stage.until(lambda: len(stage.pool("admin")) > before, "it to be in the pool")
    await _mine(network)
    await changing


def test_the_base_fee_jumps_tenfold(network: LiveNetwork) -> None:
    """Everything in the pool is too cheap at once; each is raised over the market in one step, and mined."""

    async def scenario() -> None:
        async with staged(network, BUMP_AFTER="1") as stage:
            ids = await stage.made(10)
            try:
                await _base_fee(network, 20 * GWEI)
                async with stage.hired(rebroadcast_after=AGAIN) as hand, no_mining(network):
                    await stage.enqueue(*ids)
                    await _sent(stage, 10)
                    assert all(int(t["maxFeePerGas"], 16) < 200 * GWEI for t in stage.pool().values())
                    await _base_fee(network, 200 * GWEI)
                    assert await stage.transactions("worker") == [], "a block that has no place for them"
                    await stage.until(lambda: _dear(stage) == 10, "all to be raised")
                    async with mining(network):
                        await stage.until(stage.settled(ids), "all to be settled")
                    await hand.leave()
            finally:
                await _base_fee(network, GWEI)
            await stage.assert_executed_once(ids)
            assert max(len(record.attempts_sent) for record in await stage.records()) <= 4
            await _no_attempts(stage)

    asyncio.run(scenario())


def _dear(stage: Stage) -> int:
    return sum(int(t["maxFeePerGas"], 16) > 200 * GWEI for t in stage.pool().values())


async def _base_fee(network: LiveNetwork, wei: int) -> None:
    network.anvil.request("anvil_setNextBlockBaseFeePerGas", hex(wei))
    await _mine(network)


@pytest.mark.parametrize(
    "seconds", [3, pytest.param(60, marks=pytest.mark.soak)], ids=["three seconds", "a minute"]
)
def test_nothing_is_mined_for_a_while(network: LiveNetwork, seconds: int) -> None:
    """Jobs go on coming. The key stops at TX_TIMEOUT and says so; all is done once there are blocks again."""

    async def scenario() -> None:
        async with staged(network, TX_TIMEOUT=str(seconds // 3), CONFIRMATIONS="finalized") as stage:
            ids = await stage.made(30)
            network.finalize()
            async with stage.hired(rebroadcast_after=AGAIN) as hand, no_mining(network):
                await stage.enqueue(*ids[:10])
                await _sent(stage, 10)
                await stage.until(
                    lambda: "TX_TIMEOUT" in hand.worker.house.summary(), "it to be told", seconds + 30
                )
                await stage.enqueue(*ids[10:])
                await asyncio.sleep(seconds * 2 / 3)
                assert len(stage.pool()) == 10, "nothing more is sent meanwhile"
                async with mining(network):
                    await stage.until(stage.settled(ids), "all to be settled", 60)
                assert hand.worker.house.summary() == ""
                await hand.leave()
            await stage.assert_executed_once(ids)
            await _no_attempts(stage)

    asyncio.run(scenario())


@pytest.mark.soak
def test_blocks_every_six_seconds(network: LiveNetwork) -> None:
    """As on Moonbeam: jobs come all the while, two blocks make one final."""

    async def scenario() -> None:
        async with staged(network, CONFIRMATIONS="finalized") as stage:
            ids = await stage.made(60)
            network.finalize()
            async with stage.hired() as hand, mining(network, every=6.0):
                for start in range(0, 60, 10):
                    await stage.enqueue(*ids[start : start + 10])
                    await asyncio.sleep(3.0)
                await stage.until(stage.settled(ids), "all to be settled", 120)
                await hand.leave()
            await stage.assert_executed_once(ids)
            assert {len(record.attempts_sent) for record in await stage.records()} == {1}, (
                "nothing was raised"
            )
            await _no_attempts(stage)

    asyncio.run(scenario())
