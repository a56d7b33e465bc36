"""What a node's answer to `eth_sendRawTransaction` means.

Nodes give no stable codes, so the texts of geth, Frontier (Moonbeam), anvil and the common gateways are
matched. The first match wins; a text that is not in the table is AMBIGUOUS, which counts as *sent*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

Kind = Literal["accepted", "known", "rejected", "ambiguous"]


class AnswerClass(Enum):
    """Why a node took the bytes, or did not."""

    #: The node answered with the transaction's own hash.
    ACCEPTED = "accepted"
    #: These bytes can never be mined, whatever the chain's state. The only class after which a nonce may
    #: be given back, and only when no endpoint answered otherwise before.
    PERMANENT = "permanent"
    #: The node has them already. Frontier says the same of bytes that it has banned for a while.
    KNOWN = "known"
    #: The account's count is past this nonce: mined already, by us or by somebody else.
    NONCE_LOW = "nonce too low"
    #: A lower nonce is missing.
    NONCE_HIGH = "nonce too high"
    #: Another transaction holds this nonce in the pool, and these bytes do not pay enough to replace it.
    REPLACE_UNDERPRICED = "replacement underpriced"
    #: The fee is below what the next block asks for.
    UNDERPRICED = "underpriced"
    #: The sender cannot pay gas limit x max fee + value.
    FUNDS = "insufficient funds"
    #: The pool did not take it; the same bytes may be taken later.
    POOL_FULL = "pool full"
    #: Too many requests; the same bytes at another endpoint.
    RATE = "rate limit"
    #: No usable answer, or a text that nobody knows: may have been sent.
    AMBIGUOUS = "ambiguous"

    @property
    def kind(self) -> Kind:
        """The coarse view: taken, there already, refused by this node, or unknown."""
        match self:
            case AnswerClass.ACCEPTED:
                return "accepted"
            case AnswerClass.KNOWN:
                return "known"
            case AnswerClass.AMBIGUOUS:
                return "ambiguous"
            case _:
                return "rejected"


# Lower case. PERMANENT stands first: a revert string may quote any of the others
# ("execution reverted: nonce too low").
_TEXTS: tuple[tuple[AnswerClass, tuple[str, ...]], ...] = (
    (
        AnswerClass.PERMANENT,
        (
            "execution reverted",
            "intrinsic gas too low",
            "intrinsic gas too high",
            "exceeds block gas limit",
            "exceeds block's gas limit",
            "greater than the block gas limit",
            "exceeds transaction gas limit cap",
            "transaction gas limit too high",
            "invalid sender",
            "invalid signature",
            "invalid chain id",
            "signed for another chain",
            "max priority fee per gas higher than max fee",
            "`max_priority_fee_per_gas` greater than",
            "invalid fee input",
            "nonce has max value",
            "oversized data",
            "transaction type not supported",
            "failed to decode signed transaction",
            "failed to decode transaction",
            "decode transaction failed",
            "only replay-protected",
        ),
    ),
    (
        AnswerClass.KNOWN,
        (
            "already known",
            "alreadyknown",
            "already imported",
            "alreadyimported",
            "already in pool",
            "already in mempool",
        ),
    ),
    (
        AnswerClass.NONCE_LOW,
        ("nonce too low", "nonce is too low", "pool(stale)", "invalidtransaction::stale", "oldnonce"),
    ),
    (
        AnswerClass.NONCE_HIGH,
        (
            "nonce too high",
            "nonce is too high",
            "too far in the future",
            "rejectedfuturetransaction",
            "noncegap",
            "gapped-nonce",
        ),
    ),
    (
        AnswerClass.REPLACE_UNDERPRICED,
        (
            "replacement transaction underpriced",
            "replacement fee too low",
            "to replace existing transaction",
            "could not replace existing tx",
            "toolowpriority",
            "too low priority",
        ),
    ),
    (
        AnswerClass.UNDERPRICED,
        ("less than block base fee", "underpriced", "feetoolow", "fee too low", "gas price below"),
    ),
    (
        AnswerClass.FUNDS,
        (
            "insufficient funds",
            "insufficientfunds",
            "insufficient balance",
            "balancelow",
            "balance too low",
            "upfront cost exceeds account balance",
            "have enough funds to send tx",
        ),
    ),
    (
        AnswerClass.POOL_FULL,
        (
            "submit transaction to pool failed",
            "immediatelydropped",
            "pool is full",
            "pool full",
            "in-flight transaction limit reached",
        ),
    ),
)

#: Codes that gateways use for "too many requests"; -32009 is a busy Substrate node.
RATE_CODES = frozenset({-32005, -32009, -32029, 429})
_RATE_TEXTS = (
    "rate limit",
    "ratelimit",
    "rate-limit",
    "too many requests",
    "request limit",
    "requests per second",
    "compute units per second",
    "daily request count",
    "server is busy",
)
# The code -32005 is also used by gateways whose answer would be too large: that is an answer to the
# question, and asking elsewhere does not help.
_SIZE_TEXTS = ("results", "range", "logs", "response size")


def classify(code: int | None, message: str, data: Any = None) -> AnswerClass:
    """The class of a JSON-RPC error object that answered a send. Never raises."""
    text = f"{message} {data}".lower() if isinstance(data, str) else message.lower()
    for answer_class, patterns in _TEXTS:
        if any(pattern in text for pattern in patterns):
            return answer_class
    if "known transaction" in text and "unknown transaction" not in text:
        return AnswerClass.KNOWN
    return AnswerClass.RATE if is_rate_limit(code, message) else AnswerClass.AMBIGUOUS


def is_rate_limit(code: int | None, message: str) -> bool:
    """Whether a JSON-RPC error says "ask elsewhere, or later" rather than answering the question."""
    text = message.lower()
    if any(pattern in text for pattern in _RATE_TEXTS):
        return True
    return code in RATE_CODES and not any(pattern in text for pattern in _SIZE_TEXTS)


@dataclass(frozen=True, slots=True)
class SendAnswer:
    """What one endpoint said to one attempt to send.

    Attributes:
        kind: "accepted", "known", "rejected" (by this node, now) or "ambiguous" (counts as sent).
        code: the JSON-RPC error code, None where there was no error object.
        text: the node's own words, or what went wrong on the way; no secret in it.
        endpoint: the endpoint's redacted name.
        answer_class: the reason, finer than `kind`.
    """

    kind: Kind
    code: int | None
    text: str
    endpoint: str
    answer_class: AnswerClass

    @classmethod
    def of(cls, answer_class: AnswerClass, text: str, endpoint: str, code: int | None = None) -> SendAnswer:
        """An answer whose kind follows from its class."""
        return cls(answer_class.kind, code, text, endpoint, answer_class)


# What decides where several endpoints were offered the same bytes. Only where all of them refuse for good are the bytes
# refused for good: one that may have taken them counts for more than any number that did not (REVIEW H31).
_WEIGHT: tuple[AnswerClass, ...] = (
    AnswerClass.ACCEPTED,
    AnswerClass.KNOWN,
    AnswerClass.AMBIGUOUS,
    AnswerClass.NONCE_LOW,
    AnswerClass.REPLACE_UNDERPRICED,
    AnswerClass.NONCE_HIGH,
    AnswerClass.UNDERPRICED,
    AnswerClass.FUNDS,
    AnswerClass.POOL_FULL,
    AnswerClass.RATE,
    AnswerClass.PERMANENT,
)


def combined(answers: Sequence[SendAnswer]) -> SendAnswer:
    """What the answers of several endpoints (one at least) to the same bytes mean together."""
    decisive = min(answers, key=lambda answer: _WEIGHT.index(answer.answer_class))
    if len(answers) == 1 or decisive.answer_class is AnswerClass.ACCEPTED:
        return decisive
    text = "; ".join(f"{answer.endpoint}: {answer.text}" for answer in answers)
    return SendAnswer.of(decisive.answer_class, text, decisive.endpoint, decisive.code)
