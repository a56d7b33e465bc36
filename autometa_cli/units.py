"""Amounts, addresses, hex and durations: text to value and back, exactly (no floats)."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

WEI_PER_ETHER = 10**18
WEI_PER_GWEI = 10**9
UINT256_MAX = 2**256 - 1
ZERO_ADDRESS = "0x" + "0" * 40


def to_wei(text: str, decimals: int = 18) -> int:
    """`"1.5"` to 1500000000000000000. Raises ValueError on anything but a plain, exact decimal ≥ 0."""
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a number") from None
    if not value.is_finite() or value < 0:
        raise ValueError(f"{text!r} is not a number of zero or more")
    sign, digits, exponent = value.as_tuple()
    shift = int(exponent) + decimals
    if shift > 78:  # more digits than a uint256 holds; stops 1e999999 from filling the memory
        raise ValueError(f"{text!r} is more than a uint256 holds")
    whole = int("".join(map(str, digits)))
    if shift < 0:
        whole, rest = divmod(whole, 10**-shift) if -shift <= 1000 else (0, whole)
        if rest:
            raise ValueError(f"{text!r} has more than {decimals} decimal places")
    else:
        whole *= 10**shift
    if whole > UINT256_MAX:
        raise ValueError(f"{text!r} is more than a uint256 holds")
    return whole


def from_wei(wei: int, decimals: int = 18) -> str:
    """1500000000000000000 to `"1.5"`: exact, without exponent or trailing zeros."""
    sign = "-" if wei < 0 else ""
    whole, rest = divmod(abs(wei), 10**decimals)
    fraction = str(rest).rjust(decimals, "0").rstrip("0") if decimals else ""
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def amount(wei: int, symbol: str, places: int = 6) -> str:
    """For people: `"1.5 DEV"`, cut (never rounded up) to `places` decimals, `"<0.000001 DEV"` below them."""
    step = 10 ** (18 - places)
    if 0 < wei < step:
        return f"<{from_wei(step)} {symbol}"
    return f"{from_wei(wei - wei % step if wei >= 0 else wei)} {symbol}"


def gwei(wei: int) -> str:
    """31250000 to `"0.03125 gwei"`."""
    return f"{from_wei(wei, 9)} gwei"


def hex0x(data: bytes) -> str:
    """Bytes to lower-case hex with 0x (hexbytes 1.0 dropped the prefix from `.hex()`)."""
    return "0x" + bytes(data).hex()


def from_hex(text: str) -> bytes:
    """Hex with or without 0x to bytes. Raises ValueError."""
    digits = text[2:] if text[:2] in ("0x", "0X") else text
    try:
        return bytes.fromhex(digits) if digits == "".join(digits.split()) else _not_hex(text)
    except ValueError:
        return _not_hex(text)


def _not_hex(text: str) -> bytes:
    raise ValueError(f"{text[:20]!r} is not hexadecimal with two digits a byte")


def duration(seconds: float) -> str:
    """90061 to `"1d 1h"`: the two largest units; `"0.4s"` below ten seconds."""
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
