"""A real scheduler and a real worker on one network, for triggers from end to end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from autometa_cli.chain.interfaces import interface
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.jobs.record import Record
from autometa_cli.scheduler import Scheduler
from autometa_cli.scheduling.passes import Pass
from autometa_cli.scheduling.triggers import Triggers
from tests.network import LiveNetwork
from tests.working.stage import DEFAULTS, Hand, Stage


@asynccontextmanager
async def scheduling(network: LiveNetwork, **settings: str) -> AsyncIterator[Scheduler]:
    """A scheduler with connections and a memory of its own."""
    configured = network.settings(**{**DEFAULTS, **settings})
    async with network.rpc() as rpc:
        queue = JobQueue(network.redis_url)
        try:
            yield Scheduler(configured, queue, rpc)
        finally:
            await queue.connections.close()


async def one_pass(network: LiveNetwork, **settings: str) -> Pass:
    """One pass of a scheduler that remembers nothing."""
    async with scheduling(network, **settings) as one:
        return await one.run_once()


@asynccontextmanager
async def working(stage: Stage, **settings: str) -> AsyncIterator[Hand]:
    """A worker that evaluates triggers by the same settings."""
    configured = stage.network.settings(**{**DEFAULTS, **settings})
    given: dict[str, Any] = dict(settings)
    async with stage.hired(triggers=Triggers.of(configured), **given) as hand:
        yield hand


async def settle(stage: Stage, workflows: list[int], **settings: str) -> None:
    """A worker takes what is there until these are settled."""
    async with working(stage, **settings):
        await stage.until(stage.settled(workflows), "the workflows to be settled")


async def states(stage: Stage, workflow: int) -> list[tuple[int, str, str]]:
    """(generation, state, reason or outcome) of a workflow's records."""
    records: list[Record] = [each for each in await stage.records() if each.workflow == workflow]
    return sorted((each.generation, each.state, each.reason or each.outcome) for each in records)


async def feed_says(
    network: LiveNetwork, answer: int, *, updated: int | None = None, round_id: int = 0
) -> None:
    """Let the price feed answer this, with 8 decimals."""
    functions = interface("TestPriceFeed").functions
    call = functions["setAnswer"].encode(answer)
    if updated is not None:
        call = functions["setRound"].encode(round_id or 1, answer, updated, updated, round_id or 1)
    await network.transact("admin", network.info.test_contracts["TestPriceFeed"], call)


async def token(network: LiveNetwork, sender: str, function: str, *arguments: Any) -> Any:
    """Call the test token; the receipt."""
    call = interface("TestToken").functions[function].encode(*arguments)
    return (await network.transact(sender, network.info.test_contracts["TestToken"], call))[0]
