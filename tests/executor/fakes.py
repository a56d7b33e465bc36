"""A chain that is only a table: what an endpoint answers to each read, and what was offered to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autometa_cli.addresses import checksum
from autometa_cli.chain.blocks import Block
from autometa_cli.chain.fees import FeeQuote
from autometa_cli.chain.sendanswers import AnswerClass, SendAnswer
from autometa_cli.chain.view import View
from autometa_cli.executor.head import Counts, Head
from autometa_cli.secrets import Signer

CHAIN = 1287
EXECUTOR = checksum("0x" + "ee" * 20)
KEY = Signer(bytes(31) + b"\x07", chain_id=CHAIN)
FEES = FeeQuote(base_fee=100, priority_fee=10, max_fee=210)

NO_COUNTS = Counts(0, 0, 0)


class FakeEndpoint:
    """Answers by method; an exception as answer is raised."""

    name = "http://fake"

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    async def request(self, method: str, params: Sequence[Any] = (), **_: Any) -> Any:
        answer = self.answers[method]
        found = answer(params) if callable(answer) else answer
        if isinstance(found, Exception):
            raise found
        return found


class FakeRpc:
    """Takes whatever is offered, and says what it is told to say."""

    def __init__(self, answer: AnswerClass = AnswerClass.ACCEPTED) -> None:
        self.answer = answer
        self.offered: list[bytes] = []

    async def send_raw(self, raw: bytes) -> SendAnswer:
        self.offered.append(raw)
        return SendAnswer.of(self.answer, self.answer.value, "http://fake")


def block(number: int, timestamp: int = 1_700_000_000) -> Block:
    """An empty one."""
    return Block(number, "0x" + f"{number:064x}", timestamp, 100, 60_000_000, ())


def head(
    number: int = 100,
    final: int | None = None,
    *,
    executor_balance: int = 10**18,
    permitted: bool = True,
    counts: Counts = NO_COUNTS,
    now: int = 1_700_000_000,
    **answers: Any,
) -> Head:
    """A Head whose reads are answered from the table."""
    view = View(FakeEndpoint(**answers), block(number, now), lambda *_: None)  # type: ignore[arg-type]
    return Head(
        view=view,
        final=view.pinned(block(number if final is None else final, now)),
        now=now,
        skew=0,
        counts=counts,
        sender_balance=10**18,
        executor_balance=executor_balance,
        permitted=permitted,
        fees=FEES,
        too_dear="",
    )
