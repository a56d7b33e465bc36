"""JobWorker: takes jobs, has them executed, watches their transactions to the end, and leaves cleanly.

A handful of loops, each of which survives the absence of Redis or of the chain:

    claim     takes jobs while the house is in order and there is room
    follow    reads the head, looks after the house, and moves every open transaction on
    beat      says "still here", hears of pauses, and notices a restart of Redis
    tend      promotes what was delayed, buries dead workers, adopts the transactions that they left

docs/worker.md draws how a job passes through them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import redis.exceptions as rex

from autometa_cli.chain.faults import RpcFault
from autometa_cli.errors import AutometaError, ConfigError, RedisUnreachable, RpcUnreachable
from autometa_cli.executor.executor import EVMExecutor
from autometa_cli.executor.requests import obey
from autometa_cli.jobs.connection import RunChanged
from autometa_cli.jobs.epoch import LedgerInDoubt
from autometa_cli.jobs.workers import DEAD_AFTER_SECONDS, new_worker_id
from autometa_cli.working.burst import Burst, give_up
from autometa_cli.working.claimer import Claimer
from autometa_cli.working.house import House
from autometa_cli.working.intake import Intake
from autometa_cli.working.membership import Buried, Membership
from autometa_cli.working.tasks import ended

if TYPE_CHECKING:
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.config import Settings
    from autometa_cli.executor.decision import Triggers
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.secrets import Signer

_log = logging.getLogger(__name__)
_TEND_SECONDS = 1.0


class _StoppedEarly(Exception):
    """Asked to leave while still starting up: there is nothing to finish."""


class JobWorker:
    """One worker process.

    Args:
        concurrency: how many jobs it holds at a time, from claim to settlement.
        dead_after: seconds without a beat after which any worker is buried.

    Example:
        >>> worker = JobWorker(settings, queue, rpc, signer, triggers)
        >>> await worker.start(burst=True)
    """

    def __init__(
        self,
        settings: Settings,
        queue: JobQueue,
        rpc: Rpc,
        signer: Signer,
        triggers: Triggers,
        *,
        concurrency: int | None = None,
        dead_after: float = DEAD_AFTER_SECONDS,
    ) -> None:
        self._settings = settings
        self._queue = queue
        self._rpc = rpc
        self._signer = signer
        self._triggers = triggers
        self._concurrency = concurrency or settings.max_concurrent_executions
        self._dead_after = dead_after
        self._stopping = asyncio.Event()
        self._burst = False
        self._claimer: Claimer | None = None
        self.house = House(settings)
        self._membership = Membership(queue, self.house, self._look_soon)
        self.id = new_worker_id()
        #: Records that this worker saw closed, by verdict.
        self.closed: Counter[str] = Counter()

    def stop(self) -> None:
        """Take nothing new, finish what is on its way, then leave. `start` returns when that is done."""
        if not self._stopping.is_set():
            self._membership.stopping(self._busy())
        self._stopping.set()
        if self._claimer:
            self._claimer.wake()

    async def start(self, *, burst: bool = False) -> None:
        """Run until `stop`, or with `burst` until nothing is left to do.

        Raises:
            ConfigError: the contracts are not what the configuration says, or the key cannot be used.
            AutometaError: with `burst`, nothing could be done for half a minute, as of `give_up`.
        """
        self._burst = burst
        try:
            await self._retrying(self._prepare)
            while not await self._live():
                self.id = new_worker_id()
                _log.warning("starting again as %s", self.id)
        except _StoppedEarly:
            _log.info("stopped before it was ready")

    async def _prepare(self) -> None:
        self._executor = EVMExecutor(
            settings=self._settings,
            queue=self._queue,
            rpc=self._rpc,
            signer=self._signer,
            genesis=await self._rpc.genesis_hash(),
            triggers=self._triggers,
            closed=self._on_closed,
        )
        await self.house.check_wiring(await self._rpc.view())
        await self._rpc.check_private()

    async def _live(self) -> bool:
        """One life under one id: True when it ended as wanted, False when the worker was buried."""
        intake = Intake(self._queue, self._executor, self.house, self.id)
        self._claimer = claimer = Claimer(
            self._queue, self.house, intake, self._executor.tracker, self.id, self._stopping,
            room=lambda: self._concurrency - self._busy(), failed=self._survive,
        )  # fmt: skip
        await self._retrying(self._register)
        _log.info(
            "worker %s ready: %s on %s, %d at a time",
            self.id, self._executor.address, self._settings.network.title, self._concurrency,
        )  # fmt: skip
        loops = [
            asyncio.create_task(loop)
            for loop in (
                claimer.run(),
                self._follow(),
                self._membership.beat(self.id, self._state, self._survive),
                self._tend(intake),
                self._watch_end(claimer, Burst(self._queue, self.id)),
            )
        ]
        try:
            finished, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                task.result()
            await self._membership.leave(self.id)
            return True
        except Buried as error:
            _log.error("%s", error.message)
            self._executor.tracker.clear()
            return False
        except AutometaError as error:
            if not isinstance(error, RedisUnreachable):
                await self._membership.leave(self.id)
            raise
        except asyncio.CancelledError:
            self._membership.cut_off(self.id, intake.unsigned, self._executor.tracker.held())
            raise
        finally:
            await ended({*loops, *claimer.handling})

    # -- loops ----------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        loop, heads, tracker = asyncio.get_running_loop(), self._executor.heads, self._executor.tracker
        last, ticked = (-1, -1), 0.0
        while True:
            try:
                head = await heads.fresh()
                self.house.look(head, tracker)
                self.house.sending(self._rpc.send_trouble())
                now = (head.number, head.final_number)
                if len(tracker) and (
                    now != last or loop.time() - ticked > min(5.0, tracker.pusher.rebroadcast_after)
                ):
                    await tracker.tick(head)
                    last, ticked = now, loop.time()
                if len(tracker):
                    await obey(self._queue, self._executor.ledger, tracker, head)
            except Exception as error:
                self._survive(error)
            await asyncio.sleep(heads.patience)

    async def _tend(self, intake: Intake) -> None:
        tracker = self._executor.tracker
        while True:
            try:
                await self._queue.promote()
                await self._queue.workers.reap(self.id, self._dead_after)
                members = await self._queue.workers.members()
                living = [m.id for m in members if not m.buried]
                await tracker.discover(self.id, living, intake.keys)
                await tracker.fill_gap(self.id, await self._executor.heads.current())
            except Exception as error:
                self._survive(await self._queue.named(error))
            await asyncio.sleep(_TEND_SECONDS)

    async def _watch_end(self, claimer: Claimer, burst: Burst) -> None:
        """Returns when the worker may leave: nothing in hand, and no claim on its way."""
        while True:
            if self._stopping.is_set() and not self._busy() and not claimer.taking:
                return
            idle = not self._busy() and not self._stopping.is_set()
            if self._burst and idle and await burst.drained() and not self._busy():
                self.stop()
            if self._burst:
                give_up(self.house, idle=not self._busy() and not len(self._executor.tracker))
            await asyncio.sleep(0.2)

    def _survive(self, error: Exception) -> None:
        """A round of a loop failed; the next one tries again. Whatever it was, it is told."""
        match error:
            case ConfigError():
                raise error
            case RpcUnreachable() | RpcFault():
                self.house.rpc_failed(error)
            case rex.RedisError():
                self.house.redis_failed(error)
            case _:
                _log.error("unexpected error; trying again", exc_info=error)
                self.house.job_met("defect", f"an unexpected error: {type(error).__name__}; see the log")

    # -- parts ----------------------------------------------------------------------------------------

    async def _register(self) -> None:
        facts = {
            "address": self._executor.address,
            "chain": str(self._settings.chain_id),
            "executor": self._settings.actionexecutor_address or "",
            "concurrency": str(self._concurrency),
        }
        await self._membership.register(self.id, facts)

    async def _recover(self) -> None:
        """Past a loss of writes: no forgotten transaction of our key can be mined any more, then work goes on."""
        if not hasattr(self, "_executor"):
            return  # not prepared yet; the next round is
        try:
            await self._executor.recovery.run()
        except (rex.RedisError, AutometaError) as error:
            self.house.report("ledger", str(error))
        else:
            self._membership.trust()

    def _busy(self) -> int:
        if self._claimer is None:
            return 0
        return len(self._claimer.handling) + self._executor.tracker.held()

    def _look_soon(self) -> None:
        if self._claimer:
            self._claimer.audit_soon()

    def _on_closed(self, key: str, state: str, verdict: str) -> None:
        if verdict:
            self.closed[verdict] += 1
        if self._claimer:
            self._claimer.wake()

    def _state(self) -> dict[str, str]:
        return {
            "state": "stopping" if self._stopping.is_set() else self.house.state,
            "trouble": self.house.summary(),
            "busy": str(self._busy()),
            "open": str(self._executor.tracker.held()),
        }

    async def _retrying(self, step: Callable[[], Awaitable[None]]) -> None:
        """Do a step of starting up until Redis and the chain let us; says why it waits."""
        pause = 0.5
        while not self._stopping.is_set():
            try:
                await step()
                return
            except ConfigError:
                raise
            except RunChanged:
                await self._queue.reconnect()
            except LedgerInDoubt as error:
                try:
                    self._membership.doubt(error)
                except Buried:
                    await self._recover()
            except rex.RedisError as error:
                self.house.redis_failed(await self._queue.named(error))
            except RpcUnreachable as error:
                self.house.rpc_failed(error)
            if self._burst:
                give_up(self.house, idle=False)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(pause * 2, 10.0)
        raise _StoppedEarly
