"""Four worker processes share one key: every occurrence once, every nonce once, and not a word about nonces."""

from __future__ import annotations

import asyncio
import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.network import LiveNetwork
from tests.working.process import worker_process
from tests.working.stage import mining, staged

#: What nodes and our own ledger say when two use one nonce, or one is missing (chain/sendanswers.py, executor.py).
_NONCE_TROUBLE = re.compile(
    r"nonce (is )?too (low|high)|invalid nonce|underpriced|replacement|already (imported|known)|gap|given back"
    r"|nonce counter|filling|uses this worker's key|unexpected",
    re.IGNORECASE,
)


@pytest.mark.parametrize(("jobs", "seconds"), [(60, 60), pytest.param(1000, 240, marks=pytest.mark.soak)])
def test_four_processes_with_one_key(network: LiveNetwork, tmp_path: Path, jobs: int, seconds: int) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            ids = await stage.made(jobs)
            arguments, settings = ("--concurrency", str(max(5, jobs // 12))), {"CONFIRMATIONS": "finalized"}
            network.finalize()
            with ExitStack() as crew:
                processes = [
                    crew.enter_context(worker_process(network, tmp_path / str(n), *arguments, **settings))
                    for n in range(4)
                ]
                async with mining(network):
                    await stage.until(lambda: all(p.ready() for p in processes), "all to be ready", 60)
                    await stage.enqueue(*ids)
                    await stage.until(stage.settled(ids), "all to be settled", seconds)
                shares = [process.output.count("accepted") for process in processes]
                assert min(shares) > 0, f"one of them did nothing: {shares}"
                for process in processes:
                    found = [line for line in process.output.splitlines() if _NONCE_TROUBLE.search(line)]
                    assert found == []
            await stage.assert_executed_once(ids)
            assert {record.attempts for record in await stage.records()} == {0}

    asyncio.run(scenario())
