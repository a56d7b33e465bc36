"""A worker with its transactions on the way while Sentinel puts another server in the place of the first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import redis.exceptions as rex

from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.errors import AutometaError, RedisUnreachable
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.scheduler import Scheduler
from tests.jobs.fleet import Pair, until
from tests.network import LiveNetwork
from tests.working.stage import Stage, mining, no_mining, staged

#: A small window: should a recovery be needed, it is used up soon.
SETTINGS = {"REDIS_MIN_REPLICAS": "1", "MAX_OPEN_NONCES": "24", "MAX_CONCURRENT_EXECUTIONS": "24"}


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autometa_cli.jobs.claim.BLOCK_SECONDS", 0.1)
    monkeypatch.setattr("autometa_cli.worker._TEND_SECONDS", 0.1)
    monkeypatch.setattr("autometa_cli.working.membership.BEAT_SECONDS", 0.25)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Valkey twice, and three Sentinels."""
    with Pair(tmp_path / "pair", None) as made:
        yield made


@pytest.fixture
def network(anvil: AnvilProcess, pair: Pair) -> LiveNetwork:
    return LiveNetwork.on(anvil, pair.url)


def _signed(stage: Stage, count: int) -> Callable[[], Awaitable[bool]]:
    async def condition() -> bool:
        return sum(record.state == "signed" for record in await stage.records()) == count

    return condition


async def _reconnected(stage: Stage) -> bool:
    await stage.queue.reconnect()
    return True


def test_the_primary_dies_with_transactions_on_their_way(network: LiveNetwork, pair: Pair) -> None:
    async def scenario() -> None:
        async with staged(network, **SETTINGS) as stage:
            first, then = await stage.made(8), await stage.made(8)
            async with stage.hired() as hand:
                async with no_mining(network):
                    await stage.enqueue(*first)
                    await stage.until(_signed(stage, 8), "eight to be sent")
                    await stage.enqueue(*then)
                    await asyncio.to_thread(pair.first.replicated)
                    await asyncio.to_thread(pair.first.kill)
                    await stage.until(lambda: "Redis" in hand.worker.house.summary(), "it to be told")
                await asyncio.to_thread(pair.failed_over, pair.first)
                await until(lambda: _reconnected(stage), "the new one", AutometaError, rex.RedisError)
                # There is no replica until the old one is back, and nothing is sent.
                await asyncio.to_thread(pair.first.start)
                async with mining(network):
                    await stage.until(stage.settled(first + then), "all to be settled", 90)
                await hand.leave()
            assert pair.primary is pair.second
            await stage.assert_executed_once(first + then)

    asyncio.run(scenario())


def test_a_failover_that_forgets_what_was_sent(network: LiveNetwork, pair: Pair) -> None:
    """Without REDIS_MIN_REPLICAS: the new primary never heard of the transactions that wait in the pool."""
    settings = {**SETTINGS, "REDIS_MIN_REPLICAS": "0"}

    async def scenario() -> None:
        async with staged(network, **settings) as stage:
            ids = await stage.made(5)
            async with stage.hired() as hand:
                async with no_mining(network):
                    await stage.until(lambda: hand.worker.house.in_order, "it to be ready")
                    before = hand.worker.id
                    await asyncio.to_thread(pair.second.cut_off)
                    await stage.enqueue(*ids)
                    await stage.until(lambda: _sent(stage, 5), "all to be sent")
                    await asyncio.to_thread(pair.first.kill)
                    await asyncio.to_thread(pair.failed_over, pair.first)
                await until(lambda: _reconnected(stage), "the new one", AutometaError, rex.RedisError)
                assert await stage.records() == []
                async with mining(network):
                    await stage.until(lambda: hand.worker.id != before, "the loss to be noticed")
                    await stage.until(lambda: hand.worker.house.in_order, "the recovery", 90)
                    assert await stage.executed() == dict.fromkeys(ids, 1)
                    await hand.leave()

    asyncio.run(scenario())


def test_a_scheduler_goes_on_behind_a_failover(network: LiveNetwork, pair: Pair) -> None:
    async def scenario() -> None:
        settings = network.settings(CONFIRMATIONS="1")
        async with network.rpc() as rpc, JobQueue.of(settings) as queue:
            scheduler = Scheduler(settings, queue, rpc)
            await network.create_workflows(2)
            assert (await scheduler.run_once()).enqueued == 2
            await network.create_workflows(3)
            await asyncio.to_thread(pair.first.replicated)
            await asyncio.to_thread(pair.first.kill)
            with pytest.raises(RedisUnreachable):
                await scheduler.run_once()

            done = await until(scheduler.run_once, "a pass", AutometaError)

            assert (done.enqueued, done.already) == (3, 2)

    asyncio.run(scenario())


def test_nothing_is_sent_that_no_replica_has(network: LiveNetwork, pair: Pair) -> None:
    async def scenario() -> None:
        async with staged(network, **SETTINGS) as stage:
            ids = await stage.made(3)
            async with stage.hired(rebroadcast_after=0.2) as hand, no_mining(network):
                await asyncio.to_thread(pair.second.pause)
                await stage.enqueue(*ids)
                await stage.until(_signed(stage, 3), "all to be signed")
                await stage.until(lambda: "0 of 1 replicas" in hand.worker.house.summary(), "it to be told")
                assert await _pooled(stage) == 0

                await asyncio.to_thread(pair.second.resume)
                await stage.until(lambda: _sent(stage, 3), "them to be sent")
                async with mining(network):
                    await stage.until(stage.settled(ids), "all to be settled")
                await hand.leave()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


async def _pooled(stage: Stage) -> int:
    address = stage.network.accounts["worker"].address
    return int(await stage.rpc.request("eth_getTransactionCount", (address, "pending")), 16)


async def _sent(stage: Stage, count: int) -> bool:
    return await _pooled(stage) == count
