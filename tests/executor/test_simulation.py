"""What is remembered of like calls saves an estimate, and decides nothing."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from autometa_cli.chain.actions import Action, NativeTransfer
from autometa_cli.chain.executionwords import execution_call
from autometa_cli.chain.view import View
from autometa_cli.executor.decision import Refusal
from autometa_cli.executor.gasmemory import Estimates, GasMemory
from autometa_cli.executor.head import Head, Heads
from autometa_cli.executor.simulation import Gas, Simulator
from tests.network import RECIPIENT, LiveNetwork
from tests.working.stage import Stage, staged


class Scene:
    """A simulator on a real chain, and how many whole calls it had estimated."""

    def __init__(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        network = stage.network
        self.stage = stage
        self.simulator = Simulator(
            executor=network.executor, sender=network.accounts["worker"].address,
            gas_multiplier=Decimal("1.2"), max_gas=15_000_000,
        )  # fmt: skip
        self.estimated = 0
        real = View.estimate_gas

        async def counted(view: View, to: str | None, data: bytes, **options: Any) -> int:
            self.estimated += to == network.executor
            return await real(view, to, data, **options)

        monkeypatch.setattr(View, "estimate_gas", counted)

    async def gas(self, action: Action, **fields: Any) -> Gas | Refusal:
        (id,) = await self.stage.made(1, action=action, **fields)
        workflow = await self.stage.workflow(id)
        data = execution_call(id, workflow.action_data, 2 * 10**9, workflow.owner, workflow.gas_budget)
        return await self.simulator.gas(action, data, await self._head(), 0)

    async def _head(self) -> Head:
        settings = self.stage.network.settings(CONFIRMATIONS="1")
        heads = Heads(
            self.stage.rpc, self.stage.queue.redis, settings.network, chain_id=settings.chain_id,
            sender=self.stage.address("worker"), executor=self.stage.network.executor, confirmations=1,
            max_fee=None,
        )  # fmt: skip
        return await heads.fresh()


def test_a_like_call_is_simulated_only_and_a_failing_one_says_why(
    network: LiveNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            scene = Scene(stage, monkeypatch)
            first = await scene.gas(NativeTransfer(RECIPIENT, 1))
            second = await scene.gas(NativeTransfer(RECIPIENT, 2))
            assert isinstance(first, Gas)
            assert isinstance(second, Gas)
            assert (first.proven, second.proven, scene.estimated) == (False, True, 1)
            assert second.limit == first.limit
            # Nobody charged it before, so the charge reverts: found by the simulation, told by the estimate.
            fails = await scene.gas(NativeTransfer(RECIPIENT, 3), gas_budget=10**30)
            assert isinstance(fails, Refusal)
            assert (fails.reason, scene.estimated) == ("would_fail", 2)

    asyncio.run(scenario())


def test_an_action_that_needs_more_or_less_than_the_like_ones_is_estimated(
    network: LiveNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            scene = Scene(stage, monkeypatch)
            light = await scene.gas(stage.call_of("GasBurner", "burn", 100))
            heavy = await scene.gas(stage.call_of("GasBurner", "burn", 2_000_000))
            assert isinstance(light, Gas)
            assert isinstance(heavy, Gas)
            assert (heavy.proven, scene.estimated) == (False, 2)
            assert heavy.limit > light.limit
            # And one that needs far less does not get the limit of that one.
            again = await scene.gas(stage.call_of("GasBurner", "burn", 100))
            assert isinstance(again, Gas)
            assert (again.limit, scene.estimated) == (light.limit, 3)

    asyncio.run(scenario())


def test_the_memory_forgets() -> None:
    memory, shape = GasMemory(), (NativeTransfer, RECIPIENT, 260)
    memory.put(shape, Estimates(21_000, 110_000), 1000)
    assert memory.get(shape, 1300) == Estimates(21_000, 110_000)
    assert memory.get(shape, 1301) is None
    for number in range(1000):
        memory.put((NativeTransfer, str(number), 260), Estimates(1, 1), 1000)
    assert memory.get(shape, 1000) is None
