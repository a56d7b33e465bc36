"""What the queue costs, as ratios to plain loops on the same server in the same run."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis

from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.executor.ledger import Ledger
from autometa_cli.jobs.claim import Claim, Sighting
from autometa_cli.jobs.enqueue import enqueue_many
from autometa_cli.jobs.job import parse_job
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.jobs.workers import new_worker_id

_CHAIN, _EXECUTOR, _OWNER, _SENDER = 1287, "0x" + "ee" * 20, "0x" + "0a" * 20, "0x" + "a1" * 20
_NEXT_RUN, _DIGEST = 1_700_000_000, "d" * 32
_AT_ONCE = 100
_SAMPLES = 300
#: Seconds between two pushes to an idle queue.
_APART = 0.005


@dataclass(frozen=True, slots=True)
class Round:
    """Jobs a second, of ours and of plain loops right beside.

    Attributes:
        rpush: a plain loop of RPUSH, one job a call.
        enqueue: once-only, all jobs given at once.
        blpop: a plain loop of BLPOP, one job a call; a crash loses what it holds.
        work: claimed, adopted and acknowledged.
    """

    rpush: float
    enqueue: float
    blpop: float
    work: float

    @property
    def enqueue_ratio(self) -> float:
        """Once-only enqueue to the loop of RPUSH."""
        return self.enqueue / self.rpush

    @property
    def work_ratio(self) -> float:
        """Claim and acknowledge to the loop of BLPOP."""
        return self.work / self.blpop


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured.

    Attributes:
        jobs: in each round.
        rounds: one after the other on one server: a machine that is busy for a moment spoils one of them only.
        push_to_claim_p50, push_to_claim_p99: on an idle queue, milliseconds.
        pipelined: jobs a second by redis-benchmark's RPUSH, 100 in a pipeline; None where it is not installed.
    """

    jobs: int
    rounds: tuple[Round, ...]
    push_to_claim_p50: float
    push_to_claim_p99: float
    pipelined: float | None

    def median(self, name: str) -> float:
        """Of one attribute of the rounds."""
        return statistics.median(self._all(name))

    def spread(self, name: str) -> tuple[float, float]:
        """Its lowest and its highest."""
        return min(self._all(name)), max(self._all(name))

    def _all(self, name: str) -> list[float]:
        return [getattr(each, name) for each in self.rounds]

    def document(self) -> dict[str, Any]:
        """For JSON: the medians, and each round."""
        names = ("rpush", "enqueue", "enqueue_ratio", "blpop", "work", "work_ratio")
        return {
            "jobs": self.jobs,
            **{name: self.median(name) for name in names},
            "push_to_claim_p50": self.push_to_claim_p50,
            "push_to_claim_p99": self.push_to_claim_p99,
            "pipelined": self.pipelined,
            "rounds": [{name: getattr(each, name) for name in names} for each in self.rounds],
        }


def payload(workflow: int) -> bytes:
    """A job as the scheduler writes it."""
    return json.dumps(
        {
            "workflowId": workflow, "owner": _OWNER, "triggerType": 1, "actionType": 1,
            "actionData": "01" + "00" * 52, "nextRun": _NEXT_RUN, "gasBudget": 200_000, "retryCount": 0,
        }
    ).encode()  # fmt: skip


def measure(jobs: int, rounds: int, url: str, status: Callable[[str], None]) -> Figures:
    """Measure with so many jobs, so many times. Under a queue name of its own, of which nothing is left.

    Args:
        url: of the Redis; "" starts a Valkey with an append-only file in a temporary directory.

    Raises:
        RedisUnreachable, ConfigError: as `JobQueue`.
        AutometaError: there is no Valkey to start.
    """
    if url:
        return asyncio.run(_measure(jobs, rounds, url, status))
    with tempfile.TemporaryDirectory(prefix="autometa-bench-") as directory:
        server = ValkeyProcess(Path(directory))
        server.start()
        try:
            return asyncio.run(_measure(jobs, rounds, server.url, status))
        finally:
            server.stop()


async def _measure(jobs: int, rounds: int, url: str, status: Callable[[str], None]) -> Figures:
    raws = [payload(number + 1) for number in range(jobs)]
    plain: Any = redis.Redis.from_url(url, protocol=2)
    found = []
    try:
        for number in range(1, rounds + 1):
            async with _queue(url, plain) as (name, queue):
                of = f"round {number} of {rounds}: " if rounds > 1 else ""
                status(f"{of}plain loops of RPUSH and BLPOP, {jobs:,} jobs")
                rpush, blpop = _plain(plain, f"{name}_plain", raws)
                status(f"{of}once-only enqueue")
                enqueue = await _enqueue(queue, raws)
                status(f"{of}claim and acknowledge")
                found.append(Round(rpush, enqueue, blpop, await _work(queue, jobs)))
        status("push to claim on an idle queue")
        async with _queue(url, plain) as (_, queue):
            p50, p99 = await _latency(queue)
    finally:
        plain.close()
    status("redis-benchmark")
    return Figures(jobs, tuple(found), p50, p99, _pipelined(url))


