"""DAILY_GAS_BUDGET and the key's own balance, with transactions on their way counted in."""

from __future__ import annotations

import asyncio

from autometa_cli.executor.budget import Budget


def test_what_is_on_its_way_counts_at_its_dearest_until_it_is_settled() -> None:
    async def scenario() -> None:
        spent = 0

        async def today() -> int:
            return spent

        budget = Budget(100, today, "DEV")
        assert await budget.reserve("a", 60, 1000) is None
        assert await budget.reserve("a", 60, 1000) is None, "the same record again takes no more"
        assert (await budget.reserve("b", 41, 1000) or ("",))[0] == "gas_budget"
        spent = 20
        budget.free("a")
        assert await budget.reserve("b", 80, 1000) is None
        assert (await budget.reserve("c", 1, 1000) or ("",))[0] == "gas_budget"

    asyncio.run(scenario())


def test_transactions_that_fit_the_balance_one_by_one_need_not_fit_together() -> None:
    async def scenario() -> None:
        async def nothing() -> int:
            raise AssertionError("without a limit nobody asks what was spent")

        budget = Budget(None, nothing, "DEV")
        assert await budget.reserve("a", 60, 100) is None
        assert (await budget.reserve("b", 60, 100) or ("",))[0] == "no_gas_money"
        budget.free("a")
        assert await budget.reserve("b", 60, 100) is None

    asyncio.run(scenario())
