"""The mirror: what it shows is one block, whatever the endpoint does while it reads."""

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
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.view import View
from autometa_cli.errors import RpcUnreachable
from autometa_cli.scheduling.mirror import Mirror

UPDATED = interface("WorkflowRegistry").events["WorkflowUpdated"].topic
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
    """States of a registry by block, of which the tests choose; counts what is read.

    Attributes:
        life: of which branch the blocks from `since` on are.
        reads: (block, id).
        spans: how many blocks each request for events spanned.
    """

    address = "0x" + "22" * 20

    def __init__(self) -> None:
        self.states: dict[int, tuple[int, Mapping[int, Workflow | RpcFault]]] = {}
        self.life, self.since = "a", 10**9
        self.reads: list[tuple[int, int]] = []
        self.spans: list[int] = []
        self.most = 10**9
        self.fail_after = 10**9

    def at(self, block: int, total: int, **workflows: Workflow | RpcFault) -> None:
        """At `block` so many were made, of which these (`w1=…`) are there."""
        self.states[block] = (total, {int(name[1:]): each for name, each in workflows.items()})

    def reorg(self, since: int) -> None:
        """Blocks from here on are others."""
        self.life, self.since = chr(ord(self.life) + 1), since

    def block(self, number: int) -> Block:
        life = self.life if number >= self.since else "a"
        return Block(number, "0x" + (life + f"{number:x}").rjust(64, "0"), number, 0, 0, ())

    def touched(self, number: int) -> list[int]:
        """Ids that the block's events name: whatever differs from the block before."""
        before, now = self.states.get(number - 1, (0, {}))[1], self.states.get(number, (0, {}))[1]
        return [id for id in {*before, *now} if before.get(id) != now.get(id)]

    def view(self, number: int) -> View:
        async def request(method: str, params: Any) -> Any:
            if method == "eth_getLogs":
                first, last = (int(params[0][key], 16) for key in ("fromBlock", "toBlock"))
                self.spans.append(last - first + 1)
                if last - first + 1 > self.most:
                    raise RpcFault(-32000, "block range is too wide", None, "node")
                return [
                    {"address": self.address, "topics": [UPDATED, "0x" + f"{id:064x}"], "data": "0x",
                     "logIndex": hex(index), "blockNumber": hex(at), "blockHash": self.block(at).hash,
                     "transactionHash": "0x" + "00" * 32}
                    for at in range(first, last + 1) for index, id in enumerate(self.touched(at))
                ]  # fmt: skip
            block = self.block(int(params[0], 16))
            return {"number": params[0], "hash": block.hash, "timestamp": "0x0", "gasLimit": "0x0",
                    "transactions": []}  # fmt: skip

        return cast("View", SimpleNamespace(block=self.block(number), request=request))

    async def total(self, view: View) -> int:
        return self.states[view.block.number][0]

    async def get(self, view: View, id: int) -> Workflow | None:
        if len(self.reads) >= self.fail_after:
            raise RpcUnreachable("gone")
        self.reads.append((view.block.number, id))
        found = self.states[view.block.number][1].get(id)
        if isinstance(found, RpcFault):
            raise found
        return None if found is None else replace(found, id=id)

    def refresh(self, mirror: Mirror, head: int) -> list[int]:
        """Ids that are new or have changed."""
        self.reads.clear()
        return sorted(each.id for each in asyncio.run(mirror.refresh(self.view(head))))


@pytest.fixture
def chain() -> Chain:
    return Chain()


@pytest.fixture
def mirror(chain: Chain) -> Mirror:
    return Mirror(cast("Registry", chain))


def test_it_reads_what_changed_and_keeps_the_rest(chain: Chain, mirror: Mirror) -> None:
    chain.at(10, 2, w1=MADE, w2=MADE)
    chain.at(11, 3, w1=MADE, w2=replace(MADE, next_run=200), w3=MADE)

    assert chain.refresh(mirror, 10) == [1, 2]
    before = mirror.workflows[1]
    chain.reads.clear()
    assert chain.refresh(mirror, 11) == [2, 3]
    assert mirror.workflows[1] is before
    assert mirror.block == chain.block(11)
    assert chain.refresh(mirror, 11) == []
    assert chain.reads == []


def test_due_and_ahead(chain: Chain, mirror: Mirror) -> None:
    chain.at(
        1, 4, w1=MADE, w2=replace(MADE, active=False), w3=replace(MADE, next_run=101), w4=replace(MADE, next_run=0)
    )  # fmt: skip
    chain.refresh(mirror, 1)

    assert [each.id for each in mirror.due(100)] == [4, 1]
    assert [each.id for each in mirror.due(99)] == [4]
    assert mirror.next_due(99) == 100
    assert mirror.next_due(101) is None
    assert mirror.active == 3


