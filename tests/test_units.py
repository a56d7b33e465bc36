"""units: text to amounts and back, exactly."""

import contextlib
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa_cli import units

KEY = "4f3edf983ac636a65a842ce7c78d9aa706d3b113bce9c46f30d7d21715b23b1d"
uint256 = st.integers(0, units.UINT256_MAX)


@pytest.mark.parametrize(
    ("text", "wei"),
    [
        ("1.5", 15 * 10**17),
        (" 1 ", 10**18),
        (".5", 5 * 10**17),
        ("5.", 5 * 10**18),
        ("+1", 10**18),
        ("0", 0),
        ("0.000000000000000001", 1),
        ("1e-18", 1),
        ("1E3", 10**21),
        ("0e99999", 0),
        ("0e-99999", 0),
        ("1." + "0" * 500, 10**18),
    ],
)
def test_to_wei_reads_plain_decimals(text: str, wei: int) -> None:
    assert units.to_wei(text) == wei


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a number"),
        ("abc", "is not a number"),
        ("-1", "is not a number of zero or more"),
        ("-0", "is not a number of zero or more"),
        ("1_000", "is not a number"),
        ("１", "is not a number"),  # noqa: RUF001  a full-width digit, which int() and Decimal() take
        ("1,5", "is not a number"),
        ("0x10", "is not a number"),
        ("NaN", "is not a number"),
        ("Infinity", "is not a number"),
        ("1 000", "is not a number"),
        ("1e-19", "has more than 18 decimal places"),
        ("1.0000000000000000001", "has more than 18 decimal places"),
        ("1e-99999999", "has more than 18 decimal places"),
        ("1e60", "is more than a uint256 holds"),
        ("1e999999999", "is more than a uint256 holds"),
        ("1e999999999999999999999", "is more than a uint256 holds"),
        ("9" * 500, "a text of 500 characters is more than a uint256 holds"),
        ("9" * 5_000_000, "a text of 5000000 characters is not a number"),
    ],
)
def test_to_wei_refuses_the_rest_and_says_why(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        units.to_wei(text)


def test_to_wei_takes_exactly_a_uint256() -> None:
    assert units.to_wei(str(units.UINT256_MAX), 0) == units.UINT256_MAX
    with pytest.raises(ValueError, match="uint256"):
        units.to_wei(str(units.UINT256_MAX + 1), 0)


@pytest.mark.parametrize("read", [units.to_wei, units.from_hex])
def test_a_key_in_the_wrong_place_is_not_repeated(read: object) -> None:
    assert callable(read)
    with pytest.raises(ValueError, match="characters") as caught:
        read("0x" + KEY + "z")
    assert not any(KEY[at : at + 6] in str(caught.value) for at in range(len(KEY) - 6))


@given(uint256, st.integers(0, 30))
def test_amounts_survive_the_round_trip(wei: int, decimals: int) -> None:
    text = units.from_wei(wei, decimals)
    assert units.to_wei(text, decimals) == wei
    assert "e" not in text.lower()
    assert "." not in text or not text.endswith("0")


@given(st.decimals(min_value=0, max_value=10**40, allow_nan=False, allow_infinity=False), st.integers(0, 18))
def test_scale_cuts_and_says_so(value: Decimal, decimals: int) -> None:
    from fractions import Fraction

    whole, rest = units.scale(value, decimals)
    exact = Fraction(value) * 10**decimals
    assert whole <= exact < whole + 1
    assert rest == (exact != whole)


@given(st.text())
def test_to_wei_raises_nothing_but_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert 0 <= units.to_wei(text) <= units.UINT256_MAX


def test_from_wei() -> None:
    assert units.from_wei(1_500_000_000_000_000_000) == "1.5"
    assert units.from_wei(-1) == "-0.000000000000000001"
    assert units.from_wei(0) == "0"
    assert units.from_wei(1234, 0) == "1234"
    assert units.gwei(31_250_000) == "0.03125 gwei"


@pytest.mark.parametrize(
    ("wei", "text"),
    [
        (15 * 10**17, "1.5 DEV"),
        (1_999_999_999_999_999_999, "1.999999 DEV"),
        (1, "<0.000001 DEV"),
        (10**12, "0.000001 DEV"),
        (0, "0 DEV"),
        (-1, ">-0.000001 DEV"),
        (-1_999_999_999_999_999_999, "-1.999999 DEV"),
    ],
)
def test_amount_for_people(wei: int, text: str) -> None:
    assert units.amount(wei, "DEV") == text


@given(st.binary())
def test_hex_survives_the_round_trip(data: bytes) -> None:
    assert units.from_hex(units.hex0x(data)) == data
    assert units.from_hex(data.hex().upper()) == data


@pytest.mark.parametrize("text", ["0x1", "12 34", " 12", "é1", "0xzz", "0x0x12"])
def test_from_hex_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="not hexadecimal"):
        units.from_hex(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.4, "0.4s"),
        (9.99, "10s"),
        (59.9, "59s"),
        (60, "1m"),
        (90061, "1d 1h"),
        (86460, "1d 1m"),
        (-90, "-1m 30s"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert units.duration(seconds) == text


def test_short() -> None:
    assert units.short("0x1234567890abcd") == "0x1234…abcd"
    assert units.short("0x123456789") == "0x123456789"
