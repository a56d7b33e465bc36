"""Why a Redis that forgot needs its recovery: without it the same story ends with a payment made twice (REVIEW H1).

    a run is signed at nonce 1 while nonce 0 is bound to another that is never signed: it waits in the pool, unseen
    Redis dies, and comes back without its last second, in which both were bound
    the other run is not wanted any more, so that this one is bound again, to nonce 0

As soon as nonce 0 is mined, what was forgotten can be mined as well.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis.exceptions as rex

from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.errors import AutometaError
from autometa_cli.executor.head import Head
from autometa_cli.executor.recovery import Recovery
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.jobs.script import Scripts
from autometa_cli.scheduling.triggers import Triggers
from autometa_cli.worker import JobWorker
from tests.executor.test_recovery import (
    enqueue_all,
    executions,
    own_network,
    pooled,
    until,
)
from tests.loss import roll_back
from tests.network import LiveNetwork

__all__ = ["own_network"]


def _no_barrier(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger is rebuilt, but nothing is done about what it does not know."""

    async def use_up(self: Recovery) -> Head:
        return await self._heads.fresh()

    monkeypatch.setattr(Recovery, "_use_up", use_up)


def _restart_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that was restarted is taken for what it was before, its fences with it."""

    async def join(redis: Any, keys: Any, scripts: Scripts, *_: str) -> None:
        await redis.hset(keys.epoch, "run", scripts.run)

    monkeypatch.setattr("autometa_cli.jobs.epoch.join", join)


def _as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is changed."""


#: How a variant is made, and how often it then pays.
VARIANTS: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], int]] = {
    "as it is": (_as_it_is, 1),
    "no barrier": (_no_barrier, 2),
    "restart believed": (_restart_believed, 2),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_forgotten_transaction_is_mined_a_second_time_only_where_nothing_is_done_about_it(
    own_network: tuple[LiveNetwork, ValkeyProcess],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variant: str,
) -> None:
    network, valkey = own_network
    spoil, runs = VARIANTS[variant]
    spoil(monkeypatch)
    monkeypatch.setattr("autometa_cli.working.membership.RECOVER_AFTER_SECONDS", 1.0)
    settings = network.settings(MAX_OPEN_NONCES="4", CONFIRMATIONS="1")

    async def scenario() -> None:
        unwanted, wanted = await network.create_workflows(2)
        network.anvil.request("evm_setAutomine", False)
        async with network.queue() as queue, network.rpc() as rpc:
            first = JobWorker(settings, queue, rpc, network.signer("worker"), Triggers())
            living = asyncio.create_task(first.start())
            await until(lambda: first.house.in_order, "the worker to be ready")
            gates = _Gates(first, unwanted, wanted)
            await enqueue_all(network, queue, [unwanted, wanted])
            await until(lambda: len(gates.waiting) == 2, "both to be claimed and checked")
            assert await queue.redis.execute_command("WAITAOF", 1, 0, 2000)
            shutil.copytree(valkey.data, tmp_path / "saved")
            gates.open.set()
            await until(lambda: pooled(network) == 1, "the wanted one to be in the pool, behind a gap")
            living.cancel()
            await asyncio.gather(living, return_exceptions=True)
        await asyncio.to_thread(roll_back, valkey, tmp_path / "saved")
        network.anvil.request("evm_setAutomine", True)
        await network.pause(unwanted)
        assert await executions(network) == Counter()
        async with JobQueue(network.redis_url) as queue, network.rpc() as rpc:
            second = JobWorker(settings, queue, rpc, network.signer("worker"), Triggers(), dead_after=0.5)
            living = asyncio.create_task(second.start())
            await _ended(network, queue, second, [unwanted, wanted])
            second.stop()
            await asyncio.wait_for(living, 30)
        assert await executions(network) == Counter({wanted: runs})

    asyncio.run(scenario())


class _Gates:
    """Both runs wait before they are bound; then the unwanted one is bound first, and never signed."""

    def __init__(self, worker: JobWorker, unwanted: int, wanted: int) -> None:
        self.waiting: set[int] = set()
        self.open = asyncio.Event()
        ledger = worker._executor.ledger
        bind, bound = ledger.bind, asyncio.Event()

        async def gated(claim: Any, *args: Any, **kwargs: Any) -> Any:
            workflow = claim.occurrence.workflow
            self.waiting.add(workflow)
            await (self.open if workflow == unwanted else bound).wait()
            answer = await bind(claim, *args, **kwargs)
            assert answer.word == "ok"
            bound.set()
            if workflow == unwanted:
                await asyncio.Event().wait()
            return answer

        ledger.bind = gated  # type: ignore[method-assign]


async def _ended(network: LiveNetwork, queue: JobQueue, worker: JobWorker, ids: list[int]) -> None:
    """Nothing is open any more, and nothing waits in the pool."""
    keys = queue.keys
    quiet = 0
    for _ in range(600):
        await asyncio.sleep(0.05)
        try:
            left = await queue.length() + await queue.redis.zcard(keys.open) + pooled(network)
            left += await queue.redis.zcard(keys.delayed) + len(await queue.held(worker.id))
            dead = [m.id for m in await queue.workers.members() if m.id != worker.id]
            for name in dead:
                left += await queue.redis.llen(keys.inflight(name))
        except (rex.RedisError, AutometaError):
            continue  # it restarts
        quiet = quiet + 1 if worker.house.in_order and not left else 0
        if quiet >= 5 and await executions(network):
            return
    pytest.fail(f"it does not end: {worker.house.troubles}, {left} left")
