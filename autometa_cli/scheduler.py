"""Scheduler: finds the workflows that are due and puts one job per occurrence on the list.

Any number may run side by side, and each may stop at any moment: the script that enqueues is what makes an
occurrence unique. Of those that run as services one leads, so that the others cost little (`scheduling.lease`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from autometa_cli.chain.contracts import Registry, Workflow
from autometa_cli.chain.faults import RpcFault
from autometa_cli.errors import AutometaError, ConfigError, RpcUnreachable
from autometa_cli.executor.clocks import clock_trouble
from autometa_cli.executor.head import final_block
from autometa_cli.jobs.connection import RunChanged, redis_errors
from autometa_cli.jobs.epoch import LedgerInDoubt
from autometa_cli.jobs.occurrence import label
from autometa_cli.jobs.served import OtherContracts
from autometa_cli.scheduling.diary import Diary
from autometa_cli.scheduling.enqueuer import Enqueuer
from autometa_cli.scheduling.lease import Lease
from autometa_cli.scheduling.mirror import Mirror
from autometa_cli.scheduling.oddities import Oddities
from autometa_cli.scheduling.passes import Pass
from autometa_cli.scheduling.triggers import Oddity, Triggers
from autometa_cli.scheduling.upkeep import Upkeep

if TYPE_CHECKING:
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.chain.view import View
    from autometa_cli.config import Settings
    from autometa_cli.jobs.queue import JobQueue

_log = logging.getLogger(__name__)


class Scheduler:
    """Watches one registry and feeds one queue.

    Args:
        queue: opened at the first pass, if it is not open yet.
        triggers: evaluates them; the built-in ones where not given.

    Attributes:
        mirror: the registry as the last pass saw it.

    Example:
        >>> async with Rpc.of(settings) as rpc, JobQueue.of(settings) as queue:
        ...     done = await Scheduler(settings, queue, rpc).run_once()
        ...     print(done.enqueued)
    """

    def __init__(
        self, settings: Settings, queue: JobQueue, rpc: Rpc, *, triggers: Triggers | None = None
    ) -> None:
        settings.require("REGISTRY_ADDRESS", "ACTIONEXECUTOR_ADDRESS")
        self._settings = settings
        self._queue = queue
        self._rpc = rpc
        self._triggers = triggers or Triggers.of(settings, queue)
        registry = Registry(settings.registry_address or "")
        network = settings.network
        self.mirror = Mirror(registry, multicall3=network.multicall3, log_range=network.log_range)
        self._upkeep = Upkeep(settings, queue, self.mirror)
        self._oddities = Oddities(self._triggers.examine)
        self._enqueuer = Enqueuer(settings, queue, self.mirror, self._triggers)
        self._lease: Lease | None = None
        self._joined = False
        self._view: View | None = None  # of the last pass
        self._changed: dict[int, Workflow] = {}  # not told to the triggers yet

    async def run(self, stop: asyncio.Event) -> dict[str, int]:
        """A pass each POLL_INTERVAL until `stop` is set; the pass under way is finished first.

        What fails is logged, and tried again with the next pass.

        Returns:
            How many passes were made (`passes`) and how many of them `failed`, and how many occurrences were
            `enqueued`.

        Raises:
            ConfigError: in the first pass: the configuration does not fit the chain or Redis.
            OtherContracts: in any pass.
        """
        loop, interval = asyncio.get_running_loop(), self._settings.poll_interval
        diary = Diary(loop.time, interval)
        diary.begin(self._settings)
        totals = {"passes": 0, "failed": 0, "enqueued": 0}
        lease = self._lease = Lease(self._queue)
        keeper = asyncio.create_task(lease.keep())
        try:
            while not stop.is_set():
                started = loop.time()
                totals["passes"] += 1
                leading = lease.leads
                try:
                    done = await self.run_once()
                    totals["enqueued"] += done.enqueued
                    leading = done.leading
                    diary.passed(done)
                    await self._upkeep.after_pass(self._view, leading=done.leading)
                except Exception as error:
                    if isinstance(error, OtherContracts) or (
                        isinstance(error, ConfigError) and totals["passes"] == 1
                    ):
                        raise
                    totals["failed"] += 1
                    if isinstance(error, AutometaError):
                        diary.failed(error)
                    else:
                        _log.exception("unexpected error in a pass; the next one tries again")
                if lease.leads == leading:
                    lease.changed.clear()
                await _first(stop, lease.changed, within=max(0.01, started + interval - loop.time()))
        finally:
            keeper.cancel()
            led = lease.leads
            await lease.leave()
        if led:
            await self._upkeep.keep()
        _log.info("stopped after %(passes)d passes, %(failed)d of them failed; %(enqueued)d queued", totals)
        return totals

    async def keep(self) -> None:
        """What `run` does between passes: keep the mirror in Redis for the next start, where it changed."""
        self._upkeep.settle()
        await self._upkeep.keep()

    async def run_once(self) -> Pass:
        """One pass: enqueue what is due, push again what was lost, promote what was delayed.

        What can be done is done before an error is raised, and a repetition does nothing twice.

        Raises:
            RedisUnreachable, LedgerInDoubt: nothing can be enqueued.
            RpcUnreachable, RpcFault: the registry cannot be read.
            ConfigError: another chain, no registry at its address, or Redis refuses this user.
        """
        started = asyncio.get_running_loop().time()
        async with redis_errors(self._queue.connections.url):
            try:
                clock = await self._meet()
                if self._lease is not None:
                    await self._lease.hold()
                await self._upkeep.resume()
                found: Pass | AutometaError
                try:
                    found = await self._scan(clock)
                except (RpcUnreachable, RpcFault, ConfigError) as error:
                    found = error
                leads = self._lease is None or self._lease.leads
                requeued = await self._queue.sweep() if leads else 0
                promoted = await self._queue.promote() if leads else 0
            except (RunChanged, LedgerInDoubt):
                self._joined = False
                raise
        if isinstance(found, AutometaError):
            raise found
        seconds = asyncio.get_running_loop().time() - started
        return replace(found, requeued=requeued, promoted=promoted, seconds=seconds)

    async def _meet(self) -> int:
        """Make sure that this is the Redis process whose ledger we write; its time, seconds since 1970."""
        queue, restarted = self._queue, False
        if self._joined:
            try:
                return await self._serve()
            except RunChanged:
                _log.warning("Redis restarted; asking whether it kept everything")
                self._joined, restarted = False, True
        try:
            if restarted or not queue.scripts.run:
                await queue.rejoin("")
            else:
                await queue.join()
        except LedgerInDoubt as error:
            if error.lost:
                # Perhaps only we remember what is gone. The workers must know before they bind anything.
                answer = await queue.scripts.call("recovery_begin", [queue.keys.epoch], [])
                queue.scripts.seen = answer.seq
            raise
        clock = await self._serve()
        self._joined = True
        return clock

    async def _serve(self) -> int:
        """Make sure that the queue is, and still is, for our contracts; Redis's time."""
        await self._queue.serve(self._settings.chain_id, self._settings.actionexecutor_address or "")
        return await self._queue.clock()

    async def _scan(self, clock: int) -> Pass:
        """Read the registry and enqueue; once more at another endpoint where one gives up half-way."""
        try:
            return await self._scan_once(clock)
        except RpcUnreachable as error:
            if len(self._rpc.endpoints) == 1:
                raise
            _log.warning("%s; trying once more", error.message)
            return await self._scan_once(clock)

    async def _scan_once(self, clock: int) -> Pass:
        view = await self._rpc.view()
        final = view.pinned(await final_block(view, self._settings.confirmations))
        now = max(clock, view.block.timestamp)
        trouble = clock_trouble(self._settings.network, clock - view.block.timestamp)
        mirror, oddities, lease = self.mirror, self._oddities, self._lease
        changed = await mirror.refresh(view)
        self._view = view
        oddities.look(changed, mirror)
        self._changed |= {each.id: each for each in changed}
        leads = lease is None or lease.leads
        due = [] if trouble or not leads else await self._due(view, final, now)
        answers = await self._enqueuer.put(due, view, final, now, lease.token if lease else "")
        words = Counter(answer.word for answer in answers.values())
        if words["deposed"] and lease is not None:
            lease.deposed()
        return Pass(
            block=view.block.number,
            final_block=final.block.number,
            now=now,
            workflows=len(mirror.workflows),
            active=mirror.active,
            due=len(due),
            enqueued=words["ok"],
            already=words["already"],
            waiting=words["unfinal"] + words["stale"] + words["gap"] + words["spent"],
            unreadable=oddities.count(Oddity.UNREADABLE, mirror),
            unsupported=oddities.count(Oddity.UNSUPPORTED, mirror),
            next_due=mirror.next_due(now),
            trouble=trouble,
            labels=tuple(label(answer.rest[0]) for answer in answers.values() if answer.word == "ok"),
            halted=tuple(id for id, answer in answers.items() if answer.word == "dead"),
            leading=leads,
        )

    async def _due(self, view: View, final: View, now: int) -> list[Workflow]:
        candidates = [each for each in self.mirror.due(now) if not self._oddities.blocks(each.id)]
        changed = list(self._changed.values())
        await self._triggers.prepare(self.mirror.workflows, changed, candidates, view, final, now)
        self._changed = {}
        return [each for each in candidates if await self._triggers.evaluate(each, view, now) is None]


async def _first(*events: asyncio.Event, within: float) -> None:
    """Wait until one of these is set, or so many seconds."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
