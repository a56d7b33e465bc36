"""Prices over HTTP, in the form of CoinGecko's `/simple/price`: one request for all tokens.

    GET <PRICE_FEED_URL>?ids=polkadot,ethereum&vs_currencies=usd&include_last_updated_at=true&precision=full
    {"polkadot": {"usd": 5.2, "last_updated_at": 1700000000}, …}

What it answers is a stranger's word: read with a limit on size and time, redirects refused, numbers as decimals.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from autometa_cli import foreignjson
from autometa_cli.chain.triggers import checked_symbol
from autometa_cli.chain.words import BadEncoding
from autometa_cli.errors import ConfigError
from autometa_cli.scheduling.price import MOST_DECIMALS, Price, Unusable
from autometa_cli.secrets import redact_url

#: Seconds for one exchange.
TIMEOUT = 8.0
#: Bytes of an answer. Two hundred tokens take 20,000.
MOST_BYTES = 2 * 1024 * 1024
#: An answer, or the lack of one, is good for so many seconds: all jobs of one moment share it.
KEPT_SECONDS = 5.0
#: Tokens in one request; more make its URL longer than servers take.
MOST_IDS = 400
_PRO_HOST = "pro-api.coingecko.com"


class HttpPrices:
    """One price service.

    Args:
        url: of the service; may hold a key, which is never shown.
        key: an API key, sent as a header.
        symbols: the service's id of each upper-case symbol.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        symbols: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
        kept: float = KEPT_SECONDS,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._url = url
        self._key = key
        self._symbols = packaged_symbols() if symbols is None else symbols
        self._ids = frozenset(self._symbols.values())
        self._timeout = timeout
        self._kept = kept
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._wanted: set[str] = set()
        self._found: dict[str, Price | Unusable] = {}  # of every token that the last reading asked for
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self.name = redact_url(url)

    def knows(self, symbol: str) -> bool:
        """Whether the service can be asked for this token at all."""
        return self._id(symbol) is not None

    async def prices(self, symbols: Iterable[str]) -> dict[str, Price | Unusable]:
        """What the service says now, or said a few seconds ago. Never raises for what a server does."""
        ids = {symbol: self._id(symbol) for symbol in symbols}
        wanted = {id for id in ids.values() if id is not None}
        if wanted:
            await self._refresh(wanted)
        missing = Unusable("missing", f"{self.name} does not give it")
        return {
            symbol: Unusable(
                "unknown", f"the id by which {self.name} knows {symbol} is not known: see PRICE_SYMBOLS"
            )
            if id is None
            else self._found.get(id, missing)
            for symbol, id in ids.items()
        }

    async def _refresh(self, wanted: set[str]) -> None:
        if wanted <= self._found.keys() and self._clock() - self._read_at < self._kept:
            return
        while self._reading is not None and not self._reading.done():
            shared = wanted <= self._wanted
            await asyncio.shield(self._reading)
            if shared:
                return
        self._wanted |= wanted
        self._reading = asyncio.create_task(self._read(frozenset(self._wanted)))
        await asyncio.shield(self._reading)

    async def _read(self, ids: frozenset[str]) -> None:
        ordered, found = sorted(ids), {}
        for start in range(0, len(ordered), MOST_IDS):
            found.update(await self._ask(ordered[start : start + MOST_IDS]))
        self._found, self._read_at = found, self._clock()

    async def _ask(self, ids: list[str]) -> dict[str, Price | Unusable]:
        query = {
            "ids": ",".join(ids),
            "vs_currencies": "usd",
            "include_last_updated_at": "true",
            "precision": "full",
        }
        headers = {"Accept": "application/json"}
        if self._key:
            pro = urlsplit(self._url).hostname == _PRO_HOST
            headers["x-cg-pro-api-key" if pro else "x-cg-demo-api-key"] = self._key
        # aiohttp's exceptions know the URL, so their words are not repeated.
        try:
            timeout = aiohttp.ClientTimeout(total=self._timeout)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(self._url, params=query, headers=headers, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    return self._nothing(ids, _status(response.status))
                body = await _limited(response)
        except TimeoutError:
            return self._nothing(ids, f"no answer within {self._timeout:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return self._nothing(ids, _reason(error))
        if body is None:
            return self._nothing(ids, f"its answer is longer than {MOST_BYTES} bytes")
        try:
            answer = foreignjson.loads(body, parse_float=Decimal)
        except (ValueError, ArithmeticError, RecursionError):
            return self._nothing(ids, "its answer is not JSON")
        if not isinstance(answer, dict):
            return self._nothing(ids, "its answer is not a JSON object")
        return {id: self._price(answer.get(id)) for id in ids}

    def _nothing(self, ids: Iterable[str], why: str) -> dict[str, Price | Unusable]:
        return dict.fromkeys(ids, Unusable("down", f"price service {self.name}: {why}"))

    def _price(self, entry: Any) -> Price | Unusable:
        usd = entry.get("usd") if isinstance(entry, dict) else None
        if usd is None:
            return Unusable("missing", f"{self.name} does not give it")
        updated = entry.get("last_updated_at")
        if isinstance(updated, Decimal) and updated.is_finite() and 0 <= updated < 2**53:
            updated = int(updated)
        if isinstance(updated, bool) or not isinstance(updated, int):
            updated = 0
        number = exact(usd)
        if number is None:
            return Unusable("absurd", f"{self.name} gives something that is no price")
        return Price(*number, min(updated, 2**53), self.name)

    def _id(self, symbol: str) -> str | None:
        found = self._symbols.get(symbol)
        if found is None and symbol.lower() in self._ids:
            return symbol.lower()
        return found


def exact(value: object) -> tuple[int, int] | None:
    """A JSON number as whole units and decimal places; None for what is no number of a sane size."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    if isinstance(value, int):
        return (value, 0) if abs(value) < 10**MOST_DECIMALS else None
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or len(digits) > MOST_DECIMALS or abs(exponent) > MOST_DECIMALS:
        return None
    units = int("".join(map(str, digits))) * (-1 if sign else 1)
    return (units, -exponent) if exponent <= 0 else (units * 10**exponent, 0)


def packaged_symbols() -> dict[str, str]:
    """The ids by which CoinGecko knows common tokens, by upper-case symbol."""
    text = (resources.files("autometa_cli.scheduling") / "symbols.json").read_text("utf-8")
    return dict(json.loads(text))


def symbols_with(path: str | None) -> dict[str, str]:
    """The packaged ones with those of a file on top. Raises ConfigError where it cannot be used."""
    found = packaged_symbols()
    if path is None:
        return found
    try:
        more = foreignjson.loads(Path(path).expanduser().read_bytes())
    except OSError as error:
        raise ConfigError(f"PRICE_SYMBOLS: {path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise ConfigError(f"PRICE_SYMBOLS: {path} is not JSON") from None
    if not isinstance(more, dict):
        raise ConfigError(f"PRICE_SYMBOLS: {path} is not a JSON object", 'it looks like {"DOT": "polkadot"}')
    for symbol, id in more.items():
        if not isinstance(id, str) or not id or not id.isascii() or "," in id:
            raise ConfigError(f"PRICE_SYMBOLS: the id of {symbol[:40]!r} in {path} is not a plain text")
        try:
            found[checked_symbol(symbol)] = id
        except BadEncoding as fault:
            raise ConfigError(f"PRICE_SYMBOLS: {path}: {fault.message}") from None
    return found


async def _limited(response: aiohttp.ClientResponse) -> bytes | None:
    body = bytearray()
    async for chunk in response.content.iter_chunked(65536):
        body += chunk
        if len(body) > MOST_BYTES:
            return None
    return bytes(body)


def _status(status: int) -> str:
    match status:
        case 429:
            return "it is asked too often (HTTP 429)"
        case 401 | 403:
            return f"access denied (HTTP {status}): is PRICE_FEED_KEY right?"
        case _ if 300 <= status < 400:
            return f"it redirects elsewhere (HTTP {status}): configure the final URL"
        case _:
            return f"HTTP {status}"


def _reason(error: Exception) -> str:
    match error:
        case aiohttp.ClientConnectorError():
            return "no connection"
        case aiohttp.ServerDisconnectedError() | ConnectionError():
            return "the connection was closed without an answer"
        case aiohttp.ClientPayloadError():
            return "the answer was cut off"
        case _:
            return f"the exchange failed ({type(error).__name__})"
