"""Which bytes and receipts are believed: those whose every part is the record's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_abi import abi

from autometa_cli.addresses import checksum
from autometa_cli.chain.blocks import Log, Receipt
from autometa_cli.chain.interfaces import interface
from autometa_cli.executor.proof import Tampered, rule, verify_bytes
from autometa_cli.jobs.record import Attempt, Record, read_record
from autometa_cli.secrets import Signer
from tests.executor.fakes import CHAIN, EXECUTOR, KEY

EXECUTE = interface("ActionExecutor").functions["executeWorkflow"]
EVENT = interface("ActionExecutor").events["WorkflowExecuted"]
OTHER = checksum("0x" + "aa" * 20)
STRANGER = Signer(bytes(31) + b"\x08", chain_id=CHAIN)


def _record(**changes: Any) -> Record:
    record = read_record(
        "k",
        {
            b"kind": b"due", b"st": b"signed", b"chain": str(CHAIN).encode(), b"executor": EXECUTOR.lower().encode(),
            b"workflow": b"7", b"nextRun": b"100", b"sender": KEY.address.encode(), b"nonce": b"3",
        },
    )  # fmt: skip
    assert record is not None
    return replace(record, **changes)


def _fields(**changes: Any) -> dict[str, Any]:
    return {
        "type": 2, "chainId": CHAIN, "nonce": 3, "to": EXECUTOR, "value": 0, "gas": 100_000,
        "data": EXECUTE.encode(7, b"\x01", 200, KEY.address, 5), "maxFeePerGas": 9, "maxPriorityFeePerGas": 1,
        **changes,
    }  # fmt: skip


def _attempt(signer: Signer = KEY, what: str = "call", **changes: Any) -> Attempt:
    signed = signer.sign(_fields(**changes))
    return Attempt(signed.raw, signed.hash, what, 9, 1)


def test_the_records_own_bytes_are_believed() -> None:
    verify_bytes(_record(), _attempt())
    verify_bytes(_record(), _attempt(what="cancel", to=KEY.address, data=b""))


@pytest.mark.parametrize(
    ("wrong", "attempt"),
    [
        ("sender", _attempt(STRANGER)),
        ("nonce", _attempt(nonce=4)),
        ("value", _attempt(value=1)),
        ("target", _attempt(to=OTHER)),
        ("selector", _attempt(data=b"\x01\x02\x03\x04" + bytes(160))),
        ("selector", _attempt(data=b"")),
        ("workflow id", _attempt(data=EXECUTE.encode(8, b"\x01", 200, KEY.address, 5))),
        ("hash", replace(_attempt(), hash="0x" + "ab" * 32)),
        ("not a signed transaction", replace(_attempt(), raw=b"")),
        ("not a signed transaction", replace(_attempt(), raw=b"\x02\xc0")),
        ("not a signed transaction", replace(_attempt(), raw=b"\xff" * 300)),
        ("target", _attempt(what="cancel", to=KEY.address, data=b"x")),
        ("target", _attempt(what="cancel")),
        ("target", _attempt(to=KEY.address, data=b"")),
        ("target", _attempt(what="strange", to=KEY.address)),
    ],
)
def test_any_other_bytes_are_not(wrong: str, attempt: Attempt) -> None:
    with pytest.raises(Tampered, match=wrong):
        verify_bytes(_record(), attempt)


def test_bytes_for_another_chain_are_not() -> None:
    elsewhere = Signer(bytes(31) + b"\x07", chain_id=1284)
    signed = elsewhere.sign({**_fields(), "chainId": 1284})
    with pytest.raises(Tampered, match="chain id"):
        verify_bytes(_record(), Attempt(signed.raw, signed.hash, "call", 9, 1))


def test_a_record_that_was_changed_does_not_fit_its_bytes() -> None:
    for changes in (
        {"sender": STRANGER.address},
        {"nonce": 2},
        {"nonce": None},
        {"executor": "0x" + "12" * 20},
        {"workflow": 8},
        {"chain": 1},
    ):
        with pytest.raises(Tampered):
            verify_bytes(_record(**changes), _attempt())


def _log(workflow: int, success: bool, address: str = EXECUTOR.lower(), result: bytes = b"") -> Log:
    data = abi.encode(["bool", "uint256", "bytes"], [success, 5, result])
    topics = (EVENT.topic, "0x" + f"{workflow:064x}", "0x" + "00" * 12 + KEY.address[2:].lower())
    return Log(address, topics, data, 0)


def _receipt(attempt: Attempt, *logs: Log, status: int = 1, **changes: Any) -> Receipt:
    fields: dict[str, Any] = {
        "hash": attempt.hash, "block_number": 5, "block_hash": "0x" + "bb" * 32, "sender": KEY.address.lower(),
        "to": EXECUTOR.lower(), "status": status, "gas_used": 1000, "effective_gas_price": 7, "logs": logs,
    }  # fmt: skip
    return Receipt(**{**fields, **changes})


def test_status_1_with_its_event_decides() -> None:
    attempt = _attempt()
    done = rule(_record(), attempt, _receipt(attempt, _log(7, True)))
    assert (done.verdict, done.tx, done.fee) == ("executed", attempt.hash, 7000)
    failed = rule(_record(), attempt, _receipt(attempt, _log(7, False)))
    assert failed.verdict == "action_failed"


def test_why_an_action_failed_is_told_in_words() -> None:
    attempt = _attempt()
    reason = bytes.fromhex("08c379a0") + bytes(31) + b"\x20" + bytes(31) + b"\x05" + b"broke" + bytes(27)
    failed = rule(_record(), attempt, _receipt(attempt, _log(7, False, result=reason)))
    assert "broke" in failed.text


def test_status_0_is_a_revert() -> None:
    attempt = _attempt()
    assert rule(_record(), attempt, _receipt(attempt, status=0)).verdict == "reverted"


@pytest.mark.parametrize(
    "logs",
    [(), (_log(8, True),), (_log(7, True, address="0x" + "12" * 20),)],
    ids=["no event", "of another workflow", "of another contract"],
)
def test_status_1_without_its_event_is_no_success(logs: tuple[Log, ...]) -> None:
    attempt = _attempt()
    with pytest.raises(Tampered):
        rule(_record(), attempt, _receipt(attempt, *logs))


@pytest.mark.parametrize(
    "changes",
    [{"hash": "0x" + "cd" * 32}, {"sender": "0x" + "12" * 20}, {"to": "0x" + "12" * 20}, {"to": None}],
)
def test_a_receipt_of_something_else_is_not_believed(changes: dict[str, Any]) -> None:
    attempt = _attempt()
    with pytest.raises(Tampered):
        rule(_record(), attempt, _receipt(attempt, _log(7, True), **changes))


def test_our_own_self_transfer() -> None:
    cancel = _attempt(what="cancel", to=KEY.address, data=b"")
    receipt = _receipt(cancel, to=KEY.address.lower())
    assert rule(_record(reason="paused", unwanted=True), cancel, receipt).verdict == "cancelled"
    assert rule(_record(reason="refused"), cancel, receipt).verdict == "refused"
    assert rule(_record(reason="refused", unwanted=True), cancel, receipt).verdict == "cancelled"
