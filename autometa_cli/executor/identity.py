"""Which occurrence a payload means. What is written in it counts only where the rest of it is true."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from autometa_cli.jobs.job import Job, new_id, occurrence_of
from autometa_cli.jobs.occurrence import Occurrence

if TYPE_CHECKING:
    from autometa_cli.chain.contracts import Workflow
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.record import Record


class Identity:
    """Names the occurrences of one executor contract (`executor`) on one chain."""

    def __init__(self, queue: JobQueue, chain_id: int, executor: str) -> None:
        self._queue = queue
        self._chain_id = chain_id
        self._executor = executor.lower()

    async def of(self, job: Job, workflow: Workflow | None) -> tuple[Occurrence, str]:
        """Which occurrence a payload means, and the id it goes by."""
        id = job.id or new_id()
        chain_next_run = workflow.next_run if workflow else job.next_run
        named = self._known(job) or occurrence_of(job, self._chain_id, self._executor, chain_next_run, id)
        if named.now_id is not None:
            return named, id
        given = _generation_of(job, named)
        generation = given if given is not None else await self._queue.generation(named)
        occurrence = named.at_generation(generation)
        return occurrence, job.id or occurrence.key

    def _known(self, job: Job) -> Occurrence | None:
        """What a payload with nextRun 0 meant when its record was made, whatever the chain's nextRun is by now."""
        if job.next_run or job.occurrence is None:
            return None
        due = Occurrence(self._chain_id, self._executor, job.workflow, 0)
        extra = replace(due, now_id=job.id)
        if job.id is not None and job.occurrence == extra.key:
            return extra
        return due if _generation_of(job, due) is not None else None


def event_of(job: Job, record: Record) -> Any:
    """The transfer that a run is for: the record took it when it was queued, and a copy pushed by hand names none."""
    given = job.fields.get("event")
    tx, _, place = record.event.rpartition(":")
    if not tx:
        return given
    ordinal = int(place) if place.isascii() and place.isdigit() and len(place) <= 6 else place
    if isinstance(given, dict) and (given.get("tx"), given.get("ordinal")) == (tx, ordinal):
        return given
    return {"tx": tx, "ordinal": ordinal, "block": 0}


def _generation_of(job: Job, named: Occurrence) -> int | None:
    """The generation that the scheduler wrote into a payload, where the rest of its key is what the job says."""
    prefix = named.key.rpartition(":")[0]
    if job.occurrence is None or not job.occurrence.startswith(prefix + ":"):
        return None
    text = job.occurrence[len(prefix) + 1 :]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None
