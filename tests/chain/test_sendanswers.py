"""The table of what nodes say to a send."""

from __future__ import annotations

import pytest

from autometa_cli.chain.sendanswers import AnswerClass, classify, is_rate_limit

# As geth, Frontier (client/rpc/src/eth/format.rs), anvil, Erigon, Besu and gateways write them.
TABLE = [
    ("PERMANENT", 3, "execution reverted: nonce too low"),
    ("PERMANENT", -32000, "intrinsic gas too low"),
    ("PERMANENT", -32000, "intrinsic gas too high -- tx.gas_limit > env.block.gas_limit"),
    ("PERMANENT", -32000, "exceeds block gas limit"),
    ("PERMANENT", -32603, "exceeds transaction gas limit cap"),
    ("PERMANENT", -32000, "invalid sender"),
    ("PERMANENT", -32000, "invalid chain id for signer: have 1 want 1287"),
    ("PERMANENT", -32000, "max priority fee per gas higher than max fee per gas: address 0x1, tip 2, cap 1"),
    ("PERMANENT", -32000, "oversized data: transaction size 200000, limit 131072"),
    ("PERMANENT", -32602, "Failed to decode transaction"),
    ("KNOWN", -32000, "already known"),
    ("KNOWN", -32603, "submit transaction to pool failed: Pool(AlreadyImported(0x12))"),
    ("KNOWN", -32003, "transaction already imported"),
    ("KNOWN", -32000, "Known transaction"),
    ("KNOWN", -32000, "known transaction: 0x1234"),
    ("NONCE_LOW", -32000, "nonce too low: next nonce 5, tx nonce 4"),
    ("NONCE_LOW", -32603, "submit transaction to pool failed: Pool(Stale)"),
    ("NONCE_LOW", -32000, "OldNonce"),
    ("NONCE_HIGH", -32000, "nonce too high"),
    ("NONCE_HIGH", -32000, "transaction nonce is too far in the future"),
    ("REPLACE_UNDERPRICED", -32000, "replacement transaction underpriced"),
    ("REPLACE_UNDERPRICED", -32000, "replacement fee too low"),
    (
        "REPLACE_UNDERPRICED",
        -32603,
        "submit transaction to pool failed: Pool(TooLowPriority { old: 1, new: 1 })",
    ),
    ("UNDERPRICED", -32000, "transaction underpriced: tip needed 1, tip permitted 0"),
    ("UNDERPRICED", -32000, "gas price less than block base fee"),
    ("UNDERPRICED", -32003, "max fee per gas less than block base fee"),
    ("FUNDS", -32000, "insufficient funds for gas * price + value: balance 0, tx cost 1, overshot 1"),
    ("FUNDS", -32003, "Insufficient funds for gas * price + value"),
    ("FUNDS", -32603, "InvalidTransaction(BalanceLow)"),
    ("POOL_FULL", -32603, "submit transaction to pool failed: Ok(ImmediatelyDropped)"),
    ("POOL_FULL", -32000, "txpool is full"),
    ("RATE", -32005, "limit exceeded"),
    ("RATE", -32029, "slow down"),
    ("RATE", -32000, "Too Many Requests"),
    ("RATE", 429, "your plan's rate limit is reached"),
    ("AMBIGUOUS", -32603, "unknown error"),
    ("AMBIGUOUS", -32603, "transaction validation error"),
    ("AMBIGUOUS", -32000, "unknown transaction"),
    ("AMBIGUOUS", -32603, "Internal error"),
    ("AMBIGUOUS", -32601, "Method not found"),
    ("AMBIGUOUS", 0, ""),
]


@pytest.mark.parametrize(("name", "code", "message"), TABLE)
def test_known_texts(name: str, code: int, message: str) -> None:
    assert classify(code, message) is AnswerClass[name]
    assert classify(code, message.upper()) is AnswerClass[name]


def test_the_reason_may_stand_in_the_data() -> None:
    assert classify(-32000, "Invalid Transaction", "nonce too low") is AnswerClass.NONCE_LOW
    assert classify(-32000, "Invalid Transaction", {"nonce": "too low"}) is AnswerClass.AMBIGUOUS


def test_kinds() -> None:
    kinds = {answer_class: answer_class.kind for answer_class in AnswerClass}
    assert kinds.pop(AnswerClass.ACCEPTED) == "accepted"
    assert kinds.pop(AnswerClass.KNOWN) == "known"
    assert kinds.pop(AnswerClass.AMBIGUOUS) == "ambiguous"
    assert set(kinds.values()) == {"rejected"}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (-32005, "query returned more than 10000 results"),
        (-32005, "block range is too wide"),
        (-32000, "reverted"),
    ],
)
def test_an_answer_that_would_be_too_large_is_no_rate_limit(code: int, message: str) -> None:
    assert not is_rate_limit(code, message)
