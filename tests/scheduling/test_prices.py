"""Prices: exact comparisons, and a price service that behaves in every way a server can."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from autometa_cli.chain.triggers import PriceTrigger
from autometa_cli.errors import ConfigError
from autometa_cli.scheduling.price import Price, Unusable
from autometa_cli.scheduling.pricehttp import MOST_BYTES, HttpPrices, packaged_symbols, symbols_with
from autometa_cli.scheduling.prices import PriceBook

NOW = 1_700_000_000
SECRET = "sk-very-secret"
DOLLAR = 10**18
NOWHERE = cast("Any", None)  # no feed is configured, so no view is looked at

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 60))


class Service:
    """A price service on the loopback interface."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[web.Request] = []
        self.body: Any = {"polkadot": {"usd": 5.2, "last_updated_at": NOW}}
        self.handler: Handler | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.handler is not None:
            return await self.handler(request)
        return web.Response(text=self.body if isinstance(self.body, str) else json.dumps(self.body))


@asynccontextmanager
async def service() -> AsyncIterator[Service]:
    made = Service()
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", made.answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/simple/price?path-key={SECRET}"
    try:
        yield made
    finally:
        await runner.cleanup()


def book(made: Service, *, kept: float = 0.0, timeout: float = 0.5) -> PriceBook:
    return PriceBook(http=HttpPrices(made.url, key=SECRET, kept=kept, timeout=timeout))


async def dot(prices: PriceBook) -> Price | Unusable:
    return (await prices.quote(["DOT"], NOWHERE, NOW))["DOT"]


# -- arithmetic ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("decimals", [0, 6, 8, 18, 27])
def test_comparisons_are_exact_whatever_the_decimals(decimals: int) -> None:
    five = 5 * 10**decimals
    for units, met in ((five - 1, "< <="), (five, "<= >="), (five + 1, "> >=")):
        price = Price(units, decimals, NOW, "test")
        for comparator in ("<", "<=", ">", ">="):
            trigger = PriceTrigger("DOT", cast("Any", comparator), 5 * DOLLAR)
            assert price.meets(trigger) is (comparator in met.split())


def test_a_threshold_is_not_rounded_to_the_decimals_of_the_feed() -> None:
    price = Price(5, 0, NOW, "test")
    assert not price.meets(PriceTrigger("DOT", ">=", 5 * DOLLAR + 1))
    assert price.meets(PriceTrigger("DOT", ">", 5 * DOLLAR - 1))


@pytest.mark.parametrize(
    ("price", "code"),
    [
        (Price(0, 8, NOW, "x"), "zero"),
        (Price(-1, 8, NOW, "x"), "negative"),
        (Price(10**13, 0, NOW, "x"), "absurd"),
        (Price(1, 255, NOW, "x"), "absurd"),
        (Price(1, 8, 0, "x"), "undated"),
        (Price(1, 8, NOW - 301, "x"), "stale"),
        (Price(1, 8, NOW + 121, "x"), "absurd"),
    ],
)
def test_what_is_no_price(price: Price, code: str) -> None:
    fault = price.fault(NOW, 300)
    assert fault is not None
    assert fault.code == code


def test_an_age_within_the_limit_is_fine() -> None:
    assert Price(1, 8, NOW - 300, "x").fault(NOW, 300) is None
    assert Price(1, 8, NOW + 120, "x").fault(NOW, 300) is None


# -- the service --------------------------------------------------------------------------------------


def test_one_request_for_all_tokens_with_the_key_in_a_header() -> None:
    async def scenario() -> None:
        async with service() as made:
            made.body = '{"polkadot": {"usd": 0.1000000000000000055511151231257827, "last_updated_at": 1700000000.0}, '
            made.body += '"ethereum": {"usd": 3e3, "last_updated_at": 1700000000}}'
            quotes = await book(made).quote(["DOT", "ETH"], NOWHERE, NOW)
            assert [cast("Price", quotes[each]).usd for each in ("DOT", "ETH")] == [
                "0.1000000000000000055511151231257827",
                "3000",
            ]
            (request,) = made.requests
            assert request.query["ids"] == "ethereum,polkadot"
            assert request.query["include_last_updated_at"] == "true"
            assert request.headers["x-cg-demo-api-key"] == SECRET

    run(scenario())


