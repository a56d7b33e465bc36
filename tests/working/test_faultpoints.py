"""kill -9 at each named moment of a transaction's way, in processes of their own; the same key goes on, or another.

All fourteen cases at once, on one chain: each has a queue and keys of its own. The chain mines when it is told to, so
each victim gets exactly as far as its moment.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from autometa_cli.chain import roles
from autometa_cli.chain.contracts import interface
from autometa_cli.executor import faultpoints
from autometa_cli.jobs.queue import JobQueue
from tests.network import LiveNetwork
from tests.working import doomed
from tests.working.process import WorkerProcess
from tests.working.stage import Stage, mining, no_mining, staged

#: The moments that come without anything being mined.
EARLY = faultpoints.ALL[: faultpoints.ALL.index(faultpoints.MINED)]
PATIENCE = 60.0


@dataclass
class Case:
    """One victim and its heir, who share a queue."""

    point: str
    heir_key: str
    stage: Stage
    victim_key: str
    victim: WorkerProcess
    heir: WorkerProcess
    ids: list[int]

    def __str__(self) -> str:
        return f"{self.point}, {'the same key' if self.heir_key == self.victim_key else 'another key'}"

    def died(self) -> bool:
        """By its own hand, at its moment."""
        code = self.victim.process.poll()
        assert code in (None, -signal.SIGKILL), f"{self}: exit {code}\n{self.victim.output}"
        return code is not None


def test_kill_9_at_every_moment(network: LiveNetwork, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with staged(network) as stage, _cast(stage, tmp_path) as cases:
            early = [case for case in cases if case.point in EARLY]
            async with no_mining(network):
                _go(case.victim for case in cases)
                await _dead(stage, early)
                _go(case.heir for case in early)
                everything = sum(len(case.ids) for case in cases)
                await stage.until(lambda: _pooled(network) == everything, "everything to be sent", PATIENCE)
                assert await stage.executions() == []
                for point in (faultpoints.MINED, faultpoints.DECIDED):
                    await asyncio.to_thread(network.anvil.mine)  # a block is final when another is on it
                    await _dead(stage, [case for case in cases if case.point == point])
                _go(case.heir for case in cases if case not in early)
            async with mining(network):
                for case in cases:
                    done = case.stage.settled(case.ids)
                    await case.stage.until(done, f"{case}: the heir to finish", PATIENCE)
            for case in cases:
                case.heir.kill()
                # Reads only this case's queue, and the keys of all: nobody may have left anything.
                await case.stage.assert_nothing_left()
            runs = await stage.executions()
            assert Counter(run.workflow for run in runs) == Counter(id for case in cases for id in case.ids)
            assert all(run.success for run in runs)
            await stage.assert_nonces(*{name for case in cases for name in (case.victim_key, case.heir_key)})

    asyncio.run(scenario())


def _pooled(network: LiveNetwork) -> int:
    status = network.anvil.request("txpool_status")
    return int(status["pending"], 16) + int(status["queued"], 16)


async def _dead(stage: Stage, cases: list[Case]) -> None:
    points = sorted({case.point for case in cases})
    await stage.until(lambda: all(case.died() for case in cases), f"those at {points} to die", PATIENCE)


def _go(processes: Iterable[WorkerProcess]) -> None:
    for process in processes:
        assert process.process.stdin
        process.process.stdin.close()


@asynccontextmanager
async def _cast(stage: Stage, directory: Path) -> AsyncIterator[list[Case]]:
    """Every process, loaded and waiting; their jobs are queued."""
    network, program = stage.network, [str(Path(doomed.__file__))]
    wanted = [(point, same) for point in faultpoints.ALL for same in (True, False)]
    names = [(f"victim{n}", f"victim{n}" if same else f"heir{n}") for n, (_, same) in enumerate(wanted)]
    await _keys(stage, sorted({name for pair in names for name in pair}))
    # Another key cannot fill a gap below a signed transaction of the first (docs/state-machine.md): one job is enough.
    counts = [3 if same else 1 for _, same in wanted]
    ids = await stage.made(sum(counts))
    async with AsyncExitStack() as stack:
        cases = []
        for n, ((point, _), (victim, heir), count) in enumerate(zip(wanted, names, counts, strict=True)):
            queue = await stack.enter_async_context(JobQueue(network.redis_url, f"case{n}"))
            await queue.join()
            own = Stage(network, queue, stage.rpc, stage.first_block)
            first, second = (
                WorkerProcess(
                    network, directory / f"{n}", role, key=key, program=program,
                    QUEUE_NAME=f"case{n}", CONFIRMATIONS="2",
                )
                for role, key in ((point, victim), ("none", heir))
            )  # fmt: skip
            for process in (first, second):
                stack.callback(_end, process)
            case = Case(point, heir, own, victim, first, second, [ids.pop() for _ in range(count)])
            await own.enqueue(*case.ids)
            cases.append(case)
        processes = [process for case in cases for process in (case.victim, case.heir)]
        await stage.until(lambda: all(doomed.READY in p.output for p in processes), "them to load", PATIENCE)
        yield cases


def _end(process: WorkerProcess) -> None:
    if process.process.poll() is None:
        process.kill()
    assert process.process.stdin
    process.process.stdin.close()


async def _keys(stage: Stage, names: list[str]) -> None:
    addresses = [await stage.second_key(name, role=False) for name in names]
    grant = interface("ActionExecutor").functions["grantRole"]
    role = roles.ROLE_IDS["WORKER_ROLE"]
    await stage.network.transact("admin", stage.network.executor, *(grant.encode(role, a) for a in addresses))
