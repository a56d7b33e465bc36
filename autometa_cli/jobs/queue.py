"""The queue: pushing, claiming, giving back. What a claim costs and guarantees is in docs/queue.md."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from autometa_cli.jobs import epoch, server
from autometa_cli.jobs.barrier import Barrier
from autometa_cli.jobs.connection import BLOCK_SECONDS, Connections
from autometa_cli.jobs.job import BadJob, Job, envelope, parse_job, with_fields
from autometa_cli.jobs.keys import Keys
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.jobs.pause import Pause, read_pause
from autometa_cli.jobs.record import Record, read_record
from autometa_cli.jobs.retention import HISTORY_LENGTH
from autometa_cli.jobs.script import Answer, Scripts
from autometa_cli.jobs.transfers import Transfers
from autometa_cli.jobs.workers import Workers, element_for_list

if TYPE_CHECKING:
    from autometa_cli.config import Settings

#: How long `queue clear` can be undone, seconds.
CLEARED_KEPT_SECONDS = 24 * 3600
#: A record that says queued for this long and is in no list is pushed again, milliseconds.
LOST_AFTER_MS = 10 * 60 * 1000
#: Elements of a list that are read at a time.
_PAGE = 1000
#: The record key in a raw element, as `Job.for_list` writes it. One that is overlooked is only pushed twice.
_OCCURRENCE_FIELD = re.compile(rb'"occurrence"\s*:\s*"([^"\\]{1,300})"')


@dataclass(frozen=True, slots=True)
class Sighting:
    """What a caller saw of a workflow, and how much it may be trusted.

    Attributes:
        block: the one block that it was read at.
        final: whether that block is finalized.
        digest: of everything that an owner may change (`executor.check.digest`).
    """

    block: int
    final: bool
    digest: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that this worker holds, under a fence that every later script checks."""

    job: Job
    occurrence: Occurrence
    id: str
    worker: str
    fence: str
    bound: bool

    @property
    def key(self) -> str:
        """The record's key."""
        return self.occurrence.key

    @property
    def envelope(self) -> bytes:
        """Its element in the worker's in-flight list."""
        return envelope(self.id, self.key, self.job.raw)

    @property
    def element(self) -> bytes:
        """How it goes back on the list."""
        return self.job.for_list(self.id, self.key)