@asynccontextmanager
async def _queue(url: str, plain: Any) -> AsyncIterator[tuple[str, JobQueue]]:
    """A queue under a name that nobody has, and nothing left of it."""
    name = f"autometa_bench_{secrets.token_hex(4)}"
    try:
        async with JobQueue(url, name) as queue:
            await queue.join()
            yield name, queue
    finally:
        for pattern in (f"{name}*", f"{{{name}}}*"):
            found = list(plain.scan_iter(match=pattern, count=1000))
            for start in range(0, len(found), 1000):
                plain.unlink(*found[start : start + 1000])


def _plain(client: Any, name: str, raws: list[bytes]) -> tuple[float, float]:
    started = time.perf_counter()
    for raw in raws:
        client.rpush(name, raw)
    pushed = time.perf_counter()
    for _ in raws:
        client.blpop([name], 1)
    return len(raws) / (pushed - started), len(raws) / (time.perf_counter() - pushed)


async def _enqueue(queue: JobQueue, raws: list[bytes]) -> float:
    started = time.perf_counter()
    wanted = [
        (Occurrence(_CHAIN, _EXECUTOR, number + 1, _NEXT_RUN), raw, _DIGEST)
        for number, raw in enumerate(raws)
    ]
    answers = await enqueue_many(queue, wanted, block=10, final=True)
    took = time.perf_counter() - started
    if any(answer.word != "ok" for answer in answers):
        raise RuntimeError("a job of the benchmark was refused")
    return len(raws) / took


async def _work(queue: JobQueue, jobs: int) -> float:
    ledger = Ledger(queue, max_open_nonces=1, max_retries=1, retry_delay=0)
    worker = new_worker_id()
    await queue.workers.register(worker, {"host": "bench"})
    seen = Sighting(10, True, _DIGEST)

    async def one(raw: bytes) -> int:
        job = parse_job(raw)
        occurrence = Occurrence(_CHAIN, _EXECUTOR, job.workflow, job.next_run)
        claim = await queue.adopt(worker, job, occurrence, occurrence.key, seen)
        if not isinstance(claim, Claim):
            return 0
        answer = await ledger.release(claim, "skipped", "bench", "", sender=_SENDER, block=10)
        return int(answer.word == "ok")

    taken = done = 0
    before: list[asyncio.Task[int]] = []
    started = time.perf_counter()
    while taken < jobs:
        raws = await queue.take(worker, _AT_ONCE)
        taken += len(raws)
        now = [asyncio.create_task(one(raw)) for raw in raws]
        # As a worker does: these are worked on while others are taken.
        done += sum(await asyncio.gather(*before))
        before = now
    done += sum(await asyncio.gather(*before))
    took = time.perf_counter() - started
    if done != jobs:
        raise RuntimeError("a job of the benchmark was refused")
    await queue.workers.leave(worker)
    return jobs / took


async def _latency(queue: JobQueue) -> tuple[float, float]:
    """From before the push until the claim is adopted: p50 and p99 in milliseconds."""
    worker = new_worker_id()
    await queue.workers.register(worker, {"host": "bench"})
    seen, spans = Sighting(10, True, _DIGEST), []
    for number in range(_SAMPLES):
        taking = asyncio.ensure_future(queue.take(worker, _AT_ONCE))
        await asyncio.sleep(_APART)
        raw = payload(1_000_000 + number)
        started = time.perf_counter()
        await queue.push([raw])
        (got,) = await taking
        job = parse_job(got)
        occurrence = Occurrence(_CHAIN, _EXECUTOR, job.workflow, job.next_run)
        await queue.adopt(worker, job, occurrence, occurrence.key, seen)
        spans.append((time.perf_counter() - started) * 1000)
    spans.sort()
    return spans[len(spans) // 2], spans[int(len(spans) * 0.99)]


def _pipelined(url: str) -> float | None:
    """The limit that nobody reaches who has anything to say: redis-benchmark repeats the same few bytes."""
    program = shutil.which("redis-benchmark") or shutil.which("valkey-benchmark")
    parts = urlsplit(url)
    if program is None or parts.scheme != "redis" or parts.password:
        return None
    command = [program, "-h", parts.hostname or "", "-p", str(parts.port or 6379), "-P", "100", "-n", "200000",
               "-q", "RPUSH", "autometa_bench_pipelined", "x" * 200]  # fmt: skip
    with suppress(OSError, subprocess.TimeoutExpired):
        output = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout
        with redis.Redis.from_url(url, protocol=2) as client:
            client.unlink("autometa_bench_pipelined")
        rates = re.findall(r"([0-9.]+) requests per second", output)
        return float(rates[-1]) if rates else None
    return None
