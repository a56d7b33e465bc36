"""Redis forgets its last writes while transactions are in the pool: still nothing runs twice (I2, REVIEW H1)."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autometa_cli.chain.blocks import Log
from autometa_cli.chain.contracts import Registry, executed
from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.executor.wanted import digest
from autometa_cli.jobs.claim import Sighting
from autometa_cli.jobs.job import job_json
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.scheduling.triggers import Triggers
from autometa_cli.worker import JobWorker
from tests.loss import forgetful, roll_back
from tests.network import LiveNetwork

WINDOW = "40"


@pytest.fixture
def own_network(tmp_path: Path) -> Iterator[tuple[LiveNetwork, ValkeyProcess]]:
    with forgetful(tmp_path) as network:
        yield network


async def enqueue_all(network: LiveNetwork, queue: JobQueue, ids: list[int]) -> None:
    async with network.rpc() as rpc:
        view = await rpc.view()
        for workflow in (await Registry(network.registry).get_many(view, ids)).values():
            assert workflow is not None
            occurrence = Occurrence(
                network.info.chain_id, network.executor.lower(), workflow.id, workflow.next_run
            )
            seen = Sighting(view.block.number, False, digest(workflow))
            assert (await queue.enqueue(occurrence, job_json(workflow), seen)).word == "ok"


async def executions(network: LiveNetwork) -> Counter[int]:
    async with network.rpc() as rpc:
        criteria = {"address": network.executor, "fromBlock": "0x0", "toBlock": "latest"}
        logs = [Log.parse(log) for log in await rpc.request("eth_getLogs", (criteria,))]
    from autometa_cli.chain.interfaces import interface

    topic = interface("ActionExecutor").events["WorkflowExecuted"].topic
    return Counter(executed(log).workflow for log in logs if log.topics[0] == topic)


async def until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        await asyncio.sleep(0.05)


def pooled(network: LiveNetwork) -> int:
    status = network.anvil.request("txpool_status")
    return int(status["pending"], 16) + int(status["queued"], 16)


@pytest.mark.parametrize("survivor", [True, False], ids=["worker alive", "worker died too"])
def test_a_redis_that_forgot_signed_transactions_executes_nothing_twice(
    own_network: tuple[LiveNetwork, ValkeyProcess],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    survivor: bool,
) -> None:
    network, valkey = own_network
    monkeypatch.setattr("autometa_cli.working.membership.RECOVER_AFTER_SECONDS", 2.0)
    settings = network.settings(MAX_OPEN_NONCES=WINDOW)

    async def scenario() -> None:
        ids = await network.create_workflows(12)
        async with network.queue() as queue, network.rpc() as rpc:
            worker = JobWorker(settings, queue, rpc, network.signer("worker"), Triggers())
            living = asyncio.create_task(worker.start())
            await until(lambda: worker.house.in_order, "the worker to be ready")
            network.anvil.request("evm_setAutomine", False)
            await enqueue_all(network, queue, ids)
            # The disk is up to here: registered, twelve jobs queued or claimed, nothing bound.
            before = pooled(network)
            assert await queue.redis.execute_command("WAITAOF", 1, 0, 2000)
            shutil.copytree(valkey.data, tmp_path / "saved")
            await until(lambda: pooled(network) - before >= 12, "twelve transactions in the pool")
            if not survivor:
                living.cancel()
                await asyncio.gather(living, return_exceptions=True)
            await asyncio.to_thread(roll_back, valkey, tmp_path / "saved")
            network.anvil.mine_every(1)
            if not survivor:
                async with JobQueue(network.redis_url) as fresh:
                    second = JobWorker(settings, fresh, rpc, network.signer("worker"), Triggers())
                    living = asyncio.create_task(second.start())
                    await settled(fresh, second)
                    second.stop()
                    await asyncio.wait_for(living, 60)
            else:
                await settled(queue, worker)
                worker.stop()
                await asyncio.wait_for(living, 60)
        found = await executions(network)
        assert found == Counter(ids), "each exactly once"

    async def settled(queue: JobQueue, worker: JobWorker) -> None:
        deadline = time.monotonic() + 120
        while True:
            assert time.monotonic() < deadline, worker.house.troubles
            done = await executions(network)
            try:
                waiting = await queue.length() + await queue.redis.zcard(queue.keys.delayed)
                waiting += await queue.redis.zcard(queue.keys.open) + len(await queue.held(worker.id))
                idle = worker.house.in_order and not waiting
            except Exception:
                idle = False
            if idle and len(done) == 12:
                return
            await asyncio.sleep(0.1)

    asyncio.run(scenario())
