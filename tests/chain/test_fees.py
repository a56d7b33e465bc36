"""What is offered for gas, and how the offer rises."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa_cli.chain.feemarket import quote
from autometa_cli.chain.fees import FeeCapReached, FeeQuote, bump, capped
from autometa_cli.chain.rpc import Rpc
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.errors import RpcUnreachable
from tests.chain.actors import CHAIN_ID, LOCAL
from tests.chain.loopback import Node, bad, client, good

GWEI = 10**9
fees = st.integers(0, 10**15)


def offers() -> st.SearchStrategy[FeeQuote]:
    return st.tuples(fees, st.integers(1, 10**15)).map(
        lambda pair: FeeQuote(pair[0], pair[1], pair[1] + 2 * pair[0])
    )


def chain(base_fee: int | None, tip: Any) -> Any:
    """A node with this base fee and this answer to eth_maxPriorityFeePerGas."""

    def answer(body: Any) -> Any:
        if body["method"] == "eth_maxPriorityFeePerGas":
            return tip(body)
        block = {
            "number": "0x5",
            "hash": "0x" + "11" * 32,
            "timestamp": "0x1",
            "gasLimit": "0x1",
            "transactions": [],
        }
        return good(body, block | ({} if base_fee is None else {"baseFeePerGas": hex(base_fee)}))

    return answer


@pytest.mark.parametrize(
    ("base_fee", "suggested", "expected"),
    [
        (31_250_000, "0x0", FeeQuote(31_250_000, GWEI, GWEI + 62_500_000)),  # Moonbeam suggests 0: the floor
        (GWEI, hex(3 * GWEI), FeeQuote(GWEI, 3 * GWEI, 5 * GWEI)),
        (None, hex(3 * GWEI), FeeQuote(0, 3 * GWEI, 3 * GWEI)),
    ],
)
def test_quotes(base_fee: int | None, suggested: str, expected: FeeQuote) -> None:
    async def main() -> None:
        async with client(chain(base_fee, lambda body: good(body, suggested))) as (rpc, _):
            assert await quote(rpc, LOCAL) == expected
            assert await quote(await rpc.view(), LOCAL) == expected

    asyncio.run(main())


def test_a_node_that_suggests_nothing() -> None:
    async def main() -> None:
        async with Node(chain(GWEI, lambda body: bad(body, -32601, "Method not found"))) as node:
            async with Rpc([node.url], chain_id=None) as rpc:
                assert (await quote(rpc, LOCAL)).priority_fee == LOCAL.min_priority_fee
                # A tip of 0 is never offered: at Moonbeam nothing could replace it by a factor.
                assert (await quote(rpc, replace(LOCAL, min_priority_fee=0))).priority_fee == 1
            node.answer = chain(GWEI, lambda body: good(body, "many"))
            async with Rpc([node.url], chain_id=None) as rpc:
                with pytest.raises(RpcUnreachable, match="suggested tip"):
                    await quote(rpc, LOCAL)

    asyncio.run(main())


def test_a_real_chain(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with Rpc([anvil.url], chain_id=CHAIN_ID) as rpc:
            view = await rpc.view()
            offer = await quote(view, LOCAL)
            assert offer.base_fee == view.block.base_fee
            assert offer.max_fee == offer.priority_fee + 2 * offer.base_fee
            assert offer.priority_fee >= LOCAL.min_priority_fee

    asyncio.run(main())


@given(offers(), st.integers(1, 10**16))
def test_the_cap(offer: FeeQuote, cap: int) -> None:
    if offer.base_fee + offer.priority_fee > cap:
        with pytest.raises(FeeCapReached) as caught:
            capped(offer, cap)
        assert (caught.value.needed, caught.value.cap) == (offer.base_fee + offer.priority_fee, cap)
        return
    within = capped(offer, cap)
    assert within.max_fee == min(offer.max_fee, cap)
    assert (within.base_fee, within.priority_fee) == (offer.base_fee, offer.priority_fee)
    assert capped(offer, None) == offer


def enough(old: int, new: int) -> bool:
    """More by an eighth, and by 1 wei: what every pool takes as a replacement (10 % are asked)."""
    return new >= old + 1 and 8 * new >= 9 * old


@given(offers())
def test_a_bump_is_enough_and_no_more(offer: FeeQuote) -> None:
    higher = bump(offer)
    assert enough(offer.priority_fee, higher.priority_fee)
    assert enough(offer.max_fee, higher.max_fee)
    assert higher.max_fee >= higher.priority_fee
    assert higher.priority_fee in (-(-offer.priority_fee * 9 // 8), offer.priority_fee + 1)


@given(offers(), offers(), st.integers(1, 10**16))
def test_a_bump_follows_the_market_up_to_the_cap(offer: FeeQuote, now: FeeQuote, cap: int) -> None:
    try:
        higher = bump(offer, cap, now)
    except FeeCapReached:
        must = max(bump(offer).max_fee, now.base_fee + max(bump(offer).priority_fee, now.priority_fee))
        assert must > cap
        return
    assert enough(offer.priority_fee, higher.priority_fee)
    assert enough(offer.max_fee, higher.max_fee)
    assert higher.priority_fee >= now.priority_fee
    assert higher.max_fee >= min(now.max_fee, cap)
    assert now.base_fee + higher.priority_fee <= higher.max_fee <= cap


def test_the_message_is_in_gwei() -> None:
    with pytest.raises(FeeCapReached, match=r"gas costs 12\.5 gwei at least, and the cap is 10 gwei"):
        capped(FeeQuote(10 * GWEI, 2_500_000_000, 30 * GWEI), 10 * GWEI)
