"""What an execution costs: one worker with one key, beside the two plain ways, on the same chain in the same run."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import redis

from autometa_cli.bench import plainways
from autometa_cli.bench.executionchain import ExecutionChain
from autometa_cli.bench.plainways import Wire
from autometa_cli.chain.contracts import Registry, Workflow
from autometa_cli.chain.rpc import Rpc
from autometa_cli.devnet import anvil_binary
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.errors import AutometaError
from autometa_cli.executor.wanted import digest
from autometa_cli.jobs.enqueue import Wanted, enqueue_many
from autometa_cli.jobs.job import job_json
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.options import BY_NAME

#: Seconds between two blocks, where they come evenly.
BLOCK_TIME = 1
#: With instant mining the worker holds so many jobs at a time: anvil stops mining for good when some thousand
#: transactions reach it at once.
_INSTANT_AT_ONCE = 250
#: What the worker may hold, and a key may have open: final is two blocks behind, so it is four seconds' work.
_WINDOW = 8192
_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Size:
    """How many jobs each measurement takes: the plain loop, single ones, and both ways with instant mining."""

    jobs: int
    plain: int = 5
    single: int = 12
    instant: int = 800
    instant_plain: int = 100


@dataclass(frozen=True, slots=True)
class Execution:
    """Executions a second, unless said otherwise. All are counted from the first push to the last one mined.

    Attributes:
        jobs: of the measurement at even blocks.
        presigned: bytes signed beforehand, sent one by one over one connection.
        presigned_sent: the same, counted to the last answer.
        worker: one worker, one key.
        worker_settled: the same, counted to the last one settled, two blocks after.
        plain: the plain loop.
        instant_jobs, instant, instant_plain: with a block for each transaction.
        claim_to_mined_p50, claim_to_mined_worst: of single jobs on an idle worker, seconds.
        block_time: seconds.
    """

    jobs: int
    presigned: float
    presigned_sent: float
    worker: float
    worker_settled: float
    plain: float
    instant_jobs: int
    instant: float
    instant_plain: float
    claim_to_mined_p50: float
    claim_to_mined_worst: float
    block_time: float

    @property
    def of_presigned(self) -> float:
        """The worker's rate as a part of that of the bytes signed beforehand."""
        return self.worker / self.presigned

    @property
    def of_plain(self) -> float:
        """How often the plain loop's rate the worker reaches, at even blocks."""
        return self.worker / self.plain

    @property
    def of_instant_plain(self) -> float:
        """The same with instant mining."""
        return self.instant / self.instant_plain

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **asdict(self),
            "of_presigned": self.of_presigned,
            "of_plain": self.of_plain,
            "of_instant_plain": self.of_instant_plain,
        }


def measure(size: Size, status: Callable[[str], object] = lambda _: None) -> Execution:
    """Measure on a chain and a Redis of its own. Raises AutometaError where they do not start."""
    with tempfile.TemporaryDirectory(prefix="autometa-bench-") as name:
        directory = Path(name)
        anvil = AnvilProcess(directory / "anvil", anvil_binary.find(), block_time=BLOCK_TIME)
        server = ValkeyProcess(directory / "valkey")
        try:
            anvil.start()
            server.start()
            status("deploying, and making workflows that are due")
            chain = ExecutionChain(anvil)
            wire = Wire(anvil.url)
            try:
                return asyncio.run(_Measurement(chain, wire, server.url, directory, status).run(size))
            finally:
                wire.close()
        finally:
            server.stop()
            anvil.stop()


