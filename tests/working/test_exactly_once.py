"""Everything that is due runs exactly once: one worker, several workers, one key, several keys (I1, I2, I5)."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from autometa_cli.chain.interfaces import interface
from autometa_cli.jobs.claim import Sighting
from tests.network import RECIPIENT, LiveNetwork
from tests.working.stage import mining, staged

MANY = 200
INTERVAL = 3600
BUDGET = 10**12  # wei that each execution charges


def test_200_workflows_and_one_worker(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            due = network.now() - 2 * INTERVAL - 100  # two more runs were missed: they coalesce
            escrow_before = await _deposit(network)
            received_before = await network.balance(RECIPIENT)
            ids = await stage.due(MANY, next_run=due, interval=INTERVAL, gas_budget=BUDGET)
            async with stage.hired(burst=True) as hand:
                await hand.finished(60)
            assert hand.worker.closed == Counter(executed=MANY)

            await stage.assert_executed_once(ids)
            assert await network.balance(RECIPIENT) - received_before == MANY
            assert escrow_before - await _deposit(network) == MANY * BUDGET
            now = network.now()
            for workflow in await asyncio.gather(*(stage.workflow(id) for id in ids)):
                assert workflow.active
                assert workflow.next_run > now
                assert workflow.next_run - now <= INTERVAL + 10, "a run was left out"
                assert (workflow.next_run - due) % INTERVAL == 0, "the phase is lost"

            redis, keys = stage.queue.redis, stage.queue.keys
            history = await redis.xrange(keys.history)
            assert Counter(int(entry[b"workflow"]) for _, entry in history) == Counter(ids)
            assert {entry[b"outcome"] for _, entry in history} == {b"executed"}
            hashes = {entry[b"tx"].decode() for _, entry in history}
            assert hashes == {t["hash"] for t in await stage.transactions("worker")}
            for record in await stage.records():
                assert (record.state, record.outcome) == ("settled", "executed")
                assert record.tx in hashes
            # A scheduler whose mirror lags behind does not get them queued again.
            for block in (stage.first_block, network.anvil.block_number()):
                seen = Sighting(block, False, "")
                told = await stage.queue.enqueue(stage.occurrence(ids[0], due), b"{}", seen)
                assert told.word in ("stale", "already", "unfinal")
            assert await stage.queue.length() == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("keys", [("worker", "worker"), ("worker", "worker2")], ids=["one key", "two keys"])
def test_200_workflows_and_two_workers(network: LiveNetwork, keys: tuple[str, str]) -> None:
    async def scenario() -> None:
        async with staged(network, CONFIRMATIONS="finalized") as stage:
            if "worker2" in keys:
                await stage.second_key()
            ids = await stage.made(MANY)
            async with (
                mining(network),
                stage.hired(keys[0], concurrency=60) as one,
                stage.hired(keys[1], concurrency=60) as two,
            ):
                await stage.until(
                    lambda: one.worker.house.in_order and two.worker.house.in_order, "both to be ready"
                )
                await stage.enqueue(*ids)
                await stage.until(stage.settled(ids), "all to be settled", 60)
                await one.leave()
                await two.leave()
            await stage.assert_executed_once(ids, *set(keys))
            shares = [hand.worker.closed["executed"] for hand in (one, two)]
            assert min(shares) > 0, "one of them did nothing"
            if "worker2" in keys:
                each = Counter(t["from"] for t in await stage.transactions(*keys))
                assert len(each) == 2

    asyncio.run(scenario())


async def _deposit(network: LiveNetwork) -> int:
    """The owner's, in the escrow."""
    balances = interface("FeeEscrow").functions["balances"]
    async with network.rpc() as rpc:
        call = balances.encode(network.accounts["owner"].address)
        return int(balances.decode(await (await rpc.view()).call(network.escrow, call))[0])
