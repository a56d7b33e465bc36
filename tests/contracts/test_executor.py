"""ActionExecutor: the actions, and what executeWorkflow does and does not look after."""

import pytest
from web3 import Web3

from .wired import WORKER_ROLE, System, calldata

ETHER = 10**18
NEXT_RUN = 5_000


def _address(number: int) -> str:
    """An address that nobody has used."""
    return Web3.to_checksum_address(Web3.keccak(number.to_bytes(32, "big") + b"fresh")[-20:])


def _deposit(system: System, amount: int) -> None:
    system.send(system.escrow.functions.depositGas(), system.accounts.owner, value=amount)


def test_native_transfer(system: System) -> None:
    workflow, to = system.workflow(), Web3.to_checksum_address(_address(1))
    system.fund_executor(ETHER)
    before = system.balance(to)
    receipt = system.send(system.execution(system.native(to, 7), workflow=workflow), system.accounts.worker)
    assert system.executed(receipt) == {
        "workflowId": workflow,
        "user": system.accounts.owner,
        "success": True,
        "gasUsed": 0,
        "result": b"",
    }
    assert system.balance(to) == before + 7
    assert system.balance(system.executor.address) == ETHER - 7
    assert system.registry.functions.getWorkflowMeta(workflow).call() == [
        system.accounts.owner,
        True,
        NEXT_RUN,
    ]


def test_token_transfer(system: System) -> None:
    workflow, to = system.workflow(), _address(2)
    token = system.deploy("test/TestToken", "Test", "TST")
    system.send(token.functions.mint(system.executor.address, 100), system.accounts.admin)
    action = system.token(token.address, to, 40)
    executed = system.executed(
        system.send(system.execution(action, workflow=workflow), system.accounts.worker)
    )
    assert (executed["success"], executed["result"]) == (True, b"")
    assert token.functions.balanceOf(to).call() == 40
    assert token.functions.balanceOf(system.executor.address).call() == 60


def test_contract_call(system: System) -> None:
    workflow, recorder = system.workflow(), system.deploy("test/Recorder")
    system.fund_executor(ETHER)
    data = calldata(recorder, "mark", b"\x07" * 32)
    action = system.call(recorder.address, data, value=5)
    executed = system.executed(
        system.send(system.execution(action, workflow=workflow), system.accounts.worker)
    )
    assert (executed["success"], int.from_bytes(executed["result"], "big")) == (True, 1)
    assert recorder.functions.lastSender().call() == system.executor.address
    assert recorder.functions.lastValue().call() == 5
    assert recorder.functions.lastData().call() == data


def test_two_calls_pay_twice(system: System) -> None:
    workflow, to = system.workflow(), Web3.to_checksum_address(_address(3))
    system.fund_executor(ETHER)
    _deposit(system, 100)
    before = system.balance(to)
    call = system.execution(system.native(to, 7), workflow=workflow, charge=30)
    for _ in range(2):
        assert system.executed(system.send(call, system.accounts.worker))["success"]
    assert system.balance(to) == before + 14
    assert system.escrow.functions.balances(system.accounts.owner).call() == 40


def test_neither_due_time_nor_stored_action_nor_owner_is_checked(system: System) -> None:
    workflow, to = system.workflow(next_run=2**256 - 1), Web3.to_checksum_address(_address(4))
    system.fund_executor(ETHER)
    before = system.balance(to)
    assert system.registry.functions.getWorkflow(workflow).call()[4] == b""
    call = system.execution(
        system.native(to, 9), workflow=workflow, next_run=0, user=system.accounts.stranger
    )
    executed = system.executed(system.send(call, system.accounts.worker))
    assert (executed["success"], executed["user"]) == (True, system.accounts.stranger)
    assert system.balance(to) == before + 9
    assert system.registry.functions.getWorkflowMeta(workflow).call() == [system.accounts.owner, True, 0]


