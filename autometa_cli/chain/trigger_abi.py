"""The ABI forms of `triggerData` (see `trigger_data`)."""

from __future__ import annotations

from autometa_cli.chain.triggers import (
    DIRECTIONS,
    Comparator,
    PriceTrigger,
    TimeTrigger,
    Trigger,
    WalletTrigger,
)
from autometa_cli.chain.words import WORD, BadEncoding, Words, address_word, dynamic_tail, word
from autometa_cli.units import ZERO_ADDRESS

_ABI_COMPARATORS: tuple[Comparator, ...] = (">", "<")  # above, below


def decode_time(data: bytes) -> TimeTrigger:
    """Empty, `(interval)` or `(start, interval)`. Raises BadEncoding."""
    words = Words(data, "triggerData of type 1 (time)")
    if not data:
        return TimeTrigger()
    if len(data) == WORD:
        return TimeTrigger(interval=words.uint(0, "interval"))
    if len(data) == 2 * WORD:
        return TimeTrigger(start=words.uint(0, "start"), interval=words.uint(1, "interval"))
    raise BadEncoding(f"{words.what}: {len(data)} bytes, expected 0, 32 or 64")


def decode_price(data: bytes) -> PriceTrigger:
    """`(symbol, thresholdUsd1e18, direction)`, the symbol a string or a bytes32. Raises BadEncoding."""
    words = Words(data, "triggerData of type 2 (price)")
    words.need(3 * WORD)
    threshold = words.uint(1, "thresholdUsd1e18")
    comparator = _ABI_COMPARATORS[words.choice(2, "direction", 2)]
    if data[0]:  # a bytes32 symbol begins with a letter, the offset of a string with zeros
        raw = data[:WORD].rstrip(b"\0")
        canonical = data[: 3 * WORD]
    else:
        raw = words.dynamic(0, "symbol")
        canonical = word(3 * WORD) + data[WORD : 3 * WORD] + dynamic_tail(raw)
    if data != canonical:
        raise BadEncoding(f"{words.what}: {len(data)} bytes, not the {len(canonical)} that abi.encode gives")
    return PriceTrigger(_text(raw), comparator, threshold)


def decode_wallet(data: bytes) -> WalletTrigger:
    """`(token, direction)`. Raises BadEncoding."""
    words = Words(data, "triggerData of type 3 (wallet event)")
    if len(data) != 2 * WORD:
        raise BadEncoding(f"{words.what}: {len(data)} bytes, expected 64, or JSON")
    token = words.address(0, "token")
    return WalletTrigger(DIRECTIONS[words.choice(1, "direction", 2)], token)


def encode_trigger(trigger: Trigger, *, bytes32: bool = False) -> bytes:
    """The ABI form; of a price trigger the one with `string`, or with `bytes32`.

    Raises:
        BadEncoding: only the JSON form (`encode_trigger_json`) can say this.
    """
    match trigger:
        case TimeTrigger(start, interval):
            return b"".join(word(value) for value in (start, interval) if value is not None)
        case PriceTrigger(symbol, comparator, threshold):
            if comparator not in _ABI_COMPARATORS:
                raise BadEncoding(f"the ABI form of a price trigger knows > and <, not {comparator}")
            rest = word(threshold) + word(_ABI_COMPARATORS.index(comparator))
            raw = symbol.encode("ascii")
            return raw.ljust(WORD, b"\0") + rest if bytes32 else word(3 * WORD) + rest + dynamic_tail(raw)
        case WalletTrigger(direction, token, watched, min_amount):
            if watched is not None or min_amount:
                raise BadEncoding(
                    "the ABI form of a wallet trigger knows no watched wallet and no min_amount"
                )
            return address_word(token or ZERO_ADDRESS) + word(DIRECTIONS.index(direction))


def _text(raw: bytes) -> str:
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise BadEncoding("triggerData of type 2 (price): the symbol is not plain ASCII") from None
