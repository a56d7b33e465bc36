"""The public list: what waits for a worker, and what an operator moved aside."""

from __future__ import annotations

from collections.abc import Sequence

from autometa_cli.jobs.access import Access
from autometa_cli.jobs.job import BadJob, parse_job

#: How long `queue clear` can be undone, seconds.
CLEARED_KEPT_SECONDS = 24 * 3600


class PendingList(Access):
    """Pushing, looking, clearing and restoring."""

    async def length(self) -> int:
        """Pending jobs, as LLEN says."""
        return int(await self.redis.llen(self.keys.pending))

    async def peek(self, count: int = 10, offset: int = 0) -> list[bytes]:
        """The next jobs, in the order in which they will be taken. Takes none."""
        rows: list[bytes] = await self.redis.lrange(self.keys.pending, offset, offset + count - 1)
        return rows if count > 0 else []

    async def push(self, raws: Sequence[bytes]) -> int:
        """Append raw jobs, all or none; the new length. The caller has validated them (`jobs.job.parse_job`)."""
        return int(await self.redis.rpush(self.keys.pending, *raws))

    async def clear(self) -> tuple[str, int]:
        """Move the pending list aside for a day; (stamp, how many). Occurrences in it are left alone for that day."""
        seconds, micros = await self.redis.time()
        stamp = f"{int(seconds) * 1000 + int(micros) // 1000}"
        k = self.keys
        aside = k.cleared_list(stamp)
        answer = await self.scripts.call(
            "clear", [k.epoch, k.pending, aside, k.cleared], [stamp, CLEARED_KEPT_SECONDS]
        )
        count = int(answer.rest[0])
        await self._postpone(aside, count, int(stamp) + CLEARED_KEPT_SECONDS * 1000)
        return stamp, count

    async def restore(self) -> int:
        """Undo the latest clear: its jobs are at the head again; how many. 0 when there is nothing to restore."""
        k = self.keys
        stamps = await self.redis.zrange(k.cleared, 0, 0, desc=True)
        if not stamps:
            return 0
        stamp = stamps[0].decode("utf-8", "replace")
        seconds, _ = await self.redis.time()
        aside, moved = k.cleared_list(stamp), 0
        await self._postpone(aside, int(await self.redis.llen(aside)), int(seconds) * 1000)
        while True:
            answer = await self.scripts.call("restore", [k.epoch, k.pending, aside, k.cleared], [stamp])
            moved += int(answer.rest[0])
            if answer.rest[1] == "0":
                return moved

    async def _postpone(self, aside: str, count: int, since_ms: int) -> None:
        """Say of each record in a list since when it stands there, so that the sweep leaves it alone."""
        k = self.keys
        for start in range(0, count, 1000):
            named: list[str] = []
            for raw in await self.redis.lrange(aside, start, start + 999):
                try:
                    key = parse_job(raw).occurrence
                except BadJob:
                    continue  # no job, so it has no record either
                if key:
                    named.append(key)
            if named:
                await self.scripts.call("postpone", [k.epoch, k.queued], [since_ms, *named])