def test_a_run_makes_a_paused_workflow_active_again(system: System) -> None:
    workflow = system.workflow()
    system.fund_executor(ETHER)
    system.send(system.registry.functions.pauseWorkflow(workflow), system.accounts.owner)
    call = system.execution(system.native(_address(5), 1), workflow=workflow)
    receipt = system.send(call, system.accounts.worker)
    assert system.registry.functions.getWorkflowMeta(workflow).call()[1] is True
    updated = system.events(system.registry, receipt)
    assert updated == [("WorkflowUpdated", {"workflowId": workflow})]


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        (1, ("Error", "target is not healthy")),
        (2, ("Unhealthy", "executor", 0)),
        (3, ("Panic", 1)),
        (4, ()),
    ],
)
def test_a_failed_call_has_status_1_and_moves_the_due_time(
    system: System, mode: int, error: tuple[object, ...]
) -> None:
    workflow, target = system.workflow(), system.deploy("test/RevertingTarget")
    system.send(target.functions.setMode(mode), system.accounts.admin)
    _deposit(system, 100)
    action = system.call(target.address, calldata(target, "act"))
    receipt = system.send(system.execution(action, workflow=workflow, charge=30), system.accounts.worker)
    executed = system.executed(receipt)
    expected = tuple(system.executor.address.lower() if part == "executor" else part for part in error)
    assert receipt["status"] == 1
    assert executed["success"] is False
    assert system.decode_error(executed["result"]) == expected
    # The event names the charge that was asked for, although none was made.
    assert executed["gasUsed"] == 30
    assert system.escrow.functions.balances(system.accounts.owner).call() == 100
    assert system.registry.functions.getWorkflowMeta(workflow).call() == [
        system.accounts.owner,
        True,
        NEXT_RUN,
    ]


def test_a_failed_native_transfer_has_status_1(system: System) -> None:
    workflow, target = system.workflow(), system.deploy("test/RevertingTarget")
    system.fund_executor(ETHER)
    receipt = system.send(
        system.execution(system.native(target.address, 1), workflow=workflow), system.accounts.worker
    )
    executed = system.executed(receipt)
    assert executed["success"] is False
    assert system.decode_error(executed["result"]) == ("Error", "target is not healthy")
    assert system.balance(system.executor.address) == ETHER


def test_too_little_money_in_the_executor_is_a_failed_action_with_status_1(system: System) -> None:
    workflow, recorder = system.workflow(), system.deploy("test/Recorder")
    for action in (system.native(recorder.address, 1), system.call(recorder.address, b"", value=1)):
        receipt = system.send(system.execution(action, workflow=workflow), system.accounts.worker)
        executed = system.executed(receipt)
        assert (executed["success"], executed["result"]) == (False, b"")
    assert recorder.functions.calls().call() == 0


def test_a_call_to_an_account_without_code_succeeds(system: System) -> None:
    call = system.execution(system.call(_address(6), b"\x12\x34\x56\x78"), workflow=system.workflow())
    assert system.executed(system.send(call, system.accounts.worker))["success"] is True


def test_a_token_that_reverts_reverts_everything(system: System) -> None:
    workflow, worker = system.workflow(next_run=1_000), system.accounts.worker
    token = system.deploy("test/TestToken", "Test", "TST")
    call = system.execution(system.token(token.address, _address(7), 40), workflow=workflow)
    shortage = ("ERC20InsufficientBalance", system.executor.address.lower(), 0, 40)
    assert system.rejected(call, worker) == shortage
    system.send(token.functions.mint(system.executor.address, 100), worker)
    system.send(token.functions.setRefusal(2), worker)
    assert system.rejected(call, worker)[0] == "TransfersRefused"
    assert system.registry.functions.getWorkflowMeta(workflow).call()[2] == 1_000
    system.send(token.functions.setRefusal(0), worker)
    assert system.executed(system.send(call, worker))["success"] is True


def test_a_token_that_returns_false_fails_the_action_alone(system: System) -> None:
    workflow, worker = system.workflow(), system.accounts.worker
    token = system.deploy("test/TestToken", "Test", "TST")
    system.send(token.functions.mint(system.executor.address, 100), worker)
    system.send(token.functions.setRefusal(1), worker)
    _deposit(system, 100)
    call = system.execution(system.token(token.address, _address(8), 40), workflow=workflow, charge=30)
    executed = system.executed(system.send(call, worker))
    assert (executed["success"], executed["gasUsed"], executed["result"]) == (False, 30, b"")
    assert system.escrow.functions.balances(system.accounts.owner).call() == 100
    assert system.registry.functions.getWorkflowMeta(workflow).call()[2] == NEXT_RUN


def test_an_account_without_code_or_bool_is_no_token(system: System) -> None:
    workflow, recorder = system.workflow(), system.deploy("test/Recorder")
    for token in (_address(9), recorder.address):
        call = system.execution(system.token(token, _address(10), 1), workflow=workflow)
        assert system.rejected(call, system.accounts.worker) == ()


def test_the_charge_goes_to_the_executor_contract(system: System) -> None:
    workflow, owner = system.workflow(), system.accounts.owner
    recorder = system.deploy("test/Recorder")
    _deposit(system, 100)
    call = system.execution(system.call(recorder.address, b""), workflow=workflow, charge=30)
    receipt = system.send(call, system.accounts.worker)
    executed = system.executed(receipt)
    assert (executed["success"], executed["gasUsed"]) == (True, 30)
    charged = ("GasCharged", {"user": owner, "amount": 30, "worker": system.executor.address})
    assert system.events(system.escrow, receipt) == [charged]
    assert system.balance(system.executor.address) == 30
    assert system.escrow.functions.balances(owner).call() == 70


