"""Puts due occurrences on the list: read from the chain once more, since a mirror may have missed something."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from autometa_cli.executor.wanted import digest
from autometa_cli.jobs.claim import Sighting
from autometa_cli.jobs.epoch import LedgerInDoubt
from autometa_cli.jobs.job import job_json
from autometa_cli.jobs.occurrence import Occurrence

if TYPE_CHECKING:
    from autometa_cli.chain.contracts import Workflow
    from autometa_cli.chain.view import View
    from autometa_cli.config import Settings
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.script import Answer
    from autometa_cli.scheduling.mirror import Mirror
    from autometa_cli.scheduling.triggers import Triggers

_log = logging.getLogger(__name__)

#: Enqueueing calls under way at a time; they share pipelines.
_CHUNK = 1000


class Enqueuer:
    """Enqueues for one scheduler.

    Args:
        mirror: corrected where the chain says something else.
    """

    def __init__(self, settings: Settings, queue: JobQueue, mirror: Mirror, triggers: Triggers) -> None:
        self._chain = settings.chain_id
        self._executor = (settings.actionexecutor_address or "").lower()
        self._queue = queue
        self._mirror = mirror
        self._triggers = triggers
        self._known: dict[int, Workflow] = {}  # on their way, as the last pass learned

    async def put(
        self, due: Sequence[Workflow], view: View, final: View, now: int, leader: str
    ) -> dict[int, Answer]:
        """Put these on the list where they were never opened; what the script said of each.

        Args:
            due: as the mirror shows them at the view's block.
            leader: token of the lease, or "".

        Raises:
            LedgerInDoubt: Redis restarted.
            RpcUnreachable, redis.exceptions.RedisError: some may be on the list; a repetition does the others.
        """
        due = await self._confirmed(due, view)
        answers = await self._enqueue(due, view, view.block.number <= final.block.number, leader)
        again = [each for each in due if answers[each.id].word == "unfinal"]
        answers |= await self._enqueue_again(again, final, now, leader)
        self._known = {each.id: each for each in due if answers[each.id].word in ("ok", "already")}
        return answers

    async def _confirmed(self, due: Sequence[Workflow], view: View) -> list[Workflow]:
        """Those that the chain shows just so. The others are due when the mirror says so again."""
        unsure = [each.id for each in due if self._known.get(each.id) is not each]
        if not unsure:
            return list(due)
        found, faults = await self._mirror.read(view, unsure)
        wrong = set(self._mirror.correct(found))
        if wrong:
            _log.warning(
                "%d workflows differ from what their events told, and were corrected: %s",
                len(wrong), ", ".join(map(str, sorted(wrong)[:20])),
            )  # fmt: skip
        return [each for each in due if each.id not in wrong and each.id not in faults]

    async def _enqueue(
        self, workflows: Sequence[Workflow], view: View, final: bool, leader: str
    ) -> dict[int, Answer]:
        answers: dict[int, Answer] = {}
        for start in range(0, len(workflows), _CHUNK):
            chunk = workflows[start : start + _CHUNK]
            # The others are waited for when one fails: what they did shall be known when the pass ends.
            results = await asyncio.gather(
                *(self._enqueue_one(each, view.block.number, final, leader) for each in chunk),
                return_exceptions=True,
            )
            for workflow, answer in zip(chunk, results, strict=True):
                if isinstance(answer, BaseException):
                    raise answer
                answers[workflow.id] = answer
        return answers

    async def _enqueue_one(self, workflow: Workflow, block: int, final: bool, leader: str) -> Answer:
        occurrence = Occurrence(self._chain, self._executor, workflow.id, workflow.next_run)
        event = self._triggers.event(workflow)
        answer = await self._queue.enqueue(
            occurrence,
            job_json(workflow, event=event.document() if event else None),
            Sighting(block, final, digest(workflow)),
            leader,
            (event.waiting, event.name) if event else None,
        )
        if answer.word == "recovery":
            raise LedgerInDoubt("Redis restarted, and it is not known yet whether it kept everything")
        return answer

    async def _enqueue_again(
        self, workflows: Sequence[Workflow], final: View, now: int, leader: str
    ) -> dict[int, Answer]:
        """Those that were closed at this same next run: open them again where the final block shows it, too."""
        if not workflows:
            return {}
        found, _ = await self._mirror.read(final, [each.id for each in workflows])
        back = []
        for workflow in workflows:
            there = found.get(workflow.id)
            if there is None or not there.active or there.next_run != workflow.next_run:
                continue
            if await self._triggers.evaluate(there, final, now) is None:
                back.append(there)
        return await self._enqueue(back, final, True, leader)
