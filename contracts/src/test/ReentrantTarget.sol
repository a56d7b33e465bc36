// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// @title ReentrantTarget
/// @notice Makes a call of its own whenever it is called or paid, such as back into the executor, the registry or the
/// escrow, and remembers how that went. For tests and local chains.
/// @dev With {act} it can own workflows, have a balance in the escrow, and so on.
contract ReentrantTarget {
    /// @notice Whom it calls when it is called; the zero address: nobody.
    address public victim;

    /// @notice What it calls there.
    bytes public payload;

    /// @notice Whether it reverts, with the same data, when its own call does.
    bool public passOn;

    /// @notice How many calls it has made.
    uint256 public attempts;

    /// @notice Whether the last one succeeded.
    bool public lastSuccess;

    /// @notice What the last one returned, or its revert data.
    bytes public lastResult;

    /// @notice Makes its call on being paid.
    receive() external payable {
        _strike();
    }

    /// @notice Makes its call on any call.
    fallback() external payable {
        _strike();
    }

    /// @notice Sets what it does when it is called.
    /// @param victim_ Whom it calls; the zero address: nobody.
    /// @param payload_ What it calls there.
    /// @param passOn_ Whether it reverts when its call does. What it remembers is then lost with the revert.
    function arm(address victim_, bytes calldata payload_, bool passOn_) external {
        victim = victim_;
        payload = payload_;
        passOn = passOn_;
    }

    /// @notice Makes any call in its own name, and reverts when that does.
    /// @param target Whom to call.
    /// @param data What to call there.
    /// @return What the call returned.
    function act(address target, bytes calldata data) external payable returns (bytes memory) {
        (bool success, bytes memory result) = target.call{value: msg.value}(data);
        if (!success) _revertWith(result);
        return result;
    }

    /// @dev Makes the call that {arm} set, and remembers its outcome.
    function _strike() private {
        if (victim == address(0)) return;
        (bool success, bytes memory result) = victim.call(payload);
        if (!success && passOn) _revertWith(result);
        attempts += 1;
        lastSuccess = success;
        lastResult = result;
    }

    /// @dev Reverts with the data given.
    function _revertWith(bytes memory data) private pure {
        assembly ("memory-safe") {
            revert(add(data, 32), mload(data))
        }
    }
}
