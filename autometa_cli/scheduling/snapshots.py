"""The mirror, packed into Redis, so that a scheduler that starts goes on from there instead of reading everything.

One hash for each registry, written as a whole now and then under a new stamp and pointed at in the end; what is not
whole, or not of this version, is no snapshot. It is a hint only: the chain must still have one of its blocks, the
slow comparison goes over it, and what is due is read from the chain before it is queued.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import struct
import zlib
from typing import TYPE_CHECKING

from autometa_cli.scheduling.snapshot import Snapshot, pack, unpack
from autometa_cli.scheduling.trail import Step

if TYPE_CHECKING:
    from autometa_cli.chain.contracts import Workflow
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.scheduling.mirror import Mirror

_log = logging.getLogger(__name__)

_VERSION = 1
#: Workflows in one field of the hash.
_PART = 2000
#: A snapshot that nobody renews is gone after a week, seconds.
_KEPT_SECONDS = 7 * 24 * 3600


class Snapshots:
    """Keeps the mirror of one registry in Redis.

    Args:
        key: of the hash, see `Keys.mirror`.
    """

    def __init__(self, queue: JobQueue, key: str) -> None:
        self._queue = queue
        self._key = key

    async def save(self, mirror: Mirror) -> int:
        """Write what the mirror shows; how many bytes. Nothing may refresh the mirror's trail meanwhile.

        Raises:
            redis.exceptions.RedisError, OSError: not written; what was there before still is.
        """
        if mirror.block is None:
            return 0
        stamp = secrets.token_hex(4)
        workflows = list(mirror.workflows.values())
        parts = -(-len(workflows) // _PART)
        meta = {
            "version": _VERSION,
            "stamp": stamp,
            "parts": parts,
            "count": len(workflows),
            "number": mirror.block.number,
            "hash": mirror.block.hash,
            "total": mirror.total,
            "unread": sorted(mirror.faults),
            "steps": [(step.number, step.hash, sorted(step.touched)) for step in mirror.trail],
        }
        redis, size = self._queue.redis, 0
        before = await redis.hkeys(self._key)
        for index in range(parts):
            group = workflows[index * _PART : (index + 1) * _PART]
            part = await asyncio.to_thread(pack, group)
            size += len(part)
            await redis.hset(self._key, f"{stamp}:{index}", part)
        pipe = redis.pipeline(transaction=True)
        pipe.hset(self._key, "meta", zlib.compress(json.dumps(meta).encode()))
        if stale := [name for name in before if name != b"meta"]:
            pipe.hdel(self._key, *stale)
        pipe.expire(self._key, _KEPT_SECONDS)
        await pipe.execute()
        return size

    async def load(self) -> Snapshot | None:
        """The last one, or None where there is none that can be read. Raises as `save`."""
        redis = self._queue.redis
        packed = await redis.hget(self._key, "meta")
        if packed is None:
            return None
        workflows: list[Workflow] = []
        try:
            meta = json.loads(zlib.decompress(packed))
            if meta["version"] != _VERSION:
                return None
            for index in range(meta["parts"]):
                part = await redis.hget(self._key, f"{meta['stamp']}:{index}")
                workflows += await asyncio.to_thread(lambda data: list(unpack(data)), part or b"")
            if len(workflows) != meta["count"]:
                return None  # another one was just being written
            steps = [Step(int(number), str(hash), frozenset(ids)) for number, hash, ids in meta["steps"]]
            return Snapshot(
                int(meta["number"]), str(meta["hash"]), int(meta["total"]), workflows, steps, meta["unread"]
            )
        except (ValueError, KeyError, TypeError, struct.error, zlib.error) as error:
            _log.warning("the mirror kept in Redis cannot be read (%s); reading the registry", error)
            return None
