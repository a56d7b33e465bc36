"""Amounts, addresses, hex and durations: text to value and back, exactly (no floats)."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

WEI_PER_ETHER = 10**18
WEI_PER_GWEI = 10**9
UINT256_MAX = 2**256 - 1
ZERO_ADDRESS = "0x" + "0" * 40
_NUMBER = re.compile(r"\+?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NUMBER_LENGTH = 1000  # characters; far below what Python refuses to turn into an int


def to_wei(text: str, decimals: int = 18) -> int:
    """`"1.5"` to 1500000000000000000. Raises ValueError on anything but a plain, exact decimal ≥ 0.

    An exponent is welcome (`1e-9`), underscores and other scripts' digits are not.
    """
    text = text.strip()
    shown = repr(text) if len(text) <= 24 else f"a text of {len(text)} characters"  # it may be a key
    if len(text) > _NUMBER_LENGTH or not _NUMBER.fullmatch(text):
        raise ValueError(f"{shown} is not a number of zero or more")
    try:
        whole, rest = scale(Decimal(text), decimals)
    except (InvalidOperation, OverflowError):  # the former: an exponent beyond 10**18
        raise ValueError(f"{shown} is more than a uint256 holds") from None
    if rest:
        raise ValueError(f"{shown} has more than {decimals} decimal places")
    return whole


def scale(value: Decimal, decimals: int) -> tuple[int, bool]:
    """A finite value ≥ 0 times 10**`decimals`, rounded down, and whether that cut anything off.

    In integers: Decimal's own operations round to 28 digits. Raises OverflowError above a uint256.
    """
    if not value:
        return 0, False
    magnitude = value.adjusted() + decimals  # of the result's first digit; keeps 1e999999 from the memory
    if magnitude > 77:
        raise OverflowError("more than a uint256 holds")
    if magnitude < 0:
        return 0, True
    _, digits, exponent = value.as_tuple()
    shift = int(exponent) + decimals
    number = int("".join(map(str, digits)))
    step: int = 10 ** abs(shift)
    whole, rest = (number * step, 0) if shift >= 0 else divmod(number, step)
    if whole > UINT256_MAX:
        raise OverflowError("more than a uint256 holds")
    return whole, rest != 0


def from_wei(wei: int, decimals: int = 18) -> str:
    """1500000000000000000 to `"1.5"`: exact, without exponent or trailing zeros."""
    sign = "-" if wei < 0 else ""
    whole, rest = divmod(abs(wei), 10**decimals)
    fraction = str(rest).rjust(decimals, "0").rstrip("0") if decimals else ""
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def amount(wei: int, symbol: str, places: int = 6) -> str:
    """For people: `"1.5 DEV"`, cut (never rounded up) to `places` decimals, `"<0.000001 DEV"` below them.

    A negative amount is cut towards zero, `">-0.000001 DEV"` above the smallest one.
    """
    step = 10 ** (18 - places)
    if 0 < wei < step:
        return f"<{from_wei(step)} {symbol}"
    if -step < wei < 0:
        return f">{from_wei(-step)} {symbol}"
    cut = abs(wei) % step
    return f"{from_wei(wei - cut if wei >= 0 else wei + cut)} {symbol}"


def gwei(wei: int) -> str:
    """31250000 to `"0.03125 gwei"`."""
    return f"{from_wei(wei, 9)} gwei"


def hex0x(data: bytes) -> str:
    """Bytes to lower-case hex with 0x (hexbytes 1.0 dropped the prefix from `.hex()`)."""
    return "0x" + bytes(data).hex()


def from_hex(text: str) -> bytes:
    """Hex with or without 0x to bytes. Raises ValueError, which does not repeat the text: it may be a key."""
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    try:
        return bytes.fromhex(digits) if digits == "".join(digits.split()) else _not_hex(text)
    except ValueError:
        return _not_hex(text)


def _not_hex(text: str) -> bytes:
    raise ValueError(f"not hexadecimal with two digits a byte ({len(text)} characters)")


def duration(seconds: float) -> str:
    """90061 to `"1d 1h"`: the two largest units that are not zero; `"0.4s"` below ten seconds."""
    if seconds < 0:
        return "-" + duration(-seconds)
    if seconds < 10:
        return f"{seconds:.1f}s".replace(".0s", "s")
    left = int(seconds)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])


def short(text: str, head: int = 6, tail: int = 4) -> str:
    """`0x1234…abcd`, for tables. Never for anything that will be copied."""
    return text if len(text) <= head + tail + 1 else f"{text[:head]}…{text[-tail:]}"
