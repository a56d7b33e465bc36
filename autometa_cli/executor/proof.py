"""What may be believed. Bytes from the ledger and receipts from an endpoint are compared with the record first (H8)."""

from __future__ import annotations

from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from autometa_cli.chain import reverts
from autometa_cli.chain.blocks import Receipt
from autometa_cli.chain.contracts import executed_events
from autometa_cli.chain.interfaces import interface
from autometa_cli.executor.reasons import OPERATOR, REFUSED
from autometa_cli.executor.ruling import Ruling
from autometa_cli.jobs.record import Attempt, Record


class Tampered(ValueError):
    """Bytes in the ledger are not what the record says. They are never sent and prove nothing."""


def verify_bytes(record: Record, attempt: Attempt) -> None:
    """Compare an attempt's bytes with its record.

    Raises:
        Tampered: sender, chain id, nonce, fees, target, selector or workflow id differ, or it is no such transaction.
    """
    try:
        raw = HexBytes(attempt.raw)
        fields = TypedTransaction.from_bytes(raw).as_dict()
        sender = str(Account.recover_transaction(raw))
    except Exception as error:  # whatever a decoder says of arbitrary bytes
        raise Tampered(f"not a signed transaction: {type(error).__name__}") from None
    target = "0x" + bytes(fields["to"]).hex()
    data = bytes(fields["data"])
    checks = {
        "sender": sender.lower() == record.sender.lower(),
        "chain id": fields["chainId"] == record.chain,
        "nonce": fields["nonce"] == record.nonce,
        "type": fields["type"] == 2,
        "value": fields["value"] == 0,
        "hash": "0x" + keccak_hex(attempt.raw) == attempt.hash,
        # What is raised is what the ledger says, and what that says the key pays.
        "fees": (fields["maxFeePerGas"], fields["maxPriorityFeePerGas"])
        == (attempt.max_fee, attempt.priority_fee),
    }
    if attempt.what == "cancel":
        checks["target"] = target == record.sender.lower() and not data
    else:
        function = interface("ActionExecutor").functions["executeWorkflow"]
        checks["target"] = target == record.executor.lower()
        checks["selector"] = data[:4] == function.selector
        checks["workflow id"] = int.from_bytes(data[4:36], "big") == record.workflow
    wrong = [name for name, right in checks.items() if not right]
    if wrong:
        raise Tampered(f"the bytes' {', '.join(wrong)} is not the record's")


def keccak_hex(data: bytes) -> str:
    """Keccak-256 as 64 hex digits."""
    from eth_hash.auto import keccak

    return keccak(data).hex()


def rule(record: Record, attempt: Attempt, receipt: Receipt) -> Ruling:
    """What a receipt means. The caller has checked that its block is canonical and final.

    Raises:
        Tampered: the receipt is not that of this attempt.
    """
    target = record.sender if attempt.what == "cancel" else record.executor
    if (
        receipt.hash.lower() != attempt.hash.lower()
        or receipt.sender.lower() != record.sender.lower()
        or (receipt.to or "").lower() != target.lower()
    ):
        raise Tampered("the receipt is not this transaction's")
    fee = receipt.fee_paid
    if attempt.what == "cancel":
        if record.reason == REFUSED and not record.unwanted:
            return Ruling(
                "refused", receipt.hash, "no endpoint took it; its nonce was used up by a self-transfer", fee
            )
        why = "a person cancelled it (tx cancel)" if record.reason == OPERATOR else record.reason
        return Ruling("cancelled", receipt.hash, why or "cancelled", fee)
    if receipt.status != 1:
        return Ruling("reverted", receipt.hash, "the transaction was mined and reverted", fee)
    events = [e for e in executed_events(receipt, record.executor) if e.workflow == record.workflow]
    if not events:
        raise Tampered("status 1 without WorkflowExecuted: this is not the executor contract that we know")
    if events[-1].success:
        return Ruling("executed", receipt.hash, "", fee)
    why = reverts.explain(events[-1].result or None, "no reason given").text
    return Ruling("action_failed", receipt.hash, f"the action failed: {why}", fee)
