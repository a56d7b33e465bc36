"""Servers that fail in every way that servers fail: reads go elsewhere, sends are ambiguous and never repeated."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from aiohttp import web

from autometa_cli.chain.faults import RpcFault
from autometa_cli.chain.rpc import Rpc
from autometa_cli.chain.sendanswers import AnswerClass
from autometa_cli.errors import ExitCode, RpcUnreachable
from tests.chain.loopback import Node, bad, client, echo, good, has, page, take

RAW = b"\x02\x01"


async def hang(body: Any) -> Any:
    await asyncio.sleep(30)


async def cut_off(body: Any) -> web.StreamResponse:
    return web.Response(body=b'{"jsonrpc":"2.0","id":1,"resu', content_type="application/json")


#: What a server does, and a word that the message must hold.
FAILURES: dict[str, tuple[Any, str]] = {
    "timeout": (hang, "no answer within"),
    "closed": (lambda body: None, "closed without an answer"),
    "500": (lambda body: page(500, "oops"), "HTTP 500"),
    "503 with JSON-RPC in it": (lambda body: page(503, '{"id":1,"result":"0x1"}'), "HTTP 503"),
    "403": (lambda body: page(403, "<html>no</html>"), "access denied"),
    "404": (lambda body: page(404), "404"),
    "redirect": (lambda body: page(307, headers={"Location": "http://127.0.0.1:1/"}), "redirects"),
    "web page": (lambda body: page(200, "<!DOCTYPE html><p>Welcome"), "web page"),
    "nothing": (lambda body: page(200, ""), "empty"),
    "cut off": (cut_off, "not JSON-RPC"),
    "other JSON": (lambda body: "[]", "not JSON-RPC"),
    "scalar": (lambda body: "17", "not JSON-RPC"),
    "deep": (lambda body: "[" * 100_000, "not JSON-RPC"),
    "another id": (lambda body: good({"id": 10**6}, "0x1"), "not the answer"),
    "neither result nor error": (lambda body: {"jsonrpc": "2.0", "id": body["id"]}, "not the answer"),
    "error is no object": (lambda body: {"id": body["id"], "error": "no"}, "not the answer"),
}
RATE_LIMITS: dict[str, Any] = {
    "429": lambda body: page(429, "slow down"),
    "-32005": lambda body: bad(body, -32005, "limit exceeded"),
    "-32029": lambda body: bad(body, -32029, "too fast"),
    "text": lambda body: bad(body, -32000, "Rate limit exceeded, upgrade your plan"),
    "without id": lambda body: bad(None, -32005, "daily request count exceeded"),
}
cases = pytest.mark.parametrize(("answer", "words"), FAILURES.values(), ids=FAILURES.keys())
rate_limits = pytest.mark.parametrize("answer", RATE_LIMITS.values(), ids=RATE_LIMITS.keys())


def check_read_goes_elsewhere(answer: Any, words: str) -> None:
    async def main() -> None:
        async with client(answer, echo, timeout=0.3) as (rpc, broken, whole):
            assert await rpc.request("echo", ("here",)) == "here"
            assert len(whole.bodies) == 1
            # The broken one rests now.
            before = len(broken.bodies)
            assert await rpc.request("echo", ("again",)) == "again"
            assert len(broken.bodies) == before
            async with Rpc([broken.url], chain_id=None, timeout=0.3) as alone:
                with pytest.raises(RpcUnreachable, match=words) as caught:
                    await alone.request("echo")
                assert caught.value.exit_code is ExitCode.UNREACHABLE
                assert broken.url in caught.value.message

    asyncio.run(main())


@cases
def test_a_read_goes_elsewhere(answer: Any, words: str) -> None:
    check_read_goes_elsewhere(answer, words)


@rate_limits
def test_a_read_goes_elsewhere_when_asked_too_often(answer: Any) -> None:
    check_read_goes_elsewhere(answer, "too many requests")


@cases
def test_a_send_is_ambiguous_and_offered_once(answer: Any, words: str) -> None:
    async def main() -> None:
        async with client(answer, echo, timeout=0.3) as (rpc, broken, whole):
            said = await rpc.send_raw(RAW)
            assert (said.kind, said.code) == ("ambiguous", None)
            assert words in said.text
            assert said.endpoint == broken.url
            assert broken.methods() == ["eth_sendRawTransaction"]
            assert whole.methods() == []

    asyncio.run(main())


@rate_limits
def test_a_send_that_was_not_looked_at_goes_elsewhere(answer: Any) -> None:
    async def main() -> None:
        async with client(answer, take) as (rpc, busy, other):
            said = await rpc.send_raw(RAW)
            assert (said.kind, said.endpoint) == ("accepted", other.url)
            await rpc.send_raw(RAW)  # the busy one rests
            assert busy.methods() == ["eth_sendRawTransaction"]
            assert other.methods() == ["eth_sendRawTransaction"] * 2

    asyncio.run(main())


@rate_limits
def test_a_send_to_the_only_endpoint_waits_until_it_is_looked_at(answer: Any) -> None:
    async def main() -> None:
        refusals = 2

        def busy_at_first(body: Any) -> Any:
            nonlocal refusals
            if refusals:
                refusals -= 1
                return answer(body)
            return take(body)

        async with client(busy_at_first) as (rpc, node):
            assert (await rpc.send_raw(RAW)).kind == "accepted"
            assert node.methods() == ["eth_sendRawTransaction"] * 3

    asyncio.run(main())


@rate_limits
def test_a_send_to_an_endpoint_that_is_busy_for_good_ends(answer: Any) -> None:
    async def main() -> None:
        async with client(answer, timeout=0.3) as (rpc, _):
            assert (await rpc.send_raw(RAW)).answer_class is AnswerClass.RATE

    asyncio.run(main())


@cases
def test_a_failed_batch_of_sends_is_ambiguous_for_each(answer: Any, words: str) -> None:
    async def main() -> None:
        def sometimes(body: Any) -> Any:
            if has(body, "echo"):
                return echo(body)
            return answer(body if isinstance(body, dict) else {"id": 0})

        async with client(sometimes, timeout=0.3) as (rpc, node):
            await asyncio.gather(*(rpc.request("echo", (n,)) for n in range(2)))
            said = await asyncio.gather(*(rpc.send_raw(bytes([2, n])) for n in range(20)))
            assert {answer.kind for answer in said} == {"ambiguous"}
            assert node.methods().count("eth_sendRawTransaction") == 20
            assert len(node.bodies) == 2

    asyncio.run(main())


def test_refused_connections() -> None:
    async def main() -> None:
        async with Node() as node:
            gone = node.url
        async with Rpc([gone], chain_id=1287) as rpc:
            with pytest.raises(RpcUnreachable, match="connection refused"):
                await rpc.request("echo")
            said = await rpc.send_raw(RAW)
            assert said.kind == "ambiguous"
            assert "connection refused" in said.text

    asyncio.run(main())


def test_a_host_that_does_not_exist() -> None:
    async def main() -> None:
        async with Rpc(["http://no-such-host.invalid/key-123456789"], chain_id=None, timeout=5) as rpc:
            with pytest.raises(RpcUnreachable, match="host name cannot be resolved"):
                await rpc.request("echo")

    asyncio.run(main())


def test_a_connection_that_the_server_closed_while_idle_is_no_failure_of_a_read() -> None:
    async def main() -> None:
        seen = 0

        def every_other(body: Any) -> Any:
            nonlocal seen
            seen += 1
            return None if seen % 2 else echo(body)

        async with client(every_other) as (rpc, node):
            assert await rpc.request("echo", (1,)) == 1
            assert await asyncio.gather(*(rpc.request("echo", (n,)) for n in range(5))) == list(range(5))
            assert len(node.bodies) == 4

    asyncio.run(main())


def test_json_rpc_errors_under_a_4xx_are_answers() -> None:
    async def main() -> None:
        def answer(body: Any) -> Any:
            return web.json_response(bad(body, -32000, "nonce too low"), status=400)

        async with client(answer) as (rpc, _):
            with pytest.raises(RpcFault, match="nonce too low"):
                await rpc.request("echo")
            assert (await rpc.send_raw(RAW)).answer_class is AnswerClass.NONCE_LOW

    asyncio.run(main())


def test_no_endpoint_hangs_the_caller_for_long() -> None:
    async def main() -> None:
        async with client(hang, timeout=0.3, batch_size=1) as (rpc, _):
            began = time.monotonic()
            results = await asyncio.gather(
                *(rpc.request("echo", (n,)) for n in range(100)), return_exceptions=True
            )
            assert all(isinstance(result, RpcUnreachable) for result in results)
            assert time.monotonic() - began < 2.0  # one exchange, and as long again for a turn; and slack

    asyncio.run(main())
