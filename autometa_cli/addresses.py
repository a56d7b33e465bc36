"""Addresses as people type them, and as they are shown."""

from __future__ import annotations

from autometa_cli.errors import ConfigError
from autometa_cli.units import ZERO_ADDRESS

_ADDRESS_LENGTH = 42
_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")


def checksum(address: str) -> str:
    """0x and 40 hex digits of any case, to the mixed case of EIP-55. Expects a well-formed address."""
    from eth_hash.auto import keccak

    digits = address[2:].lower()
    nibbles = keccak(digits.encode()).hex()
    return "0x" + "".join(d.upper() if n >= "8" else d for d, n in zip(digits, nibbles, strict=False))


def parse_address(text: str, name: str, *, allow_zero: bool = False) -> str:
    """A typed address, checksummed. All-lower and all-upper case carry no checksum and are accepted.

    Args:
        text: what was typed; blanks around it are ignored. Never repeated in the message: it may be a key.
        name: what to call it in the message, e.g. "REGISTRY_ADDRESS".
        allow_zero: accept the zero address (it stands for the native token in some places).

    Raises:
        ConfigError: with the exact fault.
    """
    text = text.strip()
    if not text:
        raise ConfigError(f"{name} is empty; an address is 0x and 40 hex digits")
    if len(text) != _ADDRESS_LENGTH:
        hint = ""
        if len(text) in (64, 66) and _HEX_DIGITS.issuperset(text[-64:]):
            hint = "this has the length of a private key: if it is one, it must not stand here"
        elif len(text) == _ADDRESS_LENGTH - 2 and _HEX_DIGITS.issuperset(text):
            hint = "put 0x in front of it"
        raise ConfigError(
            f"{name} has {len(text)} character{'' if len(text) == 1 else 's'}, "
            "an address has 42 (0x and 40 hex digits)",
            hint,
        )
    if text[:2] not in ("0x", "0X"):
        raise ConfigError(f"{name} does not begin with 0x")
    for position, character in enumerate(text[2:], start=3):
        if character not in _HEX_DIGITS:
            raise ConfigError(f"{name} has {character!r} at position {position}, which is no hex digit")
    right = checksum(text)
    digits = text[2:]
    if digits not in (digits.lower(), digits.upper()) and digits != right[2:]:
        # The checksum that would fit is not shown: pasting it would bless the very typing error it caught.
        raise ConfigError(
            f"{name} has a wrong checksum: its capital and small letters do not fit, "
            "so at least one of its characters is mistyped",
            "copy the address again from where it comes from; the right one cannot be guessed",
        )
    if not allow_zero and right == ZERO_ADDRESS:
        raise ConfigError(f"{name} is the zero address")
    return right
