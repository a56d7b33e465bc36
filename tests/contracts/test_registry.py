"""WorkflowRegistry: who may do what to a workflow, and what is seen of it."""

import pytest

from .wired import DEFAULT_ADMIN_ROLE, NOBODY, PROJECT_ADMIN, System

LARGEST = 2**256 - 1


def test_a_new_workflow(system: System) -> None:
    owner = system.accounts.owner
    call = system.registry.functions.createWorkflow(
        3, b"trigger", 2, b"\x02action", 1_700_000_000, 60, 10**16
    )
    assert call.call({"from": owner}) == 1
    receipt = system.send(call, owner)
    assert system.events(system.registry, receipt) == [("WorkflowCreated", {"workflowId": 1, "owner": owner})]
    assert system.registry.functions.getWorkflow(1).call() == [
        owner,
        3,
        b"trigger",
        2,
        b"\x02action",
        1_700_000_000,
        60,
        True,
        10**16,
    ]
    assert system.registry.functions.getWorkflowMeta(1).call() == [owner, True, 1_700_000_000]


def test_ids_count_up_from_one_and_are_never_used_again(system: System) -> None:
    functions = system.registry.functions
    assert functions.totalWorkflows().call() == 0
    assert [system.workflow() for _ in range(3)] == [1, 2, 3]
    system.send(functions.deleteWorkflow(3), system.accounts.owner)
    assert functions.totalWorkflows().call() == 3
    assert system.workflow() == 4
    assert functions.totalWorkflows().call() == 4


def test_nothing_is_checked_on_creation(system: System) -> None:
    call = system.registry.functions.createWorkflow(255, b"{", 0, b"", LARGEST, LARGEST, LARGEST)
    system.send(call, system.accounts.owner)
    assert system.registry.functions.getWorkflow(1).call() == [
        system.accounts.owner,
        255,
        b"{",
        0,
        b"",
        LARGEST,
        LARGEST,
        True,
        LARGEST,
    ]


def test_long_data_survives_and_can_shrink(system: System) -> None:
    functions, owner = system.registry.functions, system.accounts.owner
    long = bytes(range(256)) * 3
    system.send(functions.createWorkflow(1, long, 1, long[::-1], 1, 2, 3), owner)
    assert functions.getWorkflow(1).call()[2:5] == [long, 1, long[::-1]]
    system.send(functions.updateWorkflow(1, b"t", b"", 4, 5, 6), owner)
    assert functions.getWorkflow(1).call() == [owner, 1, b"t", 1, b"", 4, 5, True, 6]


def test_update_leaves_labels_and_activity_alone(system: System) -> None:
    functions, owner = system.registry.functions, system.accounts.owner
    workflow = system.workflow()
    system.send(functions.pauseWorkflow(workflow), owner)
    receipt = system.send(functions.updateWorkflow(workflow, b"new", b"\x01", 7, 8, 9), owner)
    assert system.events(system.registry, receipt) == [("WorkflowUpdated", {"workflowId": workflow})]
    assert functions.getWorkflow(workflow).call() == [owner, 1, b"new", 1, b"\x01", 7, 8, False, 9]


def test_pause_and_resume(system: System) -> None:
    functions, owner = system.registry.functions, system.accounts.owner
    workflow = system.workflow(next_run=1_000)
    paused = system.send(functions.pauseWorkflow(workflow), owner)
    assert system.events(system.registry, paused) == [("WorkflowPaused", {"workflowId": workflow})]
    assert functions.getWorkflowMeta(workflow).call() == [owner, False, 1_000]
    resumed = system.send(functions.resumeWorkflow(workflow, 0), owner)
    assert system.events(system.registry, resumed) == [("WorkflowResumed", {"workflowId": workflow})]
    assert functions.getWorkflowMeta(workflow).call() == [owner, True, 1_000]
    system.send(functions.pauseWorkflow(workflow), owner)
    system.send(functions.resumeWorkflow(workflow, 2_000), owner)
    assert functions.getWorkflowMeta(workflow).call() == [owner, True, 2_000]


def test_pausing_a_paused_and_resuming_an_active_one_do_nothing(system: System) -> None:
    functions, owner = system.registry.functions, system.accounts.owner
    workflow = system.workflow(next_run=1_000)
    assert system.send(functions.resumeWorkflow(workflow, 2_000), owner)["logs"] == []
    assert functions.getWorkflowMeta(workflow).call() == [owner, True, 1_000]
    system.send(functions.pauseWorkflow(workflow), owner)
    assert system.send(functions.pauseWorkflow(workflow), owner)["logs"] == []


