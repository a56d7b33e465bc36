"""The committed artifacts have the interface of the live contracts; these signatures are the fixed facts."""

from typing import Any

import pytest
from web3 import Web3

from .wired import ABI_DIRECTORY, artifact

ACCESS_CONTROL = {
    "DEFAULT_ADMIN_ROLE() view -> (bytes32)",
    "getRoleAdmin(bytes32) view -> (bytes32)",
    "grantRole(bytes32,address) nonpayable -> ()",
    "hasRole(bytes32,address) view -> (bool)",
    "renounceRole(bytes32,address) nonpayable -> ()",
    "revokeRole(bytes32,address) nonpayable -> ()",
    "supportsInterface(bytes4) view -> (bool)",
}
ACCESS_CONTROL_EVENTS = {
    "RoleAdminChanged(bytes32 indexed,bytes32 indexed,bytes32 indexed)",
    "RoleGranted(bytes32 indexed,address indexed,address indexed)",
    "RoleRevoked(bytes32 indexed,address indexed,address indexed)",
}
CONSTRUCTORS = {
    "WorkflowRegistry": ["address"],
    "ActionExecutor": ["address", "address", "address"],
    "FeeEscrow": ["address"],
}
FUNCTIONS = {
    "WorkflowRegistry": {
        "PROJECT_ADMIN() view -> (bytes32)",
        "createWorkflow(uint8,bytes,uint8,bytes,uint256,uint256,uint256) nonpayable -> (uint256)",
        "updateWorkflow(uint256,bytes,bytes,uint256,uint256,uint256) nonpayable -> ()",
        "pauseWorkflow(uint256) nonpayable -> ()",
        "resumeWorkflow(uint256,uint256) nonpayable -> ()",
        "deleteWorkflow(uint256) nonpayable -> ()",
        "getWorkflow(uint256) view -> (address,uint8,bytes,uint8,bytes,uint256,uint256,bool,uint256)",
        "getWorkflowsByOwner(address) view -> (uint256[])",
        "totalWorkflows() view -> (uint256)",
        "getWorkflowMeta(uint256) view -> (address,bool,uint256)",
        "adminSetWorkflow(uint256,bool,uint256) nonpayable -> ()",
    },
    "ActionExecutor": {
        "registry() view -> (address)",
        "escrow() view -> (address)",
        "WORKER_ROLE() view -> (bytes32)",
        "ADMIN_ROLE() view -> (bytes32)",
        "executeWorkflow(uint256,bytes,uint256,address,uint256) nonpayable -> ()",
    },
    "FeeEscrow": {
        "WORKER_ROLE() view -> (bytes32)",
        "ADMIN_ROLE() view -> (bytes32)",
        "depositGas() payable -> ()",
        "withdrawGas(uint256) nonpayable -> ()",
        "balances(address) view -> (uint256)",
        "chargeGas(address,uint256) nonpayable -> ()",
        "emergencyWithdraw(uint256) nonpayable -> ()",
    },
}
EVENTS = {
    "WorkflowRegistry": {
        "WorkflowCreated(uint256 indexed,address indexed)",
        "WorkflowUpdated(uint256 indexed)",
        "WorkflowPaused(uint256 indexed)",
        "WorkflowResumed(uint256 indexed)",
        "WorkflowDeleted(uint256 indexed)",
    },
    "ActionExecutor": {"WorkflowExecuted(uint256 indexed,address indexed,bool,uint256,bytes)"},
    "FeeEscrow": {
        "GasDeposited(address indexed,uint256)",
        "GasWithdrawn(address indexed,uint256)",
        "GasCharged(address indexed,uint256,address)",
        "EmergencyWithdraw(address indexed,uint256)",
    },
}
OWN_ERRORS = {"WorkflowRegistry": {"NotOwner()", "WorkflowNotFound()", "InvalidWorkflow()"}}
OUTPUT_NAMES = {
    "getWorkflow": [
        "owner",
        "triggerType",
        "triggerData",
        "actionType",
        "actionData",
        "nextRun",
        "interval",
        "active",
        "gasBudget",
    ],
    "getWorkflowMeta": ["owner", "active", "nextRun"],
}
EVENT_NAMES = {
    "WorkflowExecuted": ["workflowId", "user", "success", "gasUsed", "result"],
    "WorkflowCreated": ["workflowId", "owner"],
    "GasCharged": ["user", "amount", "worker"],
}
CONTRACTS = sorted(CONSTRUCTORS)


