"""Transactions with a fee market (type 2), put together fast: a worker signs hundreds a second.

eth_account takes five times as long for what is around the signature itself. This knows only what our own code sends,
checked as strictly; anything else is left to eth_account.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from eth_hash.auto import keccak
from eth_utils.address import is_hex_address, to_checksum_address

_FIELDS = frozenset(
    ("type", "chainId", "nonce", "to", "value", "data", "gas", "maxFeePerGas", "maxPriorityFeePerGas")
)
#: The numbers, in their order, around `to` and `data`. A nonce has 64 bits (EIP-2681).
_BEFORE = ("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas")


class FeeTransaction:
    """One of them, not signed yet.

    Attributes:
        digest: what is signed.
    """

    __slots__ = ("_body", "digest")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.digest = keccak(b"\x02" + _list(body))

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> FeeTransaction | None:
        """From JSON-RPC field names; None where it is not of the plain kind that this knows."""
        to, data = fields.get("to"), fields.get("data")
        if fields.keys() != _FIELDS or fields["type"] != 2 or type(data) is not bytes or type(to) is not str:
            return None
        numbers = [fields[name] for name in (*_BEFORE, "value")]
        if any(type(number) is not int or not 0 <= number < 1 << 256 for number in numbers):
            return None
        address = _address(to)
        if fields["nonce"] >= 1 << 64 or address is None:
            return None
        *before, value = map(_number, numbers)
        return cls(b"".join((*before, b"\x94", address, value, _text(data), b"\xc0")))

    def signed(self, signature: bytes) -> bytes:
        """With its signature: r and s, of 32 bytes each, and the parity of the curve point, 0 or 1."""
        r, s = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:64]))
        return b"\x02" + _list(self._body + _number(signature[64]) + _number(r) + _number(s))


@lru_cache(maxsize=1024)  # it is our own executor nearly always
def _address(text: str) -> bytes | None:
    """Its bytes; None where it is none, or its checksum is wrong."""
    if (
        not text.startswith("0x")
        or not is_hex_address(text)
        or text not in (text.lower(), to_checksum_address(text))
    ):
        return None
    return bytes.fromhex(text[2:])


def transaction_hash(raw: bytes) -> str:
    """By which signed bytes are known: 0x and 64 hex digits."""
    return "0x" + keccak(raw).hex()


# Recursive Length Prefix, as Ethereum's yellow paper has it.


def _number(number: int) -> bytes:
    return _text(number.to_bytes(-(-number.bit_length() // 8), "big"))


def _text(octets: bytes) -> bytes:
    if len(octets) == 1 and octets[0] < 0x80:
        return octets
    return _prefix(0x80, len(octets)) + octets


def _list(body: bytes) -> bytes:
    return _prefix(0xC0, len(body)) + body


def _prefix(kind: int, length: int) -> bytes:
    if length < 56:
        return bytes((kind + length,))
    size = length.to_bytes(-(-length.bit_length() // 8), "big")
    return bytes((kind + 55 + len(size),)) + size
