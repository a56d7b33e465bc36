"""Random histories on a real chain, reorgs included: after each step the mirror equals a full read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autometa_cli.chain.contracts import Registry, Workflow
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.rpc import Rpc
from autometa_cli.chain.view import View
from autometa_cli.devnet import anvil_binary
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.scheduling.mirror import Mirror
from autometa_cli.scheduling.reading import read_each
from autometa_cli.scheduling.snapshot import Snapshot, pack, unpack
from tests.network import LiveNetwork

CHANGES = ("create", "update", "pause", "resume", "delete", "execute", "set")
STEPS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 10**6)), max_size=4),
        st.sampled_from(("look", "look", "look", "reorg", "revert", "restart", "mine", "behind")),
        st.integers(1, 6),
    ),
    min_size=2,
    max_size=8,
)


@pytest.fixture(scope="module")
def own_anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnvilProcess]:
    """A chain that may be turned back."""
    node = AnvilProcess(tmp_path_factory.mktemp("anvil"), anvil_binary.find(), block_time=None)
    node.start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def there(own_anvil: AnvilProcess) -> LiveNetwork:
    return LiveNetwork.on(own_anvil, "redis://127.0.0.1:1/0")


async def everything(registry: Registry, view: View) -> Mapping[int, Workflow]:
    """What a full read finds."""
    total = await registry.total(view)
    found, faults = await read_each(registry, view, range(1, total + 1))
    assert not faults
    return {id: workflow for id, workflow in found.items() if workflow is not None}


class History:
    """One chain, one mirror, and what happens to them."""

    def __init__(self, network: LiveNetwork, rpc: Rpc) -> None:
        self.network = network
        self.rpc = rpc
        self.registry = Registry(network.registry)
        self.mirror = Mirror(self.registry, log_range=5)

    async def change(self, what: str, number: int) -> None:
        """One transaction, if there is something to do it to."""
        network = self.network
        there = await everything(self.registry, await self.rpc.view())
        if what == "create" or not there:
            await network.create_workflow(next_run=number, interval=number % 7)
            return
        workflow = there[sorted(there)[number % len(there)]]
        id = workflow.id
        if what == "update":
            await network.update(id, next_run=number, action_data=number.to_bytes(4, "big"))
        elif what == "pause":
            await network.pause(id)
        elif what == "resume":
            await network.resume(id, number)
        elif what == "delete":
            await network.delete(id)
        elif what == "set":
            await network.set_workflow(id, bool(number % 2), number)
        else:
            call = interface("ActionExecutor").functions["executeWorkflow"].encode
            await network.transact(
                "worker", network.executor, call(id, b"\x01" + bytes(64), number, workflow.owner, 0)
            )

    async def turn(self, how: str, depth: int, snapshot: str) -> None:
        """What else may happen before the mirror looks."""
        anvil = self.network.anvil
        if how == "reorg":
            anvil.mine(1)
            anvil.request("anvil_reorg", depth, [])
        elif how == "revert":
            anvil.request("evm_revert", snapshot)
        elif how == "mine":
            anvil.mine(depth)
        elif how == "restart" and self.mirror.block is not None:
            kept = self.mirror
            assert kept.block is not None
            snapshot_of = Snapshot(
                kept.block.number,
                kept.block.hash,
                kept.total,
                list(unpack(pack(kept.workflows.values()))),
                list(kept.trail),
            )
            self.mirror = Mirror(self.registry, log_range=5)
            self.mirror.resume(snapshot_of)

    async def look(self, behind: int) -> None:
        """Let the mirror follow; it must show exactly the block that it looked at."""
        head = (await self.rpc.view()).block.number
        view = await self.rpc.view(max(0, head - behind))
        await self.mirror.refresh(view)
        truth = await everything(self.registry, view)
        assert dict(self.mirror.workflows) == truth
        assert self.mirror.block == view.block
        due = {each.id for each in self.mirror.due(500_000)}
        assert due == {id for id, each in truth.items() if each.active and each.next_run <= 500_000}
        assert self.mirror.active == sum(each.active for each in truth.values())
        ahead = [each.next_run for each in truth.values() if each.active and each.next_run > 500_000]
        assert self.mirror.next_due(500_000) == min(ahead, default=None)
        assert self.mirror.faults == {}


async def play(network: LiveNetwork, steps: list[tuple[list[tuple[str, int]], str, int]]) -> None:
    async with network.rpc() as rpc:
        history = History(network, rpc)
        for changes, how, depth in steps:
            snapshot = network.anvil.request("evm_snapshot")
            for what, number in changes:
                await history.change(what, number)
            if changes and depth % 2:
                await history.look(0)  # so that it has seen what is taken back
            await history.turn(how, depth, snapshot)
            await history.look(depth if how == "behind" else 0)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS)
def test_the_mirror_equals_a_full_read(
    there: LiveNetwork, steps: list[tuple[list[tuple[str, int]], str, int]]
) -> None:
    asyncio.run(asyncio.wait_for(play(there, steps), 120))


@pytest.mark.soak
@pytest.mark.timeout(1800)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS)
def test_the_mirror_equals_a_full_read_for_long(
    there: LiveNetwork, steps: list[tuple[list[tuple[str, int]], str, int]]
) -> None:
    asyncio.run(asyncio.wait_for(play(there, steps), 120))
