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
import os
import platform
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import redis.exceptions as rex

from autometa_cli import __version__
from autometa_cli.chain.faults import RpcFault
from autometa_cli.errors import AutometaError, ConfigError, RpcUnreachable
from autometa_cli.executor.executor import EVMExecutor
from autometa_cli.executor.requests import obey
from autometa_cli.jobs.connection import RunChanged
from autometa_cli.jobs.epoch import LedgerInDoubt
from autometa_cli.jobs.job import open_envelope
from autometa_cli.jobs.workers import BEAT_SECONDS, DEAD_AFTER_SECONDS, new_worker_id
from autometa_cli.working.house import House
from autometa_cli.working.intake import Intake

if TYPE_CHECKING:
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.config import Settings
    from autometa_cli.executor.check import Triggers
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.secrets import Signer

_log = logging.getLogger(__name__)

#: How long a restart of Redis may stay unexplained before the workers assume that writes are lost, seconds.
RECOVER_AFTER_SECONDS = 15.0
#: `--burst` waits for what is delayed by no more than this, milliseconds.
BURST_PATIENCE_MS = 10_000
_TEND_SECONDS = 1.0
_AUDIT_SECONDS = 10.0


class Buried(AutometaError):
    """What this worker holds is not its own any more: a reaper gave up on it, or Redis forgot."""


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
        self._wake = asyncio.Event()
        self._handling: set[asyncio.Task[None]] = set()
        self._taking = False
        self._audit_due = 0.0
        self._doubted_since = 0.0
        self.house = House(settings)
        self.id = new_worker_id()
        #: How many records this worker saw closed, by verdict.
        self.closed: Counter[str] = Counter()

    def stop(self) -> None:
        """Take nothing new, finish what is on its way, then leave. `start` returns when that is done."""
        if not self._stopping.is_set():
            _log.info("stopping: taking no more jobs, waiting for %d on their way", self._busy())
        self._stopping.set()
        self._wake.set()

    async def start(self, *, burst: bool = False) -> None:
        """Run until `stop`, or with `burst` until nothing is left to do.

        Raises:
            ConfigError: the contracts are not what the configuration says, or the key cannot be used.
        """
        try:
            await self._retrying(self._prepare)
            while not await self._live(burst):
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

    async def _live(self, burst: bool) -> bool:
        """One life under one id: True when it ended as wanted, False when the worker was buried."""
        self._intake = Intake(self._queue, self._executor, self.house, self.id)
        await self._retrying(self._register)
        _log.info(
            "worker %s ready: %s on %s, %d at a time",
            self.id, self._executor.address, self._settings.network.title, self._concurrency,
        )  # fmt: skip
        loops = [
            asyncio.create_task(loop)
            for loop in (self._claim(), self._follow(), self._beat(), self._tend(), self._watch_end(burst))
        ]
        try:
            finished, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                task.result()
            await self._leave()
            return True
        except Buried as error:
            _log.error("%s", error.message)
            self._executor.tracker.clear()
            return False
        finally:
            await _end({*loops, *self._handling})

    # -- loops ----------------------------------------------------------------------------------------

    async def _claim(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._audit()
                room = self._concurrency - self._busy()
                if room <= 0 or not self.house.in_order:
                    await self._nap(0.5)
                    continue
                self._taking = True
                try:
                    raws = await self._queue.take(self.id, room)
                finally:
                    self._taking = False
            except Exception as error:
                # The elements may have moved all the same: look into our own list before taking again.
                self._audit_due = 0.0
                self._survive(error)
                await self._nap(1.0)
                continue
            late = self._stopping.is_set() or not self.house.in_order
            for raw in reversed(raws) if late else raws:  # given back one by one to the head of the queue
                self._handle(self._queue.retreat(self.id, raw) if late else self._intake.take(raw))
        await asyncio.Event().wait()

    async def _audit(self) -> None:
        """What is in our in-flight list without anybody working on it? (A lost reply, an error half-way.)"""
        loop = asyncio.get_running_loop()
        if loop.time() < self._audit_due:
            return
        self._audit_due = loop.time() + _AUDIT_SECONDS
        if not self.house.in_order:
            self._audit_due = 0.0
            return
        raws = Counter(self._intake.raws)
        for element in await self._queue.held(self.id):
            opened = open_envelope(element)
            if opened is None:
                raws[element] -= 1
                if raws[element] < 0:
                    self._handle(self._intake.take(element))
            elif opened[1] not in self._intake.keys and opened[1] not in self._executor.tracker:
                self._handle(self._intake.resume(element))

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
                    now != last or loop.time() - ticked > min(5.0, tracker.rebroadcast_after)
                ):
                    await tracker.tick(head)
                    last, ticked = now, loop.time()
                if len(tracker):
                    await obey(self._queue, self._executor.ledger, tracker, head)
            except Exception as error:
                self._survive(error)
            await asyncio.sleep(heads.patience)

    async def _beat(self) -> None:
        while True:
            try:
                answer = await self._queue.workers.beat(self.id, self._state())
                if answer.word == "gone":
                    raise Buried(
                        f"worker {self.id} was buried by another worker: it had been silent for too long"
                    )
                if answer.word == "recovery":
                    await self._rejoin()
                else:
                    self.house.paused = answer.rest[1]
                    self.house.redis_answers()
            except Buried:
                raise
            except RunChanged:
                self.house.redis_failed(RunChanged("Redis restarted"))
                await self._rejoin()
            except Exception as error:
                self._survive(error)
            await asyncio.sleep(BEAT_SECONDS)

    async def _rejoin(self) -> None:
        try:
            await self._queue.rejoin(self.id)
            self._doubted_since = 0.0
            self.house.settle("ledger")
            self._audit_due = 0.0
        except LedgerInDoubt as error:
            self._doubt(error)
        except (rex.RedisError, AutometaError) as error:
            self.house.report("ledger", str(error))

    def _doubt(self, error: LedgerInDoubt) -> None:
        """Say so; raise Buried once it is certain or likely that writes are lost: fences rolled back with them."""
        now = asyncio.get_running_loop().time()
        self._doubted_since = self._doubted_since or now
        self.house.report("ledger", error.message)
        if error.lost or now - self._doubted_since > RECOVER_AFTER_SECONDS:
            raise Buried("Redis lost writes, or nobody can prove that it did not: all claims are void")

    async def _tend(self) -> None:
        tracker = self._executor.tracker
        while True:
            try:
                await self._queue.promote()
                await self._queue.workers.reap(self.id, self._dead_after)
                members = await self._queue.workers.members()
                living = [m.id for m in members if not m.buried]
                await tracker.discover(self.id, living, self._intake.keys)
                await tracker.fill_gap(self.id, await self._executor.heads.current())
            except Exception as error:
                self._survive(error)
            await asyncio.sleep(_TEND_SECONDS)

    async def _watch_end(self, burst: bool) -> None:
        """Returns when the worker may leave: nothing in hand, and no claim on its way."""
        others: dict[str, float] = {}
        while True:
            if self._stopping.is_set() and not self._busy() and not self._taking:
                return
            if burst and not self._stopping.is_set() and not self._busy() and await self._drained(others):
                self.stop()
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
        await self._queue.join()
        answer = await self._queue.workers.register(
            self.id,
            {
                "version": __version__,
                "host": platform.node(),
                "pid": str(os.getpid()),
                "address": self._executor.address,
                "chain": str(self._settings.chain_id),
                "concurrency": str(self._concurrency),
            },
        )
        if answer.word != "ok":
            raise LedgerInDoubt(f"registering was answered {answer.word}")
        # Were Redis to forget this worker and what it bound in the same breath, nobody would know that it existed.
        if not await self._queue.barrier.disk():
            _log.warning("Redis cannot say when it has written to disk; see docs/operations.md, 'Redis'")

    async def _recover(self) -> None:
        """Past a loss of writes: no forgotten transaction of our key can be mined any more, then work goes on."""
        if not hasattr(self, "_executor"):
            return  # not prepared yet; the next round is
        try:
            await self._executor.recovery.run()
        except (rex.RedisError, AutometaError) as error:
            self.house.report("ledger", str(error))
        else:
            self._doubted_since = 0.0
            self.house.settle("ledger")

    async def _leave(self) -> None:
        try:
            answer = await self._queue.workers.leave(self.id)
            if answer.word == "busy":
                _log.warning("leaving %s jobs in flight; another worker takes them over", answer.rest[0])
        except rex.RedisError as error:
            _log.warning("could not say goodbye to Redis (%s); another worker will notice", error)

    async def _drained(self, others: dict[str, float]) -> bool:
        """Nothing is left for a worker in burst mode to do.

        Args:
            others: beats of other workers that hold something, by when they were first seen so (kept between calls).
                One that beats again goes on by itself; one that does not is dead, and what it holds will be ours.
        """
        keys, redis = self._queue.keys, self._queue.redis
        try:
            seconds, _ = await redis.time()
            soon = int(seconds) * 1000 + BURST_PATIENCE_MS
            pending = await redis.llen(keys.pending)
            due = await redis.zcount(keys.delayed, "-inf", soon)
            if pending or due or await redis.llen(keys.inflight(self.id)):
                return False
            for worker, beat in await redis.zrange(keys.workers, 0, -1, withscores=True):
                name = worker.decode()
                if await redis.llen(keys.inflight(name)) and others.setdefault(name, beat) == beat:
                    return False
        except rex.RedisError:
            return False
        return not self._busy()

    def _busy(self) -> int:
        return len(self._handling) + (self._executor.tracker.held() if hasattr(self, "_executor") else 0)

    def _handle(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(self._guarded(work))
        self._handling.add(task)
        task.add_done_callback(self._handled)

    def _handled(self, task: asyncio.Task[None]) -> None:
        self._handling.discard(task)
        self._wake.set()

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except rex.RedisError as error:
            self._audit_due = 0.0  # where it stands is in Redis; the audit resumes it from there
            self.house.redis_failed(error)
        except Exception:
            # One job's surprise must not stop the others. It stays in flight and is looked at again.
            self._audit_due = asyncio.get_running_loop().time() + _AUDIT_SECONDS
            _log.exception("unexpected error while handling a job; it stays in flight and is tried again")

    def _on_closed(self, key: str, state: str, verdict: str) -> None:
        if verdict:
            self.closed[verdict] += 1
        self._wake.set()

    def _state(self) -> dict[str, str]:
        if self._stopping.is_set():
            state = "stopping"
        elif self.house.paused:
            state = "paused"
        else:
            state = "working" if self.house.in_order else "waiting"
        return {
            "state": state,
            "trouble": self.house.summary(),
            "busy": str(self._busy()),
            "open": str(self._executor.tracker.held()),
        }

    async def _nap(self, seconds: float) -> None:
        """Sleep until something changes, at most so long."""
        self._wake.clear()
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            return

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
                    self._doubt(error)
                except Buried:
                    await self._recover()
            except rex.RedisError as error:
                self.house.redis_failed(error)
            except RpcUnreachable as error:
                self.house.rpc_failed(error)
            await self._nap(pause)
            pause = min(pause * 2, 10.0)
        raise _StoppedEarly


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel tasks until they are done: redis-py can swallow a cancellation that meets it while it reconnects."""
    while tasks:
        for task in tasks:
            task.cancel()
        done, tasks = await asyncio.wait(tasks, timeout=1.0)
        for task in done:
            if not task.cancelled() and (error := task.exception()) and not isinstance(error, Buried):
                _log.debug("while ending: %r", error)
