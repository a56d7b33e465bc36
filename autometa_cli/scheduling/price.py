"""One price: exact, with its age and where it comes from; and why a price decides nothing."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from autometa_cli.units import duration, from_wei

if TYPE_CHECKING:
    from autometa_cli.chain.triggers import PriceTrigger

#: USD. A price above this is an error of its source.
MOST_USD = 10**12
#: Decimal places. No source is more exact; a token with more is an error.
MOST_DECIMALS = 60
#: Seconds that a source's clock may be ahead of ours.
AHEAD_SECONDS = 120
#: Decimal places of a trigger's threshold.
_THRESHOLD_DECIMALS = 18

_COMPARE: Mapping[str, Callable[[int, int], bool]] = MappingProxyType(
    {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
)


@dataclass(frozen=True, slots=True)
class Price:
    """What a source says.

    Attributes:
        units, decimals: `units` / 10**`decimals` USD, exactly.
        updated: when the source last looked, seconds since 1970.
        source: for people; never holds a secret.
    """

    units: int
    decimals: int
    updated: int
    source: str

    @property
    def usd(self) -> str:
        """Exact, as a decimal."""
        return from_wei(self.units, self.decimals)

    def fault(self, now: int, max_age: int) -> Unusable | None:
        """Why it decides nothing at `now` (seconds since 1970), or None.

        Args:
            max_age: seconds.
        """
        if self.units == 0:
            return Unusable("zero", f"{self.source} says 0")
        if self.units < 0:
            return Unusable("negative", f"{self.source} says less than 0")
        if not 0 <= self.decimals <= MOST_DECIMALS or self.units > MOST_USD * 10**self.decimals:
            return Unusable("absurd", f"{self.source} says something absurd")
        if self.updated <= 0:
            return Unusable("undated", f"{self.source} does not say from when its price is")
        age = now - self.updated
        if age > max_age:
            return Unusable(
                "stale",
                f"the price of {self.source} is {duration(age)} old, PRICE_MAX_AGE is {duration(max_age)}",
            )
        if age < -AHEAD_SECONDS:
            return Unusable(
                "absurd", f"the price of {self.source} is from the future ({duration(-age)} ahead)"
            )
        return None

    def meets(self, trigger: PriceTrigger) -> bool:
        """Whether the trigger's condition holds. In whole numbers: nothing is rounded."""
        scale = max(self.decimals, _THRESHOLD_DECIMALS)
        mine = self.units * 10 ** (scale - self.decimals)
        theirs: int = trigger.threshold * 10 ** (scale - _THRESHOLD_DECIMALS)
        return _COMPARE[trigger.comparator](mine, theirs)

    def age(self, now: int) -> str:
        """For people."""
        return f"{duration(max(0, now - self.updated))} old"


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why there is no price that may decide anything.

    Attributes:
        code: stale, missing, zero, negative, absurd, undated, down or unknown.
        text: for people.
    """

    code: str
    text: str
