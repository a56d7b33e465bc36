"""Everything there is to see of a queue, with commands that change nothing (I8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from autometa_cli.jobs.job import open_envelope
from autometa_cli.jobs.occurrence import label
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.jobs.record import Record

#: Names that are read at a time.
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Counts:
    """How many jobs stand where.

    Attributes:
        inflight: in the lists of all workers, those included that are gone and not yet reaped.
        open: records that hold a nonce, bound or signed.
        workers: that are alive.
        paused: the operator's reason, or "".
        oldest: seconds since the oldest pending record was queued, by Redis's clock; None where there is none. A
            job that was pushed by hand has no record before it is claimed.
    """

    pending: int
    inflight: int
    delayed: int
    dead: int
    open: int
    workers: int
    paused: str
    oldest: float | None


@dataclass(frozen=True, slots=True)
class Held:
    """One element of a worker's in-flight list.

    Attributes:
        gone: the worker left or was buried; a reaper will hand the element on.
        element: as it stands there, an envelope or raw.
        record: of an envelope.
    """

    worker: str
    gone: bool
    element: bytes
    record: Record | None


class Inspector:
    """Read-only view of a queue, for commands, metrics and live views."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue

    async def counts(self) -> Counts:
        """All counts, in a few round trips."""
        queue, keys = self._queue, self._queue.keys
        members = await queue.workers.members()
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
            workers=sum(not member.buried for member in members),
            paused=await queue.paused(),
            oldest=max(0.0, (now - oldest[0][1]) / 1000) if oldest and pending else None,
        )

    async def inflight(self) -> list[Held]:
        """What workers hold, worker by worker, the latest claim of each first."""
        queue = self._queue
        found = []
        for member in await queue.workers.members():
            for element in await queue.held(member.id):
                opened = open_envelope(element)
                record = await queue.record(opened[1]) if opened else None
                found.append(Held(member.id, member.buried, element, record))
        return found

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

    async def dead_letter(self, name: str) -> Record | None:
        """The dead letter with this record key, label (`7@1700000000`) or id; the latest where several have it."""
        keys = self._queue.keys
        if await self._queue.redis.zscore(keys.dead, name) is not None:
            return await self._queue.record(name)
        offset = 0
        while names := await self._queue.redis.zrange(keys.dead, offset, offset + _PAGE - 1, desc=True):
            for key in (found.decode("utf-8", "replace") for found in names):
                if name == label(key) or name == key.rpartition(":")[2]:
                    return await self._queue.record(key)
            offset += _PAGE
        return None

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