class JobQueue:
    """One queue in one Redis.

    Args:
        url: see `jobs.address`.
        name: of the pending list.
        min_replicas: that must have a signed transaction before it is sent (`barrier`).
        lossy_allowed: work even on a server that throws keys away.

    Example:
        >>> async with JobQueue("redis://localhost:6379/0") as queue:
        ...     await queue.length()
    """

    def __init__(
        self, url: str, name: str = "workflow_jobs", *, min_replicas: int = 0, lossy_allowed: bool = False
    ) -> None:
        self.connections = Connections(url, name)
        self.redis = self.connections.commands
        self.keys = Keys(name)
        self.barrier = Barrier(self.redis, self.keys, min_replicas)
        self._lossy_allowed = lossy_allowed
        self._examined = ""
        self.scripts = Scripts(self.redis)
        self.workers = Workers(self.redis, self.keys, self.scripts)
        self.transfers = Transfers(self.keys, self.scripts)

    @classmethod
    def of(cls, settings: Settings) -> JobQueue:
        """The queue that the configuration names."""
        return cls(
            settings.redis_url,
            settings.queue_name,
            min_replicas=settings.redis_min_replicas,
            lossy_allowed=settings.allow_lossy_redis,
        )

    async def __aenter__(self) -> JobQueue:
        await self.connections.connect()
        self.scripts.run = self.connections.run
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connections.close()

    async def join(self, worker: str = "", *, address: str = "") -> None:
        """Check that the ledger belongs to this Redis process (see `jobs.epoch`), and that it is fit for one.

        Args:
            worker: the caller's id, where it is registered and goes on.
            address: of the key that the caller sends with, where it does.

        Raises:
            ConfigError: it is not (`jobs.server`).
            LedgerInDoubt: writes may be lost.
        """
        if self._examined != self.connections.run:
            findings = await server.examine(
                self.redis, min_replicas=self.barrier.needed, failover=self.connections.failover
            )
            server.judge(findings, lossy_allowed=self._lossy_allowed)
            self._examined = self.connections.run
        await epoch.join(self.redis, self.keys, self.scripts, worker, address)

    async def rejoin(self, worker: str) -> None:
        """After RunChanged: meet the new process, and prove that nothing is missing."""
        await self.reconnect()
        await self.join(worker)

    async def reconnect(self) -> None:
        """Meet whatever Redis process answers now."""
        await self.connections.reconnect()
        self.scripts.run = self.connections.run

    async def clock(self) -> int:
        """Redis's time, seconds since 1970."""
        seconds, _ = await self.redis.time()
        return int(seconds)

    # -- the list -------------------------------------------------------------------------------------

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
        await self._mark_queued(aside, count, int(stamp) + CLEARED_KEPT_SECONDS * 1000)
        return stamp, count

    async def restore(self) -> int:
        """Undo the latest clear: its jobs are at the head again; how many. 0 when there is nothing to restore."""
        k = self.keys
        stamps = await self.redis.zrange(k.cleared, 0, 0, desc=True)
        if not stamps:
            return 0
        stamp = stamps[0].decode()
        seconds, _ = await self.redis.time()
        aside, moved = k.cleared_list(stamp), 0
        await self._mark_queued(aside, int(await self.redis.llen(aside)), int(seconds) * 1000)
        while True:
            answer = await self.scripts.call("restore", [k.epoch, k.pending, aside, k.cleared], [stamp])
            moved += int(answer.rest[0])
            if answer.rest[1] == "0":
                return moved

    async def _mark_queued(self, aside: str, count: int, since_ms: int) -> None:
        """Say of each record in a list since when it is queued, so that the sweep leaves it alone until then."""
        for start in range(0, count, 1000):
            marks: dict[str, float] = {}
            for raw in await self.redis.lrange(aside, start, start + 999):
                try:
                    key = parse_job(raw).occurrence
                except BadJob:
                    continue  # no job, so it has no record either
                if key:
                    marks[key] = since_ms
            if marks:
                await self.redis.zadd(self.keys.queued, marks, xx=True)

    # -- pause ----------------------------------------------------------------------------------------

    async def pause(self, reason: str, by: str, seconds: int | None = None) -> Pause:
        """Let nobody claim, for so long or until `resume`. Workers hear of it with their next beat."""
        pause = Pause(reason, by, await self.clock(), None)
        await self.redis.set(self.keys.paused, pause.stored(), ex=seconds)
        return pause if seconds is None else replace(pause, until=pause.since + seconds)

    async def resume(self) -> Pause | None:
        """End a pause; what it was, None where there was none."""
        pause = await self.pausing()
        return pause if await self.redis.delete(self.keys.paused) else None

    async def pausing(self) -> Pause | None:
        """The pause that is on."""
        value = await self.redis.get(self.keys.paused)
        if value is None:
            return None
        left = await self.redis.pttl(self.keys.paused)
        return read_pause(value, await self.clock() + -(-left // 1000) if left > 0 else None)

    async def paused(self) -> str:
        """Why nobody claims, or ""."""
        pause = await self.pausing()
        return pause.text if pause else ""

    # -- once-only enqueue ----------------------------------------------------------------------------

    async def enqueue(
        self,
        occurrence: Occurrence,
        raw: bytes,
        seen: Sighting,
        leader: str = "",
        event: tuple[str, str] | None = None,
    ) -> Answer:
        """Put one occurrence on the list unless it was ever opened.

        A generation that is closed leads to the next one, where a finalized block shows the same nextRun again.

        Args:
            leader: token of the lease under which the caller acts (`scheduling.lease`); "" for none.
            event: the transfer that it is run for, as it waits in Redis, and its name; taken with it.

        Returns:
            `ok` (queued now, with the record's key), `already` (it is open), `stale` (seen at a block before one that
            closed it),
            `unfinal` (it was closed; only a finalized sighting may open it again), `dead` (it is in the
            dead-letter list and nothing changed since), `gap`, `deposed` (another holds the lease), `spent` (the event
            is not there any more, or newer), or `recovery`.
        """
        k, first = self.keys, occurrence
        watermark = k.workflow(first.chain, first.executor, first.workflow)
        generation = 0
        while True:
            now = first.at_generation(generation)
            before = first.at_generation(max(0, generation - 1))
            element = with_fields(raw, occurrence=now.key)
            answer = await self.scripts.call(
                "enqueue",
                [k.epoch, k.pending, k.occurrence(now.key), k.occurrence(before.key), watermark, k.queued,
                 k.leader, k.events(now.chain, now.executor)],
                [now.key, element, seen.block, int(seen.final), now.chain, now.executor, now.workflow,
                 str(now.next_run), generation, seen.digest, leader, *(event or ("", ""))],
            )  # fmt: skip
            following = answer.rest[1] if answer.word == "already" else ""
            if not following:
                return answer
            generation = int(following)

    # -- claiming -------------------------------------------------------------------------------------

    async def take(self, worker: str, most: int) -> list[bytes]:
        """Move up to `most` elements to the worker's own list, waiting up to a second for the first.

        After any error read `held` before taking again: the elements may have moved.
        """
        inflight = self.keys.inflight(worker)
        first = await self.connections.blocking.blmove(
            self.keys.pending, inflight, BLOCK_SECONDS, "LEFT", "RIGHT"
        )
        if first is None:
            return []
        taken: list[bytes] = [first]
        # Mostly nothing else waits; to be told so once is faster than two hundred times.
        more = min(most - 1, 199, await self.length()) if most > 1 else 0
        if more:
            pipe = self.connections.blocking.pipeline(transaction=False)
            for _ in range(more):
                pipe.lmove(self.keys.pending, inflight, "LEFT", "RIGHT")
            taken += [raw for raw in await pipe.execute() if raw is not None]
        return taken

    async def held(self, worker: str) -> list[bytes]:
        """Everything in a worker's in-flight list: envelopes, and raw elements not adopted yet."""
        return list(await self.redis.lrange(self.keys.inflight(worker), 0, -1))

    async def adopt(
        self, worker: str, job: Job, occurrence: Occurrence, id: str, seen: Sighting
    ) -> Claim | Answer:
        """Turn a taken element into a claim, or say why not (see `adopt.lua`)."""
        k, now = self.keys, occurrence
        before = now if now.now_id else now.at_generation(max(0, now.generation - 1))
        answer = await self.scripts.call(
            "adopt",
            [k.epoch, k.workers, k.inflight(worker), k.occurrence(now.key), k.occurrence(before.key),
             k.workflow(now.chain, now.executor, now.workflow), k.queued, k.pending, k.dead,
             k.history],
            [worker, job.raw, envelope(id, now.key, job.raw), now.key, id, now.kind, now.chain, now.executor,
             now.workflow, str(now.next_run), now.generation, seen.block, int(seen.final), seen.digest,
             int(job.force), secrets.token_hex(8), HISTORY_LENGTH],
        )  # fmt: skip
        if answer.word not in ("ok", "already"):
            return answer
        return Claim(job, now, id, worker, fence=answer.rest[0], bound=answer.rest[1] == "bound")

    async def generation(self, occurrence: Occurrence) -> int:
        """Which generation a payload for this due time means now: the open one, else the next that may be opened."""
        k = self.keys
        watermark = k.workflow(occurrence.chain, occurrence.executor, occurrence.workflow)
        last, gen = await self.scripts.command("HMGET", watermark, "last", "gen")
        generation = int(gen) + 1 if last is not None and last.decode() == str(occurrence.next_run) else 0
        while True:
            state = await self.scripts.command(
                "HGET", k.occurrence(occurrence.at_generation(generation).key), "st"
            )
            if state is None or state.decode() not in ("settled", "skipped", "dead"):
                return generation
            generation += 1

    async def retreat(self, worker: str, element: bytes, raw: bytes | None = None) -> None:
        """Put an element back to the head, as it was taken; `raw` where the element is an envelope without record."""
        k = self.keys
        await self.scripts.call(
            "retreat", [k.epoch, k.inflight(worker), k.pending], [element, element if raw is None else raw]
        )

    async def discard(self, worker: str, envelope: bytes) -> None:
        """Forget an envelope whose record went on without this worker."""
        await self.redis.lrem(self.keys.inflight(worker), 1, envelope)

    async def entomb(self, worker: str, raw: bytes, reason: str, text: str) -> str:
        """Bury an element that is no job, as it is; its record key."""
        k = self.keys
        key = f"raw:{secrets.token_hex(8)}"
        await self.scripts.call(
            "entomb",
            [k.epoch, k.inflight(worker), k.occurrence(key), k.dead, k.history],
            [raw, key, reason, text, HISTORY_LENGTH],
        )
        return key

    # -- what waits -----------------------------------------------------------------------------------

    async def promote(self, most: int = 500) -> int:
        """Put delayed records whose time has come on the list; how many."""
        seconds, micros = await self.redis.time()
        now = int(seconds) * 1000 + int(micros) // 1000
        k = self.keys
        keys = [name.decode() for name in await self.redis.zrangebyscore(k.delayed, "-inf", now, 0, most)]
        records = await asyncio.gather(*(self.record(key) for key in keys))
        answers = await asyncio.gather(
            *(
                self.scripts.call(
                    "promote",
                    [k.epoch, k.delayed, k.occurrence(key), k.pending, k.queued],
                    [key, element_for_list(record.id, key, record.job) if record else b""],
                )
                for key, record in zip(keys, records, strict=True)
            )
        )
        return sum(answer.word == "ok" for answer in answers)

    async def sweep(self) -> int:
        """Push again what says queued but stands in no list (somebody took or deleted the element); how many."""
        seconds, _ = await self.redis.time()
        k = self.keys
        late = await self.redis.zrangebyscore(k.queued, "-inf", int(seconds) * 1000 - LOST_AFTER_MS)
        if not late:
            return 0
        listed = await self._listed()
        missing = [name.decode() for name in late if name not in listed]
        records = await asyncio.gather(*(self.record(key) for key in missing))
        if unknown := [key for key, record in zip(missing, records, strict=True) if record is None]:
            await self.redis.zrem(k.queued, *unknown)
        answers = await asyncio.gather(
            *(
                self.scripts.call(
                    "requeue",
                    [k.epoch, k.queued, k.occurrence(record.key), k.pending],
                    [record.key, element_for_list(record.id, record.key, record.job), LOST_AFTER_MS],
                )
                for record in records
                if record is not None
            )
        )
        return sum(answer.word == "ok" for answer in answers)

    async def _listed(self) -> set[bytes]:
        """Keys of the records whose elements are pending, or were moved aside by `clear`."""
        stamps = await self.redis.zrange(self.keys.cleared, 0, -1)
        found: set[bytes] = set()
        for name in (self.keys.pending, *(self.keys.cleared_list(stamp.decode()) for stamp in stamps)):
            # From the tail: what is taken at the head meanwhile moves nothing past us.
            last = -1
            while page := await self.redis.lrange(name, last - _PAGE + 1, last):
                for element in page:
                    found.update(_OCCURRENCE_FIELD.findall(element))
                last -= _PAGE
        return found

    async def record(self, key: str) -> Record | None:
        """One ledger record."""
        return read_record(key, await self.scripts.command("HGETALL", self.keys.occurrence(key)))

    async def records(self, keys: Sequence[str]) -> list[Record | None]:
        """Several, in one round trip."""
        return list(await asyncio.gather(*(self.record(key) for key in keys)))
