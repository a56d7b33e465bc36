"""What a scheduler's pass costs, for registries of several sizes, beside the plain loop's: one call a workflow."""

from __future__ import annotations

import asyncio
import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autometa_cli import config
from autometa_cli.addresses import checksum
from autometa_cli.bench.registrychain import RegistryChain
from autometa_cli.chain.contracts import Registry, Workflow
from autometa_cli.chain.rpc import Rpc
from autometa_cli.config import Settings
from autometa_cli.devnet import anvil_binary
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.networks import network
from autometa_cli.scheduler import Scheduler
from autometa_cli.scheduling.mirror import Mirror
from autometa_cli.scheduling.snapshot import Snapshot
from autometa_cli.scheduling.trail import Step

#: Passes with nothing due that are measured.
_POLLS = 20
#: Workflows that become due at once.
_DUE = 1000
#: The plain loop is measured on so many workflows, and reckoned up to the registry's size.
_PLAIN_SAMPLE = 1000
_MEBI = 1 << 20


@dataclass(frozen=True, slots=True)
class Scan:
    """One size of registry. Times in seconds, memory in MiB.

    Attributes:
        first, first_requests: the first pass, in JSON-RPC batches.
        first_multicall, first_multicall_requests: the same through Multicall3.
        resume: the first pass of a scheduler that starts from what another kept.
        poll, poll_worst, poll_requests: a pass with nothing due: median, slowest, HTTP requests.
        due, due_count: a pass in which so many were due at once, up to the last one queued.
        plain: a pass of the plain loop, reckoned from a sample; it makes as many requests as there are workflows.
        memory: that the scheduler's process grew by with the first pass; `memory_whole` is all of it.
    """

    workflows: int
    first: float
    first_requests: int
    first_multicall: float
    first_multicall_requests: int
    resume: float
    poll: float
    poll_worst: float
    poll_requests: int
    due: float
    due_count: int
    plain: float
    memory: float
    memory_whole: float

    @property
    def ratio(self) -> float:
        """How often a pass fits into one of the plain loop."""
        return self.plain / self.poll


@dataclass(frozen=True, slots=True)
class Synthetic:
    """A mirror filled without a chain. Seconds, MiB, and workflows or events in a second."""

    workflows: int
    fill: float
    memory: float
    changes_per_second: float
    due_per_second: float
    nothing_due: float


def measure(sizes: Sequence[int], say: Callable[[str], object] = lambda _: None) -> list[Scan]:
    """Measure each size on a chain and a Redis of its own. Raises AutometaError where these cannot be started."""
    with tempfile.TemporaryDirectory(prefix="autometa-bench-") as directory:
        anvil = AnvilProcess(Path(directory) / "anvil", anvil_binary.find(), block_time=None)
        redis = ValkeyProcess(Path(directory) / "valkey")
        try:
            anvil.start()
            redis.start()
            chain = RegistryChain(anvil)
            return [asyncio.run(_Measurement(chain, redis, say).of(size)) for size in sorted(set(sizes))]
        finally:
            redis.stop()
            anvil.stop()


