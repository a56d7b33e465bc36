"""Points in time and intervals as people type and read them. Whole seconds, UTC, no time zone of the machine."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from autometa_cli.units import duration

#: 9999-12-31T23:59:59Z in seconds since 1970: the last date that every client can print, and "never again".
LAST_SECOND = 253_402_300_799
_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_INTERVAL = re.compile(r"(?:([0-9]+)w)?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?")
_LONGEST = 40  # characters; more than any time takes


def parse_interval(text: str) -> int:
    """`90`, `90s`, `15m`, `1h30m`, `1d`, `2w` to seconds, 1 or more. Raises ValueError."""
    typed = text.strip().lower()
    if len(typed) > _LONGEST:
        raise ValueError(f"a text of {len(typed)} characters is no interval")
    found = _INTERVAL.fullmatch(f"{typed}s" if re.fullmatch(r"[0-9]+", typed) else typed)
    if not typed or found is None:
        raise ValueError(f"{typed!r} is no interval; write seconds, or such as 15m, 1h30m, 1d")
    seconds = sum(int(count or 0) * size for count, size in zip(found.groups(), _UNITS.values(), strict=True))
    if seconds == 0:
        raise ValueError("an interval must be one second or more")
    if seconds > LAST_SECOND:
        raise ValueError(f"{typed!r} is longer than any date allows")
    return seconds


def parse_time(text: str, now: int) -> int:
    """`now`, `+90s`, `+1d`, seconds since 1970, or ISO 8601, to seconds since 1970.

    Args:
        text: what was typed; a date without an offset is UTC.
        now: what `now` and `+…` count from, seconds since 1970.

    Raises:
        ValueError: what is wrong with it; dates before 1970 or after 9999 included.
    """
    typed = text.strip()
    if len(typed) > _LONGEST:
        raise ValueError(f"a text of {len(typed)} characters is no time")
    if typed.lower() == "now":
        return now
    if typed.startswith("+"):
        return _within(now + parse_interval(typed[1:]), typed)
    if re.fullmatch(r"[0-9]+", typed):
        return _within(int(typed), typed)
    try:
        moment = datetime.fromisoformat(typed)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = int(moment.timestamp())
    except (ValueError, OverflowError):
        raise ValueError(
            f"{typed!r} is no time; write now, +1h, 2030-01-31T12:00:00Z (UTC), or seconds since 1970"
        ) from None
    if seconds < 0:
        raise ValueError(f"{typed!r} is before 1970")
    return _within(seconds, typed)


def utc(seconds: int) -> str | None:
    """1700000000 to `"2023-11-14T22:13:20Z"`; None beyond the year 9999."""
    if not 0 <= seconds <= LAST_SECOND:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def relative(seconds: int, now: int) -> str:
    """`"in 3h 5m"`, `"2d 1h ago"`, `"now"`, `"never"` (from the last second of 9999 on)."""
    if seconds >= LAST_SECOND:
        return "never"
    if seconds == now:
        return "now"
    return f"in {duration(seconds - now)}" if seconds > now else f"{duration(now - seconds)} ago"


def _within(seconds: int, typed: str) -> int:
    if seconds > LAST_SECOND:
        hint = "; is it in milliseconds?" if 12 < len(typed) < 15 else ""
        raise ValueError(f"{typed!r} is after the year 9999{hint}")
    return seconds
