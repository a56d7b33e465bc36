"""What waits for its time, or was lost from the list: records that go back on it."""

from __future__ import annotations

import asyncio
import re

from autometa_cli.jobs.access import Access
from autometa_cli.jobs.workers import element_for_list

#: A record that says queued for this long and is in no list is pushed again, milliseconds.
LOST_AFTER_MS = 10 * 60 * 1000
#: Elements of a list that are read at a time.
_PAGE = 1000
#: The record key in a raw element, as `Job.for_list` writes it. One that is overlooked is only pushed twice.
_OCCURRENCE_FIELD = re.compile(rb'"occurrence"\s*:\s*"([^"\\]{1,300})"')


class Waiting(Access):
    """Promoting and sweeping, which any worker or the leading scheduler does."""

    async def promote(self, most: int = 500) -> int:
        """Put delayed records whose time has come on the list; how many."""
        seconds, micros = await self.redis.time()
        now = int(seconds) * 1000 + int(micros) // 1000
        k = self.keys
        keys = [name.decode() for name in await self.redis.zrangebyscore(k.delayed, "-inf", now, 0, most)]
        records = await asyncio.gather(*(self.record(key) for key in keys))
        answers = await asyncio.gather(
            *(
                self.scripts.call(
                    "promote",
                    [k.epoch, k.delayed, k.occurrence(key), k.pending, k.queued],
                    [key, element_for_list(record.id, key, record.job) if record else b""],
                )
                for key, record in zip(keys, records, strict=True)
            )
        )
        return sum(answer.word == "ok" for answer in answers)

    async def sweep(self) -> int:
        """Push again what says queued but stands in no list (somebody took or deleted the element); how many."""
        seconds, _ = await self.redis.time()
        k = self.keys
        late = await self.redis.zrangebyscore(k.queued, "-inf", int(seconds) * 1000 - LOST_AFTER_MS)
        if not late:
            return 0
        listed = await self._listed()
        missing = [name.decode() for name in late if name not in listed]
        records = await asyncio.gather(*(self.record(key) for key in missing))
        if unknown := [key for key, record in zip(missing, records, strict=True) if record is None]:
            await self.redis.zrem(k.queued, *unknown)
        answers = await asyncio.gather(
            *(
                self.scripts.call(
                    "requeue",
                    [k.epoch, k.queued, k.occurrence(record.key), k.pending],
                    [record.key, element_for_list(record.id, record.key, record.job), LOST_AFTER_MS],
                )
                for record in records
                if record is not None
            )
        )
        return sum(answer.word == "ok" for answer in answers)

    async def _listed(self) -> set[bytes]:
        """Keys of the records whose elements are pending, or were moved aside by `clear`."""
        stamps = await self.redis.zrange(self.keys.cleared, 0, -1)
        found: set[bytes] = set()
        for name in (self.keys.pending, *(self.keys.cleared_list(stamp.decode()) for stamp in stamps)):
            # From the tail: what is taken at the head meanwhile moves nothing past us.
            last = -1
            while page := await self.redis.lrange(name, last - _PAGE + 1, last):
                for element in page:
                    found.update(_OCCURRENCE_FIELD.findall(element))
                last -= _PAGE
        return found
