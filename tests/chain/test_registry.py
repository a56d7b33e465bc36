"""Workflows and executions as a real chain shows them."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from autometa_cli.chain.account import Account
from autometa_cli.chain.actions import ContractCall, NativeTransfer, encode_action
from autometa_cli.chain.contracts import ROLE_IDS, Executed, Registry, Workflow, executed_events
from autometa_cli.chain.faults import RpcFault
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.rpc import Rpc
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.errors import ConfigError
from tests.chain.actors import CHAIN_ID, ETHER, SOMEBODY, account, deploy, rich
from tests.chain.loopback import Node, bad

EXECUTE = interface("ActionExecutor").functions["executeWorkflow"]


def selector(signature: str) -> bytes:
    return keccak(signature.encode())[:4]


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
