"""The options of `autometa workflow create` and `update`, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from autometa_cli.commands.sending import parse_amount
from autometa_cli.errors import UsageProblem
from autometa_cli.parsers import shown
from autometa_cli.times import parse_interval, parse_time
from autometa_cli.units import from_hex

if TYPE_CHECKING:
    from autometa_cli.chain.view import View

ACTION_PANEL, SCHEDULE_PANEL, EXPERT_PANEL = "What it does", "When it runs", "For experts"
TRIGGER_TYPES = {"time": 1, "price": 2, "wallet": 3}


def _option(name: str, metavar: str, help: str, panel: str) -> typer.models.OptionInfo:
    made: typer.models.OptionInfo = typer.Option(
        name, metavar=metavar, help=help, rich_help_panel=panel, show_default=False
    )
    return made


TransferOption = Annotated[
    str | None, _option("--transfer", "TO", "Pay --amount of the native token to TO.", ACTION_PANEL)
]
TokenOption = Annotated[
    str | None, _option("--token", "TOKEN", "Send --amount of an ERC-20 token, to --to.", ACTION_PANEL)
]
ToOption = Annotated[str | None, _option("--to", "ADDRESS", "Who gets the tokens.", ACTION_PANEL)]
AmountOption = Annotated[str | None, _option("--amount", "N", "How much, such as 0.5.", ACTION_PANEL)]
DecimalsOption = Annotated[
    int | None,
    typer.Option(
        "--decimals",
        metavar="N",
        min=0,
        max=77,
        help="Of the token, if it does not tell; 0: --amount is in its smallest unit.",
        rich_help_panel=ACTION_PANEL,
        show_default=False,
    ),
]
CallOption = Annotated[
    str | None, _option("--call", "TARGET", "Call a contract, with --data and --value.", ACTION_PANEL)
]
ValueOption = Annotated[
    str | None, _option("--value", "N", "Native tokens to send along; else none.", ACTION_PANEL)
]
DataOption = Annotated[
    str | None, _option("--data", "0x…", "Selector and arguments of the call; else empty.", ACTION_PANEL)
]
EveryOption = Annotated[
    str | None, _option("--every", "INTERVAL", "Run again and again: 90, 15m, 1h30m, 1d.", SCHEDULE_PANEL)
]
OnceOption = Annotated[bool, typer.Option("--once", help="Run it once only.", rich_help_panel=SCHEDULE_PANEL)]
StartOption = Annotated[
    str | None,
    _option(
        "--start", "TIME", "The next run: now, +10m, 2030-01-31T12:00:00Z, Unix seconds.", SCHEDULE_PANEL
    ),
]
GasBudgetOption = Annotated[
    str | None,
    _option("--gas-budget", "N", "Native tokens that its owner's escrow pays for each run.", SCHEDULE_PANEL),
]
TriggerTypeOption = Annotated[
    str | None, _option("--trigger-type", "TYPE", "time, price, wallet, or a number.", EXPERT_PANEL)
]
TriggerDataOption = Annotated[
    str | None, _option("--trigger-data", "0x…|JSON", "Parameters of the trigger, as they are.", EXPERT_PANEL)
]
ActionDataOption = Annotated[
    str | None,
    _option("--action-data", "0x…", "The action's type and parameters, as they are.", EXPERT_PANEL),
]


@dataclass(frozen=True, slots=True)
class TokenWish:
    """A token transfer whose amount is still a text: what it means depends on the token's decimals."""

    token: str
    to: str
    amount: str
    decimals: int | None