def test_jobs_of_one_moment_share_an_answer() -> None:
    async def scenario() -> None:
        async with service() as made:
            prices = book(made, kept=60.0)
            await asyncio.gather(*(dot(prices) for _ in range(50)))
            assert len(made.requests) == 1
            await prices.quote(["DOT", "ETH"], NOWHERE, NOW)  # one that was not asked for yet
            assert len(made.requests) == 2

    run(scenario())


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("not json", "down"),
        ("[" * 100_000, "down"),
        ("[]", "down"),
        ("{}", "missing"),
        ({"polkadot": None}, "missing"),
        ({"polkadot": {"eur": 5}}, "missing"),
        ({"polkadot": {"usd": "5.2", "last_updated_at": NOW}}, "absurd"),
        ({"polkadot": {"usd": True, "last_updated_at": NOW}}, "absurd"),
        ('{"polkadot": {"usd": NaN, "last_updated_at": 1700000000}}', "absurd"),
        ('{"polkadot": {"usd": 1e999999999, "last_updated_at": 1700000000}}', "absurd"),
        ({"polkadot": {"usd": 10**70, "last_updated_at": NOW}}, "absurd"),
        ({"polkadot": {"usd": 0, "last_updated_at": NOW}}, "zero"),
        ({"polkadot": {"usd": -5.2, "last_updated_at": NOW}}, "negative"),
        ({"polkadot": {"usd": 5.2}}, "undated"),
        ({"polkadot": {"usd": 5.2, "last_updated_at": "now"}}, "undated"),
        ({"polkadot": {"usd": 5.2, "last_updated_at": NOW - 3600}}, "stale"),
        ("x" * (MOST_BYTES + 1), "down"),
    ],
)
def test_answers_that_decide_nothing(body: Any, code: str) -> None:
    async def scenario() -> None:
        async with service() as made:
            made.body = body
            found = await dot(book(made, timeout=5.0))
            assert isinstance(found, Unusable)
            assert found.code == code
            assert SECRET not in found.text

    run(scenario())


async def _slow(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def _redirect(request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": f"http://elsewhere.example/{SECRET}"})


def _status(status: int) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=SECRET)

    return handler


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (_slow, "no answer within"),
        (_redirect, "redirects elsewhere"),
        (_status(500), "HTTP 500"),
        (_status(429), "asked too often"),
        (_status(401), "is PRICE_FEED_KEY right?"),
    ],
    ids=["slow", "redirect", "500", "429", "401"],
)
def test_a_service_in_trouble_is_told_once_and_recovers(
    handler: Handler, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with service() as made:
            made.handler = handler
            prices = book(made)
            for _ in range(2):
                found = await dot(prices)
                assert isinstance(found, Unusable)
                assert (found.code, words in found.text) == ("down", True)
            made.handler = None
            assert cast("Price", await dot(prices)).usd == "5.2"

    caplog.set_level("INFO")
    run(scenario())
    told = [record.getMessage() for record in caplog.records]
    assert len([line for line in told if "no price of DOT" in line]) == 1
    assert any("again" in line for line in told)
    assert SECRET not in caplog.text


def test_a_service_that_is_not_there() -> None:
    async def scenario() -> None:
        async with service() as made:
            prices = book(made)
        found = await dot(prices)
        assert isinstance(found, Unusable)
        assert "no connection" in found.text
        assert SECRET not in found.text

    run(scenario())


# -- symbols ------------------------------------------------------------------------------------------


def test_symbols_of_a_file_come_on_top(tmp_path: Path) -> None:
    path = tmp_path / "symbols.json"
    path.write_text('{"xyz": "xyz-coin", "DOT": "other-dot"}')
    symbols = symbols_with(str(path))
    assert (symbols["XYZ"], symbols["DOT"], symbols["GLMR"]) == ("xyz-coin", "other-dot", "moonbeam")
    assert packaged_symbols()["DOT"] == "polkadot"


@pytest.mark.parametrize("text", ["", "[]", '{"DOT": 5}', '{"D T": "x"}', '{"DOT": "a,b"}'])
def test_a_file_of_symbols_that_cannot_be_used(tmp_path: Path, text: str) -> None:
    path = tmp_path / "symbols.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="PRICE_SYMBOLS"):
        symbols_with(str(path))
    with pytest.raises(ConfigError, match="cannot be read"):
        symbols_with(str(tmp_path / "none.json"))


def test_tokens_that_nobody_knows() -> None:
    prices = PriceBook(http=HttpPrices("http://127.0.0.1:1/"))
    assert prices.gap("DOT") == ""
    assert prices.gap("POLKADOT") == ""  # the service's own id
    assert "no source of prices knows NOSUCHCOIN" in prices.gap("NOSUCHCOIN")
    assert "no source of prices is configured" in PriceBook().gap("DOT")
    only_chain = PriceBook(http=HttpPrices("http://127.0.0.1:1/"), order=("chain",))
    assert only_chain.gap("DOT")
