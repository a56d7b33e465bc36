"""`triggerData`: what three client programs wrote, all of which is on chain.

    time    empty, (uint256 interval) or (uint256 start, uint256 interval). For information only: the
            workflow's own `nextRun` and `interval` decide.
    price   (string symbol, uint256 thresholdUsd1e18, uint8 direction), direction 0 above, 1 below;
            the same with bytes32 symbol (zeros at its end);
            JSON {"token": "dot", "comparator": 0..3, "price_usd": 5.2} with 0 <, 1 <=, 2 >, 3 >=
    wallet  (address token, uint8 direction), direction 0 incoming, 1 outgoing, token zero: the native one,
            watching the workflow's owner;
            JSON {"monitor": "0x…", "token": "0x…", "min_amount": 123}, incoming, no token: the native one

No contract reads these bytes, so unlike actions they are read strictly: exactly what `abi.encode` gives.
Two readers that differ over the same bytes would differ over when money moves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from autometa_cli.chain.words import (
    WORD,
    BadEncoding,
    Words,
    address_word,
    checked_address,
    checked_uint,
    dynamic_tail,
    word,
)
from autometa_cli.units import ZERO_ADDRESS

Comparator = Literal["<", "<=", ">", ">="]
Direction = Literal["incoming", "outgoing"]

COMPARATORS: tuple[Comparator, ...] = ("<", "<=", ">", ">=")  # the order is that of the JSON form's numbers
DIRECTIONS: tuple[Direction, ...] = ("incoming", "outgoing")
_ABI_COMPARATORS: tuple[Comparator, ...] = (">", "<")  # above, below
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9._$+-]{0,31}")


class TriggerType(IntEnum):
    """The registry's `triggerType`."""

    TIME = 1
    PRICE = 2
    WALLET = 3


@dataclass(frozen=True, slots=True)
class TimeTrigger:
    """What a client noted about the schedule: seconds since 1970, and seconds. Neither decides anything."""

    start: int | None = None
    interval: int | None = None

    def __post_init__(self) -> None:
        if self.interval is not None:
            checked_uint(self.interval, "interval")
        if self.start is not None:
            checked_uint(self.start, "start")
            if self.interval is None:
                raise BadEncoding("a time trigger with a start needs an interval")


@dataclass(frozen=True, slots=True)
class PriceTrigger:
    """Fires while `price comparator threshold` holds.

    Attributes:
        symbol: the token, upper-case.
        comparator: `<`, `<=`, `>` or `>=`.
        threshold: USD times 10**18.
    """

    symbol: str
    comparator: Comparator
    threshold: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "symbol", checked_symbol(self.symbol))
        if self.comparator not in COMPARATORS:
            raise BadEncoding(f"comparator must be one of {' '.join(COMPARATORS)}")
        checked_uint(self.threshold, "threshold")

    def met(self, price: int) -> bool:
        """Whether a price (USD times 10**18) satisfies the condition."""
        match self.comparator:
            case "<":
                return price < self.threshold
            case "<=":
                return price <= self.threshold
            case ">":
                return price > self.threshold
            case ">=":
                return price >= self.threshold


@dataclass(frozen=True, slots=True)
class WalletTrigger:
    """Fires when tokens move.

    Attributes:
        direction: into or out of the watched wallet.
        token: lower-case address of the ERC-20; None: the native token.
        watched: lower-case address of the wallet; None: the workflow's owner.
        min_amount: smallest unit of the token (wei); smaller transfers do not fire.
    """

    direction: Direction
    token: str | None = None
    watched: str | None = None
    min_amount: int = 0

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            raise BadEncoding("direction must be incoming or outgoing")
        if self.token is not None:
            token = checked_address(self.token, "token")
            object.__setattr__(self, "token", None if token == ZERO_ADDRESS else token)
        if self.watched is not None:
            watched = checked_address(self.watched, "the watched wallet")
            if watched == ZERO_ADDRESS:
                raise BadEncoding("the watched wallet is the zero address")
            object.__setattr__(self, "watched", watched)
        checked_uint(self.min_amount, "min_amount")


Trigger = TimeTrigger | PriceTrigger | WalletTrigger


def decode_trigger(trigger_type: int, data: bytes) -> Trigger:
    """Read `triggerData`. Raises BadEncoding when no known form fits, and for an unknown type."""
    data = bytes(data)
    match trigger_type:
        case TriggerType.TIME:
            return _decode_time(data)
        case TriggerType.PRICE:
            return _json_form(trigger_type, data) if _is_json(data) else _decode_price(data)
        case TriggerType.WALLET:
            return _json_form(trigger_type, data) if _is_json(data) else _decode_wallet(data)
        case _:
            raise BadEncoding("the trigger type is not known (1 time, 2 price, 3 wallet event)")


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


def encode_trigger_json(trigger: Trigger) -> bytes:
    """The JSON form. Raises BadEncoding for what it cannot say: time, outgoing, no watched wallet."""
    from autometa_cli.chain import trigger_json

    return trigger_json.encode(trigger)


def checked_symbol(symbol: object) -> str:
    """A token's symbol in upper case: 1 to 32 of A-Z 0-9 . _ $ + -, beginning with a letter or digit."""
    if not isinstance(symbol, str):
        raise BadEncoding(f"the symbol must be text, not {type(symbol).__name__}")
    # Checked before upper(): outside ASCII it can make one letter into two, or into an ASCII one.
    upper = symbol.strip(" ").upper() if symbol.isascii() else ""
    if not _SYMBOL.fullmatch(upper):
        shown = ascii(symbol) if len(symbol) <= 40 else f"of {len(symbol)} characters"
        raise BadEncoding(f"the symbol {shown} is not 1 to 32 letters, digits or . _ $ + -")
    return upper


def _is_json(data: bytes) -> bool:
    # No ABI form begins like this: an offset or address begins with zeros, a bytes32 symbol not with a brace.
    return data[:64].lstrip(b" \t\r\n").startswith(b"{")


def _json_form(trigger_type: int, data: bytes) -> Trigger:
    from autometa_cli.chain import trigger_json

    return (
        trigger_json.decode_price(data)
        if trigger_type == TriggerType.PRICE
        else trigger_json.decode_wallet(data)
    )


def _decode_time(data: bytes) -> TimeTrigger:
    words = Words(data, "triggerData of type 1 (time)")
    if not data:
        return TimeTrigger()
    if len(data) == WORD:
        return TimeTrigger(interval=words.uint(0, "interval"))
    if len(data) == 2 * WORD:
        return TimeTrigger(start=words.uint(0, "start"), interval=words.uint(1, "interval"))
    raise BadEncoding(f"{words.what}: {len(data)} bytes, expected 0, 32 or 64")


def _decode_price(data: bytes) -> PriceTrigger:
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


def _decode_wallet(data: bytes) -> WalletTrigger:
    words = Words(data, "triggerData of type 3 (wallet event)")
    if len(data) != 2 * WORD:
        raise BadEncoding(f"{words.what}: {len(data)} bytes, expected 64, or JSON")
    token = words.address(0, "token")
    return WalletTrigger(DIRECTIONS[words.choice(1, "direction", 2)], token)


def _text(raw: bytes) -> str:
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError:
        raise BadEncoding("triggerData of type 2 (price): the symbol is not plain ASCII") from None
