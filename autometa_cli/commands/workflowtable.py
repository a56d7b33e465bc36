"""Workflows as a table: one a line in few words. `workflow show` has all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from autometa_cli.commands.workflowview import state_in_words
from autometa_cli.units import amount, duration, short

if TYPE_CHECKING:
    from rich.console import RenderableType

    from autometa_cli.chain.contracts import Workflow
    from autometa_cli.commands.context import State

_UNREADABLE = "unreadable"


def workflow_table(state: State, workflows: Sequence[Workflow], now: int, empty: str) -> RenderableType:
    """Workflows for people, made for a terminal of 80 columns.

    Args:
        now: the chain's clock, seconds since 1970.
        empty: what is said where there are none.
    """
    from autometa_cli.times import relative

    symbol = state.settings.network.symbol
    return state.console.table(
        ("ID", "OWNER", "STATE", "NEXT RUN", "EVERY", "TRIGGER", "ACTION"),
        [
            (
                each.id,
                short(each.owner),
                state_in_words(each, now),
                relative(each.next_run, now) if each.next_run else "at once",
                duration(each.interval) if each.interval else "once",
                _trigger(each, symbol),
                _action(each, symbol),
            )
            for each in workflows
        ],
        empty=empty,
    )


def _trigger(workflow: Workflow, symbol: str) -> str:
    from autometa_cli.chain.trigger_data import decode_trigger
    from autometa_cli.chain.triggers import PriceTrigger, WalletTrigger
    from autometa_cli.chain.words import BadEncoding
    from autometa_cli.units import from_wei

    try:
        trigger = decode_trigger(workflow.trigger_type, workflow.trigger_data)
    except BadEncoding:
        return _UNREADABLE
    match trigger:
        case PriceTrigger(coin, comparator, threshold):
            return f"{coin} {comparator} {from_wei(threshold)}"
        case WalletTrigger(direction, token):
            return f"{short(token) if token else symbol} {'in' if direction == 'incoming' else 'out'}"
        case _:
            return "time"


def _action(workflow: Workflow, symbol: str) -> str:
    from autometa_cli.addresses import checksum
    from autometa_cli.chain.actions import ContractCall, NativeTransfer, TokenTransfer, decode_action
    from autometa_cli.chain.words import BadEncoding

    try:
        action = decode_action(workflow.action_data)
    except BadEncoding:
        return _UNREADABLE
    match action:
        case NativeTransfer(to, wei):
            return f"{amount(wei, symbol)} to {short(checksum(to))}"
        case TokenTransfer(token, to):  # how much that is, only the token itself can say
            return f"{short(checksum(token))} to {short(checksum(to))}"
        case ContractCall(target):
            return f"call {short(checksum(target))}"
