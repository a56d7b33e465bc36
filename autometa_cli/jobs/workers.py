"""The worker registry: who is alive by Redis's clock, and what happens to the jobs of one that is not."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass

import redis.exceptions as rex

from autometa_cli.jobs.connection import Client
from autometa_cli.jobs.faults import readable, wrong_type
from autometa_cli.jobs.job import BadJob, open_envelope, parse_job
from autometa_cli.jobs.keys import Keys
from autometa_cli.jobs.pause import read_pause
from autometa_cli.jobs.retention import HISTORY_LENGTH
from autometa_cli.jobs.script import Answer, Scripts
from autometa_cli.jobs.together import Argument

#: Seconds between beats, and how old the last one may be before a reaper buries the worker.
BEAT_SECONDS = 2.0
DEAD_AFTER_SECONDS = 10.0
#: How long a tombstone is watched: a claim on its way when its worker was buried still lands in that worker's list.
TOMBSTONE_SECONDS = 24 * 3600
#: The same of a worker that left in good order: its last claim was one block time away at most.
LEFT_SECONDS = 60.0
#: A job that so many workers died of while they were checking it, within so long, is buried as poison.
POISON_AFTER = 3
POISON_WITHIN_SECONDS = 72 * 3600
#: Between two suspects' last chances, which they get one at a time: an innocent one shall not die with a guilty one.
SUSPECT_APART_SECONDS = 5.0


def new_worker_id() -> str:
    """Unique per boot: an id that is used twice would keep a dead worker's jobs alive."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


@dataclass(frozen=True, slots=True)
class Member:
    """A worker. `buried` when it left, or a reaper gave up on it; `beat_age` is seconds by Redis's clock since its last
    beat, or since then."""

    id: str
    beat_age: float
    buried: bool
    fields: Mapping[str, str]

    @property
    def left(self) -> bool:
        """It said goodbye."""
        return "left" in self.fields


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
        answer = await self._scripts.call(
            "beat", [k.epoch, k.workers, k.worker(worker), k.paused], [worker, *_flat(fields)]
        )
        if answer.word != "ok" or not answer.rest[1]:
            return answer
        return answer._replace(rest=(answer.rest[0], read_pause(answer.rest[1].encode()).text))

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
        pipe = self._redis.pipeline(transaction=False)
        names = [name.decode("utf-8", "replace") for name, _ in rows]
        for name in names:
            pipe.hgetall(self._keys.worker(name))
        said = readable(await pipe.execute(raise_on_error=False))
        members = [
            Member(
                id=name,
                beat_age=max(0.0, (now - abs(score)) / 1000),
                buried=score < 0,
                fields={
                    k.decode("utf-8", "replace"): v.decode("utf-8", "replace")
                    for k, v in (stored or {}).items()
                },
            )
            for name, (_, score), stored in zip(names, rows, said, strict=True)
        ]
        return sorted(members, key=lambda m: m.beat_age)

    async def reap(self, me: str, dead_after: float = DEAD_AFTER_SECONDS) -> int:
        """Hand on everything that dead workers hold; how many elements moved.

        Tombstones are swept too: a claim that was on its way at the funeral lands in a list that nobody reads.
        """
        moved = 0
        await self._pull_back(dead_after)
        for member in await self.members():
            if member.id == me or not (member.buried or member.beat_age >= dead_after):
                continue
            inflight = self._keys.inflight(member.id)
            try:
                elements: list[bytes] = await self._redis.lrange(inflight, 0, -1)
            except rex.ResponseError as error:
                if not wrong_type(error):
                    raise
                elements = []  # whatever somebody put there, it is no job
            if not member.buried:
                await self._reap(member.id, None, dead_after)
            suspects = 0
            for element in reversed(
                elements
            ):  # each to the head of the queue: they stand there in their old order
                answer = await self._reap(member.id, element, dead_after, apart=suspects + 1)
                if answer.word == "alive":
                    break
                moved += answer.word == "ok"
                suspects += answer.rest[:1] == ("delayed",)
            watched = LEFT_SECONDS if member.left else TOMBSTONE_SECONDS
            if member.buried and not elements and member.beat_age > watched:
                await self._redis.zrem(self._keys.workers, member.id)
                await self._redis.delete(self._keys.worker(member.id))
        return moved

    async def _pull_back(self, dead_after: float) -> None:
        """Where Redis's clock went back, a beat from before counts as one of now: who lives beats in a moment, and who
        does not is buried in time."""
        seconds, _ = await self._redis.time()
        ahead = int((int(seconds) + dead_after) * 1000)
        if names := await self._redis.zrangebyscore(self._keys.workers, ahead, "+inf"):
            # Never one that beat or was buried since.
            scores = dict.fromkeys(names, int(seconds) * 1000)
            await self._redis.zadd(self._keys.workers, scores, xx=True, lt=True)

    async def _reap(self, dead: str, element: bytes | None, dead_after: float, *, apart: int = 1) -> Answer:
        """Hand on one element, or with None only bury the worker. A suspect waits for `apart` steps."""
        k = self._keys
        opened = open_envelope(element or b"")
        id, key, raw = opened or ("", "", element or b"")
        args: list[Argument] = [
            dead, element or b"", key, element_for_list(id, key, raw), int(dead_after * 1000),
            "bury" if element is None else "hand on", POISON_AFTER, POISON_WITHIN_SECONDS * 1000,
            int(apart * SUSPECT_APART_SECONDS * 1000), HISTORY_LENGTH,
        ]  # fmt: skip
        return await self._scripts.call(
            "reap",
            [k.epoch, k.workers, k.inflight(dead), k.occurrence(key), k.pending, k.queued,
             k.workflow_of(key), k.delayed, k.dead, k.history],
            args,
        )  # fmt: skip


def element_for_list(id: str, key: str, raw: bytes) -> bytes:
    """How a record's payload goes back on the list: with its id and record key, or as it is where it is no job."""
    try:
        return parse_job(raw).for_list(id, key) if key else raw
    except BadJob:
        return raw


def _flat(fields: Mapping[str, str]) -> list[str]:
    return [part for pair in (fields or {"beat": "0"}).items() for part in pair]
