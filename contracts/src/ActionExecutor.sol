// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";
import {FeeEscrow} from "./FeeEscrow.sol";
import {WorkflowRegistry} from "./WorkflowRegistry.sol";

/// @title ActionExecutor
/// @notice Runs the action of a workflow for a worker, charges its owner, and sets when it is due next.
/// @dev Three things that a worker must know, because nothing here looks after them:
///  - Nothing checks that the workflow is due, is active, has this action, or has not run already. Two calls run it
///    twice and pay twice.
///  - Status 1 is not success. A native transfer or a contract call that fails does not revert: the run counts, the
///    due time moves on, and only the event says `success` false.
///  - This contract pays. Native value and tokens leave its own balance, which all workflows share, and in a
///    contract call it is `msg.sender` with every role and allowance that it has.
contract ActionExecutor is AccessControl, ReentrancyGuard {
    /// @notice Role that may call {executeWorkflow}. Each worker's account needs it.
    bytes32 public constant WORKER_ROLE = keccak256("WORKER_ROLE");

    /// @notice Role of the project's administrators. It opens nothing in this contract.
    bytes32 public constant ADMIN_ROLE = keccak256("ADMIN_ROLE");

    /// @dev Action types, as they stand in the first byte of an action.
    uint8 private constant NATIVE_TRANSFER = 1;
    uint8 private constant TOKEN_TRANSFER = 2;
    uint8 private constant CONTRACT_CALL = 3;

    /// @notice The registry whose workflows are run. This contract needs PROJECT_ADMIN there.
    WorkflowRegistry public immutable registry;

    /// @notice The escrow that owners are charged in. This contract needs WORKER_ROLE there.
    FeeEscrow public immutable escrow;

    /// @notice A run took place, whether its action succeeded or not.
    /// @param workflowId The workflow, as the worker named it.
    /// @param user The account to be charged, as the worker named it.
    /// @param success Whether the action succeeded. The charge was made only if it did.
    /// @param gasUsed The charge that the worker asked for, in wei: `gasToCharge`, not gas, and given even where a
    /// failed action left the user uncharged.
    /// @param result What the recipient or target returned, or the revert data of a failed one; empty for a token
    /// transfer.
    event WorkflowExecuted(
        uint256 indexed workflowId,
        address indexed user,
        bool success,
        uint256 gasUsed,
        bytes result
    );

    /// @notice Makes `admin` role admin and project administrator; no worker has a role yet.
    /// @param admin The account that grants and revokes roles.
    /// @param registryAddress The WorkflowRegistry.
    /// @param escrowAddress The FeeEscrow.
    constructor(address admin, address registryAddress, address escrowAddress) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(ADMIN_ROLE, admin);
        registry = WorkflowRegistry(registryAddress);
        escrow = FeeEscrow(escrowAddress);
    }

    /// @notice Takes the money that actions spend: from anyone, and from the escrow when it is charged.
    receive() external payable {}

    /// @notice Runs an action, charges the user if it succeeded, and sets the workflow active and due at
    /// `newNextRun`, in this order; then emits {WorkflowExecuted}.
    /// @dev Reverts as a whole if the caller is no worker, the action is malformed or of an unknown type, a token
    /// transfer reverts, the escrow refuses the charge, or the workflow does not exist. An action gets all gas but
    /// the 1/64 that the EVM keeps back, so one that runs out of gas shows as `success` false when that rest is
    /// enough to finish here.
    /// @param workflowId The workflow; only passed on.
    /// @param actionData One byte action type, then ABI-encoded: 1 native transfer `(address to, uint256 amount)`,
    /// 2 token transfer `(address token, address to, uint256 amount)`, 3 contract call `(address target,
    /// uint256 value, bytes callData)`.
    /// @param newNextRun When the workflow is due next, in Unix seconds.
    /// @param userToCharge Whose escrow balance pays.
    /// @param gasToCharge What the run costs them, in wei; 0 charges nothing.
    function executeWorkflow(
        uint256 workflowId,
        bytes calldata actionData,
        uint256 newNextRun,
        address userToCharge,
        uint256 gasToCharge
    ) external nonReentrant onlyRole(WORKER_ROLE) {
        (bool success, bytes memory result) = _perform(uint8(actionData[0]), actionData[1:]);
        if (success && gasToCharge > 0) {
            escrow.chargeGas(userToCharge, gasToCharge);
        }
        registry.adminSetWorkflow(workflowId, true, newNextRun);
        emit WorkflowExecuted(workflowId, userToCharge, success, gasToCharge, result);
    }

    /// @dev Runs one action.
    /// @param kind Its type.
    /// @param parameters Its ABI-encoded parameters.
    /// @return success Whether it succeeded.
    /// @return result Returned data or revert data.
    function _perform(uint8 kind, bytes calldata parameters) private returns (bool success, bytes memory result) {
        if (kind == NATIVE_TRANSFER) {
            (address to, uint256 amount) = abi.decode(parameters, (address, uint256));
            return to.call{value: amount}("");
        }
        if (kind == TOKEN_TRANSFER) {
            (address token, address to, uint256 amount) = abi.decode(parameters, (address, address, uint256));
            // A plain call on purpose: a token that reverts, or does not return a bool, reverts the whole run; one
            // that returns false fails the action alone.
            return (IERC20(token).transfer(to, amount), "");
        }
        if (kind == CONTRACT_CALL) {
            (address target, uint256 value, bytes memory callData) = abi.decode(parameters, (address, uint256, bytes));
            return target.call{value: value}(callData);
        }
        revert("Invalid actionType");
    }
}
