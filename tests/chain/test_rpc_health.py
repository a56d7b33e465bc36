"""Which of several endpoints is asked first: not the one that lags, nor the one that fails now and then."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from autometa_cli.chain.errorrate import ErrorRate
from autometa_cli.chain.rpc import Rpc
from autometa_cli.errors import RpcUnreachable
from tests.chain import loopback
from tests.chain.loopback import Answer, Clock, echo, good, page, until

NOW = 1_700_000_000


def block(number: int, age: int = 0) -> dict[str, Any]:
    """As a node gives it."""
    return {
        "number": hex(number),
        "hash": f"0x{number:064x}",
        "timestamp": hex(NOW - age),
        "gasLimit": "0x1",
        "transactions": [],
    }


def client(*answers: Answer, **options: Any) -> AbstractAsyncContextManager[Any]:
    """As `loopback.client`, at the time of these blocks."""
    return loopback.client(*answers, calendar=lambda: NOW, **options)


class Chain:
    """A node's head, to be set by the test."""

    def __init__(self, head: int, age: int = 0) -> None:
        self.head = head
        self.age = age

    def __call__(self, body: Any) -> Any:
        if isinstance(body, list):
            return [self(call) for call in body]
        if body["method"] != "eth_getBlockByNumber":
            return echo(body)
        tag = body["params"][0]
        number = self.head if tag == "latest" else int(tag, 16)
        return good(body, block(number, self.age) if number <= self.head else None)


async def newest(rpc: Rpc) -> tuple[str, int]:
    """Where the newest block comes from, and its height."""
    view = await rpc.view()
    return view.endpoint.name, view.block.number


def test_an_endpoint_that_stands_still_is_noticed_and_asked_last_until_it_has_caught_up() -> None:
    async def main() -> None:
        stuck, alive, clock = Chain(100), Chain(100), Clock()
        async with client(stuck, alive, clock=clock, block_time=1.0) as (rpc, first, second):
            for _ in range(12):  # less long than is worth a look
                assert await newest(rpc) == (first.url, 100)
                clock.now += 0.8
                alive.head += 1
            assert second.bodies == []
            clock.now += 2
            assert await newest(rpc) == (second.url, 112)
            assert await newest(rpc) == (second.url, 112)
            asked = len(first.bodies)
            assert await rpc.request("echo", (1,)) == 1  # other reads, too
            assert len(first.bodies) == asked
            # It is looked at now and then, behind the back of those who read.
            stuck.head = alive.head = 130
            clock.now += 11
            assert await newest(rpc) == (second.url, 130)
            await until(lambda: not rpc._looking)
            assert await newest(rpc) == (first.url, 130)

    asyncio.run(main())


def test_an_endpoint_that_stood_still_before_it_was_first_asked_is_noticed_at_once() -> None:
    """By the age of its head: a command has no time to wait and see."""

    async def main() -> None:
        async with client(Chain(100, age=3600), Chain(700)) as (rpc, _, second):
            assert await newest(rpc) == (second.url, 700)
        async with client(Chain(100, age=3600), Chain(100, age=3600)) as (rpc, first, second):
            for _ in range(3):
                assert await newest(rpc) == (first.url, 100)
            assert len(second.bodies) == 1

    asyncio.run(main())


def test_a_chain_that_stands_still_accuses_nobody() -> None:
    async def main() -> None:
        clock = Clock()
        async with client(Chain(7), Chain(7 + 3), clock=clock, block_time=1.0) as (rpc, first, second):
            for _ in range(50):
                assert await newest(rpc) == (first.url, 7)
                clock.now += 1
            assert 1 <= len(second.bodies) <= 6  # looked at, and not each time

    asyncio.run(main())


def test_an_old_head_after_a_failover_is_not_taken_while_a_newer_one_is_to_be_had() -> None:
    async def main() -> None:
        ahead, clock, well = Chain(100), Clock(), True

        def moody(body: Any) -> Any:
            return ahead(body) if well else page(502)

        async with client(moody, Chain(50), Chain(99), clock=clock) as (rpc, first, old, other):
            assert await newest(rpc) == (first.url, 100)
            well = False
            assert await newest(rpc) == (other.url, 99)
            assert rpc._roster.of(rpc.endpoints[1]).lags
            # Where nobody else answers, the old head is what there is; whoever decides knows what it saw before.
            other.answer = lambda body: page(502)
            clock.now += 1
            assert await newest(rpc) == (old.url, 50)

    asyncio.run(main())


def test_a_chain_that_began_anew_is_believed_in_time() -> None:
    async def main() -> None:
        one, two, clock = Chain(1000), Chain(1000), Clock()
        async with client(one, two, clock=clock, block_time=1.0) as (rpc, *_):
            clock.now += 20
            await rpc.view()
            clock.now += 20
            await rpc.view()
            one.head = two.head = 3
            assert (await rpc.view()).block.number == 3
            clock.now += 31
            assert (await rpc.view()).block.number == 3
            assert not any(rpc._roster.of(endpoint).lags for endpoint in rpc.endpoints)

    asyncio.run(main())


def test_an_endpoint_that_fails_now_and_then_is_asked_last_for_a_while() -> None:
    async def main() -> None:
        clock, seen = Clock(), 0

        def every_other(body: Any) -> Any:
            nonlocal seen
            seen += 1
            return page(500) if seen % 2 else echo(body)

        async with client(every_other, echo, clock=clock) as (rpc, first, _):
            for _ in range(40):
                await rpc.request("echo", (1,))
                clock.now += 0.6  # it has rested enough each time
            assert len(first.bodies) == 7  # four failures
            clock.now += 61
            asked = len(first.bodies)
            await rpc.request("echo", (1,))
            assert len(first.bodies) > asked

    asyncio.run(main())


def test_rate_limits_refused_batches_and_idle_connections_are_no_errors() -> None:
    async def main() -> None:
        answers: list[Answer] = [lambda body: page(429), lambda body: page(413), lambda body: None]
        for answer in answers:
            refuse = True

            def once(body: Any, answer: Answer = answer) -> Any:
                nonlocal refuse
                if refuse and (isinstance(body, list) or answer is not answers[1]):
                    refuse = False
                    return answer(body)
                return echo(body)

            async with client(once) as (rpc, _):
                assert await asyncio.gather(*(rpc.request("echo", (n,)) for n in range(3))) == [0, 1, 2]
                assert rpc.endpoints[0].errors.share == 0

    asyncio.run(main())


def test_the_error_rate_fades() -> None:
    clock = Clock()
    errors = ErrorRate(clock)
    found = []
    for failed in (True, True, True, False, True, *[False] * 12):
        errors.add(failed)
        found.append(errors.shaky)
    assert found == [False] * 4 + [True] * 12 + [False]  # too few to judge; 4 of 5 to 16; 4 of 17
    clock.now += 61
    assert errors.share == 0


def test_a_lagging_answer_is_no_answer_when_nobody_has_the_block() -> None:
    async def main() -> None:
        async with client(Chain(5), Chain(6)) as (rpc, *_):
            with pytest.raises(RpcUnreachable, match="does not have block 9"):
                await rpc.view(9)

    asyncio.run(main())
