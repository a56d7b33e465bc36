"""The variables that bound what one transaction, and one key, may do and pay."""

from __future__ import annotations

from autometa_cli import parsers
from autometa_cli.option import Option

LIMIT_OPTIONS: tuple[Option, ...] = (
    Option(
        "GAS_MULTIPLIER",
        "gas_multiplier",
        parsers.number("1", "10"),
        "1.2",
        "gas limit over the estimate",
    ),
    Option(
        "MAX_GAS_PER_TX",
        "max_gas_per_tx",
        parsers.whole(50_000, 1_000_000_000, "gas"),
        "15000000",
        "highest gas limit of one transaction",
    ),
    Option(
        "MAX_FEE_GWEI",
        "max_fee_wei",
        parsers.wei(9, unit="in gwei"),
        "",
        "highest fee per gas, in gwei; empty: raises end at 10 times what the chain asks for",
    ),
    Option(
        "DAILY_GAS_BUDGET",
        "daily_gas_budget_wei",
        parsers.wei(),
        "",
        "what one key may spend on gas a day (UTC), in the native token; empty: no limit",
    ),
    Option(
        "MAX_VALUE",
        "max_value_wei",
        parsers.wei(positive=False),
        "",
        "most that one action may move in the native token; empty: no limit",
    ),
    Option(
        "ALLOWED_OWNERS",
        "allowed_owners",
        parsers.addresses,
        "",
        "only workflows of these owners, separated by commas; empty: all",
    ),
    Option(
        "ALLOWED_TARGETS",
        "allowed_targets",
        parsers.addresses,
        "",
        "only contract calls to these targets, separated by commas; empty: all",
    ),
    Option(
        "CHARGE",
        "charge",
        parsers.choice("budget", "cost"),
        "budget",
        "what an owner's escrow pays for an execution: budget, all of the workflow's gas budget; "
        "cost, what the transaction is expected to cost, that much at most",
    ),
    Option(
        "MIN_WORKER_BALANCE",
        "min_worker_balance_wei",
        parsers.wei(positive=False),
        "1",
        "warn below this balance of the worker, in the native token",
    ),
)
