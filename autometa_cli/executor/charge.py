"""What an owner's escrow pays for an execution (CHARGE)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autometa_cli.chain.fees import FeeQuote

#: The charge stands in the call data, where a byte that is not zero costs 12 gas more; a charge has sixteen at most.
LONGER_DATA_GAS = 200


@dataclass(frozen=True, slots=True)
class Charge:
    """How much is charged.

    Attributes:
        by_cost: what the transaction is expected to cost, the workflow's gas budget at most; else all of the budget.
    """

    by_cost: bool = False

    @property
    def spare_gas(self) -> int:
        """What the call may need beyond an estimate that was made with the `provisional` charge."""
        return LONGER_DATA_GAS if self.by_cost else 0

    def provisional(self, budget: int) -> int:
        """wei, to estimate the gas with: it costs as much gas to charge one wei as to charge many."""
        return min(budget, 1) if self.by_cost else budget

    def due(self, budget: int, gas: int, fees: FeeQuote) -> int:
        """wei.

        Args:
            budget: the workflow's gas budget, wei.
            gas: what the transaction is expected to use.
        """
        return min(budget, gas * (fees.base_fee + fees.priority_fee)) if self.by_cost else budget
