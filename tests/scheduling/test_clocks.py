"""The chain's clock and Redis's differ by more than ten block times: that is told, and nothing is queued."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from autometa_cli.executor.clocks import CLOCK_BLOCKS, clock_trouble
from autometa_cli.networks import network as known_network
from tests.chain.loopback import Gateway
from tests.network import LiveNetwork
from tests.scheduling.passes import pending, run, scheduler


@asynccontextmanager
async def shifted(network: LiveNetwork, seconds: int) -> AsyncIterator[Gateway]:
    """The chain, whose clock is so far from Redis's."""
    async with network.queue() as queue:
        offset = await queue.clock() - network.now() + seconds

    def shift(body: Any, answer: Any) -> Any:
        calls, answers = (body, answer) if isinstance(body, list) else ([body], [answer])
        for call, each in zip(calls, answers, strict=True):
            if call["method"] == "eth_getBlockByNumber" and each.get("result"):
                each["result"]["timestamp"] = hex(int(each["result"]["timestamp"], 16) + offset)
        return answer

    async with Gateway(network.rpc_url, shift) as gateway:
        yield gateway


@pytest.mark.parametrize(
    ("seconds", "words"), [(600, "ahead of Redis's clock"), (-600, "behind Redis's clock")]
)
def test_nothing_is_queued_while_the_clocks_disagree(
    network: LiveNetwork, caplog: pytest.LogCaptureFixture, seconds: int, words: str
) -> None:
    async def scenario() -> None:
        id = await network.create_workflow(next_run=100)
        async with (
            shifted(network, seconds) as gateway,
            scheduler(network, gateway.url, NETWORK="moonbase", POLL_INTERVAL="0.05") as one,
        ):
            done = await one.run_once()
            assert (done.due, done.enqueued) == (0, 0)
            assert words in done.trouble
            assert "nobody can tell what is due" in done.trouble
            # The service says so once, goes on by itself when the clocks agree again, and says that.
            stop = asyncio.Event()
            service = asyncio.create_task(one.run(stop))
            told = "nothing is queued: the chain's newest block is"
            await until(lambda: logged(caplog, told) == 1)
            gateway.afterwards = lambda _, answer: answer
            async with shifted(network, 0) as right:
                gateway.afterwards = right.afterwards
                await until(lambda: logged(caplog, "in order again after") == 1)
            assert logged(caplog, told) == 1
            stop.set()
            await service
        assert [job["workflowId"] for job in await pending(network)] == [id]

    caplog.set_level("INFO")
    run(scenario())


def logged(caplog: pytest.LogCaptureFixture, text: str) -> int:
    return sum(text in record.getMessage() for record in caplog.records)


async def until(condition: Any) -> None:
    deadline = asyncio.get_running_loop().time() + 30
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


def test_ten_block_times_are_the_limit() -> None:
    moonbase = known_network("moonbase")
    limit = int(CLOCK_BLOCKS * moonbase.block_time)
    for apart in (0, limit, -limit):
        assert clock_trouble(moonbase, apart) == ""
    assert "behind" in clock_trouble(moonbase, limit + 1)
    assert "ahead of" in clock_trouble(moonbase, -limit - 1)


def test_a_chain_of_ones_own_may_live_in_the_future(network: LiveNetwork) -> None:
    """Its clock is the later one, and decides what is due."""

    async def scenario() -> None:
        due, later = await network.create_workflow(next_run=100), await network.create_workflow()
        async with network.queue() as queue:
            now = await queue.clock()
        await network.update(later, next_run=now + 300)
        async with shifted(network, 600) as gateway, scheduler(network, gateway.url) as one:
            done = await one.run_once()
            assert (done.due, done.enqueued, done.trouble) == (2, 2, "")
        assert {job["workflowId"] for job in await pending(network)} == {due, later}

    run(scenario())
