"""What an operator does with dead letters: try one again, or give it up. Never while its bytes may still be mined."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autometa_cli.jobs.job import BadJob, parse_job, renamed
from autometa_cli.jobs.record import Record
from autometa_cli.jobs.retention import HISTORY_LENGTH, SETTLED_KEPT_SECONDS
from autometa_cli.jobs.script import Answer
from autometa_cli.jobs.workers import element_for_list

if TYPE_CHECKING:
    from autometa_cli.jobs.queue import JobQueue

#: Dead letters that are read at a time.
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records are meant; "" and None stand for any.

    Attributes:
        workflow: of a letter that is no record, the one that its payload claims.
        reason: the code that a record waits or died for, or a part of its words.
    """

    workflow: int | None = None
    reason: str = ""

    def fits(self, record: Record) -> bool:
        """Whether this one is."""
        if self.workflow is not None and self.workflow != (
            record.claim.workflow if record.claim else record.workflow
        ):
            return False
        return self.tells(record.reason, record.text)

    def tells(self, reason: str, text: str) -> bool:
        """Whether this code, or these words, are what is meant."""
        return not self.reason or reason == self.reason or self.reason.lower() in text.lower()


#: Every record.
ANY = Wanted()


class DeadLetters:
    """The dead letters of one queue."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue

    async def select(self, wanted: Wanted) -> AsyncIterator[list[Record]]:
        """Those that are there now, the oldest first, page by page; the caller may retry or drop a page's records
        before it asks for the next."""
        redis, keys = self._queue.redis, self._queue.keys
        # What is buried again meanwhile is not picked up again; what was buried before the clock went back is.
        seconds, micros = await redis.time()
        last = await redis.zrange(keys.dead, -1, -1, withscores=True)
        end = max([int(seconds) * 1000 + int(micros) // 1000, *(score for _, score in last)])
        offset = 0
        while names := await redis.zrangebyscore(keys.dead, "-inf", end, offset, _PAGE):
            records = await self._queue.records([name.decode("utf-8", "replace") for name in names])
            if found := [record for record in records if record is not None and wanted.fits(record)]:
                yield found
            # What was taken out of this page lets the next one come nearer.
            scores = await redis.zmscore(keys.dead, names)
            offset += sum(score is not None for score in scores)

    async def retry(self, record: Record, by: str) -> Answer:
        """Put one back on the list (see `dead_retry.lua`); `ok` carries the key that it goes by now."""
        k, key, following = self._queue.keys, record.key, record.key
        if record.kind == "due":
            following = record.occurrence.at_generation(record.generation + 1).key
            id = following if record.id == key else record.id
            element = element_for_list(id, following, renamed(record.job, key, following))
        elif key.startswith("raw:"):
            element = record.job
        else:
            element = element_for_list(record.id, key, record.job)
        return await self._queue.scripts.call(
            "dead_retry",
            [k.epoch, k.occurrence(key), k.occurrence(following), k.workflow_of(key), k.dead, k.open, k.pending,
             k.queued, k.history],
            [key, following, record.kind, element, int(_forced(record.job)), SETTLED_KEPT_SECONDS, HISTORY_LENGTH,
             f"by {by}; it was {record.reason}: {record.text}"],
        )  # fmt: skip

    async def drop(self, record: Record, by: str) -> Answer:
        """Give one up (see `dead_drop.lua`)."""
        k = self._queue.keys
        return await self._queue.scripts.call(
            "dead_drop",
            [k.epoch, k.occurrence(record.key), k.workflow_of(record.key), k.dead, k.open, k.history],
            [record.key, SETTLED_KEPT_SECONDS, HISTORY_LENGTH, f"by {by}; {record.text}"],
        )


def _forced(raw: bytes) -> bool:
    try:
        return parse_job(raw).force
    except BadJob:
        return False
