"""Reverts in words, from every shape in which nodes give them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from autometa_cli.chain.contracts import ROLE_IDS
from autometa_cli.chain.faults import RpcFault, is_revert, revert_data
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.reverts import explain, explain_fault
from autometa_cli.chain.rpc import Rpc
from autometa_cli.devnet.node import AnvilProcess
from tests.chain.actors import CHAIN_ID, SOMEBODY, account, deploy, rich


def reason(text: str) -> bytes:
    return bytes.fromhex("08c379a0") + encode(("string",), (text,))


def custom(signature: str, *values: Any) -> bytes:
    types = signature[signature.index("(") + 1 : -1]
    return keccak(signature.encode())[:4] + encode(types.split(",") if types else (), values)


OZ4 = f"AccessControl: account {SOMEBODY.lower()} is missing role 0x{ROLE_IDS['WORKER_ROLE'].hex()}"
OZ5 = custom("AccessControlUnauthorizedAccount(address,bytes32)", SOMEBODY, ROLE_IDS["WORKER_ROLE"])
DATA = reason("Not enough balance")
HEX = "0x" + DATA.hex()

SHAPES: dict[str, tuple[int, str, Any]] = {
    "geth, anvil": (3, "execution reverted: Not enough balance", HEX),
    "Frontier": (-32603, "VM Exception while processing transaction: revert Not enough balance", HEX),
    "OpenEthereum": (-32015, "VM execution error.", "Reverted " + HEX),
    "Hardhat": (-32603, "Error: VM Exception", {"message": "…", "data": HEX}),
    "Hardhat, deeper": (-32603, "Error", {"data": {"data": HEX}}),
    "Ganache": (-32000, "VM Exception", {"result": HEX}),
}


@pytest.mark.parametrize(("code", "text", "data"), SHAPES.values(), ids=SHAPES.keys())
def test_where_nodes_put_the_data(code: int, text: str, data: Any) -> None:
    fault = RpcFault(code, text, data)
    assert is_revert(fault)
    assert revert_data(fault) == DATA
    assert explain_fault(fault).text == 'the contract reverted: "Not enough balance"'


@pytest.mark.parametrize(
    ("code", "text", "words"),
    [
        (3, "execution reverted: Not enough balance", '"Not enough balance"'),
        (
            -32603,
            "VM Exception while processing transaction: revert Not enough balance",
            '"Not enough balance"',
        ),
        (3, "execution reverted", "without a reason"),
        (-32603, "VM Exception while processing transaction: revert", "without a reason"),
        (-32000, "execution reverted", "without a reason"),
    ],
)
def test_nodes_that_give_no_data(code: int, text: str, words: str) -> None:
    shapes: list[Any] = [None, "0x", "", 7, [], {"data": None}, "Reverted 0x", "not hex", "0xzz"]
    for data in shapes:
        fault = RpcFault(code, text, data)
        assert is_revert(fault)
        assert revert_data(fault) is None
        assert words in explain_fault(fault).text


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (-32000, "out of gas"),
        (-32000, "nonce too low"),
        (-32603, "Internal error"),
        (-32602, "invalid params"),
    ],
)
def test_what_is_no_revert(code: int, text: str) -> None:
    assert not is_revert(RpcFault(code, text))


@pytest.mark.parametrize("data", [reason(OZ4), OZ5], ids=["OpenZeppelin 4", "OpenZeppelin 5"])
def test_a_missing_role(data: bytes) -> None:
    found = explain(data, contract="ActionExecutor")
    assert (found.forbidden, found.role, found.account) == (True, "WORKER_ROLE", SOMEBODY)
    assert found.text == f"{SOMEBODY} lacks the role WORKER_ROLE on ActionExecutor"
    assert f"autometa role grant {SOMEBODY} --role WORKER_ROLE --contract ActionExecutor" in found.hint
    assert "--contract" not in explain(data).hint


def test_a_missing_role_only_told_in_the_message() -> None:
    found = explain(None, f"VM Exception while processing transaction: revert {OZ4}")
    assert (found.forbidden, found.role, found.account) == (True, "WORKER_ROLE", SOMEBODY)


def test_a_missing_admin_role_is_not_granted_by_command() -> None:
    data = custom("AccessControlUnauthorizedAccount(address,bytes32)", SOMEBODY, bytes(32))
    found = explain(data, contract="FeeEscrow")
    assert found.role == "DEFAULT_ADMIN_ROLE"
    assert "ADMIN_PRIVATE_KEY" in found.hint
    assert "role grant" not in found.hint


def test_a_role_that_we_do_not_know() -> None:
    found = explain(custom("AccessControlUnauthorizedAccount(address,bytes32)", SOMEBODY, b"\x07" * 32))
    assert found.role == "0x" + "07" * 32
    assert found.forbidden


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (custom("NotOwner()"), "NotOwner", "belongs to somebody else"),
        (custom("WorkflowNotFound()"), "WorkflowNotFound", "no workflow of this id"),
        (custom("InvalidWorkflow()"), "InvalidWorkflow", "refuses the workflow"),
        (custom("OwnableUnauthorizedAccount(address)", SOMEBODY), "OwnableUnauthorizedAccount", SOMEBODY),
        (custom("InsufficientBalance(uint256,uint256)", 3, 7), "InsufficientBalance", "balance 3, needed 7"),
        (custom("ERC20InsufficientBalance(address,uint256,uint256)", SOMEBODY, 1, 2), "ERC20InsufficientBalance", "2"),
        (custom("SafeERC20FailedOperation(address)", SOMEBODY), "SafeERC20FailedOperation", SOMEBODY),
        (custom("Panic(uint256)", 0x11), "Panic", "overflowed"),
        (custom("Panic(uint256)", 0x99), "Panic", "0x99"),
        (reason(""), "Error", "without a reason"),
        (custom("NobodyKnowsThis(uint256)", 5), "unknown", keccak(b"NobodyKnowsThis(uint256)")[:4].hex()),
        (b"\x01", "unknown", "0x01"),
        (bytes.fromhex("08c379a0") + b"\xff" * 64, "unknown", "malformed"),
        (custom("NotOwner()")[:4] + bytes(3), "NotOwner", "somebody else"),
    ],
)  # fmt: skip
def test_known_errors(data: bytes, name: str, words: str) -> None:
    found = explain(data)
    assert found.name == name
    assert words in found.text
    assert found.forbidden == (name in ("NotOwner", "OwnableUnauthorizedAccount"))


@pytest.mark.parametrize(
    ("data", "command"),
    [
        (reason("Insufficient balance"), "autometa escrow deposit"),
        (reason("Not enough balance"), "autometa escrow balance"),
        (reason("Zero deposit"), "autometa escrow deposit"),
        (reason("Invalid actionType"), "autometa workflow update"),
        (reason("ReentrancyGuard: reentrant call"), "calls back"),
        (reason("ERC20: transfer amount exceeds balance"), "send tokens to the executor"),
        (custom("ERC20InsufficientBalance(address,uint256,uint256)", SOMEBODY, 1, 2), "send tokens to the executor"),
        (custom("InsufficientBalance(uint256,uint256)", 3, 7), "send money"),
        (custom("WorkflowNotFound()"), "autometa workflow list"),
        (custom("AccessControlBadConfirmation()"), "autometa role revoke"),
        (custom("EnforcedPause()"), "paused"),
    ],
)  # fmt: skip
def test_what_to_do_about_it(data: bytes, command: str) -> None:
    assert command in explain(data).hint


def test_every_error_of_our_contracts_is_known() -> None:
    for name in ("WorkflowRegistry", "ActionExecutor", "FeeEscrow"):
        for error in interface(name).errors.values():
            assert explain(error.selector + bytes(96)).name == error.name


def test_openzeppelin_4_says_who_is_not_the_owner_in_a_string() -> None:
    assert explain(reason("Ownable: caller is not the owner")).forbidden


def test_a_strangers_reason_cannot_take_over_the_terminal() -> None:
    found = explain(reason("no\x1b[2J\x07\nway\u202e" + "x" * 5000))
    assert "\x1b" not in found.text
    assert "\n" not in found.text
    assert "\u202e" not in found.text
    assert len(found.text) < 300
    not_utf8 = bytes.fromhex("08c379a0") + encode(("bytes",), (b"\xff\xfe no",))
    assert "no" in explain(not_utf8).text


@given(st.binary(max_size=300), st.text(max_size=50))
def test_nothing_makes_it_raise(data: bytes, message: str) -> None:
    for candidate in (data, bytes.fromhex("08c379a0") + data, OZ5[:4] + data, OZ5[: len(data)]):
        found = explain(candidate, message)
        assert found.text
        assert found.text.isprintable()


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner) | st.dictionaries(st.sampled_from(["data", "result", "x"]), inner)


@given(st.recursive(st.none() | st.integers() | st.text(), nested))
def test_error_data_of_any_shape(data: Any) -> None:
    found = revert_data(RpcFault(3, "", data))
    assert found is None or isinstance(found, bytes)


def test_a_real_node_and_our_contracts(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with Rpc([anvil.url], chain_id=CHAIN_ID) as rpc:
            admin, stranger = account(rpc, rich(anvil)), account(rpc, rich(anvil))
            registry = await deploy(admin, "WorkflowRegistry", admin.address)
            escrow = await deploy(admin, "FeeEscrow", admin.address)
            registry_functions = interface("WorkflowRegistry").functions
            escrow_functions = interface("FeeEscrow").functions
            create = registry_functions["createWorkflow"].encode(1, b"", 1, b"\x01", 1, 0, 0)
            await admin.send(registry, create)
            view = await rpc.view()

            async def why(to: str, data: bytes, value: int = 0) -> Any:
                with pytest.raises(RpcFault) as by_call:
                    await view.call(to, data, sender=stranger.address, value=value)
                with pytest.raises(RpcFault) as by_estimate:
                    await view.estimate_gas(to, data, sender=stranger.address, value=value)
                assert explain_fault(by_call.value) == explain_fault(by_estimate.value)
                assert is_revert(by_call.value)
                return explain_fault(by_call.value)

            assert (await why(registry, registry_functions["pauseWorkflow"].encode(1))).name == "NotOwner"
            assert (
                await why(registry, registry_functions["getWorkflow"].encode(2))
            ).name == "WorkflowNotFound"
            missing = await why(registry, registry_functions["adminSetWorkflow"].encode(1, True, 2))
            assert (missing.role, missing.account) == ("PROJECT_ADMIN", stranger.address)
            assert '"Zero deposit"' in (await why(escrow, escrow_functions["depositGas"].encode())).text
            assert (
                '"Not enough balance"' in (await why(escrow, escrow_functions["withdrawGas"].encode(1))).text
            )

    asyncio.run(main())
