"""All reads of one decision: one endpoint, one block, so that they describe one and the same state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autometa_cli.chain.blocks import Block
from autometa_cli.chain.faults import EndpointDown, RpcFault, is_revert, octets, quantity
from autometa_cli.units import hex0x

if TYPE_CHECKING:
    from autometa_cli.chain.endpoint import Endpoint
    from autometa_cli.chain.fees import FeeQuote

# How nodes say that they do not have, or no longer have, the state of a block.
_NO_BLOCK = (
    "unknown block",
    "unknownblock",
    "block not found",
    "header not found",
    "header for hash not found",
    "missing trie node",
    "state already discarded",
    "state discarded",
    "block is out of range",
    "blockoutofrange",
    "block height is",
    "is not available",
    "historical state",
    "pruned",
)


class View:
    """Reads at `block`, all from the endpoint that gave it. Made by `Rpc.view`.

    Every method raises RpcUnreachable when the endpoint fails, or no longer has the block: make a new view
    then. RpcFault is the node's answer, a revert for instance.

    Attributes:
        block: the pinned block.
        endpoint: where it is read.
    """

    def __init__(
        self, endpoint: Endpoint, block: Block, down: Callable[[Endpoint, EndpointDown], None]
    ) -> None:
        self.endpoint = endpoint
        self.block = block
        self._tag = hex(block.number)
        self._down = down
        self._urgent = False

    def __repr__(self) -> str:
        return f"View({self.endpoint.name}, block {self.block.number})"

    def pinned(self, block: Block) -> View:
        """The same endpoint at another of its blocks."""
        view = View(self.endpoint, block, self._down)
        view._urgent = self._urgent
        return view

    def ahead(self) -> View:
        """The same, but its reads go before all others that wait for their turn: for the few that the rest rests on."""
        view = self.pinned(self.block)
        view._urgent = True
        return view

    def newest(self) -> View:
        """The same endpoint at whatever is its newest block when it is asked; `block` stays what it was."""
        view = self.pinned(self.block)
        view._tag = "latest"
        return view

    async def request(self, method: str, params: Sequence[Any] = ()) -> Any:
        """Any other read at this endpoint. Pass the block yourself: `hex(view.block.number)`."""
        try:
            return await self.endpoint.request(method, params, patient=True, urgent=self._urgent)
        except EndpointDown as error:
            self._down(self.endpoint, error)
            raise
        except RpcFault as fault:
            if self._lost(fault):
                raise EndpointDown(
                    self.endpoint.name, f"it does not have block {self.block.number} (any more): {fault.text}"
                ) from None
            raise

    async def call(
        self,
        to: str,
        data: bytes,
        *,
        sender: str | None = None,
        gas: int | None = None,
        value: int = 0,
        fees: FeeQuote | None = None,
    ) -> bytes:
        """What a call returns; nothing is changed. Raises RpcFault where it reverts.

        Args:
            to: the contract.
            data: selector and arguments.
            sender: who calls; the zero address where not given.
            gas: gas limit; the node's own where not given.
            value: wei sent along.
            fees: what the transaction would pay, for contracts that look at it.
        """
        transaction = _transaction(to, data, sender, value, fees, gas)
        return octets(await self.request("eth_call", (transaction, self._tag)), "eth_call")

    async def estimate_gas(
        self, to: str | None, data: bytes, *, sender: str, value: int = 0, fees: FeeQuote | None = None
    ) -> int:
        """Gas that the transaction would need. Raises RpcFault where it reverts."""
        transaction = _transaction(to, data, sender, value, fees, None)
        return quantity(await self.request("eth_estimateGas", (transaction, self._tag)), "eth_estimateGas")

    async def nonce(self, address: str) -> int:
        """Transactions that `address` has had mined."""
        return quantity(await self.request("eth_getTransactionCount", (address, self._tag)), "a nonce")

    async def balance(self, address: str) -> int:
        """wei."""
        return quantity(await self.request("eth_getBalance", (address, self._tag)), "a balance")

    async def code(self, address: str) -> bytes:
        """The contract's code; empty where there is none."""
        return octets(await self.request("eth_getCode", (address, self._tag)), "a contract's code")

    def _lost(self, fault: RpcFault) -> bool:
        text = fault.text.lower()
        return not is_revert(fault) and any(pattern in text for pattern in _NO_BLOCK)


def _transaction(
    to: str | None,
    data: bytes,
    sender: str | None,
    value: int,
    fees: FeeQuote | None,
    gas: int | None,
) -> Mapping[str, str]:
    transaction = {"data": hex0x(data)}
    if to is not None:
        transaction["to"] = to
    if sender is not None:
        transaction["from"] = sender
    if value:
        transaction["value"] = hex(value)
    if gas is not None:
        transaction["gas"] = hex(gas)
    if fees is not None:
        transaction["maxFeePerGas"] = hex(fees.max_fee)
        transaction["maxPriorityFeePerGas"] = hex(fees.priority_fee)
    return transaction


async def together(*reads: Any) -> list[Any]:
    """Await reads at once, so that they leave in one batch; raise the first failure after all are done."""
    results = await asyncio.gather(*reads, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
