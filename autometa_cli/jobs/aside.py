"""What `queue clear` moved aside, and until when `queue restore` can bring it back."""

from __future__ import annotations

from dataclasses import dataclass

from autometa_cli.jobs.queue import JobQueue


@dataclass(frozen=True, slots=True)
class Aside:
    """One clear that can be undone. Times are seconds since 1970 by Redis's clock.

    Attributes:
        jobs: how many elements it holds.
        since: when it was cleared.
        until: when it lapses.
    """

    jobs: int
    since: int
    until: int


async def asides(queue: JobQueue) -> list[Aside]:
    """All of them, the latest first, which is what `queue restore` brings back. Reads only."""
    keys, found = queue.keys, []
    for name, lapses in await queue.redis.zrange(keys.cleared, 0, -1, desc=True, withscores=True):
        stamp = name.decode("utf-8", "replace")
        jobs = int(await queue.redis.llen(keys.cleared_list(stamp)))
        if jobs and stamp.isascii() and stamp.isdigit():
            found.append(Aside(jobs, int(stamp) // 1000, int(lapses) // 1000))
    return found


async def aside_until(queue: JobQueue, key: str) -> int | None:
    """Until when a queued record is among them, seconds since 1970; None where it is not.

    Its place in the index of what is queued tells: `queue clear` dates it to the day when the clear lapses.
    """
    since = await queue.redis.zscore(queue.keys.queued, key)
    if since is None or int(since) // 1000 <= await queue.clock():
        return None
    return int(since) // 1000
