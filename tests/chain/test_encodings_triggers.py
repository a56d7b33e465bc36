"""Triggers in ABI form, and all forms under arbitrary bytes."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from autometa_cli.chain.trigger_abi import encode_trigger
from autometa_cli.chain.trigger_data import decode_trigger
from autometa_cli.chain.trigger_json import encode_trigger_json
from autometa_cli.chain.triggers import PriceTrigger, TimeTrigger, Trigger, TriggerType, WalletTrigger
from autometa_cli.chain.words import BadEncoding
from autometa_cli.units import UINT256_MAX

TIME, PRICE, WALLET = TriggerType.TIME, TriggerType.PRICE, TriggerType.WALLET
WATCHED = "0x" + "ab" * 20
TOKEN = "0x" + "cd" * 20
ZERO = "0x" + "0" * 40

symbols = st.from_regex(r"[A-Z0-9][A-Z0-9._$+-]{0,31}", fullmatch=True)
amounts = st.integers(0, UINT256_MAX)
addresses = st.binary(min_size=20, max_size=20).filter(any).map(lambda raw: "0x" + raw.hex())


# Time


@pytest.mark.parametrize(
    ("data", "trigger"),
    [
        (b"", TimeTrigger()),
        (encode(["uint256"], [60]), TimeTrigger(interval=60)),
        (encode(["uint256", "uint256"], [1_700_000_000, 60]), TimeTrigger(1_700_000_000, 60)),
    ],
)
def test_time(data: bytes, trigger: TimeTrigger) -> None:
    assert decode_trigger(TIME, data) == trigger
    assert encode_trigger(trigger) == data


@pytest.mark.parametrize("size", [1, 31, 33, 63, 65, 96])
def test_time_of_any_other_length_is_refused(size: int) -> None:
    with pytest.raises(BadEncoding, match=rf"type 1 \(time\): {size} bytes, expected 0, 32 or 64"):
        decode_trigger(TIME, bytes(size))


def test_a_start_needs_an_interval() -> None:
    with pytest.raises(BadEncoding, match="needs an interval"):
        TimeTrigger(start=5)


# Price, ABI


@given(symbols, st.sampled_from([">", "<"]), amounts, st.booleans())
def test_price_survives_the_round_trip(symbol: str, comparator: Any, threshold: int, bytes32: bool) -> None:
    trigger = PriceTrigger(symbol, comparator, threshold)
    data = encode_trigger(trigger, bytes32=bytes32)
    kind, raw = ("bytes32", symbol.encode()) if bytes32 else ("string", symbol)
    assert data == encode([kind, "uint256", "uint8"], [raw, threshold, [">", "<"].index(comparator)])
    assert decode_trigger(PRICE, data) == trigger


@pytest.mark.parametrize(("kind", "raw"), [("string", "dot"), ("bytes32", b"dot")])
def test_a_symbol_is_normalised_to_upper_case(kind: str, raw: object) -> None:
    data = encode([kind, "uint256", "uint8"], [raw, 5, 1])
    assert decode_trigger(PRICE, data) == PriceTrigger("DOT", "<", 5)


def changed(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]


STRING = encode(["string", "uint256", "uint8"], ["DOT", 5, 1])
BYTES32 = encode(["bytes32", "uint256", "uint8"], [b"DOT", 5, 1])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "0 bytes, at least 96 are needed", id="empty"),
        pytest.param(BYTES32[:-1], "95 bytes, at least 96 are needed", id="short"),
        pytest.param(BYTES32 + b"\0", "97 bytes, not the 96 that abi.encode gives", id="bytes32 and more"),
        pytest.param(STRING + b"\0", "161 bytes, not the 160 that abi.encode gives", id="string and more"),
        pytest.param(STRING[:-1], "159 bytes, not the 160", id="padding cut"),
        pytest.param(changed(STRING, 159, 1), "not the 160 that abi.encode gives", id="dirty padding"),
        pytest.param(changed(STRING, 31, 64), "", id="offset into the head"),
        pytest.param(changed(STRING, 31, 255), "byte 0: symbol points behind the end", id="offset too far"),
        pytest.param(changed(STRING, 1, 1), "byte 0: symbol points behind the end", id="offset huge"),
        pytest.param(changed(STRING, 127, 33), "byte 96: symbol is longer than the 32 bytes", id="too long"),
        pytest.param(changed(STRING, 96, 255), "byte 96: symbol is longer than", id="length huge"),
        pytest.param(changed(STRING, 95, 2), "byte 64: direction is 2, it must be below 2", id="direction 2"),
        pytest.param(changed(STRING, 64, 1), "byte 64: direction is more than 2**64", id="direction dirty"),
        pytest.param(changed(BYTES32, 95, 2), "byte 64: direction is 2", id="bytes32, direction 2"),
        pytest.param(changed(BYTES32, 1, 0), "the symbol 'D\\x00T' is not", id="bytes32, zero inside"),
        pytest.param(changed(BYTES32, 1, 255), "the symbol is not plain ASCII", id="bytes32, not ASCII"),
        pytest.param(changed(BYTES32, 0, 0), "byte 0: symbol points behind", id="bytes32, no first letter"),
        pytest.param(
            encode(["string", "uint256", "uint8"], ["", 5, 1]), "the symbol '' is not", id="no symbol"
        ),
        pytest.param(
            encode(["string", "uint256", "uint8"], ["A" * 33, 5, 1]),
            "is not 1 to 32 letters",
            id="33 letters",
        ),
        pytest.param(
            encode(["string", "uint256", "uint8"], ["ﬀ", 5, 1]), "symbol is not plain ASCII", id="ligature"
        ),
        pytest.param(
            encode(["string", "uint256", "uint8"], ["../dot", 5, 1]),
            "the symbol '../dot' is not",
            id="a path",
        ),
        pytest.param(
            encode(["string", "uint256", "uint8"], ["\x1b[2J", 5, 1]),
            "'\\x1b[2J' is not",
            id="terminal codes",
        ),
    ],
)
def test_price_refused(data: bytes, message: str) -> None:
    with pytest.raises(BadEncoding) as caught:
        decode_trigger(PRICE, data)
    assert message in caught.value.message


@pytest.mark.parametrize("comparator", ["<=", ">="])
def test_the_abi_form_has_two_comparators(comparator: Any) -> None:
    with pytest.raises(BadEncoding, match="the ABI form of a price trigger knows > and <"):
        encode_trigger(PriceTrigger("DOT", comparator, 5))


# Wallet


@given(st.sampled_from(["incoming", "outgoing"]), st.none() | addresses)
def test_wallet_survives_the_round_trip(direction: Any, token: str | None) -> None:
    trigger = WalletTrigger(direction, token)
    data = encode_trigger(trigger)
    assert data == encode(["address", "uint8"], [token or ZERO, int(direction == "outgoing")])
    assert decode_trigger(WALLET, data) == trigger


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "0 bytes, expected 64, or JSON", id="empty"),
        pytest.param(bytes(63), "63 bytes, expected 64", id="short"),
        pytest.param(bytes(65), "65 bytes, expected 64", id="long"),
        pytest.param(bytes(63) + b"\x02", "byte 32: direction is 2", id="direction 2"),
        pytest.param(b"\x01" + bytes(63), "byte 0: token is no address", id="dirty token"),
    ],
)
def test_wallet_refused(data: bytes, message: str) -> None:
    with pytest.raises(BadEncoding) as caught:
        decode_trigger(WALLET, data)
    assert message in caught.value.message


@pytest.mark.parametrize(
    "encoding",
    [
        lambda: encode_trigger(WalletTrigger("incoming", watched=WATCHED)),
        lambda: encode_trigger(WalletTrigger("incoming", min_amount=1)),
        lambda: encode_trigger_json(WalletTrigger("outgoing", watched=WATCHED)),
        lambda: encode_trigger_json(WalletTrigger("incoming")),
        lambda: encode_trigger_json(TimeTrigger()),
        lambda: WalletTrigger("sideways"),  # type: ignore[arg-type]
        lambda: PriceTrigger("DOT", "==", 1),  # type: ignore[arg-type]
        lambda: PriceTrigger("DOT", ">", -1),
        lambda: PriceTrigger("", ">", 1),
    ],
)
def test_what_a_form_cannot_say_is_refused(encoding: Callable[[], object]) -> None:
    with pytest.raises(BadEncoding):
        encoding()


# All


@pytest.mark.parametrize("trigger_type", [0, 4, 255, -1])
def test_an_unknown_type_is_refused(trigger_type: int) -> None:
    with pytest.raises(BadEncoding, match="trigger type is not known"):
        decode_trigger(trigger_type, b"")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
json_objects = st.dictionaries(
    st.sampled_from(["token", "comparator", "price_usd", "monitor", "min_amount", "other"]), json_values
).map(lambda fields: json.dumps(fields).encode())
hostile = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=60).map(lambda raw: b"{" + raw),
    st.lists(st.one_of(amounts, st.integers(0, 130)), max_size=6).map(
        lambda values: b"".join(value.to_bytes(32, "big") for value in values)
    ),
    json_objects,
)


@given(st.integers(0, 4), hostile)
def test_arbitrary_bytes_raise_nothing_but_bad_encoding(trigger_type: int, data: bytes) -> None:
    with contextlib.suppress(BadEncoding):
        trigger = decode_trigger(trigger_type, data)
        again: Trigger | None = None
        for write in (encode_trigger, encode_trigger_json):
            with contextlib.suppress(BadEncoding):
                again = decode_trigger(trigger_type, write(trigger))
                assert again == trigger
        assert again is not None
