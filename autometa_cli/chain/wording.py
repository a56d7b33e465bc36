"""Triggers and actions in words, for people."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType

from autometa_cli.addresses import checksum
from autometa_cli.chain.actions import Action, ContractCall, NativeTransfer, TokenTransfer, decode_action
from autometa_cli.chain.contracts import Workflow
from autometa_cli.chain.tokens import Token
from autometa_cli.chain.trigger_data import decode_trigger
from autometa_cli.chain.triggers import PriceTrigger, TimeTrigger, Trigger, WalletTrigger
from autometa_cli.chain.words import BadEncoding
from autometa_cli.times import LAST_SECOND, relative, utc
from autometa_cli.units import duration, from_wei

ACTION_KINDS = {NativeTransfer: "native", TokenTransfer: "token", ContractCall: "call"}
Tokens = Mapping[str, Token]
NO_TOKENS: Tokens = MappingProxyType({})
TRIGGER_KINDS = {TimeTrigger: "time", PriceTrigger: "price", WalletTrigger: "wallet"}


def action_in_words(action: Action, symbol: str, tokens: Tokens = NO_TOKENS) -> str:
    """What the executor contract does. Addresses in full.

    Args:
        symbol: of the native token.
        tokens: what tokens say about themselves, by lower-case address; of those that were asked.
    """
    match action:
        case NativeTransfer(to, amount):
            return f"pay {from_wei(amount)} {symbol} to {checksum(to)}"
        case TokenTransfer(address, to, amount):
            much = tokens.get(address, Token(address)).amount(amount)
            return f"send {much} of the token {checksum(address)} to {checksum(to)}"
        case ContractCall(target, value, call_data):
            paying = f", paying {from_wei(value)} {symbol}" if value else ""
            if len(call_data) < 4:
                return f"call {checksum(target)} with {len(call_data)} bytes of data{paying}"
            selector = f"0x{call_data[:4].hex()}"
            return f"call {selector} on {checksum(target)} with {len(call_data)} bytes of data{paying}"


def trigger_in_words(trigger: Trigger, symbol: str, tokens: Tokens = NO_TOKENS) -> str:
    """What makes a workflow run, apart from its next run. Arguments as of `action_in_words`."""
    match trigger:
        case TimeTrigger():
            return "time"
        case PriceTrigger(coin, comparator, threshold):
            return f"while {coin} {comparator} {from_wei(threshold)} USD"
        case WalletTrigger(direction, address, watched, least):
            who = checksum(watched) if watched else "its owner"
            verb = "receives" if direction == "incoming" else "sends"
            if address is None:
                return f"when {who} {verb} " + (f"{from_wei(least)} {symbol} or more" if least else symbol)
            much = f"{tokens.get(address, Token(address)).amount(least)} or more of " if least else ""
            return f"when {who} {verb} {much}the token {checksum(address)}"


def interval_in_words(seconds: int) -> str:
    """3600 to `"every 1h"`, 0 to `"once"`."""
    return f"every {duration(seconds)}" if seconds else "once"


def time_in_words(seconds: int, now: int) -> str:
    """A point in time as UTC and seen from `now`; both in seconds since 1970."""
    if seconds == 0:
        return "0 (due at once)"
    date = utc(seconds)
    if date is None:
        return f"{seconds} (after the year 9999)"
    if seconds == LAST_SECOND:
        return "never"
    return f"{date} ({relative(seconds, now)})"


def tokens_in(workflow: Workflow) -> set[str]:
    """The addresses, lower-case, of the tokens that its action sends and its trigger watches."""
    found = set()
    with suppress(BadEncoding):
        action = decode_action(workflow.action_data)
        found |= {action.token} if isinstance(action, TokenTransfer) else set()
    with suppress(BadEncoding):
        trigger = decode_trigger(workflow.trigger_type, workflow.trigger_data)
        found |= {trigger.token} if isinstance(trigger, WalletTrigger) and trigger.token else set()
    return found
