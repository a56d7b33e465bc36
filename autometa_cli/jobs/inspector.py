"""Everything there is to see of a queue, with commands that change nothing (I8)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from autometa_cli.jobs.deadletters import ANY, Wanted
from autometa_cli.jobs.faults import readable
from autometa_cli.jobs.job import BadJob, Job, open_envelope, parse_job
from autometa_cli.jobs.occurrence import label, occurrence_named
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.jobs.record import Record

#: Names that are read at a time.
_PAGE = 1000
#: The end of the year 9999, milliseconds: what anybody may have written into an index must still be a date.
_LATEST_MS = 253_402_300_799_000


@dataclass(frozen=True, slots=True)
class Counts:
    """How many jobs stand where.

    Attributes:
        inflight: in the lists of all workers, those included that are gone and not yet reaped.
        open: records that hold a nonce, bound or signed.
        workers: that are alive.
        paused: the operator's reason, or "".
        oldest: seconds since the oldest pending record came on the list, by Redis's clock; None where there is none.
            A job that was pushed by hand has no record before it is claimed.
    """

    pending: int
    inflight: int
    delayed: int
    dead: int
    open: int
    workers: int
    paused: str
    oldest: float | None


@dataclass(frozen=True, slots=True)
class Held:
    """One element of a worker's in-flight list.

    Attributes:
        gone: the worker left or was buried; a reaper will hand the element on.
        element: as it stands there, an envelope or raw.
        record: of an envelope.
    """

    worker: str
    gone: bool
    element: bytes
    record: Record | None


def claimed_label(job: Job) -> str:
    """The name that a payload would have in the lists, were it what it says: `7@1700000000`, `7!a1b2c3`."""
    return f"{job.workflow}@{job.next_run}" if job.next_run else f"{job.workflow}!{job.id or 'now'}"


def _fits(held: Held, wanted: Wanted) -> bool:
    if held.record is not None:
        return wanted.fits(held.record)
    if wanted == ANY:
        return True
    try:
        return not wanted.reason and parse_job(held.element).workflow == wanted.workflow
    except BadJob:
        return False


class Inspector:
    """Read-only view of a queue, for commands, metrics and live views."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue

    async def counts(self) -> Counts:
        """All counts, in a few round trips."""
        queue, keys = self._queue, self._queue.keys
        members = await queue.workers.members()
        pipe = queue.redis.pipeline(transaction=False)
        pipe.llen(keys.pending)
        pipe.zcard(keys.delayed)
        pipe.zcard(keys.dead)
        pipe.zcard(keys.open)
        pipe.zrange(keys.queued, 0, 0, withscores=True)
        pipe.time()
        for member in members:
            pipe.llen(keys.inflight(member.id))
        pending, delayed, dead, open_, oldest, (seconds, micros), *inflight = await pipe.execute()
        now = seconds * 1000 + micros // 1000
        return Counts(
            pending=pending,
            inflight=sum(inflight),
            delayed=delayed,
            dead=dead,
            open=open_,
            workers=sum(not member.buried for member in members),
            paused=await queue.paused(),
            # One that `queue clear` moved aside is dated to when that lapses.
            oldest=(now - oldest[0][1]) / 1000 if oldest and pending and oldest[0][1] <= now else None,
        )

    async def inflight(self, count: int | None = None, offset: int = 0, wanted: Wanted = ANY) -> list[Held]:
        """What workers hold, worker by worker, as each took it. What is not claimed yet is wanted
        only where everything is, or where it is a job of that workflow."""
        queue = self._queue
        found: list[Held] = []
        for member in await queue.workers.members():
            inflight, at = queue.keys.inflight(member.id), 0
            while elements := await queue.redis.lrange(inflight, at, at + _PAGE - 1):
                at += len(elements)
                opened = [open_envelope(element) for element in elements]
                keys = [parts[1] for parts in opened if parts]
                records = iter(await queue.records(keys))
                for element, parts in zip(elements, opened, strict=True):
                    held = Held(member.id, member.buried, element, next(records) if parts else None)
                    if not _fits(held, wanted):
                        continue
                    if offset > 0:
                        offset -= 1
                        continue
                    if count is not None and len(found) >= count:
                        return found
                    found.append(held)
        return found

    async def delayed(
        self, count: int = 100, offset: int = 0, wanted: Wanted = ANY
    ) -> list[tuple[Record, int]]:
        """(record, due in ms of Redis's clock), the next due first; `offset` of those that are wanted left out."""
        return await self._page(self._queue.keys.delayed, count, offset, wanted, desc=False)

    async def dead(self, count: int = 100, offset: int = 0, wanted: Wanted = ANY) -> list[Record]:
        """Dead letters, the latest first."""
        rows = await self._page(self._queue.keys.dead, count, offset, wanted, desc=True)
        return [record for record, _ in rows]

    async def _page(
        self, key: str, count: int, offset: int, wanted: Wanted, *, desc: bool
    ) -> list[tuple[Record, int]]:
        """(record, score) of an index, read a page at a time until there are enough."""
        found: list[tuple[Record, int]] = []
        at = 0
        if wanted == ANY:  # every record fits: those before need not be read
            at, offset = offset, 0
        while len(found) < count:
            most = min(_PAGE, count - len(found)) if wanted == ANY else _PAGE
            rows = await self._queue.redis.zrange(key, at, at + most - 1, desc=desc, withscores=True)
            if not rows:
                break
            at += len(rows)
            records = await self._queue.records([name.decode("utf-8", "replace") for name, _ in rows])
            for record, (_, score) in zip(records, rows, strict=True):
                if record is None or not wanted.fits(record):
                    continue
                if offset > 0:
                    offset -= 1
                elif len(found) < count:
                    found.append((record, int(min(max(score, 0), _LATEST_MS))))
        return found

    async def states(self) -> dict[str, int]:
        """How many records are in each state that is not final, and how many elements were taken but not claimed."""
        queue, keys = self._queue, self._queue.keys
        states = dict.fromkeys(
            ("taken", "queued", "delayed", "claimed", "bound", "signed", "cancelling", "dead"), 0
        )
        held: set[str] = {
            name.decode("utf-8", "replace") for name in await queue.redis.zrange(keys.open, 0, -1)
        }
        for member in await queue.workers.members():
            for element in await queue.held(member.id):
                opened = open_envelope(element)
                if opened:
                    held.add(opened[1])
                else:
                    states["taken"] += 1
        for key in ("queued", "delayed", "dead"):
            states[key] = int(await queue.redis.zcard(getattr(keys, key)))
        names = sorted(held)
        for start in range(0, len(names), _PAGE):
            pipe = queue.redis.pipeline(transaction=False)
            for name in names[start : start + _PAGE]:
                pipe.hget(keys.occurrence(name), "st")
            for state in readable(await pipe.execute(raise_on_error=False)):
                if state in (b"claimed", b"bound", b"signed", b"cancelling"):
                    states[state.decode()] += 1
        return states

    async def recoveries(self) -> int:
        """How often Redis lost writes, and the workers recovered."""
        count = await self._queue.redis.hget(self._queue.keys.epoch, "recovered")
        return int(count) if count and count.isdigit() else 0

    async def halted(self) -> int:
        """Workflows whose latest occurrence is a dead letter: they do not run until somebody decides."""
        queue, keys = self._queue, self._queue.keys
        halted: set[str] = set()
        at = 0
        while names := await queue.redis.zrange(keys.dead, at, at + _PAGE - 1):
            at += len(names)
            due = [o for name in names if (o := occurrence_named(name.decode("utf-8", "replace")))]
            pipe = queue.redis.pipeline(transaction=False)
            for occurrence in due:
                pipe.hmget(keys.workflow_of(occurrence.key), "last", "gen")
                pipe.exists(keys.occurrence(occurrence.at_generation(occurrence.generation + 1).key))
            answers = await pipe.execute() if due else []
            for number, occurrence in enumerate(due):
                mark, reopened = answers[2 * number], answers[2 * number + 1]
                here = [str(occurrence.next_run).encode(), str(occurrence.generation).encode()]
                if mark == here and not reopened:
                    halted.add(keys.workflow_of(occurrence.key))
        return len(halted)

    async def history(
        self,
        count: int = 100,
        offset: int = 0,
        *,
        wanted: Wanted = ANY,
        since: int = 0,
    ) -> list[tuple[int, dict[str, str]]]:
        """(ms of Redis's clock, fields) of what was closed, retried or dropped, the latest first.

        Args:
            offset: so many of those that are chosen are left out first.
            wanted: its reason is the outcome, or a part of the words.
            since: seconds since 1970.
        """
        found: list[tuple[int, dict[str, str]]] = []
        last = "+"
        while len(found) < count:
            rows = await self._queue.redis.xrevrange(
                self._queue.keys.history, max=last, min=since * 1000, count=_PAGE
            )
            for id, fields in rows:
                entry = {
                    name.decode("utf-8", "replace"): value.decode("utf-8", "replace")
                    for name, value in fields.items()
                }
                if wanted.workflow is not None and entry.get("workflow") != str(wanted.workflow):
                    continue
                if not wanted.tells(entry.get("outcome", ""), entry.get("text", "")):
                    continue
                if offset > 0:
                    offset -= 1
                elif len(found) < count:
                    found.append((int(id.split(b"-")[0]), entry))
            if len(rows) < _PAGE:
                break
            last = "(" + rows[-1][0].decode()
        return found

    async def dead_letter(self, name: str) -> Record | None:
        """The dead letter with this record key, label (`7@1700000000`) or id, be it only claimed; the latest where
        several have it."""
        keys = self._queue.keys
        if await self._queue.redis.zscore(keys.dead, name) is not None:
            return await self._queue.record(name)
        offset = 0
        while names := await self._queue.redis.zrange(keys.dead, offset, offset + _PAGE - 1, desc=True):
            for key in (found.decode("utf-8", "replace") for found in names):
                if name == label(key) or name == key.rpartition(":")[2]:
                    return await self._queue.record(key)
                if key.startswith("raw:"):
                    record = await self._queue.record(key)
                    if record and record.claim and name in (record.claim.id, claimed_label(record.claim)):
                        return record
            offset += _PAGE
        return None

    async def open(self) -> list[Record]:
        """Records that hold a nonce, the oldest first."""
        names = await self._queue.redis.zrange(self._queue.keys.open, 0, -1)
        return [r for name in names if (r := await self._queue.record(name.decode("utf-8", "replace")))]

    async def records(self) -> AsyncIterator[Record]:
        """Every record, in no order, a page of keys at a time."""
        prefix = self._queue.keys.occurrence("")
        async for name in self._queue.redis.scan_iter(match=prefix.replace("[", "\\[") + "*", count=500):
            record = await self._queue.record(name.decode("utf-8", "replace")[len(prefix) :])
            if record:
                yield record
