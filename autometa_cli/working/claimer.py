"""Takes jobs while the house is in order and there is room, and has each worked on by itself."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import redis.exceptions as rex

from autometa_cli.jobs.job import open_envelope

if TYPE_CHECKING:
    from autometa_cli.executor.tracker import Tracker
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.working.house import House
    from autometa_cli.working.intake import Intake

_log = logging.getLogger(__name__)

_AUDIT_SECONDS = 10.0
#: Jobs between their claim and their broadcast. More of them would only wait for each other, while what was read for
#: them grows old.
_AT_WORK = 256
#: So many are taken at a time where many wait: each round of taking costs its own.
_LEAST = 32


class Claimer:
    """The claims of one worker.

    Attributes:
        taking: a claim is on its way, so elements may be ours that we do not know yet.
        handling: jobs that are worked on and not signed yet.

    Args:
        stopping: set when nothing new is to be taken.
        room: how many more jobs the worker may hold.
        failed: is told what went wrong; the next round tries again.
    """

    def __init__(
        self,
        queue: JobQueue,
        house: House,
        intake: Intake,
        tracker: Tracker,
        worker: str,
        stopping: asyncio.Event,
        *,
        room: Callable[[], int],
        failed: Callable[[Exception], None],
    ) -> None:
        self._queue = queue
        self._house = house
        self._intake = intake
        self._tracker = tracker
        self._worker = worker
        self._room = room
        self._failed = failed
        self._wake = asyncio.Event()
        self._stopping = stopping
        self._audit_due = 0.0
        self.handling: set[asyncio.Task[None]] = set()
        self.taking = False

    def wake(self) -> None:
        """Something changed: there may be room, or we are stopping."""
        self._wake.set()

    def audit_soon(self) -> None:
        """What we hold may not be what we think: look before taking again."""
        self._audit_due = 0.0

    async def run(self) -> None:
        """Claim until we are stopping; never returns."""
        while not self._stopping.is_set():
            try:
                await self._audit()
                slots = _AT_WORK - len(self.handling)
                room = min(self._room(), slots)
                if room <= 0 or slots < _LEAST or not self._house.in_order:
                    await self._nap(0.5)
                    continue
                self.taking = True
                try:
                    raws = await self._queue.take(self._worker, room)
                finally:
                    self.taking = False
            except Exception as error:
                # The elements may have moved all the same: look into our own list before taking again.
                self._audit_due = 0.0
                self._failed(await self._queue.named(error))
                await self._nap(1.0)
                continue
            late = self._stopping.is_set() or not self._house.in_order
            for raw in reversed(raws) if late else raws:  # given back one by one to the head of the queue
                self._handle(self._queue.retreat(self._worker, raw) if late else self._intake.take(raw))
        await asyncio.Event().wait()

    async def _audit(self) -> None:
        """What is in our in-flight list without anybody working on it? (A lost reply, an error half-way.)"""
        loop = asyncio.get_running_loop()
        if loop.time() < self._audit_due:
            return
        self._audit_due = loop.time() + _AUDIT_SECONDS
        if not self._house.in_order:
            self._audit_due = 0.0
            return
        raws = Counter(self._intake.raws)
        for element in await self._queue.held(self._worker):
            opened = open_envelope(element)
            if opened is None:
                raws[element] -= 1
                if raws[element] < 0:
                    self._handle(self._intake.take(element))
            elif opened[1] not in self._intake.keys and opened[1] not in self._tracker:
                self._handle(self._intake.resume(element))

    def _handle(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(self._guarded(work))
        self.handling.add(task)
        task.add_done_callback(self._handled)

    def _handled(self, task: asyncio.Task[None]) -> None:
        self.handling.discard(task)
        self._wake.set()

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except rex.RedisError as error:
            self._audit_due = 0.0  # where it stands is in Redis; the audit resumes it from there
            self._house.redis_failed(await self._queue.named(error))
        except Exception:
            # One job's surprise must not stop the others. It stays in flight and is looked at again.
            self._audit_due = asyncio.get_running_loop().time() + _AUDIT_SECONDS
            _log.exception("unexpected error while handling a job; it stays in flight and is tried again")

    async def _nap(self, seconds: float) -> None:
        """Sleep until something changes, at most so long."""
        self._wake.clear()
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            return
