"""The mirror: what it shows is one block, and whoever looks need look at changes only."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from autometa_cli.chain.blocks import Block
from autometa_cli.chain.contracts import Registry, Workflow
from autometa_cli.chain.faults import RpcFault
from autometa_cli.chain.view import View
from autometa_cli.scheduling.mirror import Mirror

MADE = Workflow(
    id=1,
    owner="0x" + "11" * 20,
    trigger_type=1,
    trigger_data=b"",
    action_type=1,
    action_data=b"",
    next_run=100,
    interval=60,
    active=True,
    gas_budget=0,
)


class Chain:
    """States of a registry by block, of which the tests choose; counts what is read."""

    def __init__(self) -> None:
        self.states: dict[int, tuple[int, Mapping[int, Workflow | RpcFault]]] = {}
        self.life = "a"
        self.reads: list[tuple[int, int]] = []

    def at(self, block: int, total: int, **workflows: Workflow | RpcFault) -> None:
        """At `block` so many were made, of which these (`w1=…`) are there."""
        self.states[block] = (total, {int(name[1:]): each for name, each in workflows.items()})

    def block(self, number: int) -> Block:
        return Block(number, "0x" + (self.life + f"{number:x}").rjust(64, "0"), number, 0, 0, ())

    def view(self, number: int) -> View:
        async def request(method: str, params: Any) -> Any:
            block = self.block(int(params[0], 16))
            return {"number": params[0], "hash": block.hash, "timestamp": "0x0", "gasLimit": "0x0",
                    "transactions": []}  # fmt: skip

        return cast("View", SimpleNamespace(block=self.block(number), request=request))

    async def total(self, view: View) -> int:
        return self.states[view.block.number][0]

    async def get(self, view: View, id: int) -> Workflow | None:
        self.reads.append((view.block.number, id))
        found = self.states[view.block.number][1].get(id)
        if isinstance(found, RpcFault):
            raise found
        return None if found is None else replace(found, id=id)

    def refresh(self, mirror: Mirror, head: int, final: int) -> list[int]:
        """Ids that are new or have changed."""
        self.reads.clear()
        changed = asyncio.run(mirror.refresh(self.view(head), self.view(final)))
        return [workflow.id for workflow in changed]


@pytest.fixture
def chain() -> Chain:
    return Chain()


@pytest.fixture
def mirror(chain: Chain) -> Mirror:
    return Mirror(cast("Registry", chain))


def test_it_tells_what_changed_and_keeps_the_rest(chain: Chain, mirror: Mirror) -> None:
    chain.at(1, 2, w1=MADE, w2=MADE)
    chain.at(2, 3, w1=MADE, w2=replace(MADE, next_run=200), w3=MADE)

    assert chain.refresh(mirror, 1, 1) == [1, 2]
    before = mirror.workflows[1]
    assert chain.refresh(mirror, 2, 1) == [2, 3]
    assert mirror.workflows[1] is before
    assert mirror.block == chain.block(2)
    assert chain.refresh(mirror, 2, 1) == []


def test_due_and_ahead(chain: Chain, mirror: Mirror) -> None:
    chain.at(
        1, 4, w1=MADE, w2=replace(MADE, active=False), w3=replace(MADE, next_run=101), w4=replace(MADE, next_run=0)
    )  # fmt: skip
    chain.refresh(mirror, 1, 1)

    assert [each.id for each in mirror.due(100)] == [1, 4]
    assert [each.id for each in mirror.due(99)] == [4]
    assert mirror.next_due(99) == 100
    assert mirror.next_due(101) is None
    assert mirror.active == 3


def test_deleted_ones_are_forgotten_when_that_is_final(chain: Chain, mirror: Mirror) -> None:
    chain.at(1, 2, w1=MADE, w2=MADE)
    chain.at(2, 2, w2=MADE)

    chain.refresh(mirror, 2, 1)
    assert list(mirror.workflows) == [2]
    chain.refresh(mirror, 1, 1)  # a reorg brings it back
    assert list(mirror.workflows) == [1, 2]
    chain.refresh(mirror, 2, 2)
    chain.refresh(mirror, 2, 2)
    assert chain.reads == [(2, 2)]


def test_one_made_and_deleted_before_it_is_final_is_asked_for_again(chain: Chain, mirror: Mirror) -> None:
    chain.at(1, 0)
    chain.at(2, 1)

    chain.refresh(mirror, 2, 1)
    chain.refresh(mirror, 2, 1)
    assert chain.reads == [(2, 1)]


def test_a_chain_that_began_anew_is_read_anew(chain: Chain, mirror: Mirror) -> None:
    chain.at(2, 2, w2=MADE)
    chain.refresh(mirror, 2, 2)

    chain.life = "b"
    chain.at(2, 1, w1=MADE)
    assert chain.refresh(mirror, 2, 2) == [1]
    assert list(mirror.workflows) == [1]


def test_one_that_cannot_be_read_stops_no_other(chain: Chain, mirror: Mirror) -> None:
    chain.at(1, 2, w1=RpcFault(-32000, "out of gas", None, "node"), w2=MADE)
    chain.at(2, 2, w1=MADE, w2=MADE)

    assert chain.refresh(mirror, 1, 1) == [2]
    assert list(mirror.faults) == [1]
    assert chain.refresh(mirror, 2, 2) == [1]
    assert mirror.faults == {}


def test_an_endpoint_that_reads_nothing_at_all_is_a_failure(chain: Chain, mirror: Mirror) -> None:
    chain.at(1, 1, w1=MADE)
    chain.at(2, 1, w1=RpcFault(-32601, "the method eth_call does not exist", None, "node"))
    chain.refresh(mirror, 1, 1)

    with pytest.raises(RpcFault):
        chain.refresh(mirror, 2, 2)
    assert mirror.block == chain.block(1)
    assert list(mirror.workflows) == [1]
