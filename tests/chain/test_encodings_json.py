"""Triggers stored as JSON: exact numbers, and every hostile text refused."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autometa_cli.chain.trigger_data import decode_trigger
from autometa_cli.chain.trigger_json import encode_trigger_json
from autometa_cli.chain.triggers import PriceTrigger, TriggerType, WalletTrigger
from autometa_cli.chain.words import BadEncoding
from autometa_cli.units import UINT256_MAX

PRICE, WALLET = TriggerType.PRICE, TriggerType.WALLET
WATCHED = "0x" + "ab" * 20
TOKEN = "0x" + "cd" * 20
ZERO = "0x" + "0" * 40

symbols = st.from_regex(r"[A-Z0-9][A-Z0-9._$+-]{0,31}", fullmatch=True)
amounts = st.integers(0, UINT256_MAX)
addresses = st.binary(min_size=20, max_size=20).filter(any).map(lambda raw: "0x" + raw.hex())


def price_json(**fields: Any) -> bytes:
    return json.dumps({"token": "dot", "comparator": 2, "price_usd": 5.2} | fields).encode()


@given(symbols, st.sampled_from(["<", "<=", ">", ">="]), amounts)
def test_price_json_survives_the_round_trip(symbol: str, comparator: Any, threshold: int) -> None:
    trigger = PriceTrigger(symbol, comparator, threshold)
    data = encode_trigger_json(trigger)
    assert decode_trigger(PRICE, data) == trigger
    fields = json.loads(data, parse_float=Decimal)
    assert fields["price_usd"] * 10**18 == threshold or threshold >= 10**28  # Decimal's own precision


@pytest.mark.parametrize(("index", "comparator"), list(enumerate(["<", "<=", ">", ">="])))
def test_price_json(index: int, comparator: Any) -> None:
    data = f'{{"token": "dot", "comparator": {index}, "price_usd": 5.2}}'.encode()
    assert decode_trigger(PRICE, data) == PriceTrigger("DOT", comparator, 5_200_000_000_000_000_000)
    assert encode_trigger_json(PriceTrigger("DOT", comparator, 5_200_000_000_000_000_000)) == data


@pytest.mark.parametrize(
    ("number", "threshold"),
    [
        (b"5", 5 * 10**18),
        (b"0", 0),
        (b"0.1", 10**17),
        (b"1e-7", 10**11),
        (b"1E3", 10**21),
        (b"123456789.123456789012345678", 123456789123456789012345678),
        (b"0.30000000000000004", 300_000_000_000_000_040),
        (b"0e999", 0),
        (b"-0.0", 0),
    ],
)
def test_thresholds_are_exact(number: bytes, threshold: int) -> None:
    data = b'{"token":"dot","comparator":0,"price_usd":%b}' % number
    assert decode_trigger(PRICE, data) == PriceTrigger("DOT", "<", threshold)


@given(
    st.integers(0, 3),
    st.decimals(min_value=0, max_value=10, places=21),
    st.integers(-3, 3),
)
@example(0, Decimal("1e-21"), 0)
def test_a_threshold_finer_than_a_wei_still_compares_exactly(
    index: int, threshold: Decimal, offset: int
) -> None:
    data = b'{"token":"shib","comparator":%d,"price_usd":%b}' % (index, format(threshold, "f").encode())
    trigger = decode_trigger(PRICE, data)
    assert isinstance(trigger, PriceTrigger)
    price = max(0, int(threshold * 10**18) + offset)
    exact = Decimal(price) / 10**18
    expected = [exact < threshold, exact <= threshold, exact > threshold, exact >= threshold][index]
    assert trigger.met(price) is expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"{", "not JSON", id="cut"),
        pytest.param(b"{\xff}", "byte 1: not UTF-8", id="not UTF-8"),
        pytest.param(price_json() + b"x", "not JSON (Extra data", id="more behind"),
        pytest.param(price_json(comparator=4), "comparator is not 0 (<)", id="comparator 4"),
        pytest.param(price_json(comparator=-1), "comparator is negative", id="comparator -1"),
        pytest.param(price_json(comparator=True), "comparator is not a number", id="comparator true"),
        pytest.param(price_json(comparator="2"), "comparator is not a number", id="comparator text"),
        pytest.param(price_json(comparator=1.5), "comparator is not a whole number", id="comparator 1.5"),
        pytest.param(price_json(comparator=None), "comparator is not a number", id="comparator null"),
        pytest.param(price_json(price_usd=-1), "price_usd is negative", id="negative"),
        pytest.param(price_json(price_usd=True), "price_usd is not a number", id="true"),
        pytest.param(price_json(price_usd="5.2"), "price_usd is not a number", id="text"),
        pytest.param(price_json(price_usd=[5]), "price_usd is not a number", id="list"),
        pytest.param(price_json(price_usd=float("nan")), "NaN is not a number", id="NaN"),
        pytest.param(price_json(price_usd=float("inf")), "Infinity is not a number", id="Infinity"),
        pytest.param(price_json(price_usd=10**60), "price_usd is more than a uint256", id="1e60"),
        pytest.param(price_json(token=5), "the symbol must be text, not int", id="token 5"),
        pytest.param(price_json(token=None), "the symbol must be text", id="token null"),
        pytest.param(price_json(token="d\ud800t"), "the symbol 'd\\ud800t' is not", id="lone surrogate"),
        pytest.param(price_json(token="\u017f"), "the symbol '\\u017f' is not", id="becomes S in upper case"),
        pytest.param(b'{"token":"dot","comparator":1}', "price_usd is missing", id="no price"),
        pytest.param(b'{"comparator":1,"price_usd":1}', "token is missing", id="no token"),
        pytest.param(b'{"token":"dot","price_usd":1}', "comparator is missing", id="no comparator"),
        pytest.param(
            b'{"token":"dot","token":"btc","comparator":1,"price_usd":1}',
            "a member is there twice",
            id="twice",
        ),
        pytest.param(
            b'{"token":"dot","comparator":1,"price_usd":1e999}', "price_usd is more than", id="1e999"
        ),
        pytest.param(
            b'{"token":"dot","comparator":1,"price_usd":1e999999999}', "price_usd is more than", id="huge"
        ),
        pytest.param(
            b'{"token":"dot","comparator":1,"price_usd":1e99999999999999999999}', "out of range", id="huger"
        ),
        pytest.param(price_json(price_usd=int("9" * 1900)), "price_usd is more than", id="1900 digits"),
        pytest.param(price_json(note="x" * 5000), "at most 2048 are read", id="long"),
        pytest.param(b'{"a":' * 400, "not JSON", id="open braces"),
        pytest.param(b'{"a":' + b"[" * 2000, "", id="open brackets"),
        pytest.param(b'{"a":' + b"[" * 1000 + b"]" * 1000 + b"}", "", id="nested"),
        pytest.param(b"[" + price_json() + b"]", "", id="a list"),
        pytest.param(b"{}", "comparator is missing", id="nothing"),
    ],
)
def test_price_json_refused(data: bytes, message: str) -> None:
    with pytest.raises(BadEncoding) as caught:
        decode_trigger(PRICE, data)
    assert message in caught.value.message
    assert len(caught.value.message) < 200


def test_members_that_we_do_not_know_are_ignored() -> None:
    assert decode_trigger(PRICE, b" \n" + price_json(note={"by": ["x", 1.5, None]})) == PriceTrigger(
        "DOT", ">", 5_200_000_000_000_000_000
    )


@given(addresses, st.none() | addresses, amounts)
def test_wallet_json_survives_the_round_trip(watched: str, token: str | None, minimum: int) -> None:
    trigger = WalletTrigger("incoming", token, watched, minimum)
    assert decode_trigger(WALLET, encode_trigger_json(trigger)) == trigger


@pytest.mark.parametrize(
    ("fields", "trigger"),
    [
        ({"min_amount": 123}, WalletTrigger("incoming", None, WATCHED, 123)),
        ({"token": TOKEN, "min_amount": 123}, WalletTrigger("incoming", TOKEN, WATCHED, 123)),
        ({"token": None, "min_amount": 1e21}, WalletTrigger("incoming", None, WATCHED, 10**21)),
        ({"token": ZERO}, WalletTrigger("incoming", None, WATCHED, 0)),
        ({"min_amount": UINT256_MAX}, WalletTrigger("incoming", None, WATCHED, UINT256_MAX)),
    ],
)
def test_wallet_json(fields: dict[str, Any], trigger: WalletTrigger) -> None:
    assert decode_trigger(WALLET, json.dumps({"monitor": WATCHED} | fields).encode()) == trigger


def wallet_json(**fields: Any) -> bytes:
    return json.dumps({"monitor": WATCHED, "min_amount": 1} | fields).encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"{}", "monitor is missing", id="nothing"),
        pytest.param(wallet_json(monitor=None), "monitor is null", id="monitor null"),
        pytest.param(
            wallet_json(monitor=5), "the watched wallet must be an address, not int", id="monitor 5"
        ),
        pytest.param(wallet_json(monitor=WATCHED[:-1]), "has 41 characters", id="41 characters"),
        pytest.param(wallet_json(monitor="0x" + "aB" * 20), "wrong checksum", id="checksum"),
        pytest.param(wallet_json(monitor=ZERO), "the watched wallet is the zero address", id="zero"),
        pytest.param(wallet_json(token=""), "token is empty", id="token empty"),
        pytest.param(wallet_json(token=[]), "token must be an address, not list", id="token list"),
        pytest.param(wallet_json(min_amount=-1), "min_amount is negative", id="negative"),
        pytest.param(wallet_json(min_amount=0.5), "min_amount is not a whole number", id="fraction"),
        pytest.param(wallet_json(min_amount="1"), "min_amount is not a number", id="text"),
        pytest.param(wallet_json(min_amount=False), "min_amount is not a number", id="false"),
        pytest.param(wallet_json(min_amount=2**256), "min_amount is more than a uint256", id="2**256"),
        pytest.param(b'{"monitor":"%b","min_amount":1e-9999}' % WATCHED.encode(), "whole number", id="tiny"),
    ],
)
def test_wallet_json_refused(data: bytes, message: str) -> None:
    with pytest.raises(BadEncoding) as caught:
        decode_trigger(WALLET, data)
    assert message in caught.value.message
