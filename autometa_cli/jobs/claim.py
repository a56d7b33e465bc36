"""From the list to a claim: taking elements, adopting them, and giving back what is none."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from autometa_cli.jobs.access import Access
from autometa_cli.jobs.connection import BLOCK_SECONDS
from autometa_cli.jobs.job import Job, envelope
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.jobs.retention import HISTORY_LENGTH
from autometa_cli.jobs.script import Answer

#: Elements that one script takes.
_MOST_TAKEN = 200


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


class Claims(Access):
    """What a worker does with the elements of the list. What a claim costs and guarantees is in docs/queue.md."""

    async def take(self, worker: str, most: int) -> list[bytes]:
        """Move up to `most` elements to the worker's own list; where none waits, the first one within a second.

        After any error read `held` before taking again: the elements may have moved.
        """
        k = self.keys
        answer = await self.scripts.call(
            "take",
            [k.epoch, k.workers, k.worker(worker), k.inflight(worker), k.pending],
            [worker, secrets.token_hex(8), min(most, _MOST_TAKEN)],
        )
        if answer.word in ("ok", "already"):
            return list(answer.exact)
        first = await self.connections.blocking.blmove(
            k.pending, k.inflight(worker), BLOCK_SECONDS, "LEFT", "RIGHT"
        )
        # Whether more waits is asked next time: this one shall not wait for that.
        return [] if first is None else [first]

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
            [worker, job.raw, now.key, id, seen.block, int(seen.final), seen.digest,
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

    async def sound(self, worker: str) -> bool:
        """Whether the keys that all jobs share, and the worker's list, are what they should be. Reads only."""
        kind = await self.scripts.command("TYPE", self.keys.inflight(worker))
        return kind.decode() in ("list", "none") and not await self.misfits()

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
