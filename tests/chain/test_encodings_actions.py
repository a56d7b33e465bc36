"""Actions: read as the executor contract reads them, written as clients write them."""

import contextlib
from collections.abc import Callable

import pytest
from eth_abi.abi import encode
from hypothesis import example, given
from hypothesis import strategies as st

from autometa_cli.chain.actions import (
    Action,
    ContractCall,
    NativeTransfer,
    TokenTransfer,
    decode_action,
    encode_action,
    native_value,
)
from autometa_cli.chain.words import BadEncoding
from autometa_cli.errors import AutometaError
from autometa_cli.units import UINT256_MAX

TO = "0x" + "ab" * 20
TOKEN = "0x" + "cd" * 20

addresses = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
amounts = st.integers(0, UINT256_MAX)
actions: st.SearchStrategy[Action] = st.one_of(
    st.builds(NativeTransfer, addresses, amounts),
    st.builds(TokenTransfer, addresses, addresses, amounts),
    st.builds(ContractCall, addresses, amounts, st.binary(max_size=200)),
)


def words(*values: int | str) -> bytes:
    """Numbers as words; text as hex, unpadded."""
    return b"".join(v.to_bytes(32, "big") if isinstance(v, int) else bytes.fromhex(v) for v in values)


@given(actions)
def test_actions_survive_the_round_trip(action: Action) -> None:
    assert decode_action(encode_action(action)) == action


@given(actions)
def test_they_are_written_as_eth_abi_writes_them(action: Action) -> None:
    match action:
        case NativeTransfer(to, amount):
            expected = b"\x01" + encode(["address", "uint256"], [to, amount])
        case TokenTransfer(token, to, amount):
            expected = b"\x02" + encode(["address", "address", "uint256"], [token, to, amount])
        case ContractCall(target, value, call_data):
            expected = b"\x03" + encode(["address", "uint256", "bytes"], [target, value, call_data])
    assert encode_action(action) == expected


A = int(TO, 16)
HEAD = words(A, 7)


@pytest.mark.parametrize(
    ("data", "action"),
    [
        pytest.param("01" + words(A, 5).hex() + "ff", NativeTransfer(TO, 5), id="bytes behind"),
        pytest.param(
            "03" + (HEAD + words(96, 3, "616263")).hex(), ContractCall(TO, 7, b"abc"), id="no padding"
        ),
        pytest.param(
            "03" + (HEAD + words(96, 1, "61" + "ff" * 31)).hex(),
            ContractCall(TO, 7, b"a"),
            id="dirty padding",
        ),
        pytest.param(
            "03" + (HEAD + words(128, 9, 0)).hex(), ContractCall(TO, 7, b""), id="offset further on"
        ),
        pytest.param(
            "03" + (HEAD + words(97, "00" + "00" * 31 + "0161")).hex(),
            ContractCall(TO, 7, b"a"),
            id="unaligned",
        ),
        pytest.param(
            "03" + (words(A, 0) + words(32)).hex(), ContractCall(TO, 0, b""), id="length word is the value"
        ),
        pytest.param(
            "03" + (words(A, 32) + words(32)).hex(),
            ContractCall(TO, 32, words(32)),
            id="data inside the head",
        ),
        pytest.param(
            "03" + (words(0, 7) + words(0)).hex(), ContractCall("0x" + "0" * 40, 7, b""), id="offset 0"
        ),
    ],
)
def test_what_the_contract_accepts_is_accepted(data: str, action: Action) -> None:
    # Each of these, and each of the refusals below, was tried on a contract compiled by solc 0.8.
    assert decode_action(bytes.fromhex(data)) == action


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"", "actionData is empty", id="empty"),
        pytest.param(b"\x00" + words(A, 5), "byte 0: action type 0 is not known", id="type 0"),
        pytest.param(b"\x04" + words(A, 5), "byte 0: action type 4 is not known", id="type 4"),
        pytest.param(b"\x01", "of type 01: 1 bytes, at least 65 are needed", id="type alone"),
        pytest.param(b"\x01" + words(A, 5)[:-1], "64 bytes, at least 65 are needed", id="one byte short"),
        pytest.param(b"\x02" + words(A, 5), "65 bytes, at least 97 are needed", id="one word short"),
        pytest.param(b"\x03" + HEAD, "65 bytes, at least 97 are needed", id="no offset"),
        pytest.param(
            b"\x01" + words(A + (1 << 160), 5),
            "byte 1: to is no address, the upper 12 bytes",
            id="dirty address",
        ),
        pytest.param(
            b"\x02" + words(A, A + (1 << 255), 5), "byte 33: to is no address", id="dirty second address"
        ),
        pytest.param(
            b"\x03" + HEAD + words(96), "byte 65: callData points behind the end", id="offset to the end"
        ),
        pytest.param(
            b"\x03" + HEAD + words(97, 0), "byte 65: callData points behind the end", id="length word cut"
        ),
        pytest.param(b"\x03" + HEAD + words(2**64, 0), "byte 65: callData points", id="offset 2**64"),
        pytest.param(b"\x03" + HEAD + words(UINT256_MAX, 0), "byte 65: callData points", id="offset -1"),
        pytest.param(
            b"\x03" + HEAD + words(96, 1), "byte 97: callData is longer than the 0 bytes", id="data missing"
        ),
        pytest.param(
            b"\x03" + HEAD + words(96, 33, 0), "byte 97: callData is longer than the 32 bytes", id="data cut"
        ),
        pytest.param(
            b"\x03" + HEAD + words(96, UINT256_MAX, 0), "byte 97: callData is longer than", id="length -1"
        ),
    ],
)
def test_what_makes_the_contract_revert_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(BadEncoding) as caught:
        decode_action(data)
    assert message in caught.value.message


