"""Transfers of tokens and of the native token, as logs and blocks show them.

Native ones are those of plain transactions. What contracts pay within a call, and what a Substrate extrinsic moves,
leaves no log and no transaction of its own, so nobody can be told of it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autometa_cli.chain.blocks import Log, Receipt, address20, hash32
from autometa_cli.chain.faults import EndpointDown, RpcFault, quantity
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.triggers import WalletTrigger
from autometa_cli.chain.view import together

if TYPE_CHECKING:
    from autometa_cli.chain.view import View

#: Addresses in one place of an `eth_getLogs` filter.
_MOST_ADDRESSES = 500
#: Blocks with all their transactions that are read at a time.
_BLOCKS_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer. Addresses and hashes are lower case.

    Attributes:
        token: None: the native one.
        amount: wei, or the token's smallest unit.
        index: of the log in its block; -1 for a native one.
    """

    tx: str
    block: int
    token: str | None
    sender: str
    recipient: str
    amount: int
    index: int = -1

    def fires(self, trigger: WalletTrigger, owner: str) -> bool:
        """Whether it is what a trigger waits for.

        Args:
            owner: of the workflow, who is watched where the trigger names nobody.
        """
        watched = trigger.watched or owner.lower()
        who = self.recipient if trigger.direction == "incoming" else self.sender
        # A transfer of nothing can be made in anybody's name.
        return who == watched and self.token == trigger.token and self.amount >= max(1, trigger.min_amount)


@dataclass(frozen=True, slots=True)
class Watch:
    """What to look for, lower case all.

    Attributes:
        tokens: ERC-20 contracts.
        incoming, outgoing: wallets that may get, or send, one of these.
        native: wallets that may get or send the native token.
    """

    tokens: frozenset[str]
    incoming: frozenset[str]
    outgoing: frozenset[str]
    native: frozenset[str]


def of_log(log: Log) -> Transfer | None:
    """An ERC-20 `Transfer` log; None for any other, also for that of an ERC-721."""
    if len(log.topics) != 3 or log.topics[0] != _topic() or len(log.data) != 32:
        return None
    sender, recipient = (f"0x{topic[-40:]}" for topic in log.topics[1:])
    return Transfer(
        log.transaction_hash,
        log.block_number,
        log.address,
        sender,
        recipient,
        int.from_bytes(log.data, "big"),
        log.index,
    )


def of_receipt(receipt: Receipt) -> list[Transfer]:
    """The token transfers of one transaction, in order."""
    return [found for log in receipt.logs if (found := of_log(log)) is not None]


async def token_transfers(view: View, watch: Watch, first: int, last: int) -> list[Transfer]:
    """Those that touch watched wallets in blocks `first` to `last`, in the chain's order.

    Raises RpcUnreachable, and RpcFault where the node refuses even a single block.
    """
    queries = []
    for some_tokens in _batched(sorted(watch.tokens), _MOST_ADDRESSES):
        for place, wallets in ((1, watch.outgoing), (2, watch.incoming)):
            for some in _batched(sorted(wallets), _MOST_ADDRESSES):
                topics: list[Any] = [_topic(), None, None]
                topics[place] = ["0x" + wallet[2:].rjust(64, "0") for wallet in some]
                queries.append({"address": some_tokens, "topics": topics[: place + 1]})
    answers = await together(*(_logs(view, query, first, last) for query in queries))
    found = {(log.block_number, log.index): of_log(log) for logs in answers for log in logs}
    return [
        transfer for _, transfer in sorted(found.items(), key=lambda item: item[0]) if transfer is not None
    ]


async def native_transfers(view: View, wallets: Collection[str], first: int, last: int) -> list[Transfer]:
    """Successful transactions with a value from or to these wallets. Raises RpcUnreachable, RpcFault."""
    found: list[Transfer] = []
    for start in range(first, last + 1, _BLOCKS_AT_ONCE):
        numbers = range(start, min(last + 1, start + _BLOCKS_AT_ONCE))
        blocks = await together(
            *(view.request("eth_getBlockByNumber", (hex(number), True)) for number in numbers)
        )
        for number, block in zip(numbers, blocks, strict=True):
            found += [
                each for each in _natives(view, number, block) if {each.sender, each.recipient} & set(wallets)
            ]
    receipts = await together(*(receipt(view, each.tx) for each in found))
    return [
        each for each, mined in zip(found, receipts, strict=True) if mined is not None and mined.status == 1
    ]


async def receipt(view: View, tx: str) -> Receipt | None:
    """A transaction's receipt, as the view's endpoint has it. Raises RpcUnreachable, RpcFault."""
    return Receipt.parse(await view.request("eth_getTransactionReceipt", (tx,)))


async def native_of(view: View, tx: str) -> Transfer | None:
    """One transaction as a transfer, whatever became of it. Raises RpcUnreachable, RpcFault."""
    entry = await view.request("eth_getTransactionByHash", (tx,))
    return _native(entry) if isinstance(entry, dict) and entry.get("blockNumber") else None


async def _logs(view: View, query: dict[str, Any], first: int, last: int) -> list[Log]:
    criteria = {**query, "fromBlock": hex(first), "toBlock": hex(last)}
    try:
        answer = await view.request("eth_getLogs", (criteria,))
    except RpcFault:
        if first == last:
            raise
        middle = (first + last) // 2  # too many blocks, or too many logs, for this endpoint
        halves = await _logs(view, query, first, middle), await _logs(view, query, middle + 1, last)
        return [*halves[0], *halves[1]]
    if not isinstance(answer, list):
        raise EndpointDown(view.endpoint.name, "its answer to eth_getLogs is no list")
    return [Log.parse(entry) for entry in answer]


def _natives(view: View, number: int, block: Any) -> list[Transfer]:
    entries = block.get("transactions") if isinstance(block, dict) else None
    if not isinstance(entries, list):
        raise EndpointDown(view.endpoint.name, f"it does not give block {number}")
    return [found for entry in entries if (found := _native(entry)) is not None]


def _native(entry: Any) -> Transfer | None:
    value = quantity(entry.get("value"), "a transaction's value")
    if not value or entry.get("to") is None:
        return None
    return Transfer(
        hash32(entry.get("hash"), "a transaction's hash"),
        quantity(entry.get("blockNumber"), "a transaction's block"),
        None,
        address20(entry.get("from"), "a transaction's sender"),
        address20(entry.get("to"), "a transaction's target"),
        value,
    )


def _batched(items: list[str], size: int) -> list[list[str]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _topic() -> str:
    topic: str = interface("IERC20").events["Transfer"].topic
    return topic
