"""Addresses as people type them."""

import contextlib

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from autometa_cli.addresses import checksum, parse_address
from autometa_cli.errors import ConfigError

REGISTRY = "0x87bb7A86E657f1dDd2e84946545b6686935E3a56"


def test_the_address_of_the_older_notes_is_one_digit_short() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_address("0x742d35Cc6634C0532925a3b844Bc9e7595f0bEb", "REGISTRY_ADDRESS")
    assert caught.value.message == (
        "REGISTRY_ADDRESS has 41 characters, an address has 42 (0x and 40 hex digits)"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "X is empty; an address is 0x and 40 hex digits"),
        ("   ", "X is empty; an address is 0x and 40 hex digits"),
        ("0", "X has 1 character, an address has 42 (0x and 40 hex digits)"),
        (REGISTRY[2:], "X has 40 characters, an address has 42 (0x and 40 hex digits)"),
        (REGISTRY + "a", "X has 43 characters, an address has 42 (0x and 40 hex digits)"),
        ("ab" + REGISTRY[2:], "X does not begin with 0x"),
        (REGISTRY[:-1] + "g", "X has 'g' at position 42, which is no hex digit"),
        (REGISTRY[:-1] + "６", "X has '６' at position 42, which is no hex digit"),  # noqa: RUF001
        ("0x" + "0" * 40, "X is the zero address"),
    ],
)
def test_a_wrong_address_is_told_its_exact_fault(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_address(text, "X")
    assert caught.value.message == message


def test_a_wrong_checksum_is_named_and_not_mended() -> None:
    wrong = REGISTRY[:-1] + "7"
    with pytest.raises(ConfigError, match="X has a wrong checksum") as caught:
        parse_address(wrong, "X")
    assert to_checksum_address(wrong.lower()) not in caught.value.message + caught.value.hint


def test_the_zero_address_where_it_means_something() -> None:
    assert parse_address("0x" + "0" * 40, "X", allow_zero=True) == "0x" + "0" * 40


@given(st.binary(min_size=20, max_size=20).filter(any))
def test_every_spelling_of_an_address_is_one_address(raw: bytes) -> None:
    right = to_checksum_address(raw)
    assert checksum("0x" + raw.hex()) == right
    for text in (right, raw.hex().join(("0x", "")), "0x" + raw.hex().upper(), right.upper(), f" {right}\n"):
        assert parse_address(text, "X") == right


@given(st.binary(min_size=20, max_size=20).filter(any), st.integers(0, 39))
def test_one_letter_in_the_wrong_case_is_noticed(raw: bytes, at: int) -> None:
    right = to_checksum_address(raw)[2:]
    wrong = right[:at] + right[at].swapcase() + right[at + 1 :]
    if wrong in (right, right.lower(), right.upper()):
        return
    with pytest.raises(ConfigError, match="wrong checksum"):
        parse_address("0x" + wrong, "X")


@given(st.text(max_size=60))
def test_no_text_raises_anything_but_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert parse_address(text, "X") == to_checksum_address(text.strip().lower())
