"""Which transaction used a nonce: looked up in the bodies of final blocks, since an index may lag behind them.

That a receipt is missing proves nothing. Behind one address may stand several nodes, and one that lags answers "there
is no such receipt" and "there are no such logs" for a block that another one has just called final.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autometa_cli.chain.faults import RpcFault, quantity
from autometa_cli.chain.view import together
from autometa_cli.errors import RpcUnreachable

if TYPE_CHECKING:
    from autometa_cli.chain.view import View

#: Whole blocks that are asked for at a time.
_BLOCKS = 10
#: Final blocks whose senders are remembered: after a loss of writes many nonces were used in the same few.
_KEPT = 2000


@dataclass(frozen=True, slots=True)
class Taker:
    """The transaction that used a nonce; `to` and `hash` in lower case."""

    hash: str
    to: str
    data: bytes


class Takers:
    """Finds them, and remembers the blocks that it read."""

    def __init__(self) -> None:
        self._blocks: dict[int, dict[tuple[str, int], Taker]] = {}

    async def find(self, view: View, sender: str, nonce: int, after: int, final: int) -> Taker:
        """The transaction of `sender` with this nonce, in a block after `after` up to the final one.

        Raises:
            RpcUnreachable: the endpoint does not show it (yet).
        """
        key = (sender.lower(), nonce)
        first, last = await self._narrowed(view, sender, nonce, after + 1, final)
        for start in range(first, last + 1, _BLOCKS):
            numbers = range(start, min(last, start + _BLOCKS - 1) + 1)
            await self._read(view, [number for number in numbers if number not in self._blocks])
            for number in numbers:
                if found := self._blocks[number].get(key):
                    return found
            self._forget()
        raise RpcUnreachable(f"no block up to {final} shows which transaction used nonce {nonce} of {sender}")

    async def _narrowed(self, view: View, sender: str, nonce: int, first: int, last: int) -> tuple[int, int]:
        """The block in which the count passed the nonce, where the endpoint keeps old states; else what is left."""
        try:
            while first < last:
                middle = (first + last) // 2
                answer = await view.request("eth_getTransactionCount", (sender, hex(middle)))
                if quantity(answer, "a nonce") > nonce:
                    last = middle
                else:
                    first = middle + 1
        except (RpcFault, RpcUnreachable):
            return first, last
        return first, last

    async def _read(self, view: View, numbers: list[int]) -> None:
        requests = (view.request("eth_getBlockByNumber", (hex(number), True)) for number in numbers)
        for number, block in zip(numbers, await together(*requests), strict=True):
            if not isinstance(block, dict) or not isinstance(block.get("transactions"), list):
                raise RpcUnreachable(f"the endpoint does not show block {number}")
            self._blocks[number] = dict(_taker(each) for each in block["transactions"])

    def _forget(self) -> None:
        while len(self._blocks) > _KEPT:
            del self._blocks[next(iter(self._blocks))]


def _taker(transaction: Any) -> tuple[tuple[str, int], Taker]:
    try:
        sender, nonce = transaction["from"].lower(), quantity(transaction["nonce"], "a nonce")
        data = bytes.fromhex((transaction.get("input") or "0x")[2:])
        return (sender, nonce), Taker(
            transaction["hash"].lower(), (transaction.get("to") or "").lower(), data
        )
    except (TypeError, KeyError, AttributeError, ValueError):
        raise RpcUnreachable("malformed answer of an RPC endpoint: a block's transactions") from None
