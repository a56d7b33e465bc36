"""Blocks, receipts and logs, read strictly from what a node answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autometa_cli.chain.faults import octets, quantity
from autometa_cli.errors import RpcUnreachable


@dataclass(frozen=True, slots=True)
class Block:
    """One block's header, and the hashes of its transactions.

    Attributes:
        number: its height.
        hash: 0x and 64 digits, lower case.
        timestamp: seconds since 1970.
        base_fee: wei per gas; 0 on chains without one.
        gas_limit: gas.
        transactions: their hashes in order, lower case.
    """

    number: int
    hash: str
    timestamp: int
    base_fee: int
    gas_limit: int
    transactions: tuple[str, ...]

    @classmethod
    def parse(cls, answer: Any) -> Block:
        """From the answer to `eth_getBlockBy…` without full transactions. Raises RpcUnreachable."""
        block = _mapping(answer, "a block")
        base_fee = block.get("baseFeePerGas")
        return cls(
            number=quantity(block.get("number"), "a block's number"),
            hash=hash32(block.get("hash"), "a block's hash"),
            timestamp=quantity(block.get("timestamp"), "a block's timestamp"),
            base_fee=0 if base_fee is None else quantity(base_fee, "a block's base fee"),
            gas_limit=quantity(block.get("gasLimit"), "a block's gas limit"),
            transactions=tuple(
                hash32(entry, "a transaction's hash") for entry in _list(block, "transactions", "a block")
            ),
        )


@dataclass(frozen=True, slots=True)
class Log:
    """One event as the node gives it.

    Attributes:
        address: the contract's, lower case.
        topics: 0x and 64 digits each, lower case.
        data: the values that are not indexed.
        index: its place among the logs of its block.
        block_number, block_hash, transaction_hash: where it happened.
    """

    address: str
    topics: tuple[str, ...]
    data: bytes
    index: int
    block_number: int = 0
    block_hash: str = ""
    transaction_hash: str = ""

    @classmethod
    def parse(cls, answer: Any) -> Log:
        """From a member of a receipt's `logs` or of the answer to `eth_getLogs`. Raises RpcUnreachable."""
        log = _mapping(answer, "a log")
        return cls(
            address=address20(log.get("address"), "a log's address"),
            topics=tuple(hash32(topic, "a log's topic") for topic in _list(log, "topics", "a log")),
            data=octets(log.get("data"), "a log's data"),
            index=quantity(log.get("logIndex"), "a log's index"),
            block_number=quantity(log.get("blockNumber"), "a log's block number"),
            block_hash=hash32(log.get("blockHash"), "a log's block hash"),
            transaction_hash=hash32(log.get("transactionHash"), "a log's transaction hash"),
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a node says became of a transaction. Not proof by itself: compare `block_hash` with the chain.

    Attributes:
        hash, block_hash: lower case.
        sender, to: lower case; `to` is None where a contract was created.
        status: 1, or 0 where it reverted.
        gas_used: gas.
        effective_gas_price: wei per gas that was paid.
        contract_address: the new contract's, lower case, or None.
    """

    hash: str
    block_number: int
    block_hash: str
    sender: str
    to: str | None
    status: int
    gas_used: int
    effective_gas_price: int
    logs: tuple[Log, ...]
    contract_address: str | None = None

    @property
    def fee_paid(self) -> int:
        """wei."""
        return self.gas_used * self.effective_gas_price

    @classmethod
    def parse(cls, answer: Any) -> Receipt | None:
        """From the answer to `eth_getTransactionReceipt`; None while not mined. Raises RpcUnreachable."""
        if answer is None:
            return None
        receipt = _mapping(answer, "a receipt")
        if receipt.get("blockHash") is None or receipt.get("blockNumber") is None:
            return None  # some nodes make one up for a transaction in the pool
        status = quantity(receipt.get("status"), "a receipt's status")
        if status > 1:
            raise RpcUnreachable(f"malformed answer of an RPC endpoint: a receipt's status is {status}")
        to, created, price = (
            receipt.get("to"),
            receipt.get("contractAddress"),
            receipt.get("effectiveGasPrice"),
        )
        return cls(
            hash=hash32(receipt.get("transactionHash"), "a receipt's transaction hash"),
            block_number=quantity(receipt["blockNumber"], "a receipt's block number"),
            block_hash=hash32(receipt["blockHash"], "a receipt's block hash"),
            sender=address20(receipt.get("from"), "a receipt's sender"),
            to=None if to is None else address20(to, "a receipt's target"),
            status=status,
            gas_used=quantity(receipt.get("gasUsed"), "a receipt's gas used"),
            effective_gas_price=0 if price is None else quantity(price, "a receipt's gas price"),
            logs=tuple(Log.parse(log) for log in _list(receipt, "logs", "a receipt")),
            contract_address=None if created is None else address20(created, "a receipt's contract"),
        )


def hash32(value: Any, what: str) -> str:
    """32 bytes of hex with 0x, lower case. Raises RpcUnreachable naming `what`."""
    return _fixed(value, 66, what)


def address20(value: Any, what: str) -> str:
    """20 bytes of hex with 0x, lower case. Raises RpcUnreachable naming `what`."""
    return _fixed(value, 42, what)


def _fixed(value: Any, length: int, what: str) -> str:
    if isinstance(value, str) and len(value) == length and value[:2] == "0x":
        octets(value, what)
        return value.lower()
    raise RpcUnreachable(f"malformed answer of an RPC endpoint: {what} is {str(value)[:40]!r}")


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise RpcUnreachable(f"malformed answer of an RPC endpoint: {what} is {str(value)[:40]!r}")


def _list(value: Mapping[str, Any], key: str, what: str) -> list[Any]:
    found = value.get(key)
    if isinstance(found, list):
        return found
    raise RpcUnreachable(f"malformed answer of an RPC endpoint: {what} has no list of {key}")
