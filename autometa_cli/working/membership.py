"""A worker's place in the registry: it comes, says "still here", notices a restart of Redis, and goes."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import redis.exceptions as rex

from autometa_cli import __version__
from autometa_cli.errors import AutometaError
from autometa_cli.jobs.connection import RunChanged
from autometa_cli.jobs.epoch import LedgerInDoubt
from autometa_cli.jobs.served import OtherContracts
from autometa_cli.jobs.workers import BEAT_SECONDS

if TYPE_CHECKING:
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.working.house import House

_log = logging.getLogger(__name__)

#: How long a restart of Redis may stay unexplained before the workers assume that writes are lost, seconds.
RECOVER_AFTER_SECONDS = 15.0


class Buried(AutometaError):
    """What this worker holds is not its own any more: a reaper gave up on it, or Redis forgot."""


class Membership:
    """What one worker says of itself in Redis, and hears there.

    Args:
        rejoined: called when Redis restarted and lost nothing.
    """

    def __init__(self, queue: JobQueue, house: House, rejoined: Callable[[], None]) -> None:
        self._queue = queue
        self._house = house
        self._rejoined = rejoined
        self._doubted_since = 0.0
        self._doubted = False

    async def register(self, worker: str, facts: Mapping[str, str]) -> None:
        """Enter under an id of our own.

        Args:
            facts: what others may know; `chain`, `executor` and `address` are asked for.

        Raises LedgerInDoubt, redis.exceptions.RedisError; OtherContracts where the queue serves other contracts.
        """
        await self._queue.join(address=facts.get("address", ""))
        contracts = int(facts["chain"]), facts["executor"]
        await self._queue.serve(*contracts)
        answer = await self._queue.workers.register(
            worker, {"version": __version__, "host": platform.node(), "pid": str(os.getpid()), **facts}
        )
        if answer.word != "ok":
            raise LedgerInDoubt(f"registering was answered {answer.word}")
        # Were Redis to forget this worker and what it bound in the same breath, nobody would know that it existed.
        if not await self._queue.barrier.disk():
            _log.warning("Redis cannot say when it has written to disk; see docs/operations.md, 'Redis'")
        try:  # others may have taken it over in between; now they cannot any more
            await self._queue.serve(*contracts)
        except OtherContracts:
            await self.leave(worker)
            raise
        self.trust()

    async def beat(
        self, worker: str, state: Callable[[], dict[str, str]], failed: Callable[[Exception], None]
    ) -> None:
        """Beat until cancelled.

        Args:
            state: what to say of ourselves.
            failed: is told what else went wrong; the next beat tries again.

        Raises Buried: the worker's claims are void.
        """
        while True:
            try:
                answer = await self._queue.workers.beat(worker, state())
                if answer.word == "gone":
                    raise Buried(
                        f"worker {worker} was buried by another worker: it had been silent for too long"
                    )
                # The ledger may be trusted again by another worker's doing: then we still have to ask it ourselves.
                if answer.word == "recovery" or self._doubted:
                    await self._rejoin(worker)
                else:
                    self._house.paused = answer.rest[1]
                    if self._house.refused:
                        await self._queue.works()
                    self._house.redis_answers()
            except Buried:
                raise
            except RunChanged:
                self._house.redis_failed(RunChanged("Redis restarted"))
                await self._rejoin(worker)
            except Exception as error:
                failed(error)
            await asyncio.sleep(BEAT_SECONDS)

    async def _rejoin(self, worker: str) -> None:
        try:
            await self._queue.rejoin(worker)
            self.trust()
            self._rejoined()
        except LedgerInDoubt as error:
            self.doubt(error)
        except (rex.RedisError, AutometaError) as error:
            self._doubted = True
            self._house.report("ledger", str(error))

    def trust(self) -> None:
        """The ledger is whole, or what it forgot can do no harm any more."""
        self._doubted_since, self._doubted = 0.0, False
        self._house.settle("ledger")

    def doubt(self, error: LedgerInDoubt) -> None:
        """Say so; raise Buried once it is certain or likely that writes are lost: fences rolled back with them."""
        now = asyncio.get_running_loop().time()
        self._house.redis_speaks()
        self._doubted_since, self._doubted = self._doubted_since or now, True
        self._house.report("ledger", error.message)
        if error.lost or now - self._doubted_since > RECOVER_AFTER_SECONDS:
            raise Buried("Redis lost writes, or nobody can prove that it did not: all claims are void")

    async def leave(self, worker: str) -> None:
        """Say goodbye; whatever is still in flight is taken over by others."""
        try:
            answer = await self._queue.workers.leave(worker)
            if answer.word == "busy":
                _log.warning("leaving %s jobs in flight; another worker takes them over", answer.rest[0])
            else:
                _log.info("worker %s left", worker)
        except rex.RedisError as error:
            _log.warning("could not say goodbye to Redis (%s); another worker will notice", error)

    @staticmethod
    def stopping(busy: int) -> None:
        """Say that no more is taken, and what is waited for."""
        waits = f"waiting for {busy} on their way" if busy else "nothing is on its way"
        _log.info("stopping: taking no more jobs, %s", waits)

    @staticmethod
    def cut_off(worker: str, unsigned: int, signed: int) -> None:
        """Say what a worker leaves behind that ends without waiting: it stays registered until others miss its beat."""
        held = [f"{unsigned} jobs that it had not signed"] if unsigned else []
        held += [f"{signed} signed transactions"] if signed else []
        left = (
            f"{' and '.join(held)} are left to other workers, or to the next start"
            if held
            else "it held nothing"
        )
        _log.warning("worker %s ended at once: %s", worker, left)
