"""What an owner's escrow pays."""

from __future__ import annotations

from autometa_cli.executor.charge import Charge
from tests.executor.fakes import FEES


def test_the_whole_budget() -> None:
    charge = Charge()
    assert (charge.provisional(500), charge.due(500, 10**9, FEES), charge.spare_gas) == (500, 500, 0)


def test_what_it_is_expected_to_cost_the_budget_at_most() -> None:
    charge = Charge(by_cost=True)
    assert (charge.provisional(0), charge.provisional(500)) == (0, 1)
    assert charge.due(10**9, 1000, FEES) == 1000 * (FEES.base_fee + FEES.priority_fee)
    assert (charge.due(500, 1000, FEES), charge.due(0, 1000, FEES)) == (500, 0)
