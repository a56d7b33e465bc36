"""CHARGE=cost: owners pay what the transaction is expected to cost, and never more than their gas budget."""

from __future__ import annotations

import asyncio

from autometa_cli.chain.interfaces import interface
from tests.network import LiveNetwork
from tests.working.stage import Stage, no_mining, staged

ETHER = 10**18


async def _deposit(stage: Stage, who: str, wei: int) -> None:
    call = interface("FeeEscrow").functions["depositGas"].encode()
    await stage.network.transact(who, stage.network.escrow, call, value=wei)


def test_owners_pay_what_it_costs_or_their_budget_where_that_is_less(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network, CHARGE="cost") as stage:
            await _deposit(stage, "admin", ETHER // 100)
            (rich,) = await stage.made(1, gas_budget=ETHER)
            (tight,) = await stage.made(1, gas_budget=12345)
            (free,) = await stage.made(1, gas_budget=0)
            # Its deposit is less than its budget, and more than it costs.
            (small,) = await stage.made(1, owner="admin", gas_budget=ETHER)
            ids = [rich, tight, free, small]
            async with stage.hired() as hand:
                await stage.enqueue(*ids)
                await stage.until(stage.settled(ids), "all to be settled")
                await hand.leave()
            await stage.assert_executed_once(ids)
            charged = {run.workflow: run.gas_used for run in await stage.executions()}
            assert (charged[tight], charged[free]) == (12345, 0)
            for id in (rich, small):
                paid = (await stage.only(id)).fee_paid
                assert paid < charged[id] < paid * 2, (paid, charged[id])

    asyncio.run(scenario())


def test_what_waits_to_be_mined_is_not_cancelled_because_it_takes_less_than_the_budget(
    network: LiveNetwork,
) -> None:
    async def scenario() -> None:
        async with staged(network, CHARGE="cost", BUMP_AFTER="1") as stage:
            (id,) = await stage.made(1, gas_budget=ETHER)
            async with stage.hired(rebroadcast_after=0.2) as hand:
                async with no_mining(network):
                    await stage.enqueue(id)

                    async def raised() -> bool:
                        found = await stage.records()
                        return bool(found) and len(found[0].attempts_sent) > 1

                    await stage.until(raised, "it to be looked at again, and its fee raised")
                    record = await stage.only(id)
                    assert (record.state, {each.what for each in record.attempts_sent}) == (
                        "signed",
                        {"call"},
                    )
                    await asyncio.to_thread(network.anvil.mine)
                await stage.until(stage.settled([id]), "it to be settled")
                await hand.leave()
            await stage.assert_executed_once([id])

    asyncio.run(scenario())


def test_with_an_empty_escrow_it_is_held(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network, CHARGE="cost") as stage:
            (nothing,) = await stage.made(1, owner="admin", gas_budget=ETHER)
            async with stage.hired():
                await stage.enqueue(nothing)
                await stage.until(stage.held_by_reason(nothing, "escrow_low"), "it to be held")
                await _deposit(stage, "admin", 1000)  # enough to estimate with, not to pay
                await stage.hurry()

                async def short() -> bool:
                    record = await stage.only(nothing)
                    return record.reason == "escrow_low" and "is 0.000000000000001 DEV;" in record.text

                await stage.until(short, "the deposit to be too small", hurry=True)
            assert await stage.executions() == []

    asyncio.run(scenario())
