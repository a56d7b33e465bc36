"""What fires a workflow: triggers as values. `trigger_data` reads them as they stand on chain."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from autometa_cli.chain.words import BadEncoding, checked_address, checked_uint
from autometa_cli.units import ZERO_ADDRESS

Comparator = Literal["<", "<=", ">", ">="]
Direction = Literal["incoming", "outgoing"]

COMPARATORS: tuple[Comparator, ...] = ("<", "<=", ">", ">=")  # the order is that of the JSON form's numbers
DIRECTIONS: tuple[Direction, ...] = ("incoming", "outgoing")
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