def test_a_charge_that_the_escrow_refuses_reverts_everything(system: System) -> None:
    workflow, recorder = system.workflow(next_run=1_000), system.deploy("test/Recorder")
    _deposit(system, 100)
    action = system.call(recorder.address, b"")
    call = system.execution(action, workflow=workflow, charge=101)
    assert system.rejected(call, system.accounts.worker) == ("Error", "Insufficient balance")
    assert recorder.functions.calls().call() == 0
    assert system.registry.functions.getWorkflowMeta(workflow).call()[2] == 1_000


def test_order_of_effects(system: System) -> None:
    workflow, recorder = system.workflow(), system.deploy("test/Recorder")
    _deposit(system, 100)
    call = system.execution(system.call(recorder.address, b""), workflow=workflow, charge=30)
    receipt = system.send(call, system.accounts.worker)
    emitters = [log["address"] for log in receipt["logs"]]
    assert emitters == [
        recorder.address,
        system.escrow.address,
        system.registry.address,
        system.executor.address,
    ]


def test_only_a_worker_executes(system: System) -> None:
    workflow, executor = system.workflow(), system.executor
    system.fund_executor(ETHER)
    call = system.execution(system.native(_address(11), 1), workflow=workflow)
    for sender in (system.accounts.owner, system.accounts.admin, system.accounts.deployer):
        refusal = ("AccessControlUnauthorizedAccount", sender.lower(), bytes(WORKER_ROLE))
        assert system.rejected(call, sender) == refusal
    revoke = executor.functions.revokeRole(WORKER_ROLE, system.accounts.worker)
    assert system.rejected(revoke, system.accounts.worker)[0] == "AccessControlUnauthorizedAccount"
    system.send(revoke, system.accounts.admin)
    assert system.rejected(call, system.accounts.worker)[0] == "AccessControlUnauthorizedAccount"


def test_an_unwired_executor_reverts(system: System) -> None:
    workflow = system.workflow()
    _deposit(system, 100)
    call = system.execution(system.call(_address(12), b""), workflow=workflow, charge=1)
    for contract, role in ((system.escrow, "WORKER_ROLE"), (system.registry, "PROJECT_ADMIN")):
        identifier = Web3.keccak(text=role)
        account = system.executor.address
        system.send(contract.functions.revokeRole(identifier, account), system.accounts.admin)
        refusal = ("AccessControlUnauthorizedAccount", account.lower(), bytes(identifier))
        assert system.rejected(call, system.accounts.worker) == refusal
        system.send(contract.functions.grantRole(identifier, account), system.accounts.admin)


def test_workflows_that_do_not_exist_revert(system: System) -> None:
    workflow = system.workflow()
    system.send(system.registry.functions.deleteWorkflow(workflow), system.accounts.owner)
    system.fund_executor(ETHER)
    for missing in (0, workflow, workflow + 1):
        call = system.execution(system.native(_address(13), 1), workflow=missing)
        assert system.rejected(call, system.accounts.worker) == ("WorkflowNotFound",)
    assert system.balance(system.executor.address) == ETHER


@pytest.mark.parametrize(
    ("action", "error"),
    [
        (b"", ("Panic", 0x32)),
        (b"\x00" + bytes(64), ("Error", "Invalid actionType")),
        (b"\x04" + bytes(64), ("Error", "Invalid actionType")),
        (b"\xff", ("Error", "Invalid actionType")),
        (b"\x01", ()),
        (b"\x01" + bytes(63), ()),
        (b"\x01" + b"\xff" * 64, ()),
        (b"\x02" + bytes(95), ()),
        (b"\x03" + bytes(64) + b"\xff" * 32, ()),
    ],
    ids=["empty", "type 0", "type 4", "type 255", "bare", "short", "wide", "short token", "bad offset"],
)
def test_malformed_actions_revert(system: System, action: bytes, error: tuple[object, ...]) -> None:
    call = system.execution(action, workflow=system.workflow())
    assert system.rejected(call, system.accounts.worker) == error


def test_it_knows_its_registry_and_escrow_and_takes_money(system: System) -> None:
    assert system.executor.functions.registry().call() == system.registry.address
    assert system.executor.functions.escrow().call() == system.escrow.address
    system.fund_executor(3)
    assert system.balance(system.executor.address) == 3