def _entries(name: str, kind: str) -> list[dict[str, Any]]:
    return [entry for entry in artifact(name)["abi"] if entry["type"] == kind]


def _types(items: list[dict[str, Any]]) -> str:
    return ",".join(item["type"] + (" indexed" if item.get("indexed") else "") for item in items)


@pytest.mark.parametrize("name", CONTRACTS)
def test_functions(name: str) -> None:
    found = {
        f"{entry['name']}({_types(entry['inputs'])}) "
        f"{entry['stateMutability']} -> ({_types(entry['outputs'])})"
        for entry in _entries(name, "function")
    }
    assert found == FUNCTIONS[name] | ACCESS_CONTROL


@pytest.mark.parametrize("name", CONTRACTS)
def test_constructor(name: str) -> None:
    (constructor,) = _entries(name, "constructor")
    assert [item["type"] for item in constructor["inputs"]] == CONSTRUCTORS[name]
    assert constructor["stateMutability"] == "nonpayable"


@pytest.mark.parametrize("name", CONTRACTS)
def test_events(name: str) -> None:
    found = {f"{entry['name']}({_types(entry['inputs'])})" for entry in _entries(name, "event")}
    assert found == EVENTS[name] | ACCESS_CONTROL_EVENTS
    assert not any(entry["anonymous"] for entry in _entries(name, "event"))


@pytest.mark.parametrize("name", CONTRACTS)
def test_errors(name: str) -> None:
    found = {f"{entry['name']}({_types(entry['inputs'])})" for entry in _entries(name, "error")}
    assert found >= OWN_ERRORS.get(name, set())


def test_only_the_executor_takes_plain_transfers() -> None:
    assert [len(_entries(name, "receive")) for name in CONTRACTS] == [1, 0, 0]
    assert not any(_entries(name, "fallback") for name in CONTRACTS)


@pytest.mark.parametrize("name", OUTPUT_NAMES)
def test_names_of_outputs(name: str) -> None:
    (entry,) = [entry for entry in _entries("WorkflowRegistry", "function") if entry["name"] == name]
    assert [item["name"] for item in entry["outputs"]] == OUTPUT_NAMES[name]


@pytest.mark.parametrize("name", EVENT_NAMES)
def test_names_of_event_arguments(name: str) -> None:
    entries = [entry for contract in CONTRACTS for entry in _entries(contract, "event")]
    (entry,) = [entry for entry in entries if entry["name"] == name]
    assert [item["name"] for item in entry["inputs"]] == EVENT_NAMES[name]


@pytest.mark.parametrize("name", CONTRACTS)
def test_selectors_and_topics_are_in_the_bytecode(name: str) -> None:
    code = artifact(name)["deployedBytecode"]
    for function in FUNCTIONS[name]:
        assert Web3.keccak(text=function.split(" ")[0])[:4].hex() in code, function
    for event in EVENTS[name]:
        assert Web3.keccak(text=event.replace(" indexed", "")).hex() in code, event


def test_every_artifact_has_the_common_format() -> None:
    paths = sorted(ABI_DIRECTORY.rglob("*.json"))
    assert len(paths) >= 9
    for path in paths:
        name = path.relative_to(ABI_DIRECTORY).with_suffix("").as_posix()
        made = artifact(name)
        assert made["_format"] == "hh-sol-artifact-1"
        assert made["contractName"] == path.stem
        assert made["sourceName"] == f"src/{name}.sol"
        assert made["linkReferences"] == made["deployedLinkReferences"] == {}
        assert made["bytecode"].startswith("0x60")
        assert len(made["deployedBytecode"]) // 2 < 24_576, "over the size limit of a contract (EIP-170)"
