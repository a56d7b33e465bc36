"""Workers with several endpoints: one that is private, one that stands still, a limit on how often one may be asked."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from autometa_cli.errors import ExitCode, RedisUnreachable, RpcUnreachable
from tests.network import LiveNetwork
from tests.working.proxy import proxied
from tests.working.stage import Stage, no_mining, staged


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


def test_a_burst_that_finds_no_chain_gives_up(network: LiveNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a burst, a cron job for instance, is told; other workers wait for the chain."""
    monkeypatch.setattr("autometa_cli.working.burst.HEADLESS_SECONDS", 1.0)

    async def burst(stage: Stage, url: str) -> None:
        async with stage.hired(RPC_URLS=url, burst=True) as hand:
            await hand.finished()

    async def scenario() -> None:
        async with staged(network) as stage, proxied(network.rpc_url) as wire:
            ids = await stage.due(4)
            await wire.cut()
            with pytest.raises(RpcUnreachable, match="--burst gives up") as caught:
                await burst(stage, wire.url)
            assert caught.value.exit_code is ExitCode.UNREACHABLE
            await wire.start()
            await burst(stage, wire.url)
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


def test_a_burst_whose_chain_goes_away_gives_up_and_loses_nothing(
    network: LiveNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autometa_cli.working.burst.HEADLESS_SECONDS", 1.0)

    async def scenario() -> None:
        async with staged(network) as stage, proxied(network.rpc_url) as wire:
            ids = await stage.due(4)

            async def burst() -> None:
                async with no_mining(network), stage.hired(RPC_URLS=wire.url, burst=True) as hand:
                    await stage.until(lambda: hand.worker._busy() == len(ids), "all to be in hand")
                    await wire.cut()
                    await hand.finished()

            with pytest.raises(RpcUnreachable, match="--burst gives up"):
                await burst()
            await asyncio.to_thread(network.anvil.mine)
            await wire.start()
            await stage.forget_beats()  # it left transactions behind, so it is still registered
            async with stage.hired(RPC_URLS=wire.url, burst=True) as hand:
                await hand.finished()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


def test_a_burst_whose_redis_goes_away_gives_up_and_loses_nothing(
    network: LiveNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autometa_cli.working.burst.HEADLESS_SECONDS", 1.0)

    async def scenario() -> None:
        async with staged(network) as stage, proxied(network.settings().redis_url) as wire:
            ids = await stage.due(2)
            through = network.settings().redis_url.replace(
                f":{urlsplit(network.settings().redis_url).port}", f":{wire.port}"
            )

            async def burst() -> None:
                async with no_mining(network), stage.hired(REDIS_URL=through, burst=True) as hand:
                    await stage.until(lambda: hand.worker._busy() == len(ids), "all to be in hand")
                    await wire.cut()
                    await hand.finished()

            with pytest.raises(RedisUnreachable, match="--burst gives up, Redis was away") as caught:
                await burst()
            assert caught.value.exit_code is ExitCode.UNREACHABLE
            await asyncio.to_thread(network.anvil.mine)
            await stage.forget_beats()
            async with stage.hired(burst=True) as hand:
                await hand.finished()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


def test_a_worker_that_is_no_burst_waits_for_the_chain_however_long(
    network: LiveNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autometa_cli.working.burst.HEADLESS_SECONDS", 0.1)

    async def scenario() -> None:
        async with staged(network) as stage, proxied(network.rpc_url) as wire:
            ids = await stage.due(2)
            await wire.cut()
            async with stage.hired(RPC_URLS=wire.url) as hand:
                await stage.until(lambda: hand.worker.house.lasted("rpc") > 1.0, "it to wait")
                await wire.start()
                await stage.until(stage.settled(ids), "the jobs to run")
                await hand.leave()

    asyncio.run(scenario())
