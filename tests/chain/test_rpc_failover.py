"""Several endpoints: which is asked when, and which never."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from autometa_cli.chain.faults import RpcFault
from autometa_cli.chain.rpc import Rpc
from autometa_cli.errors import ConfigError, ExitCode, RpcUnreachable
from tests.chain.loopback import Clock, Node, bad, client, echo, good, page

RAW = b"\x02\x01"


def test_an_endpoint_rests_longer_each_time_and_is_asked_again() -> None:
    async def main() -> None:
        clock, healthy = Clock(), False

        def moody(body: Any) -> Any:
            return echo(body) if healthy else page(503)

        async with client(moody, echo, clock=clock) as (rpc, first, second):
            asked_at: list[float] = []
            while len(asked_at) < 10:
                before = len(first.bodies)
                await rpc.request("echo", (0,))
                if len(first.bodies) > before:
                    asked_at.append(clock.now)
                clock.now += 0.25
            rests = [later - earlier for earlier, later in pairwise(asked_at)]
            assert rests == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
            healthy = True
            clock.now += 31
            asked = len(second.bodies)
            await rpc.request("echo", (0,))
            await rpc.request("echo", (0,))
            assert len(second.bodies) == asked  # the first one leads again

    asyncio.run(main())


@pytest.mark.parametrize(("asked", "rest"), [("7", 7.0), ("3600", 30.0), ("0", 0.5), ("soon", 0.5)])
def test_retry_after_is_honoured_within_reason(asked: str, rest: float) -> None:
    async def main() -> None:
        clock = Clock()

        def busy(body: Any) -> Any:
            return page(429, headers={"Retry-After": asked})

        async with client(busy, echo, clock=clock) as (rpc, node, _):
            await rpc.request("echo", (0,))
            clock.now += rest - 0.01
            await rpc.request("echo", (0,))
            assert len(node.bodies) == 1
            clock.now += 0.02
            await rpc.request("echo", (0,))
            assert len(node.bodies) == 2

    asyncio.run(main())


def test_endpoints_that_all_rest_are_asked_all_the_same() -> None:
    async def main() -> None:
        healthy = False

        def moody(body: Any) -> Any:
            return echo(body) if healthy else page(502)

        async with client(moody, moody, clock=Clock()) as (rpc, first, second):
            with pytest.raises(RpcUnreachable) as caught:
                await rpc.request("echo")
            assert first.url in caught.value.message
            assert second.url in caught.value.message
            healthy = True
            assert await rpc.request("echo", (5,)) == 5

    asyncio.run(main())


def test_many_calls_that_fail_together_count_once() -> None:
    async def main() -> None:
        clock = Clock()
        async with client(lambda body: page(503), echo, clock=clock) as (rpc, node, _):
            await asyncio.gather(*(rpc.request("echo", (n,)) for n in range(200)))
            clock.now += 0.6
            asked = len(node.bodies)
            await rpc.request("echo", (0,))
            assert len(node.bodies) == asked + 1

    asyncio.run(main())


def test_an_error_is_an_answer_and_asked_of_nobody_else() -> None:
    async def main() -> None:
        async with client(lambda body: bad(body, -32601, "Method not found"), echo) as (rpc, _, second):
            with pytest.raises(RpcFault, match="Method not found"):
                await rpc.request("echo")
            assert second.bodies == []

    asyncio.run(main())


def test_the_wrong_chain() -> None:
    async def main() -> None:
        async with client(lambda body: good(body, "0x1"), echo, chain_id=1287) as (rpc, wrong, right):
            assert await rpc.request("echo", (3,)) == 3
            assert (await rpc.send_raw(RAW)).endpoint == right.url
            assert wrong.methods() == ["eth_chainId"]
            async with Rpc([wrong.url], chain_id=1287) as alone:
                for attempt in (alone.request("echo"), alone.send_raw(RAW), alone.view(), alone.final(None)):
                    with pytest.raises(ConfigError) as caught:
                        await attempt
                    assert caught.value.exit_code is ExitCode.CONFIG
                    assert "chain 1," in caught.value.message
                    assert "1287" in caught.value.message
                    assert wrong.url in caught.value.message
        async with client(lambda body: good(body, "0x1"), lambda body: page(503), chain_id=1287) as (rpc, *_):
            with pytest.raises(RpcUnreachable, match="serves chain 1"):
                await rpc.request("echo")

    asyncio.run(main())


def test_a_node_that_does_not_tell_its_chain_is_not_used() -> None:
    async def main() -> None:
        async with client(lambda body: bad(body, -32601, "no such method"), chain_id=1287) as (rpc, node):
            with pytest.raises(RpcUnreachable, match="does not tell its chain id"):
                await rpc.request("echo")
            assert (await rpc.send_raw(RAW)).kind == "ambiguous"
            assert set(node.methods()) == {"eth_chainId"}

    asyncio.run(main())


def test_no_urls() -> None:
    with pytest.raises(ConfigError, match="no RPC endpoint"):
        Rpc([], chain_id=1)


def test_one_client_for_one_event_loop() -> None:
    async def ask(rpc: Rpc) -> Any:
        return await rpc.request("echo", (1,))

    async def main() -> None:
        async with Node() as node:
            rpc = Rpc([node.url], chain_id=None)
            assert await ask(rpc) == 1

            def elsewhere() -> None:
                asyncio.run(ask(rpc))

            with pytest.raises(RuntimeError, match="event loop"):
                await asyncio.to_thread(elsewhere)
            await rpc.close()

    asyncio.run(main())
