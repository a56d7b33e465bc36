"""Two live schedulers whose way to Redis comes and goes: nothing is queued twice, and a deposed one is refused."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from contextlib import AsyncExitStack, suppress
from typing import Any

from autometa_cli.jobs.queue import JobQueue
from autometa_cli.scheduler import Scheduler
from autometa_cli.scheduling.lease import Lease
from tests.network import LiveNetwork
from tests.working.proxy import Proxy, proxied


async def jobs(network: LiveNetwork) -> list[dict[str, Any]]:
    async with network.queue() as queue:
        return [json.loads(raw) for raw in await queue.peek(100_000)]


async def trouble(wires: list[Proxy], dice: random.Random) -> None:
    """Cut, or freeze for longer than a lease lasts, now one wire, now the other."""
    while True:
        wire = dice.choice(wires)
        if dice.random() < 0.5:
            await wire.cut()
            await asyncio.sleep(dice.uniform(0.05, 0.6))
            await wire.start()
        else:
            wire.freeze()
            await asyncio.sleep(dice.uniform(0.05, 1.0))
            wire.thaw()
        await asyncio.sleep(dice.uniform(0.0, 0.5))


def test_two_that_flap_queue_each_run_once(network: LiveNetwork, monkeypatch: Any) -> None:
    monkeypatch.setattr("autometa_cli.scheduling.lease.LEASE_SECONDS", 0.6)
    monkeypatch.setattr(Lease.__init__, "__kwdefaults__", {"seconds": 0.6})

    async def scenario() -> None:
        stop, ids, services = asyncio.Event(), [], []
        async with AsyncExitStack() as stack:
            wires = [await stack.enter_async_context(proxied(network.redis_url)) for _ in range(2)]
            for wire in wires:
                rpc = await stack.enter_async_context(network.rpc())
                queue = JobQueue(f"redis://127.0.0.1:{wire.port}/0")
                stack.push_async_callback(queue.connections.close)
                one = Scheduler(network.settings(POLL_INTERVAL="0.05"), queue, rpc)
                services.append(asyncio.create_task(one.run(stop)))
            flapping = asyncio.create_task(trouble(wires, random.Random(7)))
            end = asyncio.get_running_loop().time() + 8
            while asyncio.get_running_loop().time() < end:
                ids += await network.create_workflows(5, next_run=100)
                await asyncio.sleep(0.1)
            flapping.cancel()
            with suppress(asyncio.CancelledError):
                await flapping
            for wire in wires:
                wire.thaw()
                await wire.cut()
                await wire.start()
            deadline = asyncio.get_running_loop().time() + 30
            while len(await jobs(network)) < len(ids):
                assert asyncio.get_running_loop().time() < deadline, "not all were queued"
                await asyncio.sleep(0.1)
            stop.set()
            await asyncio.gather(*services)
            found = await jobs(network)
            assert Counter(job["workflowId"] for job in found) == Counter(ids)
            assert len({job["occurrence"] for job in found}) == len(ids)

    asyncio.run(asyncio.wait_for(scenario(), 90))


def test_one_that_was_deposed_in_its_sleep_is_refused(network: LiveNetwork, monkeypatch: Any) -> None:
    async def scenario() -> None:
        ids = await network.create_workflows(3, next_run=100)
        async with network.queue() as mine, network.queue() as others, network.rpc() as rpc:
            sleepy = Scheduler(network.settings(), mine, rpc)
            lease = sleepy._lease = Lease(mine, seconds=0.05)
            assert await lease.hold()
            await asyncio.sleep(0.1)
            other = Lease(others)
            assert await other.hold()

            async def believes() -> bool:
                return True

            monkeypatch.setattr(lease, "hold", believes)
            done = await sleepy.run_once()
            assert (done.due, done.enqueued) == (3, 0)
            assert not lease.leads
            assert await jobs(network) == []

            done = await Scheduler(network.settings(), others, rpc).run_once()
            assert done.enqueued == len(ids)

    asyncio.run(asyncio.wait_for(scenario(), 60))
