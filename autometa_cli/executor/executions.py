"""What was executed in a range of blocks, as the executor contract's events tell it.

`eth_getLogs` asks an index, which may lag behind the blocks: that it finds nothing proves nothing. So the blocks' own
blooms are looked at, too, and where one does not rule an event out, the block's receipts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from autometa_cli.chain.blocks import Block, Log, Receipt
from autometa_cli.chain.bloom import may_hold
from autometa_cli.chain.faults import RpcFault
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.view import together
from autometa_cli.errors import RpcUnreachable

if TYPE_CHECKING:
    from autometa_cli.chain.view import View

#: Blocks whose blooms are looked at; an index that lags further behind is broken, and not only late.
_LOOKED_AT = 2000
#: Headers or receipts that are asked for at a time.
_BATCH = 100


async def executions(
    view: View,
    executor: str,
    workflows: Collection[int],
    first: int,
    last: int,
    log_range: int,
    *,
    confirmed: bool = True,
) -> list[Log]:
    """`WorkflowExecuted` of these workflows in blocks `first` to `last`, in order, whatever came of the action.

    Args:
        log_range: the most blocks that one `eth_getLogs` may ask for.
        confirmed: also look at the blocks themselves; that costs a header for each.

    Raises:
        RpcUnreachable: they cannot be read.
    """
    topic = interface("ActionExecutor").events["WorkflowExecuted"].topic
    ids = ["0x" + workflow.to_bytes(32, "big").hex() for workflow in workflows]
    found: list[Log] = []
    try:
        for start in range(first, last + 1, log_range):
            criteria = {
                "address": executor,
                "topics": [topic, ids],
                "fromBlock": hex(start),
                "toBlock": hex(min(last, start + log_range - 1)),
            }
            found += [Log.parse(log) for log in await view.request("eth_getLogs", (criteria,))]
        if confirmed:
            told = {log.block_number for log in found}
            wanted = [n for n in range(max(first, last + 1 - _LOOKED_AT), last + 1) if n not in told]
            found += await _overlooked(view, executor, topic, ids, wanted)
    except RpcFault as fault:
        raise RpcUnreachable(f"logs cannot be read: {fault.message}") from None
    return sorted(found, key=lambda log: (log.block_number, log.index))


async def _overlooked(
    view: View, executor: str, topic: str, ids: Sequence[str], numbers: Sequence[int]
) -> list[Log]:
    """The events in these blocks, of which the index says that there are none."""
    found: list[Log] = []
    for header in await _batched(view, "eth_getBlockByNumber", [(hex(number), False) for number in numbers]):
        if not any(may_hold(header, *map(_octets, (executor, topic, id))) for id in ids):
            continue
        hashes = [(hash,) for hash in Block.parse(header).transactions]
        for answer in await _batched(view, "eth_getTransactionReceipt", hashes):
            receipt = Receipt.parse(answer)
            if receipt is None:
                raise RpcUnreachable("the endpoint shows a block, and not all of its receipts")
            found += [
                log
                for log in receipt.logs
                if log.address == executor.lower() and log.topics[:1] == (topic,) and log.topics[1] in ids
            ]
    return found


async def _batched(view: View, method: str, asked: Sequence[Sequence[Any]]) -> list[Any]:
    answers: list[Any] = []
    for start in range(0, len(asked), _BATCH):
        answers += await together(*(view.request(method, params) for params in asked[start : start + _BATCH]))
    return answers


def _octets(text: str) -> bytes:
    return bytes.fromhex(text[2:])
