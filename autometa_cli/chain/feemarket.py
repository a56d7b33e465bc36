"""What the chain asks for gas now, read from it, as an offer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autometa_cli.chain.faults import RpcFault, quantity
from autometa_cli.chain.fees import FeeQuote, capped
from autometa_cli.chain.view import View

if TYPE_CHECKING:
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.networks import Network


async def quote(source: Rpc | View, network: Network, max_fee_wei: int | None = None) -> FeeQuote:
    """An offer for the next blocks: the larger of the network's floor and the node's idea of a tip, and room
    for the base fee to double.

    Args:
        source: a view, whose block's base fee counts, or the chain, whose newest block's does.
        max_fee_wei: the cap in wei per gas; an offer is cut to it as long as it covers base fee and tip.

    Raises:
        FeeCapReached: base fee and tip together are above the cap.
        RpcUnreachable: no endpoint answered.
    """
    view = source if isinstance(source, View) else await source.view()
    base_fee = view.block.base_fee
    try:
        suggested = quantity(await view.request("eth_maxPriorityFeePerGas"), "the suggested tip")
    except RpcFault:
        suggested = 0  # a node without this method; the floor will do
    priority_fee = max(network.min_priority_fee, suggested, 1)
    return capped(FeeQuote(base_fee, priority_fee, priority_fee + 2 * base_fee), max_fee_wei)
