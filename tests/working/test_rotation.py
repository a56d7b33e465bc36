"""The operator gives the worker a new key. What the old one signed is brought to its end by its bytes (I2)."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.network import LiveNetwork
from tests.working.stage import mining, no_mining, staged

AGAIN = 0.3  # seconds until the same bytes are sent again


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
