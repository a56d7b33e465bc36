// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title TestToken
/// @notice An ERC-20 token with 18 decimals that anyone can mint and anyone can break. For tests and local chains.
contract TestToken is ERC20 {
    /// @notice What a transfer does: `None` works, `ReturnFalse` moves nothing and returns false, `Revert` reverts.
    enum Refusal {
        None,
        ReturnFalse,
        Revert
    }

    /// @notice What transfers do at present.
    Refusal public refusal;

    /// @notice Transfers are switched off.
    /// @param from Who wanted to send.
    /// @param to Who should have received.
    /// @param amount How much.
    error TransfersRefused(address from, address to, uint256 amount);

    /// @notice Makes a token of which nobody has any.
    /// @param name_ Its name.
    /// @param symbol_ Its symbol.
    constructor(string memory name_, string memory symbol_) ERC20(name_, symbol_) {}

    /// @notice Makes new tokens, for whoever calls.
    /// @param to Who gets them.
    /// @param amount How many, in the smallest unit.
    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }

    /// @notice Sets what transfers do from now on.
    /// @param refusal_ The behaviour.
    function setRefusal(Refusal refusal_) external {
        refusal = refusal_;
    }

    /// @notice Sends the caller's tokens, unless transfers are switched off.
    /// @param to Who receives.
    /// @param amount How many, in the smallest unit.
    /// @return Whether they were sent.
    function transfer(address to, uint256 amount) public override returns (bool) {
        if (refusal == Refusal.ReturnFalse) return false;
        if (refusal == Refusal.Revert) revert TransfersRefused(msg.sender, to, amount);
        return super.transfer(to, amount);
    }
}
