"""A scheduler with connections and a memory of its own, as it is configured by default; and what it put on the list."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from autometa_cli.chain.rpc import Rpc
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.scheduler import Scheduler
from autometa_cli.scheduling.passes import Pass
from tests.network import LiveNetwork


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 120))


@asynccontextmanager
async def scheduler(network: LiveNetwork, *urls: str, **settings: str) -> AsyncIterator[Scheduler]:
    """One of its own: own connections, own memory."""
    async with AsyncExitStack() as stack:
        rpc = await stack.enter_async_context(
            Rpc(urls or [network.rpc_url], chain_id=network.info.chain_id, timeout=5.0)
        )
        queue = JobQueue(network.redis_url)
        stack.push_async_callback(queue.connections.close)
        yield Scheduler(network.settings(**settings), queue, rpc)


async def one_pass(network: LiveNetwork, **settings: str) -> Pass:
    async with scheduler(network, **settings) as one:
        return await one.run_once()


async def pending(network: LiveNetwork) -> list[dict[str, Any]]:
    """The jobs on the list, in order."""
    async with network.queue() as queue:
        return [json.loads(raw) for raw in await queue.peek(100_000)]


async def each_once(network: LiveNetwork, ids: list[int]) -> None:
    """Exactly one job for each of these workflows is on the list, and no other."""
    jobs = await pending(network)
    assert Counter(job["workflowId"] for job in jobs) == Counter(ids)
    assert len({job["occurrence"] for job in jobs}) == len(ids)
