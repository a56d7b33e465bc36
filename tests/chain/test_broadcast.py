"""Where signed bytes go, and what several answers mean together."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from autometa_cli.chain.rpc import Rpc
from autometa_cli.chain.sendanswers import AnswerClass, SendAnswer, combined
from autometa_cli.errors import ConfigError, ExitCode, RpcUnreachable
from tests.chain.loopback import Clock, Node, bad, client, echo, good, has, page, take, until

RAW = b"\x02\x01"
REVERTED = "execution reverted"


def refuse(text: str) -> Any:
    """A node that says this to each send."""

    def answer(body: Any) -> Any:
        return bad(body, -32000, text) if has(body, "eth_sendRawTransaction") else echo(body)

    return answer


async def hang(body: Any) -> Any:
    await asyncio.sleep(30)


def sends(node: Node) -> int:
    return node.methods().count("eth_sendRawTransaction")


# -- all of them ------------------------------------------------------------------------------------------


def test_all_healthy_endpoints_are_offered_the_bytes() -> None:
    async def main() -> None:
        async with client(take, take, lambda body: page(502), broadcast_all=True) as (rpc, *nodes):
            assert (await rpc.send_raw(RAW)).kind == "accepted"
            await until(lambda: not rpc._broadcast._under_way)
            assert [sends(node) for node in nodes] == [1, 1, 1]
            await rpc.send_raw(RAW)  # the third one rests
            await until(lambda: not rpc._broadcast._under_way)
            assert [sends(node) for node in nodes] == [2, 2, 1]

    asyncio.run(main())


def test_one_that_accepts_is_enough_and_who_hangs_keeps_nobody_waiting() -> None:
    async def main() -> None:
        async with (
            asyncio.timeout(20),
            client(hang, take, broadcast_all=True, timeout=60) as (rpc, slow, quick),
        ):
            said = await rpc.send_raw(RAW)
            assert (said.kind, said.endpoint) == ("accepted", quick.url)
            assert sends(slow) == 1

    asyncio.run(main())


@pytest.mark.parametrize("where", [0, 1])
def test_one_permanent_refusal_beside_an_unknown_outcome_is_not_permanent(where: int) -> None:
    """The bytes may be in the other one's pool (REVIEW H31)."""

    async def main() -> None:
        answers = [refuse(REVERTED), refuse(REVERTED)]
        answers[where] = lambda body: page(502)
        async with client(*answers, broadcast_all=True) as (rpc, *_):
            said = await rpc.send_raw(RAW)
            assert said.answer_class is AnswerClass.AMBIGUOUS
            assert REVERTED in said.text
            assert "502" in said.text

    asyncio.run(main())


def test_where_all_rest_all_are_asked_and_where_all_are_of_another_chain_nobody_is_sent_to() -> None:
    async def main() -> None:
        async with client(lambda body: page(503), lambda body: page(503), broadcast_all=True) as (
            rpc,
            *nodes,
        ):
            for _ in range(2):
                assert (await rpc.send_raw(RAW)).kind == "ambiguous"
            assert [sends(node) for node in nodes] == [2, 2]
        wrong = lambda body: good(body, "0x1")  # noqa: E731
        async with client(wrong, take, chain_id=1287, broadcast_all=True) as (rpc, first, second):
            assert (await rpc.send_raw(RAW)).endpoint == second.url
            assert first.methods() == ["eth_chainId"]
        async with client(wrong, wrong, chain_id=1287, broadcast_all=True) as (rpc, *_):
            with pytest.raises(ConfigError):
                await rpc.send_raw(RAW)

    asyncio.run(main())


def test_where_all_that_are_well_turn_out_to_be_of_another_chain_those_that_rest_are_asked() -> None:
    """A gateway was pointed elsewhere while the other endpoint had a rest."""

    async def main() -> None:
        chain, up = "0x507", False

        def turns(body: Any) -> Any:
            return good(body, chain) if has(body, "eth_chainId") else take(body)

        def rests(body: Any) -> Any:
            return turns(body) if up else page(503)

        async with client(turns, rests, chain_id=1287, broadcast_all=True) as (rpc, first, second):
            assert (await rpc.send_raw(RAW)).endpoint == first.url
            await until(lambda: not rpc._broadcast._under_way)
            chain = "0x1"
            rpc.endpoints[0].check.doubt()
            assert (await rpc.send_raw(RAW)).kind == "ambiguous", "nobody was there to be sent to"
            assert sends(first) == 1
            chain, up = "0x507", True
            assert (await rpc.send_raw(RAW)).endpoint == second.url

    asyncio.run(main())


def test_one_at_a_time_a_refusal_for_good_is_believed_when_all_say_so() -> None:
    async def main() -> None:
        async with client(refuse(REVERTED), take) as (rpc, _, second):
            assert (await rpc.send_raw(RAW)).endpoint == second.url
        async with client(refuse(REVERTED), refuse("intrinsic gas too low")) as (rpc, *nodes):
            assert (await rpc.send_raw(RAW)).answer_class is AnswerClass.PERMANENT
            assert [sends(node) for node in nodes] == [1, 1]
        async with client(refuse(REVERTED), lambda body: page(502)) as (rpc, *nodes):
            assert (await rpc.send_raw(RAW)).answer_class is AnswerClass.AMBIGUOUS
            # Who rests is not woken for a second opinion.
            assert (await rpc.send_raw(RAW)).answer_class is AnswerClass.PERMANENT
            assert [sends(node) for node in nodes] == [2, 1]
        async with client(refuse("nonce too low"), take) as (rpc, _, second):
            assert (await rpc.send_raw(RAW)).answer_class is AnswerClass.NONCE_LOW
            assert sends(second) == 0

    asyncio.run(main())


