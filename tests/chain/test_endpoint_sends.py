"""Sends through an endpoint, its chain id, and its end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from autometa_cli.chain.endpoint import SENDS_IN_FLIGHT, Endpoint
from autometa_cli.chain.faults import EndpointDown, WrongChain
from autometa_cli.chain.sendanswers import AnswerClass, SendAnswer
from autometa_cli.errors import ConfigError
from tests.chain.loopback import Node, bad, echo, good, has, take
from tests.chain.test_endpoint import ask, with_node


async def send(endpoint: Endpoint, count: int) -> list[SendAnswer]:
    return await asyncio.gather(*(endpoint.send(bytes([2, number])) for number in range(count)))


def test_sends_share_batches_once_batches_are_known_to_work() -> None:
    async def work(endpoint: Endpoint) -> None:
        first = await send(endpoint, 10)
        assert {answer.kind for answer in first} == {"accepted"}
        assert all(isinstance(body, dict) for body in node_bodies)
        await ask(endpoint, 2)
        assert {answer.kind for answer in await send(endpoint, 50)} == {"accepted"}
        assert len(node_bodies[-1]) == 50

    node_bodies: list[Any] = []

    def answer(body: Any) -> Any:
        node_bodies.append(body)
        return take(body)

    asyncio.run(with_node(answer, work))


def test_each_send_in_a_batch_gets_its_own_answer() -> None:
    def answer(body: Any) -> Any:
        if not has(body, "eth_sendRawTransaction"):
            return echo(body)
        answers = take(body)
        answers[1] = bad(body[1], -32000, "nonce too low")
        answers[2] = bad(body[2], -32000, "already known")
        answers[3]["result"] = "0x" + "11" * 32  # the hash of something else
        answers[4]["result"] = None
        answers[6] = {**answers[5]}  # two alike for one, none for the other
        del answers[7]
        return answers[::-1]

    async def work(endpoint: Endpoint) -> list[AnswerClass]:
        await ask(endpoint, 2)
        return [answer.answer_class for answer in await send(endpoint, 9)]

    classes, node = asyncio.run(with_node(answer, work))
    assert [answer_class.name for answer_class in classes] == [
        "ACCEPTED",
        "NONCE_LOW",
        "KNOWN",
        "AMBIGUOUS",
        "AMBIGUOUS",
        "ACCEPTED",
        "AMBIGUOUS",
        "AMBIGUOUS",
        "ACCEPTED",
    ]
    assert node.methods().count("eth_sendRawTransaction") == 9


def test_a_refused_batch_of_sends_is_ambiguous_and_not_repeated() -> None:
    def answer(body: Any) -> Any:
        if isinstance(body, list) and has(body, "eth_sendRawTransaction"):
            return bad(None, -32600, "batch not supported")
        return take(body)

    async def work(endpoint: Endpoint) -> list[SendAnswer]:
        await ask(endpoint, 2)
        refused = await send(endpoint, 5)
        assert {answer.kind for answer in await send(endpoint, 5)} == {"accepted"}  # one by one from now on
        return refused

    refused, node = asyncio.run(with_node(answer, work))
    assert {answer.kind for answer in refused} == {"ambiguous"}
    assert node.methods().count("eth_sendRawTransaction") == 10


def test_sends_under_way_are_bounded() -> None:
    async def main() -> None:
        under_way, most = 0, 0

        async def slow(body: Any) -> Any:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.02)
            under_way -= 1
            return take(body)

        answers, _ = await with_node(slow, lambda endpoint: send(endpoint, 20))
        assert {answer.kind for answer in answers} == {"accepted"}
        assert most == SENDS_IN_FLIGHT

    asyncio.run(main())


def test_the_chain_id_is_asked_before_anything_else_and_after_each_new_connection() -> None:
    async def main() -> None:
        async with Node(take) as node:
            endpoint = Endpoint(node.url, chain_id=1287)
            await asyncio.gather(ask(endpoint, 20), ask(endpoint, 20))
            for _ in range(5):
                await ask(endpoint, 20)
            assert (node.methods().count("eth_chainId"), len(node.transports)) == (1, 1)
            assert node.methods()[0] == "eth_chainId"
            # As a pool of connections does that have been idle: the next call goes over a new one.
            await endpoint.transport.disconnect()
            for _ in range(5):
                await ask(endpoint, 20)
            assert (node.methods().count("eth_chainId"), len(node.transports)) == (2, 2)
            await endpoint.close()

    asyncio.run(main())


def test_a_server_that_took_the_place_of_another_is_asked_who_it_is_before_a_call_is_repeated() -> None:
    async def main() -> None:
        def first_then_another(body: Any) -> Any:
            if body["method"] == "eth_chainId":
                return good(body, "0x507" if len(node.bodies) == 1 else "0x1")
            return None if len(node.bodies) == 2 else echo(body)  # closes the connection, as a restart does

        async with Node(first_then_another) as node:
            endpoint = Endpoint(node.url, chain_id=1287)
            assert isinstance((await ask(endpoint, 1))[0], WrongChain)
            assert node.methods() == ["eth_chainId", "echo", "eth_chainId"]
            await endpoint.close()

    asyncio.run(main())


def test_another_chain_is_asked_nothing_and_sent_nothing() -> None:
    async def work(endpoint: Endpoint) -> None:
        for result in await ask(endpoint, 3):
            assert isinstance(result, WrongChain)
            assert isinstance(result, ConfigError)
            assert "serves chain 1287" in result.message
            assert "configured chain is 1284" in result.message
        with pytest.raises(WrongChain):
            await endpoint.send(b"\x02")

    _, node = asyncio.run(with_node(take, work, chain_id=1284))
    assert node.methods() == ["eth_chainId"]


def test_the_chain_id_is_asked_again_after_a_lost_connection() -> None:
    async def main() -> None:
        async with Node(take) as node:
            endpoint = Endpoint(node.url, chain_id=1287)
            assert await ask(endpoint, 2) == [0, 1]
            port = int(node.url.rpartition(":")[2])
            await node._runner.cleanup()
            assert isinstance((await ask(endpoint, 1))[0], EndpointDown)
            other = Node(lambda body: good(body, "0x1"))
            other.port = port
            async with other:
                assert isinstance((await ask(endpoint, 1))[0], WrongChain)
                assert other.methods() == ["eth_chainId"]
            await endpoint.close()

    asyncio.run(main())


def test_only_http_urls_are_taken() -> None:
    with pytest.raises(ConfigError, match="http"):
        Endpoint("wss://example.org/secret-key")


def test_a_closed_endpoint_gives_up_what_is_under_way() -> None:
    async def main() -> None:
        arrived = asyncio.Event()

        async def never(body: Any) -> Any:
            arrived.set()
            await asyncio.sleep(30)

        async with Node(never) as node:
            endpoint = Endpoint(node.url)
            read = asyncio.create_task(endpoint.request("echo"))
            sent = asyncio.create_task(endpoint.send(b"\x02"))
            await arrived.wait()
            await endpoint.close()
            with pytest.raises(EndpointDown):
                await read
            assert (await sent).kind == "ambiguous"
            with pytest.raises(EndpointDown):
                await endpoint.request("echo")

    asyncio.run(main())
