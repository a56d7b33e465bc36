"""When may a worker in burst mode leave?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis.exceptions as rex

from autometa_cli.errors import RedisUnreachable, RpcUnreachable
from autometa_cli.units import duration

if TYPE_CHECKING:
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.working.house import House

#: `--burst` waits for what is delayed by no more than this, milliseconds.
BURST_PATIENCE_MS = 10_000
#: `--burst` gives up after so long without a usable head of the chain, or Redis, seconds. Any other worker waits.
HEADLESS_SECONDS = 30.0


def give_up(house: House) -> None:
    """Raise RpcUnreachable or RedisUnreachable where that has been away for so long that whoever waits for the end had
    better know."""
    away = house.lasted("rpc")
    if away > HEADLESS_SECONDS:
        raise RpcUnreachable(
            f"--burst gives up, there was no usable head of the chain for {duration(away)}: {house.troubles['rpc']}",
            "run it again when the endpoint answers: jobs and transactions are where they were",
        )
    away = house.lasted("redis")
    if away > HEADLESS_SECONDS:
        how = "of no use" if house.refused else "away"
        raise RedisUnreachable(
            f"--burst gives up, Redis was {how} for {duration(away)}: {house.troubles['redis']}",
            "run it again when Redis works: what it held is taken over then",
        )


class Burst:
    """Watches for the moment when nothing is left to do for one worker.

    Others that hold something may die, and what they hold will be ours: one that beats again goes on by itself, one
    that does not is waited for.
    """

    def __init__(self, queue: JobQueue, worker: str) -> None:
        self._queue = queue
        self._worker = worker
        #: Beats of other workers that hold something, by when they were first seen so.
        self._others: dict[str, float] = {}

    async def drained(self) -> bool:
        """Nothing is pending, in flight, or delayed and due soon."""
        keys, redis = self._queue.keys, self._queue.redis
        try:
            seconds, _ = await redis.time()
            soon = int(seconds) * 1000 + BURST_PATIENCE_MS
            pending = await redis.llen(keys.pending)
            due = await redis.zcount(keys.delayed, "-inf", soon)
            if pending or due or await redis.llen(keys.inflight(self._worker)):
                return False
            for worker, beat in await redis.zrange(keys.workers, 0, -1, withscores=True):
                name = worker.decode("utf-8", "replace")
                if await redis.llen(keys.inflight(name)) and self._others.setdefault(name, beat) == beat:
                    return False
        except rex.RedisError:
            return False
        return True
