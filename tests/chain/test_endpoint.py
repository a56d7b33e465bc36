"""Batches: what leaves together, and that every call gets its own answer or none."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from autometa_cli.chain.endpoint import READS_IN_FLIGHT, Endpoint
from autometa_cli.chain.faults import EndpointDown, RpcFault
from tests.chain.loopback import Node, bad, echo, good, page


async def ask(endpoint: Endpoint, count: int) -> list[Any]:
    """So many calls in one turn of the loop; each should answer with its own number."""
    calls = (endpoint.request("echo", (number,)) for number in range(count))
    return await asyncio.gather(*calls, return_exceptions=True)


async def with_node(answer: Any, work: Any, **options: Any) -> tuple[Any, Node]:
    """Run `work` on an endpoint at a node that answers so."""
    async with Node(answer) as node:
        endpoint = Endpoint(node.url, **options)
        try:
            return await work(endpoint), node
        finally:
            await endpoint.close()


def test_calls_of_one_turn_leave_as_one_batch() -> None:
    results, node = asyncio.run(with_node(echo, lambda endpoint: ask(endpoint, 30)))
    assert results == list(range(30))
    assert [len(body) for body in node.bodies] == [30]


def test_a_lone_call_is_no_batch() -> None:
    results, node = asyncio.run(with_node(echo, lambda endpoint: ask(endpoint, 1)))
    assert results == [0]
    assert isinstance(node.bodies[0], dict)


def test_batches_are_no_larger_than_allowed_and_bounded_in_number() -> None:
    async def main() -> None:
        under_way, most = 0, 0

        async def slow(body: Any) -> Any:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.02)
            under_way -= 1
            return echo(body)

        results, node = await with_node(slow, lambda endpoint: ask(endpoint, 205), batch_size=10)
        assert results == list(range(205))
        assert max(len(body) for body in node.bodies if isinstance(body, list)) == 10
        assert most == READS_IN_FLIGHT

    asyncio.run(main())


def test_connections_are_kept() -> None:
    async def one_by_one(endpoint: Endpoint) -> None:
        for number in range(20):
            await endpoint.request("echo", (number,))

    _, node = asyncio.run(with_node(echo, one_by_one))
    assert len(node.transports) == 1


def test_answers_are_matched_by_id() -> None:
    results, _ = asyncio.run(with_node(lambda body: echo(body)[::-1], lambda endpoint: ask(endpoint, 30)))
    assert results == list(range(30))


def spoil(body: Any) -> Any:
    """Of ten answers, spoil six in different ways."""
    answers = echo(body)
    del answers[9]  # missing
    answers[8]["id"] = str(answers[8]["id"])  # an id of another type is another id
    answers[7] = {"jsonrpc": "2.0", "id": answers[7]["id"]}  # neither result nor error
    answers[6]["id"] = None
    answers.append({**answers[5], "result": "another"})  # two different answers
    answers[4] = "text"
    ids: list[Any] = [True, 1.0, [1], {}, "1"]
    odd = [{**answers[0], "id": id, "result": "odd"} for id in ids]
    return [*odd, *answers, good({"id": 10**9}, 1), answers[3]]  # an answer to nothing; the same answer twice


def test_what_cannot_be_matched_fails_alone() -> None:
    results, _ = asyncio.run(with_node(spoil, lambda endpoint: ask(endpoint, 10)))
    assert results[:4] == [0, 1, 2, 3]
    assert all(isinstance(result, EndpointDown) for result in results[4:])


def test_errors_reach_the_call_they_answer() -> None:
    def answer(body: Any) -> Any:
        return [
            bad(call, 3, "execution reverted", "0x1234") if n == 1 else echo(call)
            for n, call in enumerate(body)
        ]

    results, node = asyncio.run(with_node(answer, lambda endpoint: ask(endpoint, 3)))
    fault = results[1]
    assert (results[0], results[2]) == (0, 2)
    assert isinstance(fault, RpcFault)
    assert (fault.code, fault.text, fault.data, fault.endpoint) == (
        3,
        "execution reverted",
        "0x1234",
        node.url,
    )


REFUSALS = {
    "one error object": lambda body: bad(None, -32600, "batch not supported"),
    "jsonrpsee": lambda body: bad(None, -32005, "Batched requests are not supported by this server"),
    "geth": lambda body: [bad(body[0], -32600, "batch too large")],
    "status 413": lambda body: page(413, "Payload Too Large"),
    "status 400 with JSON": lambda body: page(400, '{"message": "no batches here"}'),
    "status 405": lambda body: page(405),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
@pytest.mark.parametrize("most", [1, 7])
def test_a_server_that_refuses_batches_is_asked_in_smaller_ones(refusal: Any, most: int) -> None:
    def answer(body: Any) -> Any:
        return refusal(body) if isinstance(body, list) and len(body) > most else echo(body)

    async def work(endpoint: Endpoint) -> int:
        assert await ask(endpoint, 60) == list(range(60))
        tried = len(node_bodies)
        assert await ask(endpoint, 60) == list(range(60))
        assert all(not isinstance(body, list) or len(body) <= most for body in node_bodies[tried:])
        return endpoint.batch_size

    node_bodies: list[Any] = []

    def note(body: Any) -> Any:
        node_bodies.append(body)
        return answer(body)

    size, _ = asyncio.run(with_node(note, work))
    assert 1 <= size <= most


def test_a_batch_whose_answers_are_too_large_is_split() -> None:
    def answer(body: Any) -> Any:
        if not isinstance(body, list):
            return echo(body)
        return [
            echo(call) if n < 5 else bad(call, -32003, "response too large") for n, call in enumerate(body)
        ]

    results, _ = asyncio.run(with_node(answer, lambda endpoint: ask(endpoint, 40)))
    assert results == list(range(40))


def limited(rate: float, refuse: Any) -> Any:
    """A node that answers so many calls a second, and refuses a body that is over it."""
    allowance, last = rate, time.monotonic()

    def answer(body: Any) -> Any:
        nonlocal allowance, last
        now = time.monotonic()
        allowance, last = min(rate, allowance + (now - last) * rate), now
        count = len(body) if isinstance(body, list) else 1
        if count > allowance:
            return refuse(body)
        allowance -= count
        return echo(body)

    return answer


TOO_OFTEN = {
    "429": lambda body: page(429),
    "one error": lambda body: bad(None, -32005, "limit exceeded"),
    "an error for each": lambda body: (
        [bad(call, -32005, "limit exceeded") for call in body]
        if isinstance(body, list)
        else bad(body, -32005, "limit exceeded")
    ),
}


@pytest.mark.parametrize("refuse", TOO_OFTEN.values(), ids=TOO_OFTEN.keys())
def test_a_patient_reader_adapts_to_a_slow_server(refuse: Any) -> None:
    async def work(endpoint: Endpoint) -> Any:
        calls = (endpoint.request("echo", (number,), patient=True) for number in range(1200))
        return await asyncio.gather(*calls)

    results, _ = asyncio.run(with_node(limited(400, refuse), work))
    assert results == list(range(1200))


def test_a_patient_reader_does_not_wait_for_ever() -> None:
    async def work(endpoint: Endpoint) -> Any:
        began = time.monotonic()
        calls = (endpoint.request("echo", (number,), patient=True) for number in range(20))
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert time.monotonic() - began < 5
        return results

    results, _ = asyncio.run(with_node(lambda body: page(429), work, timeout=1))
    assert all(isinstance(result, EndpointDown) and "429" in result.message for result in results)


def test_one_answer_that_is_too_large_is_an_answer() -> None:
    results, node = asyncio.run(
        with_node(lambda body: bad(body, -32003, "response too large"), lambda endpoint: ask(endpoint, 1))
    )
    assert isinstance(results[0], RpcFault)
    assert len(node.bodies) == 1


def test_parameters_that_are_not_json_fail_their_caller_only() -> None:
    async def work(endpoint: Endpoint) -> Any:
        return await asyncio.gather(
            endpoint.request("echo", (b"bytes",)), endpoint.request("echo", (1,)), return_exceptions=True
        )

    results, node = asyncio.run(with_node(echo, work))
    assert isinstance(results[0], TypeError)
    assert results[1] == 1
    assert len(node.calls) == 1


def test_a_caller_that_leaves_takes_nobody_with_it() -> None:
    async def work(endpoint: Endpoint) -> Any:
        tasks = [asyncio.create_task(endpoint.request("echo", (number,))) for number in range(3)]
        await asyncio.sleep(0)  # all three wait for their turn
        tasks[1].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results, node = asyncio.run(with_node(echo, work))
    assert results[0] == 0
    assert isinstance(results[1], asyncio.CancelledError)
    assert results[2] == 2
    assert [call["params"] for call in node.calls] == [[0], [2]]
