"""Interfaces from abi/, and the registry and executor as a real chain shows them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from autometa_cli.chain.blocks import Log
from autometa_cli.chain.contracts import ROLE_IDS
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.words import BadEncoding
from autometa_cli.errors import ConfigError
from tests.chain.actors import SOMEBODY

EXECUTE = interface("ActionExecutor").functions["executeWorkflow"]
GET = interface("WorkflowRegistry").functions["getWorkflow"]
addresses = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
words = st.integers(0, 2**256 - 1)


def selector(signature: str) -> bytes:
    return keccak(signature.encode())[:4]


def test_every_contract_of_the_build_can_be_read() -> None:
    for name in ("WorkflowRegistry", "ActionExecutor", "FeeEscrow", "TestToken", "Recorder", "TestPriceFeed"):
        found = interface(name)
        assert found.name == name
        assert found.bytecode
        assert found.functions
        assert interface(name) is found
    with pytest.raises(ConfigError, match="NoSuchContract"):
        interface("NoSuchContract")


def test_selectors_and_topics() -> None:
    assert EXECUTE.signature == "executeWorkflow(uint256,bytes,uint256,address,uint256)"
    assert EXECUTE.selector == selector(EXECUTE.signature)
    event = interface("ActionExecutor").events["WorkflowExecuted"]
    assert event.topic == "0x" + keccak(b"WorkflowExecuted(uint256,address,bool,uint256,bytes)").hex()
    assert interface("WorkflowRegistry").errors["NotOwner"].selector == selector("NotOwner()")
    assert interface("IERC20").functions["transfer"].selector.hex() == "a9059cbb"
    assert ROLE_IDS["WORKER_ROLE"] == keccak(b"WORKER_ROLE")
    assert ROLE_IDS["DEFAULT_ADMIN_ROLE"] == bytes(32)


@given(words, st.binary(max_size=200), words, addresses, words)
def test_arguments_there_and_back(id: int, data: bytes, next_run: int, user: str, gas: int) -> None:
    call = EXECUTE.encode(id, data, next_run, user, gas)
    assert call[:4] == EXECUTE.selector
    assert call[4:] == EXECUTE.encode_args(id, data, next_run, user, gas)
    assert call[4:] == encode(EXECUTE.input_types, (id, data, next_run, user, gas))
    assert EXECUTE.decode_inputs(call) == (id, data, next_run, user, gas)


@given(st.data())
def test_call_data_that_we_would_not_have_written_is_refused(data: st.DataObject) -> None:
    call = bytearray(EXECUTE.encode(7, b"\x01" + bytes(70), 1700000000, SOMEBODY, 10**15))
    change = data.draw(st.sampled_from(["cut", "longer", "flip"]))
    if change == "cut":
        wrong = bytes(call[: data.draw(st.integers(0, len(call) - 1))])
    elif change == "longer":
        wrong = bytes(call) + data.draw(st.binary(min_size=1, max_size=64))
    else:
        call[data.draw(st.integers(0, len(call) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        wrong = bytes(call)
    try:
        decoded = EXECUTE.decode_inputs(wrong)
    except BadEncoding:
        return
    assert EXECUTE.encode(*decoded) == wrong  # another call, but a proper one


@given(st.binary(max_size=700))
def test_output_of_any_shape_raises_nothing_else(output: bytes) -> None:
    for function in (GET, interface("WorkflowRegistry").functions["getWorkflowsByOwner"]):
        with suppress(BadEncoding):
            function.decode(output)


@pytest.mark.parametrize(
    "args",
    [
        (-1, b"", 0, SOMEBODY, 0),
        (2**256, b"", 0, SOMEBODY, 0),
        (1, "text", 0, SOMEBODY, 0),
        (1, b"", 0, "0x12", 0),
        (1, b"", 0, SOMEBODY),
        (1, b"", 1.5, SOMEBODY, 0),
        (True, b"", 0, SOMEBODY, 0),
    ],
)
def test_values_that_do_not_fit(args: tuple[Any, ...]) -> None:
    with pytest.raises(BadEncoding, match="executeWorkflow"):
        EXECUTE.encode(*args)


def log_of(**changes: Any) -> Log:
    event = interface("ActionExecutor").events["WorkflowExecuted"]
    topics = (
        event.topic,
        "0x" + (7).to_bytes(32, "big").hex(),
        "0x" + bytes(12).hex() + SOMEBODY[2:].lower(),
    )
    data = encode(("bool", "uint256", "bytes"), (True, 5, b"ok"))
    return replace(Log(address="0x" + "11" * 20, topics=topics, data=data, index=0), **changes)


def test_events_that_are_not_what_they_should_be() -> None:
    event = interface("ActionExecutor").events["WorkflowExecuted"]
    good = log_of()
    assert event.decode(good) == {
        "workflowId": 7,
        "user": SOMEBODY.lower(),
        "success": True,
        "gasUsed": 5,
        "result": b"ok",
    }
    wrong = [
        log_of(topics=()),
        log_of(topics=("0x" + "00" * 32, *good.topics[1:])),
        log_of(topics=good.topics[:2]),
        log_of(topics=(*good.topics, good.topics[1])),
        log_of(topics=(*good.topics[:2], "0x" + "ff" * 32)),  # no address
        log_of(data=b""),
        log_of(data=good.data[:-32]),
        log_of(data=(2).to_bytes(32, "big") + good.data[32:]),  # no bool
    ]
    for log in wrong:
        with pytest.raises(BadEncoding):
            event.decode(log)
