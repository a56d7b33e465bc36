"""The operator gives the worker a new key. What the old one signed is brought to its end by its bytes (I2)."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.network import LiveNetwork
from tests.working.stage import mining, no_mining, staged

AGAIN = 0.3  # seconds until the same bytes are sent again


def test_what_only_the_old_key_can_mend_is_told(network: LiveNetwork) -> None:
    """A nonce of the old key below a signed one was given back: the rest waits for that key, and nothing else does."""

    async def scenario() -> None:
        async with staged(network, TX_TIMEOUT="1") as stage:
            await stage.second_key("new")
            low, high, fresh = await stage.made(1), await stage.made(1), await stage.made(3)
            async with stage.hired("worker") as hand, no_mining(network):
                await stage.until(lambda: hand.worker.house.in_order, "the worker to be ready")
                write, stuck = hand.worker._executor.ledger.write_call, asyncio.Event()

                async def write_call(hold: Any, record: Any, *args: Any, **kwargs: Any) -> Any:
                    if record.workflow == low[0]:
                        stuck.set()
                        await asyncio.Event().wait()
                    return await write(hold, record, *args, **kwargs)

                hand.worker._executor.ledger.write_call = write_call  # type: ignore[method-assign]
                await stage.enqueue(*low)
                await stage.until(stuck.is_set, "the first to be bound")
                await stage.enqueue(*high)
                await stage.until(lambda: stage.pool("worker"), "the second to be sent")
                await hand.vanish()
            await stage.forget_beats()
            async with stage.hired("new", rebroadcast_after=AGAIN) as heir:
                await stage.until(stage.settled(low), "the first to run with the new key")
                wanted = f"start a worker with the key of {stage.address('worker')}"
                await stage.until(
                    lambda: wanted in heir.worker.house.summary(), "the old key to be asked for"
                )
                await stage.enqueue(*fresh)
                await stage.until(stage.settled(fresh), "the new key to go on")
                assert heir.worker.house.in_order
                await heir.leave()
            async with stage.hired("worker") as old:
                await stage.until(stage.settled(low + high + fresh), "the old key to mend it")
                await old.leave()
            await stage.assert_executed_once(low + high + fresh, "worker", "new")

    asyncio.run(scenario())


@pytest.mark.parametrize("old", ["keeps its role", "lost its role"])
def test_a_new_key_finishes_what_the_old_one_left(network: LiveNetwork, old: str) -> None:
    """The old key's host is gone, and no node has its transactions any more: only the ledger has."""

    async def scenario() -> None:
        async with staged(network, MAX_RETRIES="0") as stage:
            await stage.second_key("new")
            left, fresh = await stage.made(5), await stage.made(5)
            async with no_mining(network):
                async with stage.hired("worker") as hand:
                    await stage.enqueue(*left)
                    await stage.until(lambda: len(stage.pool("worker")) == 5, "the old key's to be sent")
                    await hand.vanish()
                written = {t["hash"] for t in stage.pool("worker").values()}
                network.anvil.request("anvil_dropAllTransactions")
            if old == "lost its role":
                await stage.revoke("worker")
            await stage.forget_beats()
            async with stage.hired("new", rebroadcast_after=AGAIN) as heir:
                async with no_mining(network):
                    await stage.enqueue(*fresh)
                    await stage.until(
                        lambda: len(stage.pool("worker")) == 5, "the old bytes to be sent again"
                    )
                    assert {t["hash"] for t in stage.pool("worker").values()} == written
                    await stage.until(lambda: len(stage.pool("new")) == 5, "the new key to work meanwhile")
                async with mining(network):
                    await stage.until(stage.settled(left + fresh), "all to be settled", hurry=True)
                await heir.leave()
            runs = await stage.executions()
            assert Counter(run.workflow for run in runs) == Counter(left + fresh)
            assert all(run.success for run in runs)
            assert {t["hash"] for t in await stage.transactions("worker")} == written
            ran = Counter(t["from"] for t in await stage.transactions("worker", "new") if t["status"] == 1)
            assert ran[stage.address("new").lower()] == (5 if old == "keeps its role" else 10)
            assert {record.attempts for record in await stage.records()} == {0}
            await stage.assert_nothing_left()

    asyncio.run(scenario())
