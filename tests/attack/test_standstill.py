"""A chain that makes no blocks for an hour, or a nonce that waits for one below it: no fee brings such a transaction
into a block, and what it was raised to meanwhile is paid when blocks come again."""

from __future__ import annotations

import asyncio

import pytest

from autometa_cli.chain.feemarket import quote
from autometa_cli.chain.fees import CEILING
from tests.network import LiveNetwork
from tests.working.conftest import _brisk  # noqa: F401  workers look around often
from tests.working.stage import Stage, no_mining, staged


async def most(stage: Stage) -> int:
    """wei per gas; what a newcomer would offer now."""
    return (await quote(await stage.rpc.view(), stage.network.settings().network)).max_fee


def test_a_transaction_is_raised_to_a_multiple_of_what_the_chain_asks_for_and_no_further(
    network: LiveNetwork,
) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.made(1)
            async with stage.hired(rebroadcast_after=0.05) as hand:
                async with no_mining(network):
                    ceiling = CEILING * await most(stage)
                    tracker = hand.worker._executor.tracker
                    tracker.pusher.bump_after = 0
                    await stage.enqueue(id)
                    await stage.until(lambda: "what the chain asks for" in tracker.trouble, "it to be told")
                    record = await stage.only(id)
                    assert max(each.max_fee for each in record.attempts_sent) <= ceiling
                    assert record.attempts_sent[-1].max_fee > ceiling * 3 // 4, "it was raised for long"
                    said = await tracker.bump(record.key, await hand.worker._executor.heads.fresh())
                    assert "MAX_FEE_GWEI" in said, "nor any further by hand"
                    # A cancel has to beat it all the same.
                    cancelled = await tracker.cancel(record.key, await hand.worker._executor.heads.fresh())
                    assert "is sent" in cancelled
                    await asyncio.to_thread(network.anvil.mine)
                await stage.until(stage.settled([id], "dead"), "it to be settled")
                await stage.until(lambda: not hand.worker.house.summary(), "the worker to go on by itself")
                await hand.leave()

    asyncio.run(scenario())


def test_so_are_the_self_transfers_of_a_recovery(
    network: LiveNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have to beat what was forgotten, or to see it mined: either uses the nonce up."""
    monkeypatch.setattr("autometa_cli.executor.recovery._ROUND_SECONDS", 0)

    async def scenario() -> None:
        async with staged(network) as stage, stage.hired(MAX_OPEN_NONCES="2") as hand:
            await stage.until(lambda: hand.worker.house.in_order, "the worker to be ready")
            recovery = hand.worker._executor.recovery
            offer, rounds = recovery._offer, 0

            async def counted(nonces: range, fees: object) -> None:
                nonlocal rounds
                await offer(nonces, fees)  # type: ignore[arg-type]
                rounds += 1

            monkeypatch.setattr(recovery, "_offer", counted)
            async with no_mining(network):
                ceiling = 2 * CEILING * await most(stage)
                using = asyncio.create_task(recovery._use_up())
                await stage.until(lambda: rounds >= 12, "a dozen rounds")
                offered = [int(each["maxFeePerGas"], 16) for each in stage.pool("worker").values()]
                assert len(offered) == 2
                assert ceiling // 4 < max(offered) <= ceiling
                await asyncio.to_thread(network.anvil.mine)
            await asyncio.wait_for(using, 20)
            await hand.leave()

    asyncio.run(scenario())
