"""Everything there is to see of a queue, with commands that change nothing (I8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from autometa_cli.jobs.queue import JobQueue
from autometa_cli.jobs.record import Record


@dataclass(frozen=True, slots=True)
class Counts:
    """How many jobs stand where. `open` are bound or signed records; `oldest` is seconds, by Redis's clock."""

    pending: int
    inflight: int
    delayed: int
    dead: int
    open: int
    workers: int
    paused: str
    oldest: float | None


class Inspector:
    """Read-only view of a queue, for commands, metrics and live views."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue

    async def counts(self) -> Counts:
        """All counts in one round trip."""
        queue, keys = self._queue, self._queue.keys
        members = [m for m in await queue.workers.members() if not m.buried]
        pipe = queue.redis.pipeline(transaction=False)
        pipe.llen(keys.pending)
        pipe.zcard(keys.delayed)
        pipe.zcard(keys.dead)
        pipe.zcard(keys.open)
        pipe.zrange(keys.queued, 0, 0, withscores=True)
        pipe.time()
        for member in members:
            pipe.llen(keys.inflight(member.id))
        pending, delayed, dead, open_, oldest, (seconds, micros), *inflight = await pipe.execute()
        now = seconds * 1000 + micros // 1000
        return Counts(
            pending=pending,
            inflight=sum(inflight),
            delayed=delayed,
            dead=dead,
            open=open_,
            workers=len(members),
            paused=await queue.paused(),
            oldest=max(0.0, (now - oldest[0][1]) / 1000) if oldest and pending else None,
        )

    async def delayed(self, count: int = 100, offset: int = 0) -> list[tuple[Record, int]]:
        """(record, due in ms of Redis's clock), the next due first."""
        rows = await self._queue.redis.zrange(
            self._queue.keys.delayed, offset, offset + count - 1, withscores=True
        )
        return [(r, int(due)) for name, due in rows if (r := await self._queue.record(name.decode()))]

    async def dead(self, count: int = 100, offset: int = 0) -> list[Record]:
        """Dead letters, the latest first."""
        names = await self._queue.redis.zrange(self._queue.keys.dead, offset, offset + count - 1, desc=True)
        return [r for name in names if (r := await self._queue.record(name.decode()))]

    async def open(self) -> list[Record]:
        """Records that hold a nonce, the oldest first."""
        names = await self._queue.redis.zrange(self._queue.keys.open, 0, -1)
        return [r for name in names if (r := await self._queue.record(name.decode()))]

    async def records(self) -> AsyncIterator[Record]:
        """Every record, in no order, a page of keys at a time."""
        prefix = self._queue.keys.occurrence("")
        async for name in self._queue.redis.scan_iter(match=prefix.replace("[", "\\[") + "*", count=500):
            record = await self._queue.record(name.decode()[len(prefix) :])
            if record:
                yield record
