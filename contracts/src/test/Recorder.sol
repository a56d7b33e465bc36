// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// @title Recorder
/// @notice Accepts any call and any value, counts, and remembers the last. For tests and local chains.
contract Recorder {
    /// @notice How many calls it has had, payments included.
    uint256 public calls;

    /// @notice How many of them were {mark} with this key.
    mapping(bytes32 key => uint256 count) public marks;

    /// @notice Who called last.
    address public lastSender;

    /// @notice What the last call brought, in wei.
    uint256 public lastValue;

    /// @notice The data of the last call.
    bytes public lastData;

    /// @notice A call came in.
    /// @param sender Who called.
    /// @param value What it brought, in wei.
    /// @param data Its data.
    event Recorded(address indexed sender, uint256 value, bytes data);

    /// @notice Records a payment.
    receive() external payable {
        _record();
    }

    /// @notice Records any call.
    fallback() external payable {
        _record();
    }

    /// @notice Records the call and counts its key, so that a test can see which of many actions ran how often.
    /// @param key Any key.
    /// @return count How often this key was marked, this time included.
    function mark(bytes32 key) external payable returns (uint256 count) {
        _record();
        count = ++marks[key];
    }

    /// @dev Remembers the call.
    function _record() private {
        calls += 1;
        lastSender = msg.sender;
        lastValue = msg.value;
        lastData = msg.data;
        emit Recorded(msg.sender, msg.value, msg.data);
    }
}
