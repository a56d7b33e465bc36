"""From a configuration value's text to its typed value: one function per kind of value.

Each takes `(text, name)`, where `name` is the variable's, and raises ConfigError that says what is wrong with
it and what would be right. Texts that may hold a secret (URLs, anything long) are not repeated.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from autometa_cli.addresses import parse_address
from autometa_cli.errors import ConfigError
from autometa_cli.units import to_wei

Parser = Callable[[str, str], Any]

REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "redis+cluster")
CONFIRMATIONS_MAX = 10_000


def shown(text: str) -> str:
    """A wrong value, for a message; a long one is not repeated, because it may be a key in the wrong line."""
    return repr(text) if len(text) <= 24 else f"a text of {len(text)} characters"


def line(value: str, name: str) -> str:
    """Anything that fits into one line."""
    if "\n" in value or "\0" in value:
        raise ConfigError(f"{name} has a line break in it")
    return value


def whole(low: int, high: int, unit: str = "") -> Parser:
    """A parser of whole numbers from `low` to `high`."""
    suffix = f" {unit}" if unit else ""

    def parse(value: str, name: str) -> int:
        if not re.fullmatch(r"[0-9]{1,30}", value) or not low <= int(value) <= high:
            raise ConfigError(
                f"{name} is {shown(value)}; it must be a whole number from {low} to {high}{suffix}"
            )
        return int(value)

    return parse


def number(low: str, high: str, unit: str = "", *, above: bool = False) -> Parser:
    """A parser of exact decimals from `low` (above it, if `above`) to `high`."""
    least, most = Decimal(low), Decimal(high)

    def parse(value: str, name: str) -> Decimal:
        if re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,20})?|\.[0-9]{1,20}", value):
            found = Decimal(value)
            if least <= found <= most and not (above and found == least):
                return found
        limits = f"above {low}, at most {high}" if above else f"from {low} to {high}"
        raise ConfigError(f"{name} is {shown(value)}; it must be a number {limits}{unit and ' ' + unit}")

    return parse


def seconds(low: str, high: str, *, above: bool = False) -> Parser:
    """A parser of seconds as float."""
    exact = number(low, high, "seconds", above=above)
    return lambda value, name: float(exact(value, name))


def wei(decimals: int = 18, *, unit: str = "of the native token", positive: bool = True) -> Parser:
    """A parser of amounts in units of 10**decimals wei, to wei."""

    def parse(value: str, name: str) -> int:
        try:
            found = to_wei(value, decimals)
        except ValueError as error:
            reason = str(error).partition(" ")[2] if len(value) <= 24 else ""
            raise ConfigError(
                f"{name} is {shown(value)}{reason and ', which ' + reason}; it must be an amount {unit}"
            ) from None
        if positive and found == 0:
            raise ConfigError(f"{name} is 0; it must be more, or empty for no limit")
        return found

    return parse


def choice(*allowed: str) -> Parser:
    """A parser of one of a few words, in any case."""

    def parse(value: str, name: str) -> str:
        if value.lower() not in allowed:
            raise ConfigError(f"{name} is {shown(value)}; it must be {' or '.join(allowed)}")
        return value.lower()

    return parse


def flag(value: str, name: str) -> bool:
    """1 or 0, also in words."""
    found = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}.get(value.lower())
    if found is None:
        raise ConfigError(f"{name} is {shown(value)}, which is neither 1 nor 0")
    return found


def confirmations(value: str, name: str) -> int | None:
    """`finalized` to None, a number of blocks to itself."""
    if value.lower() == "finalized":
        return None
    if re.fullmatch(r"[0-9]{1,9}", value) and 1 <= int(value) <= CONFIRMATIONS_MAX:
        return int(value)
    raise ConfigError(
        f"{name} is {shown(value)}; it must be 'finalized' or a number from 1 to {CONFIRMATIONS_MAX}"
    )


def queue_name(value: str, name: str) -> str:
    """A key of Redis. Braces would move parts of the queue to another slot of a cluster."""
    if re.search(r"[{}]", value):
        raise ConfigError(f"{name} holds a brace; braces decide the slot in a Redis Cluster")
    if re.search(r"[\s\x00-\x1f\x7f]", value):
        raise ConfigError(f"{name} holds a blank or a control character")
    if len(value) > 200:
        raise ConfigError(f"{name} has {len(value)} characters; 200 are allowed")
    return value


def http_url(value: str, name: str) -> str:
    """An http or https address. Never repeated in a message: it may hold an API key."""
    scheme = value.partition("://")[0].lower() if "://" in value else ""
    if scheme in ("ws", "wss"):
        raise ConfigError(f"{name} is a WebSocket address; give the https address of the same endpoint")
    if scheme not in ("http", "https"):
        raise ConfigError(f"{name} does not begin with http:// or https://")
    if re.search(r"[\s\x00-\x1f\x7f]", value):
        raise ConfigError(f"{name} has a blank in it")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigError(f"{name} has a malformed host or port") from None
    if not host:
        raise ConfigError(f"{name} has no host name after {scheme}://")
    return value


def http_urls(value: str, name: str) -> tuple[str, ...]:
    """One or more addresses, separated by commas or blanks; the same one twice counts once."""
    parts = [part for part in re.split(r"[,\s]+", value) if part]
    if not parts:
        raise ConfigError(f"{name} holds no address")
    many = len(parts) > 1
    urls = (http_url(part, f"{name} (number {n})" if many else name) for n, part in enumerate(parts, 1))
    return tuple(dict.fromkeys(urls))


def redis_url(value: str, name: str) -> str:
    """A Redis address of one of five schemes; the connection itself is made elsewhere."""
    scheme, separator, rest = value.partition("://")
    if not separator or scheme.lower() not in REDIS_SCHEMES:
        raise ConfigError(f"{name} does not begin with {', '.join(s + '://' for s in REDIS_SCHEMES)}")
    if re.search(r"[\s\x00-\x1f\x7f]", value):
        raise ConfigError(f"{name} has a blank in it", "write a blank in the password as %20")
    if scheme.lower() == "unix":
        if not rest.rpartition("@")[2].partition("?")[0].startswith("/"):
            raise ConfigError(f"{name} needs an absolute path: unix:///run/redis.sock")
        return value
    authority, path = re.match(r"([^/?#]*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    if "@" in path:
        raise ConfigError(
            f"{name} has a / ? or # in its password", "write them as %2F, %3F and %23 inside the password"
        )
    for host in authority.rpartition("@")[2].split(","):
        found = re.fullmatch(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9_.-]+)(?::([0-9]{1,5}))?", host)
        if not found or not 1 <= int(found[2] or 6379) <= 65535:
            raise ConfigError(f"{name} has a missing or malformed host or port")
    if scheme.lower() in ("redis", "rediss") and not re.match(r"(/[0-9]{0,4})?(\?|$)", path):
        raise ConfigError(f"{name} has no database number after its host: redis://host:6379/0")
    if scheme.lower() == "redis+sentinel" and not re.match(r"/[^/?#]+(/[0-9]{1,4})?/?(\?|$)", path):
        raise ConfigError(f"{name} must name the service: redis+sentinel://host:26379/mymaster/0")
    return value


def addresses(value: str, name: str) -> frozenset[str]:
    """Addresses separated by commas or blanks, to lower case."""
    parts = [part for part in re.split(r"[,\s]+", value) if part]
    if not parts:
        raise ConfigError(f"{name} holds no address")
    return frozenset(parse_address(part, f"{name} (number {n})").lower() for n, part in enumerate(parts, 1))


def price_feeds(value: str, name: str) -> dict[str, str]:
    """`DOT=0x…,ETH=0x…` to addresses, checksummed, by upper-case symbol."""
    found: dict[str, str] = {}
    for number, part in enumerate((part for part in re.split(r"[,\s]+", value) if part), 1):
        symbol, equals, address = part.partition("=")
        symbol = symbol.upper()
        if not equals or not re.fullmatch(r"[A-Z0-9][A-Z0-9._$+-]{0,31}", symbol):
            raise ConfigError(f"{name} (number {number}) is not SYMBOL=0x…")
        if symbol in found:
            raise ConfigError(f"{name} names {symbol} twice")
        found[symbol] = parse_address(address, f"{name} ({symbol})")
    if not found:
        raise ConfigError(f"{name} names no feed")
    return found


def price_sources(value: str, name: str) -> tuple[str, ...]:
    """`chain`, `http`, or both in their order."""
    parts = tuple(part for part in re.split(r"[,\s]+", value.lower()) if part)
    if not parts or len(set(parts)) != len(parts) or not set(parts) <= {"chain", "http"}:
        raise ConfigError(f"{name} is {shown(value)}; it must be chain, http, or both in the order wanted")
    return parts
