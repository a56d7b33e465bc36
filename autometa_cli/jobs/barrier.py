"""Waiting until what was written is safe: on replicas, or on the disk.

`WAIT` and `WAITAOF` speak only of writes of the connection that asks (Valkey 9 and Redis 7.2 count nothing else), so
each question brings a write of its own along, in the same pipeline. Whatever was answered before it is older.
"""

from __future__ import annotations

import asyncio
from typing import Any

from autometa_cli.jobs.connection import Client
from autometa_cli.jobs.keys import Keys

#: How long replicas may take, seconds; less than a command's timeout.
_REPLICA_SECONDS = 1.0
#: `appendfsync everysec` is at most two seconds behind.
_FSYNC_SECONDS = 2.0


class Barrier:
    """Asks for one queue; who asks in the same moment shares a question.

    Args:
        needed: replicas that have to have a write before it counts (REDIS_MIN_REPLICAS); 0 asks nobody.
    """

    def __init__(self, redis: Client, keys: Keys, needed: int) -> None:
        self._redis = redis
        self._keys = keys
        self.needed = needed
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[int] | None = None

    async def replicas(self) -> int:
        """How many replicas have everything that was written before this call; waits a second for `needed` of them.

        Raises:
            redis.exceptions.RedisError: Redis is away, refuses, or is another process by now.
        """
        if not self.needed:
            return 0
        if self._next is None:
            self._next = asyncio.create_task(self._ask())
            self._next.add_done_callback(_seen)
        return await asyncio.shield(self._next)

    async def disk(self) -> bool:
        """Wait until what was written so far is on Redis's disk; False where it cannot say, after waiting two seconds.

        WAITAOF came with Redis 7.2 and Valkey. Raises redis.exceptions.RedisError.
        """
        written, answer = await self._after_write("WAITAOF", 1, 0, int(_FSYNC_SECONDS * 1000))
        if isinstance(written, Exception) or isinstance(answer, Exception):
            await asyncio.sleep(_FSYNC_SECONDS)
            return False
        return bool(answer[0])

    async def _ask(self) -> int:
        async with self._turn:
            self._next = None  # whoever comes from now on needs another answer
            written, answer = await self._after_write("WAIT", self.needed, int(_REPLICA_SECONDS * 1000))
        for reply in (written, answer):
            if isinstance(reply, Exception):
                raise reply
        return int(answer)

    async def _after_write(self, *question: Any) -> tuple[Any, Any]:
        pipe = self._redis.pipeline(transaction=False)
        pipe.hset(self._keys.epoch, "barrier", "1")
        pipe.execute_command(*question)
        written, answer = await pipe.execute(raise_on_error=False)
        return written, answer


def _seen(task: asyncio.Task[int]) -> None:
    """Nobody may be left to hear of its failure: that is no error of its own."""
    if not task.cancelled():
        task.exception()
