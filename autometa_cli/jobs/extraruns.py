"""Extra runs ("now" jobs) that are there already: what makes another push of one useless."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Sequence

from autometa_cli.jobs.job import BadJob, Job, parse_job
from autometa_cli.jobs.occurrence import Occurrence, label
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.jobs.record import CLOSED_STATES, Record

#: So many elements at the end of the list are looked through for an id.
LOOKED_THROUGH = 5000
_PAGE = 500
_ID_FIELD = re.compile(rb'"id"\s*:\s*"([\w-]{1,64})"')


class ExtraRuns:
    """What the ledger and the list know of extra runs. Reads only.

    Args:
        executor: address of the ActionExecutor, "" where none is configured.
    """

    def __init__(self, queue: JobQueue, chain: int, executor: str) -> None:
        self._queue = queue
        self._chain = chain
        self._executor = executor.lower()

    async def known(self, jobs: Sequence[Job]) -> dict[tuple[int, str], str]:
        """(workflow, id) of those that would not run, since an id names one extra run, once; and why not."""
        wanted = {(job.workflow, str(job.id)) for job in jobs if job.next_run == 0 and job.occurrence is None}
        names = sorted(wanted)
        records = await self._queue.records([self._key(*name) for name in names])
        found = {
            name: _standing(record) for name, record in zip(names, records, strict=True) if record is not None
        }
        for name in await self._listed(wanted - found.keys()):
            found[name] = f"{name[0]}!{name[1]} is on the list already"
        return found

    async def open(self, workflows: Collection[int]) -> dict[int, str]:
        """Workflow to the name of its extra run that a worker took up and that is not at its end."""
        keys = self._queue.keys
        marks = [keys.workflow(self._chain, self._executor, workflow) for workflow in workflows]
        stored = await asyncio.gather(
            *(self._queue.scripts.command("HGET", mark, "now_open") for mark in marks)
        )
        return {
            workflow: label(runs.decode("utf-8", "replace").split()[0])
            for workflow, runs in zip(workflows, stored, strict=True)
            if runs and runs.strip()
        }

    async def _listed(self, wanted: Collection[tuple[int, str]]) -> set[tuple[int, str]]:
        """Which of them stand among the last `LOOKED_THROUGH` elements of the list."""
        ids, found = {id.encode() for _, id in wanted}, set()
        last = -1
        while wanted and last >= -LOOKED_THROUGH:
            page = await self._queue.redis.lrange(self._queue.keys.pending, last - _PAGE + 1, last)
            if not page:
                break
            last -= _PAGE
            for element in page:
                if ids.isdisjoint(_ID_FIELD.findall(element)):
                    continue
                try:
                    job = parse_job(element)
                except BadJob:
                    continue
                if job.next_run == 0:
                    found.add((job.workflow, str(job.id)))
        return found & set(wanted)

    def _key(self, workflow: int, id: str) -> str:
        return Occurrence(self._chain, self._executor, workflow, 0, now_id=id).key


def _standing(record: Record) -> str:
    if record.state in CLOSED_STATES:
        return f"{record.label} is closed ({record.outcome or record.reason or record.state})"
    return f"{record.label} is on its way already ({record.state})"
