"""Targets that run out of gas, burn a lot of it, call back, or use the executor's powers."""

from web3 import Web3

from .wired import GAS_LIMIT, PROJECT_ADMIN, WORKER_ROLE, System, calldata

ETHER = 10**18


def test_an_action_that_runs_out_of_gas_is_swallowed(system: System) -> None:
    workflow, burner = system.workflow(), system.deploy("test/GasBurner")
    action = system.call(burner.address, calldata(burner, "burnEverything"))
    call = system.execution(action, workflow=workflow)
    receipt = system.send(call, system.accounts.worker, gas=12_000_000)
    executed = system.executed(receipt)
    assert (executed["success"], executed["result"]) == (False, b"")
    # All but the 64th part that the EVM keeps back is gone.
    assert receipt["gasUsed"] > 11_500_000
    assert system.registry.functions.getWorkflowMeta(workflow).call()[2] == 5_000


def test_too_low_a_gas_limit_makes_the_action_fail_with_status_1(system: System) -> None:
    workflow, burner = system.workflow(), system.deploy("test/GasBurner")
    action = system.call(burner.address, calldata(burner, "burn", 5_500_000))
    call = system.execution(action, workflow=workflow)
    assert system.executed(system.send(call, system.accounts.worker, gas=5_500_000))["success"] is False
    assert burner.functions.burns().call() == 0
    assert system.executed(system.send(call, system.accounts.worker, gas=6_000_000))["success"] is True
    assert burner.functions.burns().call() == 1
    assert 5_500_000 <= burner.functions.lastBurned().call() < 5_501_000


def test_an_action_may_use_more_than_five_million_gas(system: System) -> None:
    workflow, burner = system.workflow(), system.deploy("test/GasBurner")
    action = system.call(burner.address, calldata(burner, "burn", 12_000_000))
    call = system.execution(action, workflow=workflow)
    receipt = system.send(call, system.accounts.worker, gas=14_000_000)
    assert system.executed(receipt)["success"] is True
    assert receipt["gasUsed"] > 12_000_000


def test_too_little_left_to_finish_reverts_everything(system: System) -> None:
    workflow, burner = system.workflow(next_run=1_000), system.deploy("test/GasBurner")
    action = system.call(burner.address, calldata(burner, "burnEverything"))
    receipt = system.mine(system.execution(action, workflow=workflow), system.accounts.worker, gas=300_000)
    assert receipt["status"] == 0
    assert system.registry.functions.getWorkflowMeta(workflow).call()[2] == 1_000


def test_a_target_cannot_call_back_into_the_executor(system: System) -> None:
    workflow, target = system.workflow(), system.deploy("test/ReentrantTarget")
    system.fund_executor(ETHER)
    # Even a target that is a worker itself is stopped.
    grant = system.executor.functions.grantRole(WORKER_ROLE, target.address)
    system.send(grant, system.accounts.admin)
    again = calldata(
        system.executor,
        "executeWorkflow",
        workflow,
        system.native(target.address, 1),
        9_999,
        system.accounts.owner,
        0,
    )
    system.send(target.functions.arm(system.executor.address, again, False), system.accounts.stranger)
    for action in (system.native(target.address, 1), system.call(target.address, b"\x00")):
        receipt = system.send(system.execution(action, workflow=workflow), system.accounts.worker)
        assert system.executed(receipt)["success"] is True
        assert target.functions.lastSuccess().call() is False
        error = system.decode_error(bytes(target.functions.lastResult().call()))
        assert error == ("ReentrancyGuardReentrantCall",)
    assert target.functions.attempts().call() == 2
    assert system.balance(target.address) == 1


def test_a_target_that_passes_its_refusal_on_fails_the_action(system: System) -> None:
    workflow, target = system.workflow(), system.deploy("test/ReentrantTarget")
    payload = calldata(system.registry, "adminSetWorkflow", workflow, False, 1)
    system.send(target.functions.arm(system.registry.address, payload, True), system.accounts.stranger)
    call = system.execution(system.call(target.address, b""), workflow=workflow)
    executed = system.executed(system.send(call, system.accounts.worker))
    assert executed["success"] is False
    refusal = ("AccessControlUnauthorizedAccount", target.address.lower(), bytes(PROJECT_ADMIN))
    assert system.decode_error(executed["result"]) == refusal