def test_a_deleted_workflow_is_gone(system: System) -> None:
    functions, owner = system.registry.functions, system.accounts.owner
    workflow = system.workflow()
    receipt = system.send(functions.deleteWorkflow(workflow), owner)
    assert system.events(system.registry, receipt) == [("WorkflowDeleted", {"workflowId": workflow})]
    for call in (
        functions.getWorkflow(workflow),
        functions.getWorkflowMeta(workflow),
        functions.updateWorkflow(workflow, b"", b"", 0, 0, 0),
        functions.pauseWorkflow(workflow),
        functions.resumeWorkflow(workflow, 0),
        functions.deleteWorkflow(workflow),
    ):
        assert system.error_of(call, owner) == ("WorkflowNotFound",)
    assert functions.getWorkflowsByOwner(owner).call() == []


@pytest.mark.parametrize("workflow", [0, 1, LARGEST])
def test_ids_that_were_never_made_are_not_found(system: System, workflow: int) -> None:
    functions = system.registry.functions
    stranger, admin = system.accounts.stranger, system.accounts.admin
    assert system.error_of(functions.getWorkflow(workflow), stranger) == ("WorkflowNotFound",)
    assert system.error_of(functions.getWorkflowMeta(workflow), stranger) == ("WorkflowNotFound",)
    assert system.rejected(functions.pauseWorkflow(workflow), stranger) == ("WorkflowNotFound",)
    assert system.rejected(functions.adminSetWorkflow(workflow, True, 1), admin) == ("WorkflowNotFound",)


def test_only_the_owner_may_change_a_workflow(system: System) -> None:
    functions = system.registry.functions
    workflow = system.workflow()
    before = functions.getWorkflow(workflow).call()
    for sender in (system.accounts.stranger, system.accounts.admin, system.accounts.worker):
        for call in (
            functions.updateWorkflow(workflow, b"", b"", 0, 0, 0),
            functions.pauseWorkflow(workflow),
            functions.resumeWorkflow(workflow, 0),
            functions.deleteWorkflow(workflow),
        ):
            assert system.rejected(call, sender) == ("NotOwner",)
    assert functions.getWorkflow(workflow).call() == before


def test_workflows_by_owner(system: System) -> None:
    functions, owner, stranger = system.registry.functions, system.accounts.owner, system.accounts.stranger

    def owned(address: str) -> set[int]:
        ids = functions.getWorkflowsByOwner(address).call()
        assert len(ids) == len(set(ids))
        return set(ids)

    for _ in range(5):
        system.workflow(owner=owner)
    assert system.workflow(owner=stranger) == 6
    assert (owned(owner), owned(stranger), owned(NOBODY)) == ({1, 2, 3, 4, 5}, {6}, set())
    left = {1, 2, 3, 4, 5}
    for workflow in (2, 5, 1, 4, 3):  # from the middle, the end and the front
        system.send(functions.deleteWorkflow(workflow), owner)
        left.remove(workflow)
        assert owned(owner) == left
    assert owned(stranger) == {6}
    assert system.workflow(owner=owner) == 7
    assert owned(owner) == {7}


def test_a_project_admin_sets_any_workflow(system: System) -> None:
    functions, owner = system.registry.functions, system.accounts.owner
    workflow = system.workflow()
    before = functions.getWorkflow(workflow).call()
    receipt = system.send(functions.adminSetWorkflow(workflow, False, 77), system.accounts.admin)
    assert system.events(system.registry, receipt) == [("WorkflowUpdated", {"workflowId": workflow})]
    assert functions.getWorkflowMeta(workflow).call() == [owner, False, 77]
    system.send(functions.adminSetWorkflow(workflow, True, 0), system.accounts.admin)
    assert functions.getWorkflow(workflow).call() == [*before[:5], 0, *before[6:]]


def test_nobody_else_does(system: System) -> None:
    workflow = system.workflow()
    call = system.registry.functions.adminSetWorkflow(workflow, False, 77)
    for sender in (system.accounts.owner, system.accounts.worker, system.accounts.deployer):
        refusal = ("AccessControlUnauthorizedAccount", sender.lower(), bytes(PROJECT_ADMIN))
        assert system.rejected(call, sender) == refusal


def test_first_roles(system: System) -> None:
    admin, deployer = system.accounts.admin, system.accounts.deployer
    has_role = system.registry.functions.hasRole
    assert bytes(system.registry.functions.PROJECT_ADMIN().call()) == PROJECT_ADMIN
    assert has_role(DEFAULT_ADMIN_ROLE, admin).call()
    assert has_role(PROJECT_ADMIN, admin).call()
    assert has_role(DEFAULT_ADMIN_ROLE, deployer).call()
    assert not has_role(PROJECT_ADMIN, deployer).call()


def test_without_an_admin_the_deployer_is_in_charge(system: System) -> None:
    registry = system.deploy("WorkflowRegistry", NOBODY)
    assert not registry.functions.hasRole(DEFAULT_ADMIN_ROLE, NOBODY).call()
    assert not registry.functions.hasRole(PROJECT_ADMIN, NOBODY).call()
    system.send(
        registry.functions.grantRole(PROJECT_ADMIN, system.accounts.stranger), system.accounts.deployer
    )
    assert registry.functions.hasRole(PROJECT_ADMIN, system.accounts.stranger).call()
