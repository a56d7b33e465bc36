"""Tokens: no second sees more calls than the limit allows, and whoever waits gets its share."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from autometa_cli.chain.bucket import WINDOW, TokenBucket
from autometa_cli.chain.endpoint import Endpoint
from tests.chain.loopback import Clock, Node, page, take, until
from tests.chain.test_endpoint import ask
from tests.chain.test_endpoint_sends import send


def test_a_token_is_back_one_second_after_it_was_spent() -> None:
    clock = Clock()
    bucket = TokenBucket(25, clock)
    assert bucket.take("reads", 20) == 20
    clock.now += 0.5
    assert bucket.take("reads", 100) == 5
    assert bucket.take("reads", 1) == 0
    assert bucket.wait() == 0.5
    clock.now += 0.5
    assert bucket.take("reads", 100) == 20
    assert bucket.wait() == 0.5


@given(st.integers(1, 30), st.lists(st.tuples(st.floats(0, 0.9), st.integers(1, 60)), max_size=60))
def test_no_second_sees_more_than_the_limit(rate: int, steps: list[tuple[float, int]]) -> None:
    clock = Clock()
    bucket = TokenBucket(rate, clock)
    spent: list[tuple[float, int]] = []
    for pause, wanted in steps:
        clock.now += pause
        spent.append((clock.now, bucket.take("reads", wanted)))
    for start, _ in spent:
        assert sum(count for moment, count in spent if start <= moment < start + WINDOW) <= rate


def test_who_waits_gets_a_share() -> None:
    clock = Clock()
    bucket = TokenBucket(10, clock)
    assert bucket.take("reads", 100) == 10
    assert bucket.take("sends", 100) == 0
    for _ in range(3):
        clock.now += WINDOW
        assert bucket.take("reads", 100) == 5
        assert bucket.take("sends", 100) == 2
        assert bucket.take("reads", 100) == 1
        assert bucket.take("sends", 100) == 1
        assert bucket.take("sends", 100) == 0
        assert bucket.take("reads", 100) == 1
    single = TokenBucket(1, clock)
    turns = []
    for _ in range(4):
        turns += [who for who in ("reads", "sends") if single.take(who, 1)]
        clock.now += WINDOW
    assert turns == ["reads", "sends", "reads", "sends"]


def test_what_was_not_needed_is_given_back() -> None:
    bucket = TokenBucket(10, Clock())
    assert bucket.take("reads", 8) == 8
    bucket.give_back("reads", 5)
    assert bucket.take("sends", 100) == 7


def _more(node: Node, before: int) -> bool:
    return len(node.calls) > before


def test_calls_wait_for_tokens_and_batches_count_as_their_calls() -> None:
    async def main() -> None:
        clock = Clock()
        async with Node(take) as node:
            endpoint = Endpoint(node.url, rate=10, clock=clock)
            reads = asyncio.create_task(ask(endpoint, 24))
            await until(lambda: len(node.calls) >= 10)
            sends = asyncio.create_task(send(endpoint, 3))
            for _ in range(2):
                clock.now += WINDOW  # a second later by the bucket's clock, and not before
                before = len(node.calls)
                await until(partial(_more, node, before))
                assert len(node.calls) <= before + 10
            clock.now += WINDOW
            assert await reads == list(range(24))
            assert {answer.kind for answer in await sends} == {"accepted"}
            assert max(len(body) for body in node.bodies if isinstance(body, list)) == 10
            await endpoint.close()

    asyncio.run(main())


def test_what_is_urgent_does_not_wait_behind_the_rest() -> None:
    async def main() -> None:
        async with Node(take) as node:
            endpoint = Endpoint(node.url, rate=10)
            rest = asyncio.create_task(ask(endpoint, 30))
            await until(lambda: len(node.calls) >= 10)
            assert await endpoint.request("echo", ("now",), urgent=True) == "now"
            assert not rest.done()
            assert node.calls.index(next(c for c in node.calls if c["params"] == ["now"])) < 20
            assert await rest == list(range(30))
            await endpoint.close()

    asyncio.run(main())


def test_a_limit_that_is_kept_is_never_exceeded_at_the_server() -> None:
    """A server that refuses whatever comes too fast hears of no call twice; every call is answered."""

    async def main() -> None:
        arrivals: list[tuple[float, int]] = []
        refused = 0

        def strict(body: Any) -> Any:
            nonlocal refused
            now, count = asyncio.get_running_loop().time(), len(body) if isinstance(body, list) else 1
            # Half a window: what the wire does to the pace is not what is tested here.
            recent = sum(number for moment, number in arrivals if now - moment < WINDOW / 2)
            if recent + count > 50:
                refused += 1
                return page(429)
            arrivals.append((now, count))
            return take(body)

        async with Node(strict) as node:
            endpoint = Endpoint(node.url, rate=50, chain_id=1287, timeout=5)
            results = await asyncio.gather(ask(endpoint, 90), send(endpoint, 30))
            assert results[0] == list(range(90))
            assert {answer.kind for answer in results[1]} == {"accepted"}
            assert (refused, len(node.calls) - node.methods().count("eth_chainId")) == (0, 120)
            await endpoint.close()

    asyncio.run(main())
