"""The JSON forms of `triggerData` (see `trigger_data`). Anybody can store them: nothing in them is believed."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from autometa_cli import foreignjson
from autometa_cli.chain.triggers import COMPARATORS, PriceTrigger, Trigger, WalletTrigger
from autometa_cli.chain.words import BadEncoding, checked_uint
from autometa_cli.units import from_wei, scale

MAX_JSON = 2048
"""Bytes. The client's own objects have 150; below this no number or nesting takes noticeable time to read."""
_DECIMALS = 18
_PRICE = "triggerData of type 2 (price, JSON)"
_WALLET = "triggerData of type 3 (wallet event, JSON)"


def decode_price(data: bytes) -> PriceTrigger:
    """`{"token": "dot", "comparator": 0..3, "price_usd": 5.2}`; other members are ignored.

    Raises BadEncoding.
    """
    fields = _object(data, _PRICE)
    index = _whole(_member(fields, "comparator", _PRICE), f"{_PRICE}: comparator")
    if index >= len(COMPARATORS):
        raise BadEncoding(f"{_PRICE}: comparator is not 0 (<), 1 (<=), 2 (>) or 3 (>=)")
    comparator = COMPARATORS[index]
    price = _number(_member(fields, "price_usd", _PRICE), f"{_PRICE}: price_usd")
    # JavaScript prints 17 digits, so cheap tokens come with more than 18 decimals. Rounded to this side, the
    # comparison with any price in whole 10**-18 dollars gives the same answer as the unrounded threshold.
    threshold = _scaled(price, _DECIMALS, f"{_PRICE}: price_usd", up=comparator in ("<", ">="))
    token = _member(fields, "token", _PRICE)
    try:
        return PriceTrigger(token, comparator, threshold)
    except BadEncoding as fault:
        raise BadEncoding(f"{_PRICE}: {fault.message}", fault.hint) from None


def decode_wallet(data: bytes) -> WalletTrigger:
    """`{"monitor": "0x…", "token": "0x…", "min_amount": 123}`; other members are ignored.

    Without token (or null) the native one, without min_amount any amount. Raises BadEncoding.
    """
    fields = _object(data, _WALLET)
    monitor = _member(fields, "monitor", _WALLET)
    if monitor is None:
        raise BadEncoding(f"{_WALLET}: monitor is null")
    amount = _whole(fields.get("min_amount", 0), f"{_WALLET}: min_amount")
    try:
        return WalletTrigger("incoming", fields.get("token"), monitor, amount)
    except BadEncoding as fault:
        raise BadEncoding(f"{_WALLET}: {fault.message}", fault.hint) from None


def encode_trigger_json(trigger: Trigger) -> bytes:
    """The JSON form. Numbers are written out in full, never through a float.

    Raises BadEncoding for what it cannot say: time, outgoing, no watched wallet.
    """
    match trigger:
        case PriceTrigger(symbol, comparator, threshold):
            token = json.dumps(symbol.lower())
            index = COMPARATORS.index(comparator)
            return f'{{"token": {token}, "comparator": {index}, "price_usd": {from_wei(threshold)}}}'.encode()
        case WalletTrigger("incoming", token, str(watched), min_amount):
            fields = {"monitor": watched} | ({"token": token} if token else {}) | {"min_amount": min_amount}
            return json.dumps(fields).encode()
        case _:
            raise BadEncoding("the JSON form knows prices, and incoming transfers to a named wallet")


def _object(data: bytes, what: str) -> dict[str, Any]:
    if len(data) > MAX_JSON:
        raise BadEncoding(f"{what}: {len(data)} bytes, at most {MAX_JSON} are read")

    def constant(name: str) -> NoReturn:
        raise BadEncoding(f"{what}: {name} is not a number")

    def number(text: str) -> Decimal:
        try:
            return Decimal(text)
        except InvalidOperation:  # an exponent beyond 10**18
            raise BadEncoding(f"{what}: {text[:40]} is out of range") from None

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) != len(pairs):
            raise BadEncoding(f"{what}: a member is there twice")
        return fields

    try:
        value = foreignjson.loads(
            data.decode("utf-8"), parse_float=number, parse_constant=constant, object_pairs_hook=members
        )
    except BadEncoding:
        raise
    except UnicodeDecodeError as fault:
        raise BadEncoding(f"{what}, byte {fault.start}: not UTF-8") from None
    except RecursionError:
        raise BadEncoding(f"{what}: nested too deeply") from None
    except ValueError as fault:
        raise BadEncoding(f"{what}: not JSON ({fault})") from None
    if not isinstance(value, dict):
        raise BadEncoding(f"{what}: not a JSON object")
    return value


def _member(fields: dict[str, Any], name: str, what: str) -> Any:
    if name not in fields:
        raise BadEncoding(f"{what}: {name} is missing")
    return fields[name]


def _number(value: object, what: str) -> Decimal:
    """A JSON number ≥ 0. True and False are none, though Python counts with them."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise BadEncoding(f"{what} is not a number")
    if value < 0:
        raise BadEncoding(f"{what} is negative")
    return Decimal(value)


def _whole(value: object, what: str) -> int:
    """A JSON number without a fraction. JavaScript writes 10**21 as 1e+21, so exponents count as whole."""
    number = _number(value, what)
    whole = _scaled(number, 0, what, up=False)
    if whole != number:
        raise BadEncoding(f"{what} is not a whole number")
    return whole


def _scaled(value: Decimal, decimals: int, what: str, *, up: bool) -> int:
    """`value` · 10**`decimals`, rounded down or up."""
    try:
        whole, rest = scale(value, decimals)
        return checked_uint(whole + (up and rest), what)
    except OverflowError:
        raise BadEncoding(f"{what} is more than a uint256 holds") from None