def _owned_by(system: System, target: object, *arguments: object) -> int:
    """A workflow whose owner is the target contract."""
    data = calldata(system.registry, "createWorkflow", 1, b"", 1, b"", 1_000, 0, 0)
    system.send(target.functions.act(system.registry.address, data), system.accounts.stranger)  # type: ignore[attr-defined]
    return int(system.registry.functions.totalWorkflows().call())


def test_an_owner_that_deletes_the_workflow_from_within_reverts_the_run(system: System) -> None:
    target = system.deploy("test/ReentrantTarget")
    workflow = _owned_by(system, target)
    system.fund_executor(ETHER)
    payload = calldata(system.registry, "deleteWorkflow", workflow)
    system.send(target.functions.arm(system.registry.address, payload, False), system.accounts.stranger)
    call = system.execution(system.native(target.address, 1), workflow=workflow)
    assert system.rejected(call, system.accounts.worker) == ("WorkflowNotFound",)
    assert system.balance(target.address) == 0


def test_an_owner_that_pauses_the_workflow_from_within_is_overruled(system: System) -> None:
    target = system.deploy("test/ReentrantTarget")
    workflow = _owned_by(system, target)
    payload = calldata(system.registry, "pauseWorkflow", workflow)
    system.send(target.functions.arm(system.registry.address, payload, False), system.accounts.stranger)
    call = system.execution(system.call(target.address, b""), workflow=workflow)
    assert system.executed(system.send(call, system.accounts.worker))["success"] is True
    assert target.functions.lastSuccess().call() is True
    assert system.registry.functions.getWorkflowMeta(workflow).call() == [target.address, True, 5_000]


def test_a_contract_call_has_the_powers_of_the_executor(system: System) -> None:
    """Why workers refuse such targets: nothing on chain does."""
    mine, theirs = system.workflow(owner=system.accounts.stranger), system.workflow()
    token = system.deploy("test/TestToken", "Test", "TST")
    system.send(token.functions.mint(system.executor.address, 100), system.accounts.admin)
    system.send(system.escrow.functions.depositGas(), system.accounts.owner, value=100)
    stranger = system.accounts.stranger
    for target, data in (
        (system.escrow.address, calldata(system.escrow, "chargeGas", system.accounts.owner, 100)),
        (system.registry.address, calldata(system.registry, "adminSetWorkflow", theirs, False, 1)),
        (token.address, calldata(token, "approve", stranger, 100)),
    ):
        call = system.execution(system.call(target, data), workflow=mine, user=stranger)
        assert system.executed(system.send(call, system.accounts.worker))["success"] is True
    assert system.escrow.functions.balances(system.accounts.owner).call() == 0
    assert system.registry.functions.getWorkflowMeta(theirs).call()[1] is False
    assert token.functions.allowance(system.executor.address, stranger).call() == 100


def test_gas_of_the_common_actions(system: System) -> None:
    """Bounds, so that a change that makes every run dearer is seen."""
    recorder, token = system.deploy("test/Recorder"), system.deploy("test/TestToken", "Test", "TST")
    to = Web3.to_checksum_address("0x" + "ab" * 20)
    system.fund_executor(ETHER)
    system.send(token.functions.mint(system.executor.address, 100), system.accounts.admin)
    system.send(system.escrow.functions.depositGas(), system.accounts.owner, value=ETHER)
    workflow = system.workflow()
    mark = calldata(recorder, "mark", bytes(32))
    for action, bound in (
        (system.native(to, 1), 130_000),
        (system.token(token.address, to, 1), 130_000),
        (system.call(recorder.address, mark), 260_000),
    ):
        call = system.execution(action, workflow=workflow, charge=1_000)
        first = system.send(call, system.accounts.worker, gas=GAS_LIMIT)["gasUsed"]
        second = system.send(call, system.accounts.worker, gas=GAS_LIMIT)["gasUsed"]
        assert max(first, second) < bound, (first, second)
