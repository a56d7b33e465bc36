"""Scheduler: finds the workflows that are due and puts one job per occurrence on the list.

Any number may run side by side, and each may stop at any moment: the script that enqueues is what makes an
occurrence unique, and a pass needs nothing that an earlier one remembered.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from autometa_cli.chain.contracts import Registry, Workflow
from autometa_cli.chain.faults import RpcFault
from autometa_cli.errors import AutometaError, ConfigError, RpcUnreachable
from autometa_cli.executor.check import digest
from autometa_cli.executor.clocks import clock_trouble
from autometa_cli.executor.head import final_block
from autometa_cli.jobs.connection import RunChanged, redis_errors
from autometa_cli.jobs.epoch import LedgerInDoubt
from autometa_cli.jobs.job import job_json
from autometa_cli.jobs.occurrence import Occurrence, label
from autometa_cli.jobs.queue import Sighting
from autometa_cli.scheduling.diary import Diary
from autometa_cli.scheduling.mirror import Mirror, read_each
from autometa_cli.scheduling.oddities import Oddities
from autometa_cli.scheduling.passes import Pass
from autometa_cli.scheduling.triggers import Oddity, Triggers

if TYPE_CHECKING:
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.chain.view import View
    from autometa_cli.config import Settings
    from autometa_cli.executor.check import Triggers as Evaluator
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.script import Answer

_log = logging.getLogger(__name__)

#: Enqueueing calls under way at a time; they share pipelines.
_CHUNK = 1000


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
        self, settings: Settings, queue: JobQueue, rpc: Rpc, *, triggers: Evaluator | None = None
    ) -> None:
        settings.require("REGISTRY_ADDRESS", "ACTIONEXECUTOR_ADDRESS")
        self._settings = settings
        self._queue = queue
        self._rpc = rpc
        self._triggers = triggers or Triggers()
        self._registry = Registry(settings.registry_address or "")
        self._executor = (settings.actionexecutor_address or "").lower()
        self._oddities = Oddities()
        self._joined = False
        self.mirror = Mirror(self._registry)

    async def run(self, stop: asyncio.Event) -> dict[str, int]:
        """A pass each POLL_INTERVAL until `stop` is set; the pass under way is finished first.

        What fails is logged, and tried again with the next pass.

        Returns:
            How many passes were made (`passes`) and how many of them `failed`, and how many occurrences were
            `enqueued`.

        Raises:
            ConfigError: in the first pass: the configuration does not fit the chain or Redis.
        """
        loop, interval = asyncio.get_running_loop(), self._settings.poll_interval
        diary = Diary(loop.time, interval)
        diary.begin(self._settings)
        totals = {"passes": 0, "failed": 0, "enqueued": 0}
        while not stop.is_set():
            started = loop.time()
            totals["passes"] += 1
            try:
                done = await self.run_once()
                totals["enqueued"] += done.enqueued
                diary.passed(done)
            except Exception as error:
                if isinstance(error, ConfigError) and totals["passes"] == 1:
                    raise
                totals["failed"] += 1
                if isinstance(error, AutometaError):
                    diary.failed(error)
                else:
                    _log.exception("unexpected error in a pass; the next one tries again")
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), max(0.01, started + interval - loop.time()))
        _log.info("stopped after %(passes)d passes, %(failed)d of them failed; %(enqueued)d queued", totals)
        return totals

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
                found: Pass | AutometaError
                try:
                    found = await self._scan(clock)
                except (RpcUnreachable, RpcFault, ConfigError) as error:
                    found = error
                requeued = await self._queue.sweep()
                promoted = await self._queue.promote()
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
                return await queue.clock()
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
        self._joined = True
        return await queue.clock()

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
        trouble = clock_trouble(self._settings.network, view.block.timestamp, clock)
        mirror, oddities = self.mirror, self._oddities
        oddities.look(await mirror.refresh(view, final), mirror)
        due = [] if trouble else await self._due(view, now)
        answers = await self._enqueue(due, view, final=view.block.number <= final.block.number)
        again = [each for each in due if answers[each.id].word == "unfinal"]
        answers |= await self._enqueue_again(again, final, now)
        words = Counter(answer.word for answer in answers.values())
        return Pass(
            block=view.block.number,
            final_block=final.block.number,
            now=now,
            workflows=len(mirror.workflows),
            active=mirror.active,
            due=len(due),
            enqueued=words["ok"],
            already=words["already"],
            waiting=words["unfinal"] + words["stale"] + words["gap"],
            unreadable=oddities.count(Oddity.UNREADABLE, mirror),
            unsupported=oddities.count(Oddity.UNSUPPORTED, mirror),
            next_due=mirror.next_due(now),
            trouble=trouble,
            labels=tuple(label(answer.rest[0]) for answer in answers.values() if answer.word == "ok"),
            halted=tuple(id for id, answer in answers.items() if answer.word == "dead"),
        )

    async def _due(self, view: View, now: int) -> list[Workflow]:
        due = []
        for workflow in self.mirror.due(now):
            if self._oddities.blocks(workflow.id):
                continue
            if await self._triggers.evaluate(workflow, view, now) is None:
                due.append(workflow)
        return due

    async def _enqueue(self, workflows: Sequence[Workflow], view: View, *, final: bool) -> dict[int, Answer]:
        """Put their occurrences, as seen at the view, on the list where they were never opened."""
        answers: dict[int, Answer] = {}
        for start in range(0, len(workflows), _CHUNK):
            chunk = workflows[start : start + _CHUNK]
            # The others are waited for when one fails: what they did shall be known when the pass ends.
            results = await asyncio.gather(
                *(self._enqueue_one(each, view.block.number, final) for each in chunk),
                return_exceptions=True,
            )
            for workflow, answer in zip(chunk, results, strict=True):
                if isinstance(answer, BaseException):
                    raise answer
                answers[workflow.id] = answer
        return answers

    async def _enqueue_one(self, workflow: Workflow, block: int, final: bool) -> Answer:
        occurrence = Occurrence(self._settings.chain_id, self._executor, workflow.id, workflow.next_run)
        seen = Sighting(block, final, digest(workflow))
        answer = await self._queue.enqueue(occurrence, job_json(workflow), seen)
        if answer.word == "recovery":
            raise LedgerInDoubt("Redis restarted, and it is not known yet whether it kept everything")
        return answer

    async def _enqueue_again(self, workflows: Sequence[Workflow], final: View, now: int) -> dict[int, Answer]:
        """Those that were closed at this same next run: open them again where the final block shows it, too."""
        if not workflows:
            return {}
        found, _ = await read_each(self._registry, final, [each.id for each in workflows])
        back = []
        for workflow in workflows:
            there = found.get(workflow.id)
            if there is None or not there.active or there.next_run != workflow.next_run:
                continue
            if await self._triggers.evaluate(there, final, now) is None:
                back.append(there)
        return await self._enqueue(back, final, final=True)
