"""`autometa wallet`: the addresses of the configured keys, and what they hold."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from autometa_cli.commands.context import EnvFileOption, JsonOption, State, begin, command_group
from autometa_cli.commands.help import examples
from autometa_cli.errors import ExitCode, UsageProblem
from autometa_cli.units import from_wei, to_wei

if TYPE_CHECKING:
    from autometa_cli.networks import Network

app = command_group(
    "Show the addresses and balances of the configured keys.",
    epilog=examples("autometa wallet address", "autometa wallet balance --min 0.5"),
)


class Key(StrEnum):
    """Which of the configured keys."""

    worker = "worker"
    admin = "admin"
    owner = "owner"


KeyOption = Annotated[Key, typer.Option("--key", "-k", help="Which of the configured keys.")]


@app.command(
    "address",
    epilog=examples(
        "autometa wallet address",
        "autometa wallet address --key admin",
        "autometa role grant $(autometa wallet address)",
    ),
)
def address(key: KeyOption = Key.worker, as_json: JsonOption = False, env_file: EnvFileOption = None) -> None:
    """Show the address of the worker's key.

    Derived from the key itself; asks neither the chain nor Redis.
    """
    state = begin(as_json, env_file)
    from autometa_cli.networks import explorer_address

    found = _address_of(state, key)
    link = explorer_address(state.settings.network, found)
    state.console.result({"key": key.value, "address": found, "explorer": link}, found)


@app.command(
    "balance",
    epilog=examples(
        "autometa wallet balance",
        "autometa wallet balance 0x1Cb45BceCC3f0CEd2875b49d4f6dd5543B2bD559",
        "autometa wallet balance --min 0.5 || echo 'time to fill it up'",
    ),
)
def balance(
    account: Annotated[
        str | None, typer.Argument(metavar="ADDRESS", help="Any address; without one, the worker's.")
    ] = None,
    key: KeyOption = Key.worker,
    minimum: Annotated[
        str | None,
        typer.Option(
            "--min",
            metavar="AMOUNT",
            help="Exit with 8 when the balance is below AMOUNT of the native token.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Show a balance, and warn when it is low.

    Low is below MIN_WORKER_BALANCE (of an ADDRESS that is given that is
    not warned of), or below --min, which also turns it into a check: exit
    code 8 when the answer is no.
    """
    state = begin(as_json, env_file)
    from autometa_cli.addresses import parse_address
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.networks import explorer_address

    threshold = _amount(minimum, "--min") if minimum is not None else None
    settings = state.settings
    network = settings.network
    holder = parse_address(account, "ADDRESS") if account is not None else _address_of(state, key)
    needed = settings.min_worker_balance_wei if threshold is None else threshold

    async def read() -> tuple[int, int]:
        async with Rpc.of(settings) as rpc:
            view = await rpc.view()
            return await view.balance(holder), view.block.number

    held, block = state.run(read())
    enough = held >= needed
    state.console.result(
        {
            "address": holder,
            "balance": str(held),
            "minimum": str(needed),
            "enough": enough,
            "symbol": network.symbol,
            "chain_id": settings.chain_id,
            "block": block,
            "explorer": explorer_address(network, holder),
            "faucet": network.faucet,
        },
        lambda: state.console.fields(
            [
                ("address", holder),
                ("balance", f"{from_wei(held)} {network.symbol}"),
                ("minimum", f"{from_wei(needed)} {network.symbol}"),
                ("chain", f"{network.title} ({settings.chain_id}), block {block}"),
            ]
        ),
    )
    if not enough and (
        account is None or threshold is not None
    ):  # nobody said that a given one is a worker's
        name = "--min" if threshold is not None else "MIN_WORKER_BALANCE"
        state.console.warn(
            f"{holder} has {from_wei(held)} {network.symbol}, "
            f"which is below {name} ({from_wei(needed)} {network.symbol})",
            _how_to_fill(network, holder),
        )
    if not enough and threshold is not None:
        raise typer.Exit(ExitCode.NEGATIVE)


def _address_of(state: State, key: Key) -> str:
    settings = state.settings
    sources = {Key.worker: settings.worker_key, Key.admin: settings.admin_key, Key.owner: settings.owner_key}
    return sources[key]().load(chain_id=settings.chain_id).address


def _amount(text: str, name: str) -> int:
    try:
        return to_wei(text)
    except ValueError as error:
        raise UsageProblem(f"{name}: {error}", "give an amount of the native token, such as 0.5") from None


def _how_to_fill(network: Network, holder: str) -> str:
    if network.faucet:
        return f"get {network.symbol} for {holder} at {network.faucet}"
    return f"send {network.symbol} to {holder}"