def test_a_reorg_is_noticed_and_what_it_touched_is_read_again(chain: Chain, mirror: Mirror) -> None:
    for number in range(1, 11):
        chain.at(number, 3, w1=MADE, w2=MADE, w3=MADE)
    chain.refresh(mirror, 9)
    chain.at(10, 3, w1=replace(MADE, next_run=500), w2=MADE, w3=MADE)
    chain.refresh(mirror, 10)
    assert mirror.workflows[1].next_run == 500

    chain.reorg(10)
    chain.at(10, 3, w1=MADE, w2=MADE)
    chain.at(11, 3, w1=MADE, w2=MADE)
    chain.refresh(mirror, 11)
    assert sorted(mirror.workflows) == [1, 2]
    assert mirror.workflows[1].next_run == 100
    assert {id for _, id in chain.reads} == {1, 3}


def test_a_chain_that_began_anew_is_read_anew(chain: Chain, mirror: Mirror) -> None:
    chain.at(2, 2, w2=MADE)
    chain.refresh(mirror, 2)

    chain.reorg(0)
    chain.at(2, 1, w1=MADE)
    assert chain.refresh(mirror, 2) == [1]
    assert list(mirror.workflows) == [1]


def test_an_endpoint_that_lags_behind_shows_its_own_block(chain: Chain, mirror: Mirror) -> None:
    chain.at(5, 2, w1=MADE, w2=MADE)
    chain.at(6, 2, w2=MADE)
    chain.refresh(mirror, 5)
    chain.refresh(mirror, 6)
    assert list(mirror.workflows) == [2]
    chain.refresh(mirror, 5)
    assert sorted(mirror.workflows) == [1, 2]


def test_what_fails_half_way_goes_on(chain: Chain, mirror: Mirror) -> None:
    many = {f"w{id}": MADE for id in range(1, 5001)}
    for number in range(1, 10):
        chain.at(number, 5000, **many)
    chain.at(10, 5000, **{**many, "w7": replace(MADE, next_run=7)})
    chain.fail_after = 4500
    with pytest.raises(RpcUnreachable):
        chain.refresh(mirror, 9)
    chain.fail_after = 10**9

    assert len(chain.refresh(mirror, 10)) == 5000  # all are told of, also those of the first attempt
    assert len(chain.reads) < 1000 + 10
    assert mirror.workflows[7].next_run == 7


def test_what_a_failed_attempt_read_of_a_lost_branch_is_read_again(chain: Chain, mirror: Mirror) -> None:
    chain.at(1, 2, w1=MADE, w2=MADE)
    chain.refresh(mirror, 1)
    chain.at(2, 2, w1=replace(MADE, next_run=5), w2=replace(MADE, next_run=5))
    chain.fail_after = 1
    with pytest.raises(RpcUnreachable):
        chain.refresh(mirror, 2)
    chain.fail_after = 10**9

    chain.reorg(2)
    chain.at(2, 2, w1=MADE, w2=MADE)
    chain.refresh(mirror, 2)
    assert {each.next_run for each in mirror.workflows.values()} == {100}


def test_ranges_fit_what_the_endpoint_accepts(chain: Chain, mirror: Mirror) -> None:
    for number in range(1, 901):
        chain.at(number, 1, w1=replace(MADE, next_run=number))
    chain.refresh(mirror, 1)
    chain.most = 300
    chain.refresh(mirror, 900)
    assert mirror.workflows[1].next_run == 900
    assert len(chain.spans) < 8


def test_one_that_cannot_be_read_stops_no_other(chain: Chain, mirror: Mirror) -> None:
    chain.at(1, 2, w1=RpcFault(-32000, "out of gas", None, "node"), w2=MADE)
    chain.at(2, 2, w1=MADE, w2=MADE)

    assert chain.refresh(mirror, 1) == [2]
    assert list(mirror.faults) == [1]
    assert chain.refresh(mirror, 2) == [1]
    assert mirror.faults == {}


def test_the_slow_comparison_finds_what_no_event_told(chain: Chain, mirror: Mirror) -> None:
    chain.at(1, 3, w1=MADE, w2=MADE, w3=MADE)
    chain.refresh(mirror, 1)
    chain.states[1] = (3, {1: MADE, 2: replace(MADE, next_run=9), 3: MADE})

    wrong = [asyncio.run(mirror.compare(chain.view(1), 1)) for _ in range(4)]

    assert wrong == [[], [2], [], []]
    assert [each.id for each in mirror.due(9)] == [2]
    assert [each.id for each in asyncio.run(mirror.refresh(chain.view(1)))] == [2]
