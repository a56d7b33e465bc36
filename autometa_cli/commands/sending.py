"""What the commands that send a transaction have in common: say where it goes, send, report what became of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from autometa_cli.errors import UsageProblem
from autometa_cli.units import from_wei, to_wei

if TYPE_CHECKING:
    from autometa_cli.chain.account import Account
    from autometa_cli.chain.sent import Sent
    from autometa_cli.commands.context import State
    from autometa_cli.secrets import Signer

#: The variable of each contract's address.
ADDRESS_VARIABLES = {
    "WorkflowRegistry": "REGISTRY_ADDRESS",
    "ActionExecutor": "ACTIONEXECUTOR_ADDRESS",
    "FeeEscrow": "FEEESCROW_ADDRESS",
}


def contract_address(state: State, contract: str) -> str:
    """Where one of the three contracts is configured to be. Raises ConfigError where it is not set."""
    variable = ADDRESS_VARIABLES[contract]
    state.settings.require(variable)
    return str(getattr(state.settings, variable.lower()))


def announce(state: State, contract: str, sender: str | None = None) -> None:
    """Says on stderr where a transaction goes and who signs it."""
    network = state.settings.network
    whose = f"\nfrom      {sender}" if sender else ""
    state.console.status(
        f"chain     {network.title} ({state.settings.chain_id})\n"
        f"contract  {contract} {contract_address(state, contract)}{whose}"
    )


@asynccontextmanager
async def account_of(state: State, signer: Signer) -> AsyncIterator[Account]:
    """The signer's account on the configured chain; tells the hash of what it sends."""
    from autometa_cli.chain.account import Account
    from autometa_cli.chain.rpc import Rpc

    settings = state.settings
    async with Rpc.of(settings) as rpc:
        yield Account(
            rpc,
            signer,
            settings.network,
            max_fee_wei=settings.max_fee_wei,
            timeout=settings.tx_timeout,
            on_signed=lambda signed: state.console.status(f"sending   {signed.hash}"),
        )


def transaction_document(sent: Sent | None, gas: int | None = None) -> dict[str, Any]:
    """The members that tell of a transaction in a JSON document; null where nothing was sent.

    Args:
        gas: what a dry run found it to need.
    """
    return {
        "transaction": sent.hash if sent else None,
        "block": sent.block_number if sent else None,
        "gas_used": sent.gas_used if sent else None,
        "cost": str(sent.fee_paid) if sent else None,
        "explorer": sent.explorer if sent else None,
        "gas_estimate": gas,
    }


def transaction_rows(sent: Sent | None, gas: int | None, symbol: str) -> list[tuple[str, Any]]:
    """The same for people; empty where nothing was sent."""
    if sent is None:
        return [] if gas is None else [("would use", f"{gas} gas")]
    rows: list[tuple[str, Any]] = [
        ("transaction", sent.hash),
        ("block", sent.block_number),
        ("gas used", sent.gas_used),
        ("cost", f"{from_wei(sent.fee_paid)} {symbol}"),
    ]
    return [*rows, ("explorer", sent.explorer)] if sent.explorer else rows


def parse_amount(text: str, name: str, decimals: int = 18) -> int:
    """An amount as typed, in the smallest unit. Raises UsageProblem naming the option."""
    try:
        return to_wei(text, decimals)
    except ValueError as error:
        raise UsageProblem(f"{name}: {error}", "give an amount such as 0.5, with a point") from None
