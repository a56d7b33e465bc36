"""One JSON-RPC endpoint: coalesced reads, sends that are never repeated, the chain id checked on every connect."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from eth_hash.auto import keccak

from autometa_cli.chain.answers import Scrubber, error_parts, is_oversize
from autometa_cli.chain.batching import Call, Lane
from autometa_cli.chain.bucket import TokenBucket
from autometa_cli.chain.chaincheck import ChainCheck
from autometa_cli.chain.errorrate import ErrorRate
from autometa_cli.chain.exchange import exchange
from autometa_cli.chain.faults import EndpointDown, RpcFault, WrongChain
from autometa_cli.chain.sendanswers import AnswerClass, SendAnswer, classify, is_rate_limit
from autometa_cli.chain.transport import Transport, TransportFailure
from autometa_cli.errors import ConfigError
from autometa_cli.secrets import redact_url

#: Exchanges under way at the same time, for each endpoint and sort of call.
READS_IN_FLIGHT = 8
SENDS_IN_FLIGHT = 4

_log = logging.getLogger(__name__)
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class Endpoint:
    """One URL.

    Args:
        url: http or https; may hold a key, which is never shown.
        chain_id: the chain that it must serve; None to take any.
        timeout: seconds for one exchange; a call may wait as long again for its turn where the endpoint is
            saturated.
        batch_size: the most calls in one JSON-RPC batch.
        rate: calls a second that it may be asked, a batch counting as its calls; None: as many as there are.
        clock: monotonic seconds, for `rate` and for `errors`.

    Attributes:
        name: the redacted URL.
        batch_size: the most calls in one batch at present: it halves when the server refuses one.
        check: of its chain id.
        errors: how often it failed lately.
    """

    def __init__(
        self,
        url: str,
        *,
        chain_id: int | None = None,
        timeout: float = 10.0,
        batch_size: int = 100,
        rate: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise ConfigError("an RPC URL must begin with http:// or https://", "see RPC_URLS")
        self.name = redact_url(url)
        self.check = ChainCheck(self.name, chain_id, self._chain_id)
        self.transport = Transport(url, timeout=timeout, connected=self.check.doubt)
        self.errors = ErrorRate(clock)
        self.timeout = timeout
        self.batch_size = batch_size
        self._scrub = Scrubber(url)
        self._ids = itertools.count(1)
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._retrying: set[asyncio.Task[None]] = set()
        # Sends are batched only where a batch of reads has been answered: a refused batch of sends would
        # leave every member ambiguous.
        self._batches_work = False
        bucket = TokenBucket(rate, clock) if rate else None
        self._reads = Lane(
            self._read,
            self._give_up,
            limit=READS_IN_FLIGHT,
            size=lambda: self.batch_size,
            patience=timeout,
            bucket=bucket,
        )
        self._sends = Lane(
            self._send,
            self._give_up,
            limit=SENDS_IN_FLIGHT,
            size=lambda: self.batch_size if self._batches_work else 1,
            patience=timeout,
            bucket=bucket,
        )

    def __repr__(self) -> str:
        return f"Endpoint({self.name})"

    async def request(
        self, method: str, params: Sequence[Any] = (), *, patient: bool = False, urgent: bool = False
    ) -> Any:
        """The result of one read.

        Args:
            method, params: of the call; `params` must be JSON.
            patient: where the server is asked too often, wait and ask again rather than raise; for as long as
                it answers anything at all, and `timeout` more.
            urgent: goes before all calls that wait for their turn.

        Raises:
            RpcFault: the node answered with an error.
            EndpointDown: no usable answer (an RpcUnreachable).
            WrongChain: it serves another chain (a ConfigError).
            TypeError: `params` are not JSON.
        """
        await self.check.run()
        return await self._put(self._reads, method, params, patient=patient, urgent=urgent)

    async def send(self, raw: bytes, *, patient: bool = False) -> SendAnswer:
        """Offer signed bytes, once. Raises only WrongChain and EndpointDown, and only before it left.

        Args:
            patient: as for a read. What a server is asked too often for it did not take.
        """
        await self.check.run()
        params = ("0x" + raw.hex(),)
        call = self._put(self._sends, "eth_sendRawTransaction", params, raw=raw, patient=patient)
        answer: SendAnswer = await call
        return answer

    async def close(self) -> None:
        """Give up what is under way (sends: ambiguous) and close the connections."""
        self._closed = True
        await self._reads.close()
        await self._sends.close()
        await self.check.end()
        await asyncio.gather(*self._retrying)
        await self.transport.disconnect()

    def _put(
        self, lane: Lane, method: str, params: Sequence[Any], *, raw: bytes = b"", patient: bool, urgent: bool = False
    ) -> asyncio.Future[Any]:  # fmt: skip
        if self._closed:
            raise EndpointDown(self.name, "the client was closed")
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._loop is not None:
                raise RuntimeError("an RPC client belongs to the event loop in which it was first used")
            self._loop = loop
        number = next(self._ids)
        body = f'{{"jsonrpc":"2.0","id":{number},"method":"{method}","params":{_encode(params)}}}'
        call = Call(number, body, loop.create_future(), loop.time(), raw, patient)
        lane.put(call, urgent=urgent)
        return call.future

    async def _chain_id(self) -> Any:
        return await self._put(self._reads, "eth_chainId", (), patient=True, urgent=True)

    # Exchanges. None of these raises: each call gets its result or its error.

    async def _read(self, calls: list[Call]) -> None:
        try:
            answers = await exchange(self.transport, self.errors, calls)
        except TransportFailure as failure:
            self._read_failed(calls, failure)
            return
        if len(calls) > 1 and answers:
            self._batches_work = True
        again: list[Call] = []
        busy: list[Call] = []
        for call in calls:
            answer = answers.get(call.id)
            if answer is None:
                self._down(call, "the answer to one call of a batch is missing or malformed")
            elif answer.get("error") is None:
                call.finish(answer["result"])
            else:
                code, text, data = error_parts(answer)
                if len(calls) > 1 and is_oversize(code, text):
                    again.append(call)
                elif is_rate_limit(code, text):
                    busy.append(call)
                    reason = f"too many requests: {text}"
                else:
                    call.fail(RpcFault(code, self._scrub.clean(text), self._scrub.data(data), self.name))
        if len(busy) < len(calls):
            self._reads.succeeded(len(calls) - len(busy))
        if again:
            self._shrink(len(calls))
            self._reads.again(again)
        if busy:
            self._busy(busy, reason)

    def _read_failed(self, calls: list[Call], failure: TransportFailure) -> None:
        self._doubt(failure)
        if failure.refused:
            self._shrink(len(calls))
            self._reads.again(calls)
            return
        if failure.busy:
            self._busy(calls, failure.text, failure.retry_after)
            return
        again = []
        for call in calls:
            # The server closed a connection that had been idle: once more, on a new one.
            if failure.disconnected and not call.tried:
                call.tried = True
                again.append(call)
            else:
                self._down(call, failure.text, failure.retry_after)
        if again and not self.check.passed and not self.check.asking:
            task = asyncio.create_task(self._read_again(again))
            self._retrying.add(task)
            task.add_done_callback(self._retrying.discard)
        else:
            self._reads.again(again)

    async def _read_again(self, calls: list[Call]) -> None:
        """Repeat what was asked of a server that closed the connection, if its successor serves our chain."""
        try:
            await self.check.run()
        except (EndpointDown, WrongChain) as error:
            for call in calls:
                call.fail(error)
        else:
            for call in calls:
                self._reads.put(call)

    def _busy(self, calls: list[Call], reason: str, retry_after: float | None = None) -> None:
        impatient = [call for call in calls if not call.patient]
        patient = [call for call in calls if call.patient]
        if patient:
            impatient += self._reads.throttled(patient, reason, retry_after)
        for call in impatient:
            self._down(call, reason, retry_after)

    async def _send(self, calls: list[Call]) -> None:
        try:
            answers = await exchange(self.transport, self.errors, calls)
        except TransportFailure as failure:
            self._doubt(failure)
            self._batches_work = self._batches_work and not failure.refused
            busy = SendAnswer.of(AnswerClass.RATE, self._scrub.clean(failure.text), self.name)
            for call in calls:
                if failure.busy:
                    self._send_refused(call, busy, failure.retry_after)
                else:
                    self._give_up(call, failure.text)
            return
        refused = 0
        for call in calls:
            answer = answers.get(call.id)
            if answer is None:
                self._give_up(call, "the answer is missing or malformed")
                continue
            said = self._send_answer(call.raw, answer)
            if said.answer_class is AnswerClass.RATE:
                refused += 1
                self._send_refused(call, said)
            else:
                call.finish(said)
        if refused < len(calls):
            self._sends.succeeded(len(calls) - refused)

    def _send_refused(self, call: Call, said: SendAnswer, retry_after: float | None = None) -> None:
        """The server did not look at it, being asked too often."""
        if not call.patient or self._sends.throttled([call], said.text, retry_after):
            call.finish(said)

    def _send_answer(self, raw: bytes, answer: dict[str, Any]) -> SendAnswer:
        if answer.get("error") is not None:
            code, text, data = error_parts(answer)
            answer_class = classify(code, text, data)
            return SendAnswer.of(answer_class, self._scrub.clean(text), self.name, code)
        result = answer["result"]
        if isinstance(result, str) and result.lower() == "0x" + keccak(raw).hex():
            return SendAnswer.of(AnswerClass.ACCEPTED, result, self.name)
        return SendAnswer.of(AnswerClass.AMBIGUOUS, "it answered with another hash", self.name)

    def _doubt(self, failure: TransportFailure) -> None:
        if failure.unconnected or failure.disconnected:
            self.check.doubt()

    def _shrink(self, refused: int) -> None:
        smaller = max(1, refused // 2)
        if smaller < self.batch_size:
            self.batch_size = smaller
            _log.info("RPC endpoint %s refused %d calls at once; now %d", self.name, refused, smaller)

    def _give_up(self, call: Call, reason: str) -> None:
        if call.raw:
            call.finish(SendAnswer.of(AnswerClass.AMBIGUOUS, self._scrub.clean(reason), self.name))
        else:
            self._down(call, reason)

    def _down(self, call: Call, reason: str, retry_after: float | None = None) -> None:
        call.fail(EndpointDown(self.name, self._scrub.clean(reason), retry_after))
