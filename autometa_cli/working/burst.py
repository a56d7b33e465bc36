"""When may a worker in burst mode leave?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import redis.exceptions as rex

from autometa_cli.errors import AutometaError, NotPermitted, RedisUnreachable, RpcUnreachable
from autometa_cli.units import duration

if TYPE_CHECKING:
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.working.house import House

#: `--burst` waits for what is delayed by no more than this, milliseconds.
BURST_PATIENCE_MS = 10_000
#: `--burst` gives up after so long without a usable head of the chain, or Redis, or anything that it may take,
#: seconds. Any other worker waits.
HEADLESS_SECONDS = 30.0
#: These end by themselves, or are told of on their own: a recovery, a start, what open transactions wait for.
_NOT_FOR_A_PERSON = frozenset(
    {"start", "rpc", "redis", "ledger", "transaction", "stuck", "job:window", "job:ledger_in_doubt"}
)


def give_up(house: House, *, idle: bool) -> None:
    """Raise where a burst could not work for so long that whoever waits for its end had better know.

    Args:
        idle: it has nothing in hand, and no transaction to watch: then also where it may take nothing.

    Raises:
        RpcUnreachable, RedisUnreachable: that was away.
        NotPermitted: the key has no role.
        AutometaError: something else kept it from taking jobs, such as no gas money.
    """
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
    for code, text in house.troubles.items() if idle else ():
        lasted = house.lasted(code)
        if code in _NOT_FOR_A_PERSON or lasted <= HEADLESS_SECONDS:
            continue
        said = f"--burst gives up, it could take no job for {duration(lasted)}: {text}"
        if code in ("no_role", "job:no_role"):
            raise NotPermitted(
                said, "autometa role grant, by the admin; then run it again: the jobs are where they were"
            )
        kind = RpcUnreachable if code == "sending" else AutometaError
        raise kind(
            said, "docs/operations.md says what mends it; then run it again: the jobs are where they were"
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
