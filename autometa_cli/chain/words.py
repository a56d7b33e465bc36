"""ABI words, read exactly as Solidity's `abi.decode` reads them, and written as `abi.encode` writes them.

eth_abi is stricter than Solidity (it wants the padding after `bytes`), and what the executor contract accepts
must be judged by what it will read, not by what a tidy encoder would have written. Hence this small reader.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from autometa_cli.errors import AutometaError, ConfigError
from autometa_cli.units import UINT256_MAX

WORD = 32
_CANONICAL = re.compile(r"0x[0-9a-f]{40}")


class BadEncoding(AutometaError, ValueError):
    """Bytes, or values to be encoded, that do not have the agreed form. The message says what and where."""


@dataclass(frozen=True, slots=True)
class Words:
    """The parameters of one ABI-encoded tuple.

    Attributes:
        data: the encoded tuple, from its first word.
        what: what is being read, for messages.
        before: bytes that stand before `data` in the whole, so that messages count from its start.
    """

    data: bytes
    what: str
    before: int = 0

    def need(self, size: int) -> None:
        """Refuse data of fewer than `size` bytes."""
        if len(self.data) < size:
            raise BadEncoding(
                f"{self.what}: {self.before + len(self.data)} bytes, at least {self.before + size} are needed"
            )

    def uint(self, index: int, name: str) -> int:
        """The whole word `index` as a number."""
        return int.from_bytes(self._word(index, name), "big")

    def choice(self, index: int, name: str, count: int) -> int:
        """A small number below `count`."""
        value = self.uint(index, name)
        if value >= count:
            shown = str(value) if value < 2**64 else "more than 2**64"
            raise BadEncoding(f"{self.at(index)}: {name} is {shown}, it must be below {count}")
        return value

    def address(self, index: int, name: str) -> str:
        """An address, lower-case. Solidity reverts when the upper 12 bytes of the word are not zero."""
        word = self._word(index, name)
        if any(word[:12]):
            raise BadEncoding(f"{self.at(index)}: {name} is no address, the upper 12 bytes are not zero")
        return "0x" + word[12:].hex()

    def dynamic(self, index: int, name: str) -> bytes:
        """A `bytes` or `string` whose offset stands in word `index`; any place inside the data will do.

        Like Solidity this asks for the length word and the bytes themselves, not for the padding after them.
        """
        offset = self.uint(index, name)
        if offset + WORD > len(self.data):
            raise BadEncoding(f"{self.at(index)}: {name} points behind the end of the data")
        length = int.from_bytes(self.data[offset : offset + WORD], "big")
        start = offset + WORD
        if start + length > len(self.data):
            raise BadEncoding(
                f"{self.what}, byte {self.before + offset}: {name} is longer than the "
                f"{len(self.data) - start} bytes that follow"
            )
        return self.data[start : start + length]

    def at(self, index: int) -> str:
        """Where word `index` stands, for messages."""
        return f"{self.what}, byte {self.before + index * WORD}"

    def _word(self, index: int, name: str) -> bytes:
        word = self.data[index * WORD : (index + 1) * WORD]
        if len(word) != WORD:
            raise BadEncoding(f"{self.at(index)}: the data ends before {name} is complete")
        return word


def word(value: int) -> bytes:
    """A checked number (see `checked_uint`) as one word."""
    return value.to_bytes(WORD, "big")


def address_word(address: str) -> bytes:
    """A checked address (see `checked_address`) as one word."""
    return bytes(12) + bytes.fromhex(address[2:])


def dynamic_tail(data: bytes) -> bytes:
    """Length word, bytes, and zeros up to the next word."""
    return word(len(data)) + data + bytes(-len(data) % WORD)


def checked_uint(value: object, name: str) -> int:
    """`value` if it is a whole number that a uint256 holds (True and 1.0 are none). Raises BadEncoding."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadEncoding(f"{name} must be a whole number, not {type(value).__name__}")
    if not 0 <= value <= UINT256_MAX:
        raise BadEncoding(f"{name} does not fit a uint256")
    return value


def checked_address(value: object, name: str) -> str:
    """`value` in lower case if it is an address (of right checksum, if it has one). Raises BadEncoding."""
    from autometa_cli.addresses import parse_address

    if not isinstance(value, str):
        raise BadEncoding(f"{name} must be an address, not {type(value).__name__}")
    if _CANONICAL.fullmatch(value):
        return value
    try:
        return parse_address(value, name, allow_zero=True).lower()
    except ConfigError as fault:
        raise BadEncoding(fault.message, fault.hint) from None
