// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";

/// @title WorkflowRegistry
/// @notice Stores workflows: what triggers them, what they do, and when they run next.
/// @dev The registry checks who may change a workflow and nothing else. Trigger and action are opaque bytes with a
/// number as a label; making sense of them, and rejecting nonsense, is left to the scheduler and the workers.
contract WorkflowRegistry is AccessControl {
    /// @dev `owner`, the two labels, `active` and `position` share one storage slot. A zero owner means: none. The
    /// position is the workflow's index among its owner's.
    struct Workflow {
        address owner;
        uint8 triggerType;
        uint8 actionType;
        bool active;
        uint64 position;
        uint256 nextRun;
        uint256 interval;
        uint256 gasBudget;
        bytes triggerData;
        bytes actionData;
    }

    /// @notice Role that may call {adminSetWorkflow}. The ActionExecutor needs it.
    bytes32 public constant PROJECT_ADMIN = keccak256("PROJECT_ADMIN");

    /// @dev The id given last, which is also how many workflows were ever made.
    uint256 private _lastId;

    mapping(uint256 workflowId => Workflow workflow) private _workflows;

    /// @dev Ids only; OpenZeppelin's EnumerableSet would do, but needs an opcode that older runtimes lack (MCOPY).
    mapping(address owner => uint256[] workflowIds) private _ownedBy;

    /// @notice A workflow was made.
    /// @param workflowId Its id.
    /// @param owner The account that made it and owns it.
    event WorkflowCreated(uint256 indexed workflowId, address indexed owner);

    /// @notice A workflow was changed by its owner, or set by a project admin (which each execution does).
    /// @param workflowId Its id.
    event WorkflowUpdated(uint256 indexed workflowId);

    /// @notice An active workflow was paused by its owner.
    /// @param workflowId Its id.
    event WorkflowPaused(uint256 indexed workflowId);

    /// @notice A paused workflow was resumed by its owner.
    /// @param workflowId Its id.
    event WorkflowResumed(uint256 indexed workflowId);

    /// @notice A workflow was deleted by its owner; the id is never used again.
    /// @param workflowId Its id.
    event WorkflowDeleted(uint256 indexed workflowId);

    /// @notice The caller does not own the workflow.
    error NotOwner();

    /// @notice There is no workflow with this id: it was deleted or never made.
    error WorkflowNotFound();

    /// @notice Part of the interface, kept for clients that know it; this version never raises it.
    error InvalidWorkflow();

    /// @dev Owner's calls only. An id without a workflow is reported before a foreign caller is.
    modifier onlyWorkflowOwner(uint256 workflowId) {
        if (_existing(workflowId).owner != msg.sender) revert NotOwner();
        _;
    }

    /// @notice Deployer and `admin` become role admins, `admin` also project admin.
    /// @param admin The account that runs the project; the zero address leaves the deployer alone in charge.
    constructor(address admin) {
        _grantRole(DEFAULT_ADMIN_ROLE, msg.sender);
        if (admin != address(0)) {
            _grantRole(DEFAULT_ADMIN_ROLE, admin);
            _grantRole(PROJECT_ADMIN, admin);
        }
    }

    /// @notice Makes a workflow that the caller owns; it starts active.
    /// @param triggerType Label of the trigger: 1 time, 2 price, 3 wallet event; not checked.
    /// @param triggerData Parameters of the trigger; not checked.
    /// @param actionType Label of the action; not checked, the first byte of `actionData` decides.
    /// @param actionData One byte action type and its ABI-encoded parameters; not checked.
    /// @param nextRun When it is due, in Unix seconds; 0 is due at once.
    /// @param interval Seconds from one run to the next; 0 runs once.
    /// @param gasBudget What its owner lets one run cost, in wei.
    /// @return workflowId The new id; ids count up from 1.
    function createWorkflow(
        uint8 triggerType,
        bytes calldata triggerData,
        uint8 actionType,
        bytes calldata actionData,
        uint256 nextRun,
        uint256 interval,
        uint256 gasBudget
    ) external returns (uint256 workflowId) {
        workflowId = ++_lastId;
        Workflow storage workflow = _workflows[workflowId];
        workflow.owner = msg.sender;
        workflow.triggerType = triggerType;
        workflow.actionType = actionType;
        workflow.active = true;
        workflow.position = uint64(_ownedBy[msg.sender].length);
        workflow.nextRun = nextRun;
        workflow.interval = interval;
        workflow.gasBudget = gasBudget;
        workflow.triggerData = triggerData;
        workflow.actionData = actionData;
        _ownedBy[msg.sender].push(workflowId);
        emit WorkflowCreated(workflowId, msg.sender);
    }

    /// @notice Changes a workflow of the caller; its labels, its owner and whether it is active stay.
    /// @param workflowId The workflow.
    /// @param triggerData New parameters of the trigger.
    /// @param actionData New action.
    /// @param nextRun New due time, in Unix seconds.
    /// @param interval New interval, in seconds.
    /// @param gasBudget New budget for one run, in wei.
    function updateWorkflow(
        uint256 workflowId,
        bytes calldata triggerData,
        bytes calldata actionData,
        uint256 nextRun,
        uint256 interval,
        uint256 gasBudget
    ) external onlyWorkflowOwner(workflowId) {
        Workflow storage workflow = _workflows[workflowId];
        workflow.triggerData = triggerData;
        workflow.actionData = actionData;
        workflow.nextRun = nextRun;
        workflow.interval = interval;
        workflow.gasBudget = gasBudget;
        emit WorkflowUpdated(workflowId);
    }

    /// @notice Pauses a workflow of the caller; does nothing, and emits nothing, when it is paused already.
    /// @dev An execution that is mined afterwards makes it active again, see {adminSetWorkflow}.
    /// @param workflowId The workflow.
    function pauseWorkflow(uint256 workflowId) external onlyWorkflowOwner(workflowId) {
        Workflow storage workflow = _workflows[workflowId];
        if (!workflow.active) return;
        workflow.active = false;
        emit WorkflowPaused(workflowId);
    }

    /// @notice Resumes a paused workflow of the caller; does nothing, and emits nothing, when it is active.
    /// @param workflowId The workflow.
    /// @param newNextRun When it is due, in Unix seconds; 0 leaves the due time as it is.
    function resumeWorkflow(uint256 workflowId, uint256 newNextRun) external onlyWorkflowOwner(workflowId) {
        Workflow storage workflow = _workflows[workflowId];
        if (workflow.active) return;
        workflow.active = true;
        if (newNextRun != 0) workflow.nextRun = newNextRun;
        emit WorkflowResumed(workflowId);
    }

    /// @notice Deletes a workflow of the caller for good.
    /// @param workflowId The workflow.
    function deleteWorkflow(uint256 workflowId) external onlyWorkflowOwner(workflowId) {
        uint256[] storage owned = _ownedBy[msg.sender];
        uint64 position = _workflows[workflowId].position;
        uint256 lastOwned = owned[owned.length - 1];
        // The last one moves to the freed place.
        owned[position] = lastOwned;
        _workflows[lastOwned].position = position;
        owned.pop();
        delete _workflows[workflowId];
        emit WorkflowDeleted(workflowId);
    }

    /// @notice Sets whether a workflow is active and when it is due, whoever owns it.
    /// @dev The ActionExecutor calls this after every run with `active` true, so a run re-activates a workflow that
    /// its owner paused a moment before.
    /// @param workflowId The workflow.
    /// @param active Whether it is to be active.
    /// @param nextRun When it is due, in Unix seconds.
    function adminSetWorkflow(uint256 workflowId, bool active, uint256 nextRun) external onlyRole(PROJECT_ADMIN) {
        Workflow storage workflow = _existing(workflowId);
        workflow.active = active;
        workflow.nextRun = nextRun;
        emit WorkflowUpdated(workflowId);
    }

    /// @notice Everything about a workflow, as nine separate outputs; reverts for an id that has none.
    /// @param workflowId The workflow.
    /// @return owner Who owns it.
    /// @return triggerType Label of its trigger.
    /// @return triggerData Parameters of its trigger.
    /// @return actionType Label of its action.
    /// @return actionData Its action.
    /// @return nextRun When it is due, in Unix seconds.
    /// @return interval Seconds from one run to the next; 0 runs once.
    /// @return active False while it is paused.
    /// @return gasBudget What its owner lets one run cost, in wei.
    function getWorkflow(
        uint256 workflowId
    )
        external
        view
        returns (
            address owner,
            uint8 triggerType,
            bytes memory triggerData,
            uint8 actionType,
            bytes memory actionData,
            uint256 nextRun,
            uint256 interval,
            bool active,
            uint256 gasBudget
        )
    {
        Workflow storage workflow = _existing(workflowId);
        owner = workflow.owner;
        triggerType = workflow.triggerType;
        triggerData = workflow.triggerData;
        actionType = workflow.actionType;
        actionData = workflow.actionData;
        nextRun = workflow.nextRun;
        interval = workflow.interval;
        active = workflow.active;
        gasBudget = workflow.gasBudget;
    }

    /// @notice The part of a workflow that decides whether it may run; reverts for an id that has none.
    /// @param workflowId The workflow.
    /// @return owner Who owns it.
    /// @return active False while it is paused.
    /// @return nextRun When it is due, in Unix seconds.
    function getWorkflowMeta(uint256 workflowId) external view returns (address owner, bool active, uint256 nextRun) {
        Workflow storage workflow = _existing(workflowId);
        return (workflow.owner, workflow.active, workflow.nextRun);
    }

    /// @notice The ids of an owner's workflows, deleted ones left out, in no promised order.
    /// @param owner The account.
    /// @return The ids; empty for an account that owns none.
    function getWorkflowsByOwner(address owner) external view returns (uint256[] memory) {
        return _ownedBy[owner];
    }

    /// @notice How many workflows were ever made; deleting one does not lower it.
    /// @return The count, which is also the highest id.
    function totalWorkflows() external view returns (uint256) {
        return _lastId;
    }

    /// @dev The workflow, or a revert with {WorkflowNotFound}.
    function _existing(uint256 workflowId) private view returns (Workflow storage workflow) {
        workflow = _workflows[workflowId];
        if (workflow.owner == address(0)) revert WorkflowNotFound();
    }
}
