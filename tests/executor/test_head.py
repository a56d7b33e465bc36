"""One moment, one endpoint, one block; and what an endpoint that lags is worth."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from autometa_cli.chain.view import View
from autometa_cli.errors import RpcUnreachable
from autometa_cli.executor.head import Heads
from tests.executor.fakes import block
from tests.network import LiveNetwork


@asynccontextmanager
async def heads(
    network: LiveNetwork, confirmations: int | None = None, **settings: str
) -> AsyncIterator[Heads]:
    configured = network.settings(**settings)
    async with network.queue() as queue, network.rpc() as rpc:
        yield Heads(
            rpc, queue.redis, configured.network, chain_id=configured.chain_id,
            sender=network.accounts["worker"].address, executor=network.executor,
            confirmations=confirmations, max_fee=configured.max_fee_wei,
        )  # fmt: skip


def test_it_tells_the_chain_as_it_is(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with heads(network) as followed:
            network.anvil.set_balance(network.executor, 12345)
            network.anvil.mine()
            head = await followed.fresh()
            assert head.number == network.anvil.block_number()
            assert head.final_number == head.number - 2
            assert head.executor_balance == 12345
            assert head.permitted
            assert head.counts.latest == 0
            assert head.now >= network.now()
            await network.transact("worker", network.executor, b"", value=1)
            assert (await followed.fresh()).counts == replace(head.counts, latest=1, pending=1)
            network.finalize()
            assert (await followed.fresh()).counts.final == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(("confirmations", "behind"), [(1, 0), (2, 1), (5, 4)])
def test_final_by_depth(network: LiveNetwork, confirmations: int, behind: int | None) -> None:
    async def scenario() -> None:
        async with heads(network, confirmations) as followed:
            head = await followed.fresh()
            assert head.final_number == (0 if behind is None else head.number - behind)

    asyncio.run(scenario())


def test_now_is_never_this_machines_clock(network: LiveNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1.0)

    async def scenario() -> None:
        async with heads(network) as followed:
            head = await followed.fresh()
            assert head.now > 1_700_000_000
            assert head.now == max(head.view.block.timestamp, head.view.block.timestamp + int(head.skew))

    asyncio.run(scenario())


def test_callers_of_one_moment_share_one_reading(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with heads(network) as followed:
            found = await asyncio.gather(*(followed.current() for _ in range(50)))
            assert len({id(each) for each in found}) == 1
            assert await followed.current() is found[0], "it is young enough"
            loop = asyncio.get_running_loop()
            later = await followed.since(loop.time())
            assert later is not found[0], "its reading began before"
            assert await followed.since(0.0) is later

    asyncio.run(scenario())


def test_since_does_not_take_a_reading_that_was_already_under_way(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with heads(network) as followed:
            reading = asyncio.create_task(followed.fresh())
            await asyncio.sleep(0)
            moment = asyncio.get_running_loop().time()
            network.anvil.mine()
            newest = network.anvil.block_number()
            assert (await followed.since(moment)).number == newest
            await reading

    asyncio.run(scenario())


def test_a_caller_that_gives_up_does_not_stop_the_others(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with heads(network) as followed:
            impatient, patient = (asyncio.create_task(followed.fresh()) for _ in range(2))
            await asyncio.sleep(0)
            impatient.cancel()
            assert (await patient).number == network.anvil.block_number()

    asyncio.run(scenario())


def test_an_endpoint_that_lags_behind_decides_nothing(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with heads(network) as followed:
            first = await followed.fresh()
            real = followed._rpc.view
            lag = 1

            async def view(number: int | str = "latest") -> View:
                return (await real(number)).pinned(block(first.number - lag))

            followed._rpc.view = view  # type: ignore[method-assign, assignment]
            with pytest.raises(RpcUnreachable, match="was seen before"):
                await followed.fresh()
            # A chain that was reorganised to fewer blocks must not be mistrusted for ever.
            followed._read_at -= 21 * followed.network.block_time
            lag = 0
            assert (await followed.fresh()).number == first.number

    asyncio.run(scenario())


def test_fees_above_the_cap_are_told(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with heads(network, MAX_FEE_GWEI="0.000000001") as followed:
            head = await followed.fresh()
            assert "the cap is" in head.too_dear
            assert head.fees.max_fee > 1

    asyncio.run(scenario())


def test_the_finalized_tag_may_overtake_the_head_between_two_reads() -> None:
    async def scenario() -> None:
        from autometa_cli.executor.head import final_block
        from tests.executor.fakes import head

        def newest(_: Any) -> dict[str, Any]:
            return {
                "number": hex(105), "hash": block(105).hash, "timestamp": "0x1", "gasLimit": "0x1",
                "transactions": [], "baseFeePerGas": "0x1",
            }  # fmt: skip

        view = head(100, eth_getBlockByNumber=newest).view
        assert (await final_block(view, None)).number == 100

    asyncio.run(scenario())