class _Measurement:
    def __init__(
        self,
        chain: ExecutionChain,
        wire: Wire,
        redis_url: str,
        directory: Path,
        status: Callable[[str], object],
    ) -> None:
        self._chain = chain
        self._redis_url = redis_url
        self._directory = directory
        self._status = status
        self._wire = wire
        self._instant = False

    async def run(self, size: Size) -> Execution:
        chain, status, jobs = self._chain, self._status, size.jobs
        counts = (jobs, jobs - jobs // 2, size.single, size.plain, size.instant, size.instant_plain)
        many, again, single, plain, instant, instant_plain = map(chain.grow, counts)
        async with JobQueue(self._redis_url) as self._queue, self._rpc() as self._rpc_client:
            await self._queue.join()
            # Half of them before and half after the worker: what else the machine does changes meanwhile.
            status(f"{jobs:,} executions signed beforehand, the first half")
            sent, mined = await asyncio.to_thread(self._presigned, many[: jobs // 2])
            status("the plain loop")
            slow = await self._plain(plain)
            status(f"a worker, {jobs:,} jobs")
            async with self._worker(_WINDOW):
                worked, settled = await self._work(many)
                status("a worker, single jobs")
                spans = [await self._one(id, number) for number, id in enumerate(single)]
            status("signed beforehand, the second half")
            sent_after, mined_after = await asyncio.to_thread(self._presigned, again)
            chain.anvil.mine_at_once()
            self._instant = True
            status("instant mining: the plain loop, then a worker")
            instant_slow = await self._plain(instant_plain)
            async with self._worker(_INSTANT_AT_ONCE):
                quick, _ = await self._work(instant)
        spans.sort()
        return Execution(
            jobs=jobs,
            presigned=jobs / (mined + mined_after),
            presigned_sent=jobs / (sent + sent_after),
            worker=jobs / worked,
            worker_settled=jobs / settled,
            plain=size.plain / slow,
            instant_jobs=size.instant,
            instant=size.instant / quick,
            instant_plain=size.instant_plain / instant_slow,
            claim_to_mined_p50=spans[len(spans) // 2],
            claim_to_mined_worst=spans[-1],
            block_time=BLOCK_TIME,
        )

    def _presigned(self, ids: range) -> tuple[float, float]:
        # They write a next run that lies in the past, so that the same workflows stay due for the worker.
        due = self._chain.now() - 10**6
        sender = self._chain.signers["worker2"].address
        first = int(self._wire.ask("eth_getTransactionCount", sender, "latest"), 16)
        calls = [self._chain.call("worker2", nonce, id, due, 300_000) for nonce, id in enumerate(ids, first)]
        return plainways.presigned(self._wire, sender, calls)

    async def _plain(self, ids: range) -> float:
        name = "plain"
        with redis.Redis.from_url(self._redis_url, protocol=2) as client:
            for workflow in await self._workflows(ids):
                client.rpush(name, job_json(workflow))
            return await asyncio.to_thread(
                plainways.loop, self._chain, self._wire, client, name, "worker2", len(ids)
            )

    async def _workflows(self, ids: Iterable[int]) -> list[Workflow]:
        found = await Registry(self._chain.registry).get_many(await self._rpc_client.view(), ids)
        return [workflow for workflow in found.values() if workflow is not None]

    async def _wanted(self, ids: Iterable[int]) -> list[Wanted]:
        """What a scheduler enqueues, read and put together beforehand: that is not what is measured."""
        chain, executor = self._chain.anvil.chain_id, self._chain.executor.lower()
        return [
            (
                Occurrence(chain, executor, workflow.id, workflow.next_run),
                job_json(workflow),
                digest(workflow),
            )
            for workflow in await self._workflows(ids)
        ]

    async def _enqueue(self, wanted: list[Wanted]) -> None:
        answers = await enqueue_many(self._queue, wanted, block=self._chain.anvil.block_number(), final=False)
        if any(answer.word != "ok" for answer in answers):
            raise RuntimeError("a job of the benchmark was refused")

    async def _work(self, ids: range) -> tuple[float, float]:
        """Seconds until the last of these is mined, and until it is settled."""
        sender = self._chain.signers["worker"].address
        before = int(self._wire.ask("eth_getTransactionCount", sender, "latest"), 16)
        wanted = await self._wanted(ids)
        started = time.perf_counter()
        await self._enqueue(wanted)
        await asyncio.to_thread(plainways.wait_for_count, self._wire, sender, before + len(ids))
        mined = time.perf_counter() - started
        keys, client = self._queue.keys, self._queue.redis
        deadline = time.monotonic() + _SECONDS
        while await client.zcard(keys.open) or await client.llen(keys.pending):
            if time.monotonic() > deadline:
                raise RuntimeError("the worker settles no more")
            if self._instant:
                self._chain.anvil.mine()  # what is final is two blocks behind
            await asyncio.sleep(0.02)
        return mined, time.perf_counter() - started

    async def _one(self, id: int, number: int) -> float:
        """Seconds from the claim of a single job until it is mined."""
        # At every phase of the time between two blocks: the golden ratio spreads them evenly.
        await asyncio.sleep((number * 0.618) % 1 * BLOCK_TIME)
        sender = self._chain.signers["worker"].address
        before = int(self._wire.ask("eth_getTransactionCount", sender, "latest"), 16)
        wanted = await self._wanted([id])
        await self._enqueue(wanted)
        await asyncio.to_thread(plainways.wait_for_count, self._wire, sender, before + 1)
        seconds, micros = await self._queue.redis.time()
        record = await self._queue.record(wanted[0][0].key)
        if record is None or not record.claimed_at:
            raise RuntimeError("a job of the benchmark vanished")
        return (int(seconds) * 1000 + int(micros) / 1000 - record.claimed_at) / 1000

    @asynccontextmanager
    async def _worker(self, at_once: int) -> AsyncIterator[None]:
        """`autometa worker` as a process of its own, ready to take jobs."""
        environment = {name: text for name, text in os.environ.items() if name not in BY_NAME}
        environment |= {
            "NETWORK": "local",
            "CHAIN_ID": str(self._chain.anvil.chain_id),
            "RPC_URLS": self._chain.anvil.url,
            "REDIS_URL": self._redis_url,
            "REGISTRY_ADDRESS": self._chain.registry,
            "ACTIONEXECUTOR_ADDRESS": self._chain.executor,
            "FEEESCROW_ADDRESS": self._chain.escrow,
            "WORKER_PRIVATE_KEY": self._chain.keys["worker"],
            "MAX_OPEN_NONCES": str(_WINDOW),
            "MAX_CONCURRENT_EXECUTIONS": str(at_once),
        }
        log = self._directory / "worker.log"
        with log.open("ab") as output:
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "autometa_cli", "worker",
                env=environment, cwd=self._directory, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        try:
            deadline = time.monotonic() + _SECONDS
            while not any(
                member.fields.get("state") == "working" for member in await self._queue.workers.members()
            ):
                if child.returncode is not None or time.monotonic() > deadline:
                    tail = log.read_text(errors="replace")[-2000:]
                    raise AutometaError(f"the worker of the benchmark does not start: {tail}")
                await asyncio.sleep(0.05)
            yield
        finally:
            if child.returncode is None:
                child.terminate()
            try:
                await asyncio.wait_for(child.wait(), 10.0)
            except TimeoutError:  # the measurement failed with transactions on their way
                child.kill()
                await child.wait()

    def _rpc(self) -> Rpc:
        return Rpc([self._chain.anvil.url], chain_id=self._chain.anvil.chain_id, timeout=60.0)
