"""The worker registry: who is alive by Redis's clock, and what happens to the jobs of one that is not."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from autometa_cli.jobs.connection import Client
from autometa_cli.jobs.job import BadJob, open_envelope, parse_job
from autometa_cli.jobs.keys import Keys
from autometa_cli.jobs.script import Answer, Argument, Scripts

#: Seconds between beats, and how old the last one may be before a reaper buries the worker.
BEAT_SECONDS = 2.0
DEAD_AFTER_SECONDS = 10.0
#: How long a tombstone is watched: a claim on its way when its worker was buried still lands in that worker's list.
TOMBSTONE_SECONDS = 24 * 3600


def new_worker_id() -> str:
    """Unique per boot: an id that is used twice would keep a dead worker's jobs alive."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


@dataclass(frozen=True, slots=True)
class Member:
    """A registered worker. `beat_age` is seconds by Redis's clock; `buried` when a reaper gave up on it."""

    id: str
    beat_age: float
    buried: bool
    fields: Mapping[str, str]


class Workers:
    """The registry of one queue."""

    def __init__(self, redis: Client, keys: Keys, scripts: Scripts) -> None:
        self._redis = redis
        self._keys = keys
        self._scripts = scripts

    async def register(self, worker: str, fields: Mapping[str, str]) -> Answer:
        """Before the first claim."""
        k = self._keys
        return await self._scripts.call(
            "register", [k.epoch, k.workers, k.worker(worker)], [worker, *_flat(fields)]
        )

    async def beat(self, worker: str, fields: Mapping[str, str]) -> Answer:
        """`ok` with now (ms) and the reason of a pause, or `gone`: stop, you were buried."""
        k = self._keys
        return await self._scripts.call(
            "beat", [k.epoch, k.workers, k.worker(worker), k.paused], [worker, *_flat(fields)]
        )

    async def leave(self, worker: str) -> Answer:
        """A clean goodbye; `busy` while something is in flight."""
        k = self._keys
        return await self._scripts.call(
            "leave", [k.epoch, k.workers, k.worker(worker), k.inflight(worker)], [worker]
        )

    async def members(self) -> list[Member]:
        """All workers, tombstones included, the most recent beat first. Reads only."""
        seconds, micros = await self._redis.time()
        now = int(seconds) * 1000 + int(micros) // 1000
        rows = await self._redis.zrange(self._keys.workers, 0, -1, withscores=True)
        members = []
        for name, score in rows:
            worker = name.decode()
            stored = await self._redis.hgetall(self._keys.worker(worker))
            members.append(
                Member(
                    id=worker,
                    beat_age=max(0.0, (now - abs(score)) / 1000),
                    buried=score < 0,
                    fields={k.decode(): v.decode("utf-8", "replace") for k, v in stored.items()},
                )
            )
        return sorted(members, key=lambda m: m.beat_age)

    async def reap(self, me: str, dead_after: float = DEAD_AFTER_SECONDS) -> int:
        """Hand on everything that dead workers hold; how many elements moved.

        Tombstones are swept too: a claim that was on its way at the funeral lands in a list that nobody reads.
        """
        moved = 0
        for member in await self.members():
            if member.id == me or not (member.buried or member.beat_age >= dead_after):
                continue
            inflight = self._keys.inflight(member.id)
            elements: list[bytes] = await self._redis.lrange(inflight, 0, -1)
            if not member.buried:
                await self._reap(member.id, b"", dead_after)
            # The oldest claim was pushed first; each goes to the head of the queue, so the newest goes first.
            for element in elements:
                answer = await self._reap(member.id, element, dead_after)
                if answer.word == "alive":
                    break
                moved += answer.word == "ok"
            if member.buried and not elements and member.beat_age > TOMBSTONE_SECONDS:
                await self._redis.zrem(self._keys.workers, member.id)
                await self._redis.delete(self._keys.worker(member.id))
        return moved

    async def _reap(self, dead: str, element: bytes, dead_after: float) -> Answer:
        k = self._keys
        opened = open_envelope(element)
        id, key, raw = opened or ("", "", element)
        args: list[Argument] = [dead, element, key, element_for_list(id, key, raw), int(dead_after * 1000)]
        return await self._scripts.call(
            "reap", [k.epoch, k.workers, k.inflight(dead), k.occurrence(key), k.pending, k.queued], args
        )


def element_for_list(id: str, key: str, raw: bytes) -> bytes:
    """How a record's payload goes back on the list: with its id and record key, or as it is where it is no job."""
    try:
        return parse_job(raw).for_list(id, key) if key else raw
    except BadJob:
        return raw


def _flat(fields: Mapping[str, str]) -> list[str]:
    return [part for pair in (fields or {"beat": "0"}).items() for part in pair]
