"""`autometa escrow`: what owners have deposited to pay for the executions of their workflows."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autometa_cli.commands.context import DryRunOption, EnvFileOption, JsonOption, State, begin, command_group
from autometa_cli.commands.help import examples
from autometa_cli.commands.sending import (
    account_of,
    announce,
    contract_address,
    parse_amount,
    transaction_document,
    transaction_rows,
)
from autometa_cli.errors import ConfigError, UsageProblem
from autometa_cli.units import from_wei

if TYPE_CHECKING:
    from autometa_cli.chain.account import Account
    from autometa_cli.chain.escrow import Escrow, Movement

CONTRACT = "FeeEscrow"

app = command_group(
    "See, fill and empty the escrow that pays for executions.",
    epilog=examples("autometa escrow balance", "autometa escrow deposit 0.5", "autometa escrow withdraw all"),
)


@app.command(
    "balance",
    epilog=examples(
        "autometa escrow balance",
        "autometa escrow balance $OWNER",
        "autometa escrow balance --json | jq -r .balance    # wei",
    ),
)
def balance(
    owner: Annotated[
        str | None,
        typer.Argument(metavar="ADDRESS", help="Whose deposit. Without it the one of OWNER_PRIVATE_KEY."),
    ] = None,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Show what an owner has in the escrow. Needs no key when ADDRESS is given."""
    state = begin(as_json, env_file)
    from autometa_cli.addresses import parse_address
    from autometa_cli.chain.escrow import Escrow
    from autometa_cli.chain.rpc import Rpc

    settings = state.settings
    escrow = Escrow(contract_address(state, CONTRACT))
    if owner is not None:
        holder = parse_address(owner, "ADDRESS")
    else:
        try:
            holder = settings.owner_key().load(chain_id=settings.chain_id).address
        except ConfigError as error:
            hint = f"{error.hint}, or " if error.hint else ""
            raise ConfigError(error.message, f"{hint}name whose: autometa escrow balance ADDRESS") from None

    async def read() -> tuple[int, int]:
        async with Rpc.of(settings) as rpc:
            view = await rpc.view()
            return await escrow.balance(view, holder), view.block.number

    held, block = state.run(read())
    symbol = settings.network.symbol
    state.console.result(
        {
            "address": holder,
            "balance": str(held),
            "symbol": symbol,
            "contract_address": escrow.address,
            "chain_id": settings.chain_id,
            "block": block,
        },
        lambda: state.console.fields(
            [
                ("address", holder),
                ("in the escrow", f"{from_wei(held)} {symbol}"),
                ("contract", f"{CONTRACT} {escrow.address}"),
                ("chain", f"{settings.network.title} ({settings.chain_id}), block {block}"),
            ]
        ),
    )


@app.command(
    "deposit",
    epilog=examples(
        "autometa escrow deposit 0.5", "autometa escrow deposit 0.5 --dry-run", "autometa escrow deposit 1e-3"
    ),
)
def deposit(
    amount: Annotated[str, typer.Argument(metavar="AMOUNT", help="Of the native token, such as 0.5.")],
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Put native tokens in, for the executions of one's workflows.

    Signed with OWNER_PRIVATE_KEY (or its other forms); counts for the
    workflows of that address only.
    """
    state = begin(as_json, env_file)
    wei = _positive(amount)

    async def act(escrow: Escrow, account: Account) -> Movement:
        return await escrow.deposit(account, wei, dry_run=dry_run)

    _move(state, act, "deposited", dry_run)


@app.command(
    "withdraw",
    epilog=examples(
        "autometa escrow withdraw 0.5",
        "autometa escrow withdraw all",
        "autometa escrow withdraw all --dry-run",
    ),
)
def withdraw(
    amount: Annotated[
        str, typer.Argument(metavar="AMOUNT", help="Of the native token, such as 0.5; or all.")
    ],
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Take native tokens out again, to the address that put them in.

    Signed with OWNER_PRIVATE_KEY (or its other forms). Workflows whose
    gas budget is more than what is left are not executed.
    """
    state = begin(as_json, env_file)
    wei = None if amount.strip().lower() == "all" else _positive(amount)

    async def act(escrow: Escrow, account: Account) -> Movement:
        return await escrow.withdraw(account, wei, dry_run=dry_run)

    _move(state, act, "withdrawn", dry_run)


def _positive(text: str) -> int:
    wei = parse_amount(text, "AMOUNT")
    if wei == 0:
        raise UsageProblem("AMOUNT is 0, so there is nothing to do", "give an amount such as 0.5")
    return wei


def _move(
    state: State, act: Callable[[Escrow, Account], Coroutine[Any, Any, Movement]], verb: str, dry_run: bool
) -> None:
    """Sends what is to be sent, and tells what became of it."""
    from autometa_cli.chain.escrow import Escrow

    settings = state.settings
    escrow = Escrow(contract_address(state, CONTRACT))
    signer = settings.owner_key().load(chain_id=settings.chain_id)
    announce(state, CONTRACT, signer.address)

    async def run() -> Movement:
        async with account_of(state, signer) as account:
            return await act(escrow, account)

    done = state.run(run())
    symbol = settings.network.symbol
    left = "would then be in the escrow" if dry_run else "now in the escrow"
    state.console.result(
        {
            "address": done.owner,
            "amount": str(done.amount),
            "balance": str(done.balance),
            "symbol": symbol,
            "contract_address": escrow.address,
            "chain_id": settings.chain_id,
            "dry_run": dry_run,
            **transaction_document(done.sent, done.gas),
        },
        lambda: state.console.fields(
            [
                ("address", done.owner),
                (f"would be {verb}" if dry_run else verb, f"{from_wei(done.amount)} {symbol}"),
                (left, f"{from_wei(done.balance)} {symbol}"),
                *transaction_rows(done.sent, done.gas, symbol),
            ]
        ),
    )
    if dry_run:
        state.console.success("this would work; nothing was sent")
    else:
        state.console.success(f"{from_wei(done.amount)} {symbol} {verb}")
