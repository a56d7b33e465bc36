// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// @title RevertingTarget
/// @notice Reverts in every way a contract can, until it is switched to be healthy. For tests and local chains.
/// @dev Starts with `Mode.Reason`. Value sent to it and any call data follow the mode too.
contract RevertingTarget {
    /// @notice What a call does: `Healthy` works; the others revert with a string, with {Unhealthy}, with a panic
    /// (an assertion, code 1), or without any data.
    enum Mode {
        Healthy,
        Reason,
        CustomError,
        Panic,
        Silent
    }

    /// @notice What calls do at present.
    Mode public mode = Mode.Reason;

    /// @notice The text of `Mode.Reason`.
    string public reason = "target is not healthy";

    /// @notice How many calls succeeded.
    uint256 public calls;

    /// @notice A healthy target reverts all the same when the gas price of a transaction is above this, in wei.
    uint256 public maxGasPrice = type(uint256).max;

    /// @notice A healthy target reverts all the same in a block above this.
    uint256 public lastBlock = type(uint256).max;

    /// @notice The custom error that it raises.
    /// @param caller Who called.
    /// @param succeeded How many calls succeeded before.
    error Unhealthy(address caller, uint256 succeeded);

    /// @notice Raised by a healthy target when {maxGasPrice} or {lastBlock} is passed.
    /// @param gasPrice The transaction's, in wei.
    /// @param blockNumber The block's.
    error LimitPassed(uint256 gasPrice, uint256 blockNumber);

    /// @notice Takes value as the mode says.
    receive() external payable {
        _act();
    }

    /// @notice Takes any call as the mode says.
    fallback() external payable {
        _act();
    }

    /// @notice Succeeds or reverts as the mode says.
    /// @return How many calls have succeeded, this one included.
    function act() external payable returns (uint256) {
        return _act();
    }

    /// @notice Sets what calls do from now on.
    /// @param mode_ The behaviour.
    function setMode(Mode mode_) external {
        mode = mode_;
    }

    /// @notice Sets the text of `Mode.Reason`.
    /// @param reason_ The text.
    function setReason(string calldata reason_) external {
        reason = reason_;
    }

    /// @notice Sets what makes a healthy target revert, so that a call can pass a simulation and fail on chain.
    /// @param maxGasPrice_ The highest gas price that it accepts, in wei.
    /// @param lastBlock_ The last block that it accepts.
    function setLimits(uint256 maxGasPrice_, uint256 lastBlock_) external {
        maxGasPrice = maxGasPrice_;
        lastBlock = lastBlock_;
    }

    /// @dev Counts the call or reverts.
    function _act() private returns (uint256) {
        if (mode == Mode.Reason) revert(reason);
        if (mode == Mode.CustomError) revert Unhealthy(msg.sender, calls);
        if (mode == Mode.Silent) revert();
        assert(mode == Mode.Healthy);
        if (tx.gasprice > maxGasPrice || block.number > lastBlock) revert LimitPassed(tx.gasprice, block.number);
        return ++calls;
    }
}
