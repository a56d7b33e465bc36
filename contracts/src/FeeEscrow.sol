// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

/// @title FeeEscrow
/// @notice Holds native tokens that users deposit to pay for the runs of their workflows.
/// @dev Whoever has WORKER_ROLE can charge any user any amount up to their balance, and ADMIN_ROLE can take
/// everything: users trust both.
contract FeeEscrow is AccessControl, ReentrancyGuard {
    using Address for address payable;

    /// @notice Role that may call {chargeGas}. The ActionExecutor needs it; workers' own accounts do not.
    bytes32 public constant WORKER_ROLE = keccak256("WORKER_ROLE");

    /// @notice Role that may call {emergencyWithdraw}.
    bytes32 public constant ADMIN_ROLE = keccak256("ADMIN_ROLE");

    /// @notice What a user has here, in wei.
    mapping(address user => uint256 amount) public balances;

    /// @notice A user put money in.
    /// @param user The account.
    /// @param amount How much, in wei.
    event GasDeposited(address indexed user, uint256 amount);

    /// @notice A user took money out.
    /// @param user The account.
    /// @param amount How much, in wei.
    event GasWithdrawn(address indexed user, uint256 amount);

    /// @notice A user was charged for a run.
    /// @param user The account.
    /// @param amount How much, in wei.
    /// @param worker The caller, who was paid: the ActionExecutor.
    event GasCharged(address indexed user, uint256 amount, address worker);

    /// @notice An administrator took money out, whoever's it was.
    /// @param admin The account.
    /// @param amount How much, in wei.
    event EmergencyWithdraw(address indexed admin, uint256 amount);

    /// @notice Makes `admin` role admin and project administrator; nobody may charge yet.
    /// @param admin The account that grants and revokes roles.
    constructor(address admin) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(ADMIN_ROLE, admin);
    }

    /// @notice Adds the value sent to the caller's balance; it may not be 0.
    function depositGas() external payable nonReentrant {
        require(msg.value > 0, "Zero deposit");
        balances[msg.sender] += msg.value;
        emit GasDeposited(msg.sender, msg.value);
    }

    /// @notice Pays from the caller's balance to the caller.
    /// @param amount How much, in wei.
    function withdrawGas(uint256 amount) external nonReentrant {
        require(balances[msg.sender] >= amount, "Not enough balance");
        balances[msg.sender] -= amount;
        payable(msg.sender).sendValue(amount);
        emit GasWithdrawn(msg.sender, amount);
    }

    /// @notice Pays from a user's balance to the caller.
    /// @param user Who pays.
    /// @param amount How much, in wei.
    function chargeGas(address user, uint256 amount) external nonReentrant onlyRole(WORKER_ROLE) {
        require(balances[user] >= amount, "Insufficient balance");
        balances[user] -= amount;
        payable(msg.sender).sendValue(amount);
        emit GasCharged(user, amount, msg.sender);
    }

    /// @notice Pays to the caller, from whatever is here. Users' balances stay as they are, so that afterwards they
    /// can add up to more than the contract holds.
    /// @param amount How much, in wei.
    function emergencyWithdraw(uint256 amount) external nonReentrant onlyRole(ADMIN_ROLE) {
        payable(msg.sender).sendValue(amount);
        emit EmergencyWithdraw(msg.sender, amount);
    }
}
