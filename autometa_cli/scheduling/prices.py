"""The price book: what each token costs, from the first source that can tell; said once where none can."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from autometa_cli.chain.pricefeeds import latest_round
from autometa_cli.chain.view import together
from autometa_cli.errors import RpcUnreachable
from autometa_cli.scheduling.price import Price, Unusable
from autometa_cli.scheduling.pricehttp import HttpPrices, symbols_with
from autometa_cli.units import short

if TYPE_CHECKING:
    from autometa_cli.chain.view import View
    from autometa_cli.config import Settings

_log = logging.getLogger(__name__)

Quotes = dict[str, Price | Unusable]


class PriceBook:
    """Prices in USD.

    Args:
        feeds: addresses of Chainlink feeds, by upper-case symbol.
        http: a price service.
        order: `chain` and `http`, as they are asked.
        max_age: seconds after which a price decides nothing.
    """

    def __init__(
        self,
        *,
        feeds: Mapping[str, str] | None = None,
        http: HttpPrices | None = None,
        order: tuple[str, ...] = ("chain", "http"),
        max_age: int = 300,
    ) -> None:
        self._feeds = dict(feeds or {}) if "chain" in order else {}
        self._http = http if "http" in order else None
        self._order = order
        self._max_age = max_age
        self._read: tuple[tuple[str, str], Quotes] = (("", ""), {})
        self._said: dict[str, str] = {}

    @classmethod
    def of(cls, settings: Settings) -> PriceBook:
        """As configured. Raises ConfigError where PRICE_SYMBOLS cannot be read."""
        http = None
        if settings.price_feed_url:
            http = HttpPrices(
                settings.price_feed_url,
                key=settings.price_feed_key,
                symbols=symbols_with(settings.price_symbols),
            )
        return cls(
            feeds=settings.price_feeds,
            http=http,
            order=settings.price_sources,
            max_age=settings.price_max_age,
        )

    def gap(self, symbol: str) -> str:
        """Why no configured source can ever tell this token's price, or ""."""
        if symbol in self._feeds or (self._http is not None and self._http.knows(symbol)):
            return ""
        if self._http is None and not self._feeds:
            return "no source of prices is configured: set PRICE_FEED_URL or PRICE_FEEDS"
        return f"no source of prices knows {symbol}: see PRICE_FEEDS and PRICE_SYMBOLS"

    async def quote(self, symbols: Iterable[str], view: View, now: int) -> Quotes:
        """Usable prices, or why there is none. Never raises for what a server does.

        Args:
            view: where feeds are read; the same view gives the same answers.
            now: seconds since 1970.
        """
        wanted = sorted(set(symbols))
        left, quotes = set(wanted), Quotes()
        for source in self._order:
            if not left:
                break
            found = await (self._from_feeds(left, view) if source == "chain" else self._from_http(left))
            for symbol, quote in found.items():
                fault = quote if isinstance(quote, Unusable) else quote.fault(now, self._max_age)
                if fault is None:
                    quotes[symbol] = quote
                    left.discard(symbol)
                elif symbol not in quotes:  # the first source's reason is the one to tell
                    quotes[symbol] = fault
        for symbol in left - quotes.keys():
            quotes[symbol] = Unusable("unknown", self.gap(symbol))
        self._tell(quotes)
        return quotes

    async def _from_feeds(self, symbols: set[str], view: View) -> Quotes:
        symbols = symbols & self._feeds.keys()
        if not symbols:
            return {}
        here = (view.endpoint.name, view.block.hash)
        if self._read[0] != here:
            self._read = (here, {})
        known = self._read[1]
        asked = [symbol for symbol in symbols if symbol not in known]
        try:
            rounds = await together(*(latest_round(view, self._feeds[symbol]) for symbol in asked))
        except RpcUnreachable as error:
            down = Unusable("down", f"price feeds cannot be read: {error.message}")
            return {symbol: known.get(symbol, down) for symbol in symbols}
        for symbol, found in zip(asked, rounds, strict=True):
            name = f"price feed {short(self._feeds[symbol])}"
            if found is None:
                known[symbol] = Unusable("missing", f"{name} gives no price")
            elif found.carried_over:
                known[symbol] = Unusable("stale", f"{name} gives the price of an earlier round")
            else:
                known[symbol] = Price(found.answer, found.decimals, found.updated, name)
        return {symbol: known[symbol] for symbol in symbols}

    async def _from_http(self, symbols: set[str]) -> Quotes:
        if self._http is None:
            return {}
        return await self._http.prices({symbol for symbol in symbols if self._http.knows(symbol)})

    def _tell(self, quotes: Quotes) -> None:
        """A line for each token whose state changed."""
        for symbol, quote in quotes.items():
            state = quote.code if isinstance(quote, Unusable) else ""
            before = self._said.get(symbol, "")
            self._said[symbol] = state
            if isinstance(quote, Unusable) and state != before:
                _log.warning("no price of %s, so its triggers decide nothing: %s", symbol, quote.text)
            elif before and not state:
                _log.info("there is a price of %s again", symbol)
