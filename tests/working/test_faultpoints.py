"""kill -9 at each named moment of a transaction's way, in processes of their own; the same key goes on, or another.

All fourteen cases at once, on one chain: each has a queue and keys of its own. The chain mines when it is told to, so
each victim gets exactly as far as its moment.
"""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from autometa_cli.chain.contracts import ROLE_IDS
from autometa_cli.chain.interfaces import interface
from autometa_cli.executor import faultpoints
from autometa_cli.jobs.queue import JobQueue
from tests.network import LiveNetwork
from tests.working import doomed
from tests.working.stage import DEFAULTS, Stage, mining, no_mining, staged

#: The moments that come without anything being mined.
EARLY = faultpoints.ALL[: faultpoints.ALL.index(faultpoints.MINED)]
PATIENCE = 60.0


@dataclass
class Case:
    """A victim and its heir, who share a queue."""

    point: str
    stage: Stage
    victim_key: str
    heir_key: str
    ids: list[int]
    log: Path
    processes: list[ForkServerProcess] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.point}, {'the same key' if self.heir_key == self.victim_key else 'another key'}"

    def start(self, key: str, point: str = "") -> None:
        """The victim, with its point; then the heir."""
        network = self.stage.network
        key = network.accounts[key].private_key
        own = {"WORKER_PRIVATE_KEY": key, "QUEUE_NAME": self.stage.queue.keys.pending, "CONFIRMATIONS": "2"}
        self.processes.append(doomed.start(network.environment(**{**DEFAULTS, **own}), self.log, point))

    def died(self) -> bool:
        """The victim, by its own hand, at its moment."""
        code = self.processes[0].exitcode
        assert code in (None, -signal.SIGKILL), f"{self}: exit {code}\n{self.log.read_text()}"
        return code is not None

    def end(self) -> None:
        """Nobody is left."""
        for process in self.processes:
            process.kill()
            process.join(10)


def test_kill_9_at_every_moment(network: LiveNetwork, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with staged(network) as stage, _cast(stage, tmp_path) as cases:
            early = [case for case in cases if case.point in EARLY]
            async with no_mining(network):
                for case in cases:
                    case.start(case.victim_key, case.point)
                await _dead(stage, early)
                for case in early:
                    case.start(case.heir_key)
                everything = sum(len(case.ids) for case in cases)
                await stage.until(lambda: _pooled(network) == everything, "everything to be sent", PATIENCE)
                assert await stage.executions() == []
                for point in (faultpoints.MINED, faultpoints.DECIDED):
                    await asyncio.to_thread(network.anvil.mine)  # a block is final when another is on it
                    await _dead(stage, [case for case in cases if case.point == point])
                for case in cases:
                    if case not in early:
                        case.start(case.heir_key)
            async with mining(network):
                for case in cases:
                    done = case.stage.settled(case.ids)
                    await case.stage.until(done, f"{case}: the heir to finish", PATIENCE)
            for case in cases:
                case.end()
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


@asynccontextmanager
async def _cast(stage: Stage, directory: Path) -> AsyncIterator[list[Case]]:
    """The cases, with their jobs queued; whoever still lives is killed at the end."""
    wanted = [(point, same) for point in faultpoints.ALL for same in (True, False)]
    names = [(f"victim{n}", f"victim{n}" if same else f"heir{n}") for n, (_, same) in enumerate(wanted)]
    await _keys(stage, sorted({name for pair in names for name in pair}))
    # Another key cannot fill a gap below a signed transaction of the first (docs/state-machine.md): one job is enough.
    counts = [3 if same else 1 for _, same in wanted]
    ids = await stage.made(sum(counts))
    async with AsyncExitStack() as stack:
        cases = []
        for n, ((point, _), (victim, heir), count) in enumerate(zip(wanted, names, counts, strict=True)):
            queue = await stack.enter_async_context(JobQueue(stage.network.redis_url, f"case{n}"))
            await queue.join()
            own = Stage(stage.network, queue, stage.rpc, stage.first_block)
            case = Case(point, own, victim, heir, [ids.pop() for _ in range(count)], directory / f"{n}.log")
            stack.callback(case.end)
            await own.enqueue(*case.ids)
            cases.append(case)
        yield cases


async def _keys(stage: Stage, names: list[str]) -> None:
    addresses = [await stage.second_key(name, role=False) for name in names]
    grant = interface("ActionExecutor").functions["grantRole"]
    role = ROLE_IDS["WORKER_ROLE"]
    await stage.network.transact("admin", stage.network.executor, *(grant.encode(role, a) for a in addresses))
