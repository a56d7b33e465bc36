"""Where signed bytes go: to one endpoint, to all of them, or to a private one and nowhere else.

Whatever is answered counts as sent. Nobody is offered the same bytes twice here, except where a server said that it did
not look at them, being asked too often.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from eth_hash.auto import keccak

from autometa_cli.chain.endpoint import Endpoint
from autometa_cli.chain.faults import EndpointDown, RpcFault, WrongChain
from autometa_cli.chain.roster import Roster
from autometa_cli.chain.sendanswers import AnswerClass, SendAnswer, combined
from autometa_cli.errors import ConfigError, RpcUnreachable

Result = TypeVar("Result")

#: After these the same bytes go to the next endpoint: this one did not look, or does not want them, ever.
_ELSEWHERE = frozenset({AnswerClass.RATE, AnswerClass.PERMANENT})


class Broadcast:
    """Offers signed bytes.

    Args:
        public: the endpoints that are read from.
        private: one endpoint that alone gets what is sent (PRIVATE_RPC_URL); None where there is none.
        everywhere: offer to every endpoint that is not resting (BROADCAST_ALL).
    """

    def __init__(self, public: Roster, private: Roster | None, *, everywhere: bool) -> None:
        self._roster = private or public
        self._private = private
        self._everywhere = everywhere and private is None
        self._under_way: set[asyncio.Task[Any]] = set()

    async def send(self, raw: bytes) -> SendAnswer:
        """Offer bytes; trouble on the way is an answer too. Raises ConfigError where all serve another chain."""
        answers, trouble = await (self._to_all(raw) if self._everywhere else self._in_turn(raw))
        if not answers and not trouble and self._everywhere:
            # All that are awake turned out to serve another chain: those that rest are left.
            answers, trouble = await self._in_turn(raw)
        if answers:
            return combined(answers)
        nobody = self._roster.nobody(trouble)
        if isinstance(nobody, ConfigError):
            raise nobody
        text = nobody.message
        if self._private is not None:
            text = (
                f"not sent, PRIVATE_RPC_URL gives no answer, and nothing goes elsewhere: {trouble[-1].reason}"
            )
        return SendAnswer.of(AnswerClass.AMBIGUOUS, text, trouble[-1].endpoint)

    async def check_private(self) -> None:
        """Ask the private endpoint, where there is one, for its chain id. Raises RpcUnreachable, WrongChain."""
        if self._private is None:
            return
        (endpoint,) = self._private.endpoints
        try:
            await endpoint.request("eth_chainId")
        except EndpointDown as error:
            self._private.down(endpoint, error)
            raise self._private.nobody([error]) from None
        except WrongChain as error:
            self._private.set_aside(endpoint, error)
            raise
        self._private.up(endpoint)

    def trouble(self) -> str:
        """Why nothing can be sent at present, or "". Looks, in the background, whether that has passed."""
        if self._private is None:
            return ""
        (endpoint,) = self._private.endpoints
        health = self._private.of(endpoint)
        if health.wrong is not None:
            return f"PRIVATE_RPC_URL: {health.wrong.message}"
        if not health.failures:
            return ""
        if self._private.awake() and not self._under_way:
            self._start(self._look())
        return f"PRIVATE_RPC_URL ({endpoint.name}): {health.last_error}; nothing is sent through the public endpoints"

    async def close(self) -> None:
        """Wait for what is still under way; the endpoints are closed already, so that is answered at once."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _in_turn(self, raw: bytes) -> tuple[list[SendAnswer], list[EndpointDown]]:
        answers: list[SendAnswer] = []
        trouble: list[EndpointDown] = []
        endpoints = self._roster.order()
        for endpoint in endpoints:
            if answers and endpoint not in self._roster.awake():
                break  # has been refused already: nobody who rests is woken for that
            said = await self._offer(endpoint, raw, patient=endpoint is endpoints[-1])
            if isinstance(said, EndpointDown):
                trouble.append(said)
            elif said is not None:
                answers.append(said)
                if said.answer_class not in _ELSEWHERE:
                    break
        return answers, trouble

    async def _to_all(self, raw: bytes) -> tuple[list[SendAnswer], list[EndpointDown]]:
        """The first that accepts is answer enough; the others are offered the bytes all the same."""
        answers: list[SendAnswer] = []
        trouble: list[EndpointDown] = []
        endpoints = self._roster.awake() or self._roster.order()
        waiting = {
            self._start(self._offer(endpoint, raw, patient=len(endpoints) == 1)) for endpoint in endpoints
        }
        while waiting and not any(answer.answer_class is AnswerClass.ACCEPTED for answer in answers):
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                said = task.result()
                if isinstance(said, EndpointDown):
                    trouble.append(said)
                elif said is not None:
                    answers.append(said)
        return answers, trouble

    async def _offer(
        self, endpoint: Endpoint, raw: bytes, *, patient: bool
    ) -> SendAnswer | EndpointDown | None:
        """What one endpoint said; EndpointDown where nothing left, None where it serves another chain."""
        roster = self._roster
        try:
            answer = await endpoint.send(raw, patient=patient)
        except EndpointDown as error:  # its chain id could not be asked, so nothing has left yet
            roster.down(endpoint, error)
            return error
        except WrongChain as error:
            roster.set_aside(endpoint, error)
            return None
        unanswered = answer.answer_class is AnswerClass.AMBIGUOUS and answer.code is None
        if unanswered or answer.answer_class is AnswerClass.RATE:
            roster.down(endpoint, EndpointDown(endpoint.name, answer.text))
        else:
            roster.up(endpoint)
        return await self._known(endpoint, raw, answer) if answer.kind == "known" else answer

    async def _known(self, endpoint: Endpoint, raw: bytes, answer: SendAnswer) -> SendAnswer:
        # Frontier says "already known" also of bytes that it has banned for a while, and does not have.
        try:
            found = await endpoint.request("eth_getTransactionByHash", ("0x" + keccak(raw).hex(),))
        except (EndpointDown, WrongChain, RpcFault):
            return answer
        if found is not None:
            return answer
        text = f"it says {answer.text!r}, but does not have the transaction; banned for a while?"
        return SendAnswer.of(AnswerClass.AMBIGUOUS, text, answer.endpoint, answer.code)

    async def _look(self) -> None:
        with suppress(RpcUnreachable, ConfigError, RpcFault):  # `trouble` tells what it found
            await self.check_private()

    def _start(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task
