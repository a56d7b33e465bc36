"""Interfaces from abi/, and the registry and executor as a real chain shows them."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from autometa_cli.chain.account import Account
from autometa_cli.chain.blocks import Log
from autometa_cli.chain.contracts import ROLE_IDS, Executed, Registry, Workflow, executed_events, interface
from autometa_cli.chain.encodings import BadEncoding, ContractCall, NativeTransfer, encode_action
from autometa_cli.chain.rpc import Rpc, RpcFault
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.errors import ConfigError
from tests.chain.actors import CHAIN_ID, ETHER, SOMEBODY, account, deploy, rich
from tests.chain.loopback import Node, bad

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


async def create(owner: Account, registry: str, **changes: Any) -> Workflow:
    """A workflow as it should then be read back; ids are the registry's own."""
    made = Workflow(
        id=0,
        owner=owner.address,
        trigger_type=1,
        trigger_data=b"",
        action_type=1,
        action_data=encode_action(NativeTransfer(SOMEBODY, 5)),
        next_run=1_700_000_000,
        interval=3600,
        active=True,
        gas_budget=10**15,
    )
    made = replace(made, **changes)
    data = (
        interface("WorkflowRegistry")
        .functions["createWorkflow"]
        .encode(
            made.trigger_type,
            made.trigger_data,
            made.action_type,
            made.action_data,
            made.next_run,
            made.interval,
            made.gas_budget,
        )
    )
    sent = await owner.send(registry, data)
    event = interface("WorkflowRegistry").events["WorkflowCreated"].decode(sent.receipt.logs[0])
    return replace(made, id=event["workflowId"])


def test_the_registry(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with Rpc([anvil.url], chain_id=CHAIN_ID) as rpc:
            owner = account(rpc, rich(anvil))
            address = await deploy(owner, "WorkflowRegistry", owner.address)
            registry = Registry(address)
            assert await registry.total(await rpc.view()) == 0
            assert await registry.get(await rpc.view(), 1) is None
            made = [
                await create(owner, address),
                await create(
                    owner,
                    address,
                    trigger_type=3,
                    trigger_data=secrets.token_bytes(300),
                    action_type=9,
                    action_data=secrets.token_bytes(33),
                    next_run=2**256 - 1,
                    interval=2**255,
                    gas_budget=0,
                ),
                await create(owner, address, trigger_data=b"", action_data=b""),
            ]
            functions = interface("WorkflowRegistry").functions
            before = await rpc.view()
            await owner.send(address, functions["pauseWorkflow"].encode(1))
            await owner.send(address, functions["deleteWorkflow"].encode(3))
            after = await rpc.view()
            assert await registry.get_many(before, range(5)) == {
                0: None,
                1: made[0],
                2: made[1],
                3: made[2],
                4: None,
            }
            assert await registry.get_many(after, [3, 1, 2, 1]) == {
                3: None,
                1: replace(made[0], active=False),
                2: made[1],
            }
            assert await registry.get_many(after, []) == {}
            assert await registry.total(after) == 3

    asyncio.run(main())


def test_an_address_without_a_registry(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with Rpc([anvil.url], chain_id=CHAIN_ID) as rpc:
            deployer = account(rpc, rich(anvil))
            recorder = await deploy(deployer, "Recorder")  # answers anything with nothing
            view = await rpc.view()
            for address in (SOMEBODY, recorder):
                for read in (Registry(address).total(view), Registry(address).get(view, 1)):
                    with pytest.raises(ConfigError, match=f"no WorkflowRegistry at {address}"):
                        await read

    asyncio.run(main())


@pytest.mark.parametrize(
    ("code", "text", "data", "missing"),
    [
        (3, "execution reverted", "0x" + selector("WorkflowNotFound()").hex(), True),
        (-32603, "VM Exception while processing transaction: revert", "0x", True),
        (-32603, "VM Exception while processing transaction: revert Workflow not found", None, True),
        (3, "execution reverted: no", "0x08c379a0" + encode(("string",), ("no",)).hex(), True),
        (3, "execution reverted: panic", "0x4e487b71" + (17).to_bytes(32, "big").hex(), False),
        (3, "execution reverted: custom error", "0x11223344", False),
        (-32000, "out of gas", None, False),
        (-32603, "Internal error", None, False),
    ],
)
def test_what_counts_as_no_such_workflow(code: int, text: str, data: str | None, missing: bool) -> None:
    async def main() -> None:
        block = {"number": "0x1", "hash": "0x" + "11" * 32, "timestamp": "0x1", "gasLimit": "0x1"}

        def answer(body: Any) -> Any:
            if body["method"] == "eth_getBlockByNumber":
                return {"id": body["id"], "result": {**block, "transactions": []}}
            return bad(body, code, text, data)

        async with Node(answer) as node, Rpc([node.url], chain_id=None) as rpc:
            reading = Registry(SOMEBODY).get(await rpc.view(), 1)
            if missing:
                assert await reading is None
            else:
                with pytest.raises(RpcFault):
                    await reading

    asyncio.run(main())


def test_executions(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with Rpc([anvil.url], chain_id=CHAIN_ID) as rpc:
            admin, worker, owner = (account(rpc, rich(anvil)) for _ in range(3))
            registry = await deploy(admin, "WorkflowRegistry", admin.address)
            escrow = await deploy(admin, "FeeEscrow", admin.address)
            executor = await deploy(admin, "ActionExecutor", admin.address, registry, escrow)
            failing = await deploy(admin, "RevertingTarget")
            grant = interface("ActionExecutor").functions["grantRole"]
            for contract, role, to in (
                (executor, "WORKER_ROLE", worker.address),
                (escrow, "WORKER_ROLE", executor),
                (registry, "PROJECT_ADMIN", executor),
            ):
                await admin.send(contract, grant.encode(ROLE_IDS[role], to))
            await owner.send(escrow, interface("FeeEscrow").functions["depositGas"].encode(), ETHER)
            anvil.set_balance(executor, ETHER)
            paying = await create(owner, registry)
            set_mode = interface("RevertingTarget").functions["setMode"]
            await admin.send(failing, set_mode.encode(1))
            act = interface("RevertingTarget").functions["act"].encode()
            refused = await create(owner, registry, action_data=encode_action(ContractCall(failing, 0, act)))

            async def execute(workflow: Workflow, charge: int) -> Executed:
                data = EXECUTE.encode(
                    workflow.id, workflow.action_data, 1_800_000_000, workflow.owner, charge
                )
                sent = await worker.send(executor, data)
                assert executed_events(sent.receipt, escrow) == []  # another contract's are not ours
                (event,) = executed_events(sent.receipt, executor.lower())
                assert event.log in sent.receipt.logs
                return event

            done = await execute(paying, 10**15)
            assert (done.workflow, done.user, done.success, done.gas_used) == (1, owner.address, True, 10**15)
            failed = await execute(refused, 0)
            assert (failed.workflow, failed.success) == (2, False)
            assert failed.result != b""

    asyncio.run(main())
