"""A worker for the time of one errand: raises or cancels a transaction whose worker is gone, with that one's key.

It is a worker to everybody else: registered, beating, under a fence, by the same scripts, and the tracker that every
worker has does the rest. It takes no jobs. Should it die on the way, another worker goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import redis.exceptions as rex

from autometa_cli import __version__
from autometa_cli.errors import AutometaError, RpcUnreachable
from autometa_cli.executor.requests import asked, obey
from autometa_cli.jobs.workers import BEAT_SECONDS, new_worker_id

if TYPE_CHECKING:
    from autometa_cli.executor.executor import EVMExecutor
    from autometa_cli.executor.head import Head
    from autometa_cli.executor.requests import Wish
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.record import Record

_log = logging.getLogger(__name__)


class Held(AutometaError):
    """A living worker holds the record: ask that one."""


class Errand:
    """One record, taken over with the right key.

    Attributes:
        said: what came of the wish, for people.
    """

    def __init__(self, queue: JobQueue, executor: EVMExecutor, record: Record) -> None:
        self._queue = queue
        self._executor = executor
        self._key = record.key
        self.id = new_worker_id()
        self.said = ""

    @classmethod
    @asynccontextmanager
    async def begun(cls, queue: JobQueue, executor: EVMExecutor, record: Record) -> AsyncIterator[Errand]:
        """Register, bury who is silent, take the record over; at the end leave it to whoever watches it then.

        Raises:
            Held: a living worker was quicker.
            AutometaError: the ledger is in doubt, or the record is not signed any more.
            redis.exceptions.RedisError
        """
        errand = cls(queue, executor, record)
        await queue.join()
        answer = await queue.workers.register(errand.id, errand._fields())
        if answer.word != "ok":
            raise AutometaError(
                f"the ledger takes no worker now ({answer.word})",
                "workers put that right; try again in a moment",
            )
        beats = asyncio.create_task(errand._beat())
        try:
            # Were Redis to forget that it was here, nobody would ask what else it forgot (`jobs.epoch`).
            await queue.barrier.disk()
            await queue.workers.reap(errand.id)
            await errand._take(record)
            yield errand
        finally:
            beats.cancel()
            await asyncio.gather(beats, return_exceptions=True)
            try:
                await queue.workers.leave(errand.id)
            except rex.RedisError as error:
                _log.warning("could not say goodbye to Redis (%s); another worker will notice", error)

    async def do(self, wish: Wish) -> None:
        """What was wished for, once, also where it had been asked of another. Raises RpcUnreachable, RedisError."""
        tracker, head = self._executor.tracker, await self._executor.heads.fresh()
        if await asked(self._queue, self._key):
            await self._obey(head)
            record = await self._queue.record(self._key)
            self.said = record.said if record else ""
            return
        self.said = await (
            tracker.cancel(self._key, head) if wish == "cancel" else tracker.bump(self._key, head)
        )
        _log.info("%s: %s: %s", self._key, wish, self.said)
        await self._executor.ledger.note(self._key, said=self.said)

    async def look(self) -> bool:
        """One round of what a worker does with it; False when it is not ours to follow any more: it is settled, or
        another took it. Raises RpcUnreachable, redis.exceptions.RedisError."""
        tracker = self._executor.tracker
        if self._key in tracker:
            head = await self._executor.heads.fresh()
            await tracker.tick(head)
            await self._obey(head)
        return self._key in tracker

    @property
    def pause(self) -> float:
        """Seconds between two rounds."""
        return self._executor.heads.patience

    @property
    def trouble(self) -> str:
        """Why it cannot go on by itself, or ""."""
        return self._executor.tracker.trouble

    async def _obey(self, head: Head) -> None:
        await obey(self._queue, self._executor.ledger, self._executor.tracker, head)

    async def _take(self, record: Record) -> None:
        hold = await self._executor.ledger.takeover(record, self.id)
        fresh = await self._queue.record(record.key)
        if hold is None:
            if fresh is not None and fresh.holder and fresh.state == record.state:
                raise Held(f"{record.label} is held by {fresh.holder}")
            raise AutometaError(f"{record.label} is {fresh.state if fresh else 'gone'} by now")
        if fresh is None or not fresh.attempts_sent:
            raise AutometaError(f"{record.label} is not signed")
        self._executor.tracker.add(fresh, hold, sent=True)

    def _fields(self) -> dict[str, str]:
        return {
            "version": __version__,
            "host": platform.node(),
            "pid": str(os.getpid()),
            "address": self._executor.address,
            "chain": str(self._executor.heads.chain_id),
            "concurrency": "0",
            "state": "errand",
        }

    async def _beat(self) -> None:
        while True:
            try:
                await self._queue.workers.beat(self.id, {"state": "errand", "open": "1"})
            except rex.RedisError as error:  # buried, it is fenced: whatever it does then is refused
                _log.warning("no beat: %s", error)
            await asyncio.sleep(BEAT_SECONDS)


async def followed(errand: Errand, until: float) -> bool:
    """Follow it to its end, at most until this time of the event loop's clock; whether it ended.

    An endpoint that is away for a moment stops nothing. Raises redis.exceptions.RedisError.
    """
    loop = asyncio.get_running_loop()
    while True:
        try:
            if not await errand.look():
                return True
        except RpcUnreachable as error:
            _log.warning("%s", error.message)
        if loop.time() >= until:
            return False
        await asyncio.sleep(min(errand.pause, max(0.05, until - loop.time())))
