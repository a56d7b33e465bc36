// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// @title GasBurner
/// @notice Uses up gas: a given amount, or all there is. For tests and local chains.
contract GasBurner {
    /// @notice How many calls of {burn} succeeded.
    uint256 public burns;

    /// @notice What the last successful {burn} used up in its loop, in gas.
    uint256 public lastBurned;

    /// @notice Uses up at least `amount` gas, then succeeds; runs out of gas if it is given less.
    /// @dev Goes over by one round of the loop at most, and needs some 45,000 gas more for what it stores.
    /// @param amount How much, in gas; over five million is fine.
    /// @return burned What the loop used, in gas.
    function burn(uint256 amount) external payable returns (uint256 burned) {
        uint256 start = gasleft();
        do {
            burned = start - gasleft();
        } while (burned < amount);
        burns += 1;
        lastBurned = burned;
    }

    /// @notice Uses up all gas that it is given, and so always fails.
    function burnEverything() external pure {
        assembly ("memory-safe") {
            invalid()
        }
    }
}