def test_what_several_answers_mean_together() -> None:
    def of(*classes: AnswerClass) -> AnswerClass:
        return combined([SendAnswer.of(each, each.value, "e") for each in classes]).answer_class

    for each in AnswerClass:
        assert of(each) is each
        assert of(each, AnswerClass.ACCEPTED) is AnswerClass.ACCEPTED
        assert of(AnswerClass.PERMANENT, each) is each
        if each not in (AnswerClass.ACCEPTED, AnswerClass.KNOWN):
            assert of(each, AnswerClass.AMBIGUOUS) is AnswerClass.AMBIGUOUS
    for pair in itertools.product(AnswerClass, repeat=2):
        assert of(*pair) is of(*reversed(pair))


# -- already known ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [True, False])
def test_already_known_is_verified_by_hash(there: bool) -> None:
    """Frontier says it also of bytes that it has banned for a while, and does not have."""

    async def main() -> None:
        def answer(body: Any) -> Any:
            if body["method"] == "eth_getTransactionByHash":
                return good(body, {"hash": body["params"][0]} if there else None)
            return bad(body, -32000, "already known")

        async with client(answer) as (rpc, node):
            said = await rpc.send_raw(RAW)
            assert said.answer_class is (AnswerClass.KNOWN if there else AnswerClass.AMBIGUOUS)
            assert there or "banned" in said.text
            assert node.methods() == ["eth_sendRawTransaction", "eth_getTransactionByHash"]

    asyncio.run(main())


def test_already_known_is_believed_where_nobody_can_be_asked() -> None:
    async def main() -> None:
        def answer(body: Any) -> Any:
            return bad(body, -32000, "already known") if has(body, "eth_sendRawTransaction") else page(502)

        async with client(answer) as (rpc, _):
            assert (await rpc.send_raw(RAW)).answer_class is AnswerClass.KNOWN

    asyncio.run(main())


# -- the private one --------------------------------------------------------------------------------------


def test_the_private_endpoint_alone_gets_what_is_sent() -> None:
    async def main() -> None:
        async with (
            Node(take) as private,
            client(take, private_url=private.url, chain_id=1287) as (rpc, public),
        ):
            assert (await rpc.send_raw(RAW)).endpoint == private.url
            assert await rpc.request("echo", (1,)) == 1
            assert private.methods() == ["eth_chainId", "eth_sendRawTransaction"]
            assert sends(public) == 0
            assert rpc.send_trouble() == ""

    asyncio.run(main())


@pytest.mark.parametrize("how", ["away", "502", "429", "refuses"])
def test_nothing_goes_to_the_public_ones_when_the_private_one_is_in_trouble(how: str) -> None:
    async def main() -> None:
        answers = {"502": lambda body: page(502), "429": lambda body: page(429), "refuses": refuse(REVERTED)}
        async with Node(answers.get(how, take)) as private:
            url = private.url
            if how == "away":
                await private._runner.cleanup()
            async with client(take, private_url=url, timeout=0.3) as (rpc, public):
                said = await rpc.send_raw(RAW)
                assert said.kind in ("ambiguous", "rejected")
                assert sends(public) == 0
                assert said.endpoint == url

    asyncio.run(main())


def test_trouble_of_the_private_endpoint_is_told_until_it_has_passed() -> None:
    async def main() -> None:
        clock, well = Clock(), False

        def moody(body: Any) -> Any:
            return take(body) if well else page(503)

        async with (
            Node(moody) as private,
            client(take, private_url=private.url, clock=clock) as (rpc, public),
        ):
            with pytest.raises(RpcUnreachable, match="503") as caught:
                await rpc.check_private()
            assert "PRIVATE_RPC_URL" in caught.value.hint
            assert "PRIVATE_RPC_URL" in rpc.send_trouble()
            assert "503" in rpc.send_trouble()
            well = True
            clock.now += 31
            await until(lambda: not rpc.send_trouble())
            assert (await rpc.send_raw(RAW)).kind == "accepted"
            assert public.bodies == []

    asyncio.run(main())


def test_a_private_endpoint_of_another_chain_is_sent_nothing() -> None:
    async def main() -> None:
        async with (
            Node(lambda body: good(body, "0x1")) as private,
            client(take, private_url=private.url, chain_id=1287) as (rpc, public),
        ):
            for attempt in (rpc.check_private(), rpc.send_raw(RAW)):
                with pytest.raises(ConfigError) as caught:
                    await attempt
                assert caught.value.exit_code is ExitCode.CONFIG
            assert "chain 1," in rpc.send_trouble()
            assert private.methods() == ["eth_chainId"]
            assert sends(public) == 0
            assert await rpc.request("echo", (1,)) == 1  # reading is another matter

    asyncio.run(main())


def test_the_key_of_a_private_endpoint_is_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        url = "http://127.0.0.1:1/v2/0123456789abcdef0123"
        async with Node(take) as node, Rpc([node.url], chain_id=1287, private_url=url) as rpc:
            texts = [(await rpc.send_raw(RAW)).text, rpc.send_trouble()]
            with pytest.raises(RpcUnreachable) as caught:
                await rpc.check_private()
            texts += [str(caught.value), caught.value.hint, caplog.text]
            assert "0123456789abcdef0123" not in "".join(texts)
            assert all("127.0.0.1:1" in text or "refused" in text for text in texts[:3])

    asyncio.run(main())
