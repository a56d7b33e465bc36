"""Puts due occurrences on the list: read from the chain once more, since a mirror may have missed something."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from autometa_cli.executor.wanted import digest
from autometa_cli.jobs.claim import Sighting
from autometa_cli.jobs.enqueue import enqueue_many
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
    from autometa_cli.scheduling.occasion import Event
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
        self._spoilt: set[int] = set()  # told

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
        self._tell({id for id, answer in answers.items() if answer.word == "spoilt"})
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
            events = [(each, self._triggers.event(each)) for each in workflows[start : start + _CHUNK]]
            plain = [each for each, event in events if event is None]
            fired = [(each, event) for each, event in events if event is not None]
            wanted = [(self._occurrence(each), job_json(each), digest(each)) for each in plain]
            block = view.block.number
            many = await enqueue_many(self._queue, wanted, block=block, final=final, leader=leader)
            answers |= {each.id: answer for each, answer in zip(plain, many, strict=True)}
            # The others are waited for when one fails: what they did shall be known when the pass ends.
            results = await asyncio.gather(
                *(self._enqueue_fired(each, event, block, final, leader) for each, event in fired),
                return_exceptions=True,
            )
            for (workflow, _), answer in zip(fired, results, strict=True):
                if isinstance(answer, BaseException):
                    raise answer
                answers[workflow.id] = answer
            if any(answer.word == "recovery" for answer in answers.values()):
                raise LedgerInDoubt("Redis restarted, and it is not known yet whether it kept everything")
        return answers

    async def _enqueue_fired(
        self, workflow: Workflow, event: Event, block: int, final: bool, leader: str
    ) -> Answer:
        return await self._queue.enqueue_or_tell(
            self._occurrence(workflow),
            job_json(workflow, event=event.document()),
            Sighting(block, final, digest(workflow)),
            leader,
            (event.waiting, event.name),
        )

    def _occurrence(self, workflow: Workflow) -> Occurrence:
        return Occurrence(self._chain, self._executor, workflow.id, workflow.next_run)

    def _tell(self, spoilt: set[int]) -> None:
        """Of workflows that cannot be queued since somebody wrote to what Redis keeps of them; once of each."""
        for id in sorted(spoilt - self._spoilt):
            _log.warning(
                "workflow %d cannot be queued: a key that Redis keeps of it is no hash any more; "
                "redis-cli --scan --pattern '*:%d*' and TYPE find it, RENAME takes it out of the way",
                id, id,
            )  # fmt: skip
        self._spoilt = spoilt

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