class _Measurement:
    def __init__(self, chain: RegistryChain, redis: ValkeyProcess, say: Callable[[str], object]) -> None:
        self._chain = chain
        self._redis = redis
        self._say = say
        self._requests = 0

    async def of(self, size: int) -> Scan:
        chain, far = self._chain, self._chain.now() + 10**9
        self._say(f"{size:,} workflows: creating")
        await asyncio.to_thread(chain.grow, size, far)
        await asyncio.to_thread(chain.mine, 8)
        settings = self._settings(size)
        self._say(f"{size:,} workflows: first pass")
        gc.collect()
        before = _resident()
        async with JobQueue.of(settings) as queue, self._rpc() as rpc:
            scheduler = Scheduler(settings, queue, rpc)
            first, first_requests = await self._timed(scheduler)
            gc.collect()
            memory = _resident()
            await scheduler.keep()
            polls, requests = [], 0
            for _ in range(_POLLS):
                await asyncio.to_thread(chain.mine)
                seconds, requests = await self._timed(scheduler)
                polls.append(seconds)
            self._say(f"{size:,} workflows: {min(_DUE, size):,} due at once")
            count = min(_DUE, size)
            await asyncio.to_thread(chain.set_due, 1, count, 1000)
            started = time.perf_counter()
            done = await scheduler.run_once()
            due = time.perf_counter() - started
            if done.enqueued != count:
                raise RuntimeError(f"{done.enqueued} of {count} were queued")
            await asyncio.to_thread(chain.set_due, 1, count, far)
            del scheduler
            gc.unfreeze()
            gc.collect()
            self._say(f"{size:,} workflows: resuming, Multicall3, the plain loop")
            resume, _ = await self._timed(Scheduler(settings, queue, rpc))
            await queue.redis.delete(queue.keys.mirror(settings.chain_id, chain.registry))
            many, many_requests = await self._multicall(rpc)
            plain = await self._plain(rpc, size)
            await queue.redis.flushdb()
        return Scan(
            workflows=size,
            first=first,
            first_requests=first_requests,
            first_multicall=many,
            first_multicall_requests=many_requests,
            resume=resume,
            poll=statistics.median(polls),
            poll_worst=max(polls),
            poll_requests=requests,
            due=due,
            due_count=count,
            plain=plain,
            memory=(memory - before) / _MEBI,
            memory_whole=memory / _MEBI,
        )

    async def _timed(self, scheduler: Scheduler) -> tuple[float, int]:
        requests, started = self._requests, time.perf_counter()
        await scheduler.run_once()
        return time.perf_counter() - started, self._requests - requests

    async def _multicall(self, rpc: Rpc) -> tuple[float, int]:
        mirror = Mirror(Registry(self._chain.registry), multicall3=self._chain.add_multicall3())
        requests, started = self._requests, time.perf_counter()
        await mirror.refresh(await rpc.view())
        return time.perf_counter() - started, self._requests - requests

    async def _plain(self, rpc: Rpc, size: int) -> float:
        registry, view = Registry(self._chain.registry), await rpc.view()
        sample = min(size, _PLAIN_SAMPLE)
        started = time.perf_counter()
        for id in range(1, sample + 1):
            await registry.get(view, id)
        return (time.perf_counter() - started) * size / sample

    def _rpc(self) -> Rpc:
        rpc = Rpc([self._chain.anvil.url], chain_id=self._chain.anvil.chain_id, timeout=60.0)
        transport = rpc.endpoints[0].transport
        post = transport.post

        async def counted(body: bytes) -> bytes:
            self._requests += 1
            return await post(body)

        transport.post = counted  # type: ignore[method-assign]
        return rpc

    def _settings(self, size: int) -> Settings:
        registry = self._chain.registry
        return config.load(
            Path("/dev/null"),
            environ={
                "NETWORK": "local",
                "RPC_URLS": self._chain.anvil.url,
                "REDIS_URL": self._redis.url,
                "QUEUE_NAME": f"bench_{size}",
                "REGISTRY_ADDRESS": registry,
                "ACTIONEXECUTOR_ADDRESS": checksum("0x" + "ee" * 20),  # nothing is executed here
            },
        )


def synthetic(count: int) -> Synthetic:
    """Fill a mirror with so many workflows, change some, and take the due ones."""
    gc.collect()
    before, started = _resident(), time.perf_counter()
    mirror = Mirror(Registry(network("moonbase").registry or ""))
    owners = ["0x" + f"{number:040x}" for number in range(1000)]
    mirror.resume(
        Snapshot(
            1,
            "0x" + "00" * 32,
            count,
            [_workflow(id, owners[id % len(owners)]) for id in range(1, count + 1)],
            [Step(1, "0x" + "00" * 32, frozenset())],
        )
    )
    fill = time.perf_counter() - started
    gc.collect()
    memory = (_resident() - before) / _MEBI
    some = min(count, 100_000)
    changes: dict[int, Workflow | None] = {
        id: replace(mirror.workflows[id], next_run=2 * 10**9 + id) for id in range(1, some + 1)
    }
    started = time.perf_counter()
    mirror.correct(changes)
    changed = time.perf_counter() - started
    started = time.perf_counter()
    due = sum(1 for _ in mirror.due(2 * 10**9 + some))
    taken = time.perf_counter() - started
    mirror.correct({id: replace(mirror.workflows[id], next_run=10**10) for id in changes})
    mirror.next_due(0)
    started = time.perf_counter()
    for _ in range(100):
        list(mirror.due(0))
        mirror.next_due(0)
    nothing = (time.perf_counter() - started) / 100
    return Synthetic(count, fill, memory, some / changed, due / taken, nothing)


def _workflow(id: int, owner: str) -> Workflow:
    return Workflow(
        id=id,
        owner=owner,
        trigger_type=1,
        trigger_data=b"",
        action_type=1,
        action_data=b"\x01" + id.to_bytes(64, "big"),
        next_run=3 * 10**9 + id,
        interval=3600 + id % 1000,
        active=True,
        gas_budget=10**12 + id % 1000,
    )


def _resident() -> int:
    """Memory of this process, bytes; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    import resource

    return pages * resource.getpagesize()


def document(scans: Sequence[Scan], filled: Synthetic | None) -> dict[str, Any]:
    """As JSON."""
    from dataclasses import asdict

    return {
        "scans": [{**asdict(scan), "ratio": round(scan.ratio, 1)} for scan in scans],
        "synthetic": asdict(filled) if filled else None,
    }
