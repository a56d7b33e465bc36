"""What was executed in a range of blocks, as the executor contract's events tell it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from autometa_cli.chain.blocks import Log
from autometa_cli.chain.contracts import interface
from autometa_cli.chain.faults import RpcFault
from autometa_cli.errors import RpcUnreachable

if TYPE_CHECKING:
    from autometa_cli.chain.view import View


async def executions(
    view: View, executor: str, workflows: Collection[int], first: int, last: int, log_range: int
) -> list[Log]:
    """`WorkflowExecuted` of these workflows in blocks `first` to `last`, in order, whatever came of the action.

    Args:
        log_range: the most blocks that one `eth_getLogs` may ask for.

    Raises:
        RpcUnreachable: they cannot be read.
    """
    topic = interface("ActionExecutor").events["WorkflowExecuted"].topic
    ids = ["0x" + workflow.to_bytes(32, "big").hex() for workflow in workflows]
    found: list[Log] = []
    for start in range(first, last + 1, log_range):
        criteria = {
            "address": executor,
            "topics": [topic, ids],
            "fromBlock": hex(start),
            "toBlock": hex(min(last, start + log_range - 1)),
        }
        try:
            found += [Log.parse(log) for log in await view.request("eth_getLogs", (criteria,))]
        except RpcFault as fault:
            raise RpcUnreachable(f"logs cannot be read: {fault.message}") from None
    return found