def parse_action(
    *,
    transfer: str | None,
    token: str | None,
    to: str | None,
    amount: str | None,
    decimals: int | None,
    call: str | None,
    value: str | None,
    data: str | None,
    raw: str | None,
) -> bytes | TokenWish | None:
    """What the action options say; None where none was given. Raises UsageProblem, ConfigError."""
    from autometa_cli.addresses import parse_address
    from autometa_cli.chain.actions import ContractCall, NativeTransfer, encode_action

    ways = {"--transfer": transfer, "--token": token, "--call": call, "--action-data": raw}
    chosen = [name for name, text in ways.items() if text is not None]
    if len(chosen) > 1:
        raise UsageProblem(f"{' and '.join(chosen)}: a workflow has one action", "give one of them")
    belongs = {
        "--to": (to, "--token"),
        "--decimals": (decimals, "--token"),
        "--value": (value, "--call"),
        "--data": (data, "--call"),
        "--amount": (amount, "--transfer or --token"),
    }
    for name, (given, owner) in belongs.items():
        if given is not None and not set(chosen) & set(owner.split(" or ")):
            raise UsageProblem(f"{name} goes with {owner}", "--help shows what goes together")
    if transfer is not None:
        recipient = parse_address(transfer, "--transfer")
        return encode_action(NativeTransfer(recipient, parse_amount(_needed(amount, "--amount"), "--amount")))
    if token is not None:
        address = parse_address(token, "--token")
        recipient = parse_address(_needed(to, "--to"), "--to")
        return TokenWish(address, recipient, _needed(amount, "--amount"), decimals)
    if call is not None:
        target = parse_address(call, "--call")
        wei = parse_amount(value, "--value") if value is not None else 0
        return encode_action(ContractCall(target, wei, parse_hex(data or "", "--data")))
    return parse_hex(raw, "--action-data") if raw is not None else None


async def token_action(wish: TokenWish, view: View) -> bytes:
    """The action data of a token transfer. Raises UsageProblem where the token does not tell its decimals."""
    from autometa_cli.chain.actions import TokenTransfer, encode_action
    from autometa_cli.chain.tokens import describe_token

    decimals = wish.decimals
    if decimals is None:
        decimals = (await describe_token(view, wish.token)).decimals
    if decimals is None:
        raise UsageProblem(
            f"{wish.token} does not tell how many decimals it has; is it a token on this chain?",
            "if it is, give --decimals",
        )
    return encode_action(TokenTransfer(wish.token, wish.to, parse_amount(wish.amount, "--amount", decimals)))


def parse_schedule(every: str | None, once: bool) -> int | None:
    """The interval in seconds, 0 for once, None where nothing was said. Raises UsageProblem."""
    if every is not None and once:
        raise UsageProblem("--every and --once contradict each other", "give one of them")
    if every is None:
        return 0 if once else None
    try:
        return parse_interval(every)
    except ValueError as error:
        raise UsageProblem(f"--every: {error}", "for a workflow that runs once, --once") from None


def parse_start(text: str | None, now: int, name: str = "--start") -> int | None:
    """Seconds since 1970; None where nothing was said. Raises UsageProblem.

    Args:
        now: the chain's clock, seconds since 1970; 0 to check the text alone.
    """
    if text is None:
        return None
    try:
        return parse_time(text, now)
    except ValueError as error:
        raise UsageProblem(f"{name}: {error}") from None


def parse_trigger_type(text: str, name: str = "--trigger-type") -> int:
    """1, 2, 3 by name or number; other numbers up to 255 as they are. Raises UsageProblem."""
    typed = text.strip().lower()
    if typed in TRIGGER_TYPES:
        return TRIGGER_TYPES[typed]
    if typed.isascii() and typed.isdigit() and len(typed) <= 3 and int(typed) <= 255:
        return int(typed)
    raise UsageProblem(f"{name} must be {', '.join(TRIGGER_TYPES)}, or a number from 0 to 255")


def parse_trigger_data(text: str) -> bytes:
    """Hex, or JSON as text. Raises UsageProblem."""
    return text.strip().encode() if text.strip().startswith("{") else parse_hex(text, "--trigger-data")


def parse_hex(text: str, name: str) -> bytes:
    """Raises UsageProblem naming the option."""
    try:
        return from_hex(text.strip())
    except ValueError as error:
        raise UsageProblem(f"{name}: {error}", "write it as 0x…") from None


def parse_id(text: str) -> int:
    """A workflow's id. Raises UsageProblem."""
    typed = text.strip()
    if not (typed.isascii() and typed.isdigit()) or len(typed) > 77 or int(typed) == 0:
        raise UsageProblem(f"{shown(typed)} is no workflow id; ids are 1, 2, 3 …")
    return int(typed)


def _needed(text: str | None, name: str) -> str:
    if text is None:
        raise UsageProblem(f"{name} is missing", "--help shows what goes together")
    return text
