"""A worker at the end of its day's gas money waits, says so, and goes on when it may."""

from __future__ import annotations

import asyncio

from tests.network import LiveNetwork
from tests.working.stage import staged


def test_at_the_daily_gas_budget_the_worker_waits_and_costs_no_job_an_attempt(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            ids = await stage.due(6)
            async with stage.hired(DAILY_GAS_BUDGET="0.001") as hand:
                await stage.until(
                    lambda: "DAILY_GAS_BUDGET" in hand.worker.house.summary(),
                    "the worker to say that it is spent",
                )
                key = (
                    f"{{workflow_jobs}}:sender:{network.info.chain_id}:{hand.worker._signer.address.lower()}"
                )
                await hand.leave()
            spent = [
                value
                for name, value in (await stage.queue.redis.hgetall(key)).items()
                if name.startswith(b"gas:")
            ]
            assert len(spent) == 1
            assert 0 < int(spent[0]) <= 1_000_000, "gwei, never above the budget"
            done = len(await stage.executions())
            assert 0 < done < 6
            async with stage.hired() as hand:  # no limit: the rest runs
                await stage.until(stage.settled(ids), "the rest to run")
                await hand.leave()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())
