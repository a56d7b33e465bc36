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
    # Frontier (Moonbeam): everything that its pool_error can say.
    ("KNOWN", -32603, "already known"),  # AlreadyImported, and TemporarilyBanned: verified by hash
    ("REPLACE_UNDERPRICED", -32603, "replacement transaction underpriced"),
    ("NONCE_LOW", -32603, "nonce too low"),
    ("FUNDS", -32603, "insufficient funds for gas * price + value"),
    ("PERMANENT", -32603, "exceeds block gas limit"),
    ("PERMANENT", -32603, "invalid chain id"),
    ("PERMANENT", -32603, "invalid sender"),
    ("PERMANENT", -32603, "intrinsic gas too low"),
    ("UNDERPRICED", -32603, "gas price less than block base fee"),
    ("PERMANENT", -32603, "max priority fee per gas higher than max fee per gas"),
    ("PERMANENT", -32603, "invalid fee input"),
    ("POOL_FULL", -32603, "submit transaction to pool failed: Ok(ImmediatelyDropped)"),
    ("NONCE_HIGH", -32603, "submit transaction to pool failed: Ok(RejectedFutureTransaction)"),
    ("POOL_FULL", -32603, "submit transaction to pool failed: Ok(UnknownTransaction(CannotLookup))"),
    ("POOL_FULL", -32603, "submit transaction to pool failed: Ok(CycleDetected)"),
    # anvil
    ("PERMANENT", -32602, "Failed to decode signed transaction"),
    ("PERMANENT", -32003, "Transaction gas limit is greater than the block gas limit, gas_limit: 3, cap: 2"),
    ("PERMANENT", -32602, "Invalid input: `max_priority_fee_per_gas` greater than `max_fee_per_gas`"),
    ("PERMANENT", -32003, "Incompatible EIP-155 transaction, signed for another chain"),
    ("PERMANENT", -32003, "nonce has max value"),
    ("KNOWN", -32003, "Tx: [0x12] already Imported"),
    ("REPLACE_UNDERPRICED", -32003, "Tx: [0x12] insufficient gas price to replace existing transaction"),
    ("NONCE_HIGH", -32003, "Nonce too high"),
    ("FUNDS", -32003, "insufficient funds for transfer"),
    # geth
    ("PERMANENT", -32000, "transaction gas limit too high (cap: 16777216, tx: 20000000)"),
    ("PERMANENT", -32000, "only replay-protected (EIP-155) transactions allowed over RPC"),
    ("POOL_FULL", -32000, "in-flight transaction limit reached for delegated accounts"),
    ("NONCE_HIGH", -32000, "gapped-nonce tx from delegated accounts"),
    # Whether these bytes could be mined elsewhere, nobody can tell from it: a cap of this node's own.
    ("AMBIGUOUS", -32000, "tx fee (1.20 ether) exceeds the configured cap (1.00 ether)"),
    ("AMBIGUOUS", -32000, "address already reserved"),
    # reth, Erigon, Nethermind, Besu
    ("PERMANENT", -32003, "transaction's gas limit 3 exceeds block's gas limit 2"),
    ("KNOWN", -32010, "AlreadyKnown"),
    ("KNOWN", -32000, "already in mempool"),
    ("NONCE_HIGH", -32010, "NonceGap"),
    ("REPLACE_UNDERPRICED", -32000, "could not replace existing tx"),
    ("UNDERPRICED", -32010, "FeeTooLow, EffectivePriorityFeePerGas too low 1 < 2"),
    ("FUNDS", -32010, "InsufficientFunds, Balance is 0 less than sending value + gas 5"),
    ("FUNDS", -32004, "Upfront cost exceeds account balance"),
    ("FUNDS", -32000, "sender doesn't have enough funds to send tx. The upfront cost is: 1"),
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
