"""A worker finds open transactions of its own key in the ledger that are none of its business: they were signed for
another chain, or for other contracts, before somebody changed the settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from autometa_cli.devnet.contracts import set_up
from tests.network import RECIPIENT, LiveNetwork
from tests.working.conftest import _brisk  # noqa: F401  workers look around often
from tests.working.stage import Hand, Stage, no_mining, staged

OTHER_CHAIN = 424242


@asynccontextmanager
async def another_chain(network: LiveNetwork) -> AsyncIterator[None]:
    """The same contracts at the same addresses, as a deployment with the same key on two networks has them."""
    request = network.anvil.request
    await asyncio.to_thread(request, "anvil_setChainId", OTHER_CHAIN)
    try:
        yield
    finally:
        await asyncio.to_thread(request, "anvil_setChainId", network.info.chain_id)


async def left_open(stage: Stage, hand: Hand) -> None:
    """Its worker dies, and the pool forgets the call."""
    await stage.until(lambda: stage.pool("worker"), "it to be sent")
    await hand.vanish()
    await stage.forget_beats()
    (record,) = [record for record in await stage.records() if record.state == "signed"]
    await asyncio.to_thread(
        stage.network.anvil.request, "anvil_dropTransaction", record.attempts_sent[0].hash
    )


async def unsaid(stage: Stage) -> None:
    """Somebody took away what keeps workers of other contracts off this queue (`serve.lua`)."""
    await stage.queue.redis.hdel(stage.queue.keys.epoch, "serves")


def test_what_another_chain_shows_of_a_nonce_decides_nothing(network: LiveNetwork) -> None:
    """The key's nonce is used there by something else: that is no reason to make an extra run again."""

    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.made(1, next_run=network.now() + 10**7)
            async with no_mining(network), stage.hired() as hand:
                await stage.push({"workflowId": id, "nextRun": 0, "id": "once"})
                await left_open(stage, hand)
            before = await stage.only(id)
            await unsaid(stage)
            async with another_chain(network):
                request, sender = network.anvil.request, stage.address("worker")
                await asyncio.to_thread(request, "anvil_impersonateAccount", sender)
                transfer = {"from": sender, "to": RECIPIENT, "value": "0x1"}
                await asyncio.to_thread(request, "eth_sendTransaction", transfer)
                await asyncio.to_thread(request, "anvil_mine", "0x1")
                async with stage.hired(CHAIN_ID=str(OTHER_CHAIN)) as heir:

                    def told() -> bool:
                        tracker = heir.worker._executor.tracker
                        return any(f"on chain {before.chain}" in each for each in tracker.concerns(3600))

                    await stage.until(lambda: hasattr(heir.worker, "_executor"), "it to be set up")
                    await stage.until(told, "it to be told")
                    await heir.leave()
            after = await stage.record(before.key)
            assert (after.state, after.nonce, after.attempts_sent) == ("signed", 0, before.attempts_sent)
            assert await stage.executions() == []

    asyncio.run(scenario())


def test_a_call_of_other_contracts_is_not_raised_into_one_of_ours(network: LiveNetwork) -> None:
    """The same workflow stands in the new registry, too. Raised, its call would go to the new executor contract,
    beside the occurrence that is queued for that one."""

    async def scenario() -> None:
        contents = await asyncio.to_thread(set_up, network.anvil)
        moved = LiveNetwork(
            network.anvil,
            replace(
                network.info,
                registry=contents.registry,
                executor=contents.executor,
                escrow=contents.escrow,
            ),
        )
        async with staged(network) as stage:
            due = network.now() - 60
            assert await moved.create_workflows(1, next_run=due) == await stage.made(1, next_run=due)
            async with no_mining(network):
                async with stage.hired() as hand:
                    await stage.enqueue(1)
                    await left_open(stage, hand)
                stage.settings = {
                    "REGISTRY_ADDRESS": moved.registry,
                    "ACTIONEXECUTOR_ADDRESS": moved.executor,
                    "FEEESCROW_ADDRESS": moved.escrow,
                    "BUMP_AFTER": "1",
                }
                await unsaid(stage)
                async with stage.hired(rebroadcast_after=0.1) as heir:
                    await stage.until(
                        lambda: "calls the executor contract" in heir.worker._executor.tracker.trouble,
                        "it to be told",
                    )
                    pusher = heir.worker._executor.tracker.pusher
                    looked = asyncio.get_running_loop().time() + pusher.bump_after + 1
                    await stage.until(
                        lambda: asyncio.get_running_loop().time() > looked, "the time for a raise to come"
                    )
                    record = await stage.only(1)
                    fields = [
                        TypedTransaction.from_bytes(HexBytes(each.raw)).as_dict()
                        for each in record.attempts_sent
                    ]
                    assert [each["to"].hex() for each in fields] == [network.executor[2:].lower()]
                    assert not stage.pool("worker")

    asyncio.run(scenario())