@given(st.binary(max_size=300))
@example(b"\x03" + words(A, 7, 96, UINT256_MAX))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    with contextlib.suppress(BadEncoding):
        assert decode_action(encode_action(decode_action(data))) == decode_action(data)


@given(st.sampled_from([1, 2, 3]), st.lists(st.one_of(amounts, st.integers(0, 200)), max_size=8))
def test_arbitrary_words_raise_nothing_else(kind: int, values: list[int]) -> None:
    with contextlib.suppress(BadEncoding):
        decode_action(bytes([kind]) + words(*values))


def test_native_value() -> None:
    assert native_value(NativeTransfer(TO, 5)) == 5
    assert native_value(ContractCall(TO, 7, b"")) == 7
    assert native_value(TokenTransfer(TOKEN, TO, 5)) == 0


def test_addresses_are_kept_lower_case() -> None:
    assert NativeTransfer(TO.upper().replace("X", "x"), 1).to == TO
    assert NativeTransfer("0x87bb7A86E657f1dDd2e84946545b6686935E3a56", 1).to == (
        "0x87bb7a86e657f1ddd2e84946545b6686935e3a56"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NativeTransfer("0x12", 1), "to has 4 characters"),
        (lambda: NativeTransfer("0x87bb7A86E657f1dDd2e84946545b6686935E3a57", 1), "to has a wrong checksum"),
        (lambda: NativeTransfer(5, 1), "to must be an address, not int"),  # type: ignore[arg-type]
        (lambda: NativeTransfer(TO, -1), "amount does not fit a uint256"),
        (lambda: NativeTransfer(TO, 2**256), "amount does not fit a uint256"),
        (lambda: NativeTransfer(TO, 1.0), "amount must be a whole number"),  # type: ignore[arg-type]
        (lambda: NativeTransfer(TO, True), "amount must be a whole number, not bool"),
        (lambda: TokenTransfer("", TO, 1), "token is empty"),
        (lambda: ContractCall(TO, 1, "0x"), "call_data must be bytes"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_encoded_cannot_be_made(make: Callable[[], Action], message: str) -> None:
    with pytest.raises(BadEncoding, match=message):
        make()


def test_a_bad_encoding_is_both_ours_and_a_value_error() -> None:
    assert issubclass(BadEncoding, AutometaError)
    assert issubclass(BadEncoding, ValueError)
