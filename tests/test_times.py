"""Points in time and intervals, as typed and as shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa_cli.times import LAST_SECOND, parse_interval, parse_time, relative, utc

NOW = 1_700_000_000


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1", 1),
        ("90", 90),
        ("90s", 90),
        ("15m", 900),
        ("1h30m", 5400),
        (" 1D ", 86_400),
        ("2w", 1_209_600),
        ("1w2d3h4m5s", 788_645),
    ],
)
def test_intervals(text: str, seconds: int) -> None:
    assert parse_interval(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "0h",
        "-1",
        "+1",
        "1.5h",
        "1h30",
        "30m1h",
        "h",
        "1 h",
        "\uff11",
        "1y",
        "soon",
        "9" * 30,
        "1" * 99,
    ],
)
def test_what_is_no_interval(text: str) -> None:
    with pytest.raises(ValueError, match=r"interval|date"):
        parse_interval(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("now", NOW),
        (" NOW ", NOW),
        ("+60s", NOW + 60),
        ("+1d", NOW + 86_400),
        ("0", 0),
        ("1700000000", NOW),
        (str(LAST_SECOND), LAST_SECOND),
        ("2023-11-14T22:13:20Z", NOW),
        ("2023-11-14T22:13:20", NOW),
        ("2023-11-14 22:13:20", NOW),
        ("2023-11-14T23:13:20+01:00", NOW),
        ("2023-11-14T22:13:20.9Z", NOW),
        ("2030-01-31", 1_896_048_000),
    ],
)
def test_times(text: str, seconds: int) -> None:
    assert parse_time(text, NOW) == seconds


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no time"),
        ("tomorrow", "no time"),
        ("-60", "no time"),
        ("+", "interval"),
        ("+0s", "one second or more"),
        ("+1.5h", "no interval"),
        ("2023-02-30", "no time"),
        ("1969-12-31T23:59:59Z", "before 1970"),
        ("0001-01-01T00:00:00+23:59", "before 1970"),
        (str(LAST_SECOND + 1), "after the year 9999"),
        ("9999-12-31T23:59:59-01:00", "after the year 9999"),
        ("1700000000000", "milliseconds"),
        ("9" * 5000, "5000 characters"),
    ],
)
def test_what_is_no_time(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_time(text, NOW)


@given(st.integers(0, LAST_SECOND))
def test_what_is_shown_can_be_typed(seconds: int) -> None:
    assert parse_time(str(utc(seconds)), 0) == seconds


def test_no_date_beyond_the_last_one() -> None:
    assert utc(LAST_SECOND) == "9999-12-31T23:59:59Z"
    assert utc(LAST_SECOND + 1) is None
    assert utc(2**256 - 1) is None


def test_seen_from_now() -> None:
    assert relative(NOW, NOW) == "now"
    assert relative(NOW + 3660, NOW) == "in 1h 1m"
    assert relative(NOW - 90, NOW) == "1m 30s ago"
    assert relative(LAST_SECOND, NOW) == "never"
    assert relative(2**256 - 1, NOW) == "never"
