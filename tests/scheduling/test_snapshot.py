"""A scheduler that starts goes on from what another kept, and never believes it blindly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa_cli.addresses import checksum
from autometa_cli.chain.contracts import Registry, Workflow
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.rpc import Rpc
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.networks import MOONBEAM_MULTICALL3
from autometa_cli.scheduler import Scheduler
from autometa_cli.scheduling.reading import Reader, read_each
from autometa_cli.scheduling.snapshot import pack, unpack
from tests.chain.loopback import Gateway
from tests.network import LiveNetwork

NUMBERS = st.integers(0, 2**256 - 1)
WORKFLOWS = st.builds(
    Workflow,
    id=st.integers(1, 2**63),
    owner=st.binary(min_size=20, max_size=20).map(lambda data: checksum("0x" + data.hex())),
    trigger_type=st.integers(0, 255),
    trigger_data=st.binary(max_size=100),
    action_type=st.integers(0, 255),
    action_data=st.binary(max_size=100),
    next_run=NUMBERS,
    interval=NUMBERS,
    active=st.booleans(),
    gas_budget=NUMBERS,
)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 60))


@asynccontextmanager
async def scheduler(network: LiveNetwork, url: str) -> AsyncIterator[Scheduler]:
    async with Rpc([url], chain_id=network.info.chain_id) as rpc:
        queue = JobQueue(network.redis_url)
        try:
            yield Scheduler(network.settings(), queue, rpc)
        finally:
            await queue.connections.close()


@given(st.lists(WORKFLOWS, max_size=5))
def test_what_is_packed_comes_back(workflows: list[Workflow]) -> None:
    assert list(unpack(pack(workflows))) == workflows


def test_a_restart_reads_only_what_changed(network: LiveNetwork) -> None:
    async def scenario() -> None:
        ids = await network.create_workflows(100, next_run=network.now() + 10**6)
        network.anvil.mine(5)
        async with scheduler(network, network.rpc_url) as first:
            await first.run_once()
            await first.keep()
        await network.pause(ids[0])
        await network.update(ids[1], next_run=100)

        async with Gateway(network.rpc_url) as gateway, scheduler(network, gateway.url) as second:
            done = await second.run_once()
            reads = sum(call["method"] == "eth_call" for call in gateway.calls)
        assert (done.workflows, done.active, done.due, done.enqueued) == (100, 99, 1, 1)
        assert reads == 3  # the two, and the due one before it is queued

    run(scenario())


@pytest.mark.parametrize("damage", ["half", "garbage", "another version", "another chain"])
def test_what_cannot_be_used_is_read_anew(network: LiveNetwork, damage: str) -> None:
    async def scenario() -> None:
        await network.create_workflows(20, next_run=100)
        async with scheduler(network, network.rpc_url) as first, network.queue() as queue:
            await first.run_once()
            key = queue.keys.mirror(network.info.chain_id, network.registry)
            if damage == "another chain":
                step = first.mirror.trail.steps[-1]
                first.mirror.trail.steps.clear()
                first.mirror.trail.steps.append(replace(step, hash="0x" + "77" * 32, number=1))
            await first.keep()
            names = await queue.redis.hkeys(key)
            (part,) = [name for name in names if name != b"meta"]
            if damage == "half":
                await queue.redis.hdel(key, part)
            elif damage == "garbage":
                await queue.redis.hset(key, part, b"garbage")
            elif damage == "another version":
                await queue.redis.hset(key, "meta", b"{}")
        async with scheduler(network, network.rpc_url) as second:
            done = await second.run_once()
        assert (done.workflows, done.due, done.already) == (20, 20, 20)

    run(scenario())


def test_a_forged_copy_queues_nothing_that_the_chain_does_not_ask_for(
    network: LiveNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        ids = await network.create_workflows(3, next_run=network.now() + 10**6)
        network.anvil.mine(5)
        async with scheduler(network, network.rpc_url) as first:
            await first.run_once()
            forged = replace(first.mirror.workflows[ids[0]], next_run=5)
            first.mirror.correct({ids[0]: forged})
            await first.keep()
        async with scheduler(network, network.rpc_url) as second:
            done = await second.run_once()
            assert done.enqueued == 0
            again = await second.run_once()
            assert (again.due, again.workflows) == (0, 3)
        assert "differ from what their events told" in caplog.text

    run(scenario())


def test_multicall3_reads_the_same(network: LiveNetwork) -> None:
    async def scenario() -> None:
        ids = await network.create_workflows(60, next_run=100)
        await network.delete(*ids[5:9])
        code = network.anvil.request(
            "eth_call", {"data": "0x" + interface("Multicall3").deploy_data().hex()}, "latest"
        )
        network.anvil.request("anvil_setCode", MOONBEAM_MULTICALL3, code)
        registry = Registry(network.registry)
        async with Gateway(network.rpc_url) as gateway, Rpc([gateway.url], chain_id=None) as rpc:
            view = await rpc.view()
            truth, _ = await read_each(registry, view, ids)
            gateway.bodies.clear()
            found, faults = await Reader(registry, MOONBEAM_MULTICALL3).read(view, ids)
            assert (found, faults) == (truth, {})
            assert sum(call["method"] == "eth_call" for call in gateway.calls) == 1
            # Where it is not there, the same in batches.
            missing = await Reader(registry, network.executor).read(view, ids)
            assert missing == (truth, {})
            nobody = await Reader(registry, checksum("0x" + "99" * 20)).read(view, ids)
            assert nobody == (truth, {})
        network.anvil.request("anvil_setCode", MOONBEAM_MULTICALL3, "0x")

    run(scenario())
