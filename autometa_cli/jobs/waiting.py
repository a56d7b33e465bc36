"""What waits for its time, or was lost from the list: records that go back on it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from autometa_cli.jobs.access import Access
from autometa_cli.jobs.record import Record
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
        records = await self._named(
            k.delayed, await self.redis.zrangebyscore(k.delayed, "-inf", now, 0, most)
        )
        answers = await asyncio.gather(
            *(
                self.scripts.call(
                    "promote",
                    [k.epoch, k.delayed, k.occurrence(record.key), k.pending, k.queued],
                    [record.key, element_for_list(record.id, record.key, record.job)],
                )
                for record in records
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
        records = await self._named(k.queued, [name for name in late if name not in listed])
        answers = await asyncio.gather(
            *(
                self.scripts.call(
                    "requeue",
                    [k.epoch, k.queued, k.occurrence(record.key), k.pending],
                    [record.key, element_for_list(record.id, record.key, record.job), LOST_AFTER_MS],
                )
                for record in records
            )
        )
        return sum(answer.word == "ok" for answer in answers)

    async def _named(self, index: str, names: Sequence[bytes]) -> list[Record]:
        """The records that an index names. What names none is taken out of it, or it would be met again and again."""
        records = await self.records([name.decode("utf-8", "replace") for name in names])
        if unknown := [name for name, record in zip(names, records, strict=True) if record is None]:
            await self.redis.zrem(index, *unknown)
        return [record for record in records if record is not None]

    async def _listed(self) -> set[bytes]:
        """Keys of the records whose elements are pending, or were moved aside by `clear`."""
        stamps = await self.redis.zrange(self.keys.cleared, 0, -1)
        found: set[bytes] = set()
        for name in (
            self.keys.pending,
            *(self.keys.cleared_list(stamp.decode("utf-8", "replace")) for stamp in stamps),
        ):
            # From the tail: what is taken at the head meanwhile moves nothing past us.
            last = -1
            while page := await self.redis.lrange(name, last - _PAGE + 1, last):
                for element in page:
                    found.update(_OCCURRENCE_FIELD.findall(element))
                last -= _PAGE
        return found
