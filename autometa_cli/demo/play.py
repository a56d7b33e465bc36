"""The demo from beginning to end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import redis.exceptions as rex

from autometa_cli.chain.contracts import Registry
from autometa_cli.chain.rpc import Rpc
from autometa_cli.chain.workflows import Owner
from autometa_cli.demo import facts, workflows
from autometa_cli.demo.stage import Stage, stage
from autometa_cli.demo.verdict import Verdict, judge
from autometa_cli.demo.watch import Scene, Watcher
from autometa_cli.errors import RpcUnreachable
from autometa_cli.jobs.connection import redis_errors
from autometa_cli.jobs.queue import JobQueue

if TYPE_CHECKING:
    from autometa_cli.chain.account import Account
    from autometa_cli.demo.facts import Facts
    from autometa_cli.demo.workflows import Cast
    from autometa_cli.devnet.info import DevnetInfo

#: Longest time for all workflows to come to their end, seconds from the start of the services.
PATIENCE_SECONDS = 75.0
LOOK_SECONDS = 0.2
#: Longest time for the chain to make final what is mined, seconds.
FINAL_SECONDS = 20.0


class Audience(Protocol):
    """Who watches."""

    def step(self, text: str) -> None:
        """What is being done now."""

    def changed(self, text: str) -> None:
        """What happened to a workflow."""

    def scene(self, scene: Scene) -> None:
        """How everything stands."""


@dataclass(frozen=True, slots=True)
class Performance:
    """What was played.

    Attributes:
        seconds: from the beginning to the verdict.
        troubles: what did not go as it should besides: services that did not come to an end, with their logs.
        kept: the devnet still runs.
    """

    info: DevnetInfo
    env_file: Path
    verdict: Verdict
    after: Facts
    seconds: float
    troubles: tuple[str, ...]
    kept: bool

    @property
    def ok(self) -> bool:
        """Whether the chain agrees with every expectation, and everything came to its end."""
        return not self.verdict.failures and not self.troubles


def play(audience: Audience, *, keep: bool = False, env_file: Path | None = None) -> Performance:
    """Bring a devnet up, let a scheduler and a worker execute the cast, and ask the chain.

    Args:
        keep: leave the devnet running.
        env_file: where its settings go, for `keep`.

    Raises:
        AutometaError: the devnet did not come up, or something that should run ended by itself.
        KeyboardInterrupt: interrupted; everything is cleaned up.
    """
    started = time.monotonic()
    with stage(audience.step, keep=keep, env_file=env_file) as opened:
        verdict, after, troubles = asyncio.run(_on(opened, audience))
        audience.step("The chain was asked; cleaning up" if not keep else "The chain was asked")
        return Performance(
            opened.info, opened.env_file, verdict, after, time.monotonic() - started, troubles, keep
        )


async def _on(opened: Stage, audience: Audience) -> tuple[Verdict, Facts, tuple[str, ...]]:
    settings = opened.settings
    async with Rpc.of(settings) as rpc, redis_errors(settings.redis_url), JobQueue.of(settings) as queue:
        parts = workflows.script(opened.info)
        before = await facts.read(await rpc.view(), opened.info, parts, ())
        audience.step("Starting a scheduler and a worker")
        for service in opened.services:
            service.start()
        audience.step(f"Creating {len(parts)} workflows on the chain at {opened.info.rpc_url}")
        account = workflows.owner_account(settings, rpc)
        cast = await workflows.create(account, opened.info.registry, parts)
        audience.step("The scheduler and the worker are at it")
        watcher = Watcher(settings, rpc, queue, cast, audience.changed)
        pausing = asyncio.create_task(_pause(account, opened, cast))
        troubles = []
        try:
            if not await _watch(opened, watcher, audience):
                waited = [f"{line.id} {line.part.title}" for line in watcher.scene.lines if not line.done]
                troubles.append(f"gave up after {PATIENCE_SECONDS:.0f} s waiting for: {', '.join(waited)}")
                troubles += [service.tail() for service in opened.services]
            await pausing
        finally:
            pausing.cancel()
        audience.step("Letting both finish, then asking the chain")
        late = await opened.finish()
        troubles += [f"the {service.name} did not leave in time; {service.tail()}" for service in late]
        await _settled(rpc)
        watcher.closing = True
        audience.scene(await watcher.look())
        after = await facts.read(await rpc.view("finalized"), opened.info, parts, cast.ids)
        return judge(cast, before, after, watcher.records), after, tuple(troubles)


async def _pause(account: Account, opened: Stage, cast: Cast) -> None:
    """What the owner of the last workflow does, in time."""
    owner = Owner(account, Registry(opened.info.registry))
    for id, part in cast.members:
        if part.destiny == "paused":
            await owner.pause(id)


async def _watch(opened: Stage, watcher: Watcher, audience: Audience) -> bool:
    """Until every workflow has come to its end; False when that takes too long. Raises ServiceDied."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_SECONDS
    while loop.time() < deadline:
        opened.check()
        try:
            scene = await watcher.look()
        except (RpcUnreachable, rex.RedisError):
            await asyncio.sleep(LOOK_SECONDS)  # a slow machine; if a server is down, the check above says so
            continue
        audience.scene(scene)
        if scene.done:
            return True
        await asyncio.sleep(LOOK_SECONDS)
    return False


async def _settled(rpc: Rpc) -> None:
    """Wait until the newest block of now is final."""
    loop = asyncio.get_running_loop()
    head, deadline = (await rpc.view()).block.number, loop.time() + FINAL_SECONDS
    while (await rpc.final(None)).number < head:
        if loop.time() >= deadline:
            raise RpcUnreachable(f"block {head} did not become final within {FINAL_SECONDS:.0f} s")
        await asyncio.sleep(LOOK_SECONDS)
