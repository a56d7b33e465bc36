"""The options of `autometa workflow create` that say what makes it run: a price, or a transfer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from autometa_cli.commands.sending import parse_amount
from autometa_cli.errors import UsageProblem

if TYPE_CHECKING:
    from autometa_cli.chain.triggers import Direction
    from autometa_cli.chain.view import View

TRIGGER_PANEL = "What makes it run"
PRICE, WALLET = 2, 3
_DIRECTIONS: dict[str, Direction] = {"in": "incoming", "out": "outgoing"}


def _option(name: str, metavar: str, help: str) -> typer.models.OptionInfo:
    made: typer.models.OptionInfo = typer.Option(
        name, metavar=metavar, help=help, rich_help_panel=TRIGGER_PANEL, show_default=False
    )
    return made


PriceOption = Annotated[
    str | None, _option("--price", "SYMBOL", "The price of a token, such as DOT, with --above or --below.")
]
AboveOption = Annotated[str | None, _option("--above", "USD", "While the price is above this.")]
BelowOption = Annotated[str | None, _option("--below", "USD", "While the price is below this.")]
OnTransferOption = Annotated[
    str | None, _option("--on-transfer", "in|out", "When you receive, or send, native tokens.")
]
OfOption = Annotated[str | None, _option("--of", "TOKEN", "This ERC-20 token instead of the native one.")]
MinOption = Annotated[
    str | None, _option("--min", "AMOUNT", "Only transfers of so much or more; with --on-transfer in.")
]


@dataclass(frozen=True, slots=True)
class TransferWish:
    """A wallet trigger before its owner, and its token's decimals, are known."""

    direction: Direction
    token: str | None
    least: str | None


@dataclass(frozen=True, slots=True)
class PriceWish:
    """A price trigger, encoded."""

    data: bytes


def parse_trigger_wish(
    *,
    price: str | None,
    above: str | None,
    below: str | None,
    on_transfer: str | None,
    of: str | None,
    least: str | None,
    others: bool,
) -> PriceWish | TransferWish | None:
    """What these options say; None where none was given. Raises UsageProblem, ConfigError.

    Args:
        others: --trigger-type or --trigger-data was given.
    """
    if sum((price is not None, on_transfer is not None, others)) > 1:
        raise UsageProblem(
            "a workflow has one trigger",
            "give one of --price, --on-transfer, and --trigger-type with --trigger-data",
        )
    if price is None and (above is not None or below is not None):
        raise UsageProblem("--above and --below go with --price", "such as --price DOT --above 5")
    if on_transfer is None and (of is not None or least is not None):
        raise UsageProblem("--of and --min go with --on-transfer", "such as --on-transfer in --min 0.5")
    if price is not None:
        return _price(price, above, below)
    return _transfer(on_transfer, of, least) if on_transfer is not None else None


async def transfer_trigger(wish: TransferWish, owner: str, view: View) -> bytes:
    """The trigger data of a wallet trigger. Raises UsageProblem where the token does not tell its decimals."""
    from autometa_cli.chain.tokens import describe_token
    from autometa_cli.chain.trigger_abi import encode_trigger
    from autometa_cli.chain.trigger_json import encode_trigger_json
    from autometa_cli.chain.triggers import WalletTrigger

    if wish.least is None:
        return encode_trigger(WalletTrigger(wish.direction, wish.token))
    decimals: int | None = 18
    if wish.token is not None:
        decimals = (await describe_token(view, wish.token)).decimals
    if decimals is None:
        raise UsageProblem(
            f"{wish.token} does not tell how many decimals it has; is it a token on this chain?"
        )
    amount = parse_amount(wish.least, "--min", decimals)
    # Only the JSON form knows a minimum, and it names the wallet.
    return encode_trigger_json(WalletTrigger("incoming", wish.token, owner, amount))


def _price(symbol: str, above: str | None, below: str | None) -> PriceWish:
    from autometa_cli.chain.trigger_abi import encode_trigger
    from autometa_cli.chain.triggers import PriceTrigger
    from autometa_cli.chain.words import BadEncoding

    if above is not None and below is not None:
        raise UsageProblem("--price takes --above or --below, not both", "such as --price DOT --above 5")
    if above is None and below is None:
        raise UsageProblem("--price needs --above or --below", "such as --price DOT --above 5")
    threshold = parse_amount(above or below or "", "--above" if above is not None else "--below")
    try:
        return PriceWish(encode_trigger(PriceTrigger(symbol, ">" if above is not None else "<", threshold)))
    except BadEncoding as fault:
        raise UsageProblem(f"--price: {fault.message}") from None


def _transfer(direction: str, of: str | None, least: str | None) -> TransferWish:
    from autometa_cli.addresses import parse_address

    way = _DIRECTIONS.get(direction.strip().lower())
    if way is None:
        raise UsageProblem("--on-transfer must be in or out")
    token = parse_address(of, "--of").lower() if of is not None else None
    if least is not None:
        if way == "outgoing":
            raise UsageProblem("--min goes with --on-transfer in", "no form of a trigger can say it for out")
        if token is None:
            parse_amount(least, "--min")
    return TransferWish(way, token, least)
