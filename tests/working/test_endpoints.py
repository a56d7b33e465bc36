"""Workers with several endpoints: one that is private, one that stands still, a limit on how often one may be asked."""

from __future__ import annotations

import asyncio

from tests.network import LiveNetwork
from tests.working.proxy import proxied
from tests.working.stage import staged


def test_while_the_private_endpoint_is_away_nothing_is_sent_and_no_attempt_is_lost(
    network: LiveNetwork,
) -> None:
    async def scenario() -> None:
        async with staged(network) as stage, proxied(network.rpc_url) as relay:
            first, then = await stage.made(3), await stage.made(3)
            async with stage.hired(PRIVATE_RPC_URL=relay.url, rebroadcast_after=0.3) as hand:
                await stage.enqueue(*first)
                await stage.until(stage.settled(first), "the first to run")
                await relay.cut()
                await stage.enqueue(*then)
                await stage.until(lambda: "PRIVATE_RPC_URL" in hand.worker.house.summary(), "it to be told")
                assert await stage.executed() == dict.fromkeys(first, 1)
                await relay.start()
                await stage.until(stage.settled(first + then), "the rest to run", 60)
                assert hand.worker.house.summary() == ""
                await hand.leave()
            await stage.assert_executed_once(first + then)
            assert all(record.attempts == 0 for record in await stage.records())

    asyncio.run(scenario())


def test_all_endpoints_are_sent_to_and_the_chain_sees_each_transaction_once(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage, proxied(network.rpc_url) as one, proxied(network.rpc_url) as two:
            ids = await stage.due(10)
            two.lose_answers_to = "eth_sendRawTransaction"
            async with stage.hired(RPC_URLS=f"{two.url},{one.url}", BROADCAST_ALL="1") as hand:
                await stage.until(stage.settled(ids), "all to be settled")
                await hand.leave()
            assert two.lost > 0
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())
