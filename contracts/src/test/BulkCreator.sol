// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

import {WorkflowRegistry} from "../WorkflowRegistry.sol";

/// @title BulkCreator
/// @notice Makes many workflows in one transaction, and owns them. For benchmarks on local chains.
contract BulkCreator {
    /// @notice Makes `count` time workflows.
    /// @param registry Where.
    /// @param count How many.
    /// @param actionData What each of them does.
    /// @param nextRun When the first is due, in Unix seconds; each further one a second later.
    /// @param interval Seconds from one run to the next.
    function create(
        WorkflowRegistry registry,
        uint256 count,
        bytes calldata actionData,
        uint256 nextRun,
        uint256 interval
    ) external {
        for (uint256 i = 0; i < count; ++i) {
            registry.createWorkflow(1, "", 1, actionData, nextRun + i, interval, 1e12);
        }
    }

    /// @notice Makes `count` workflows due, each at the same time.
    /// @param registry Where.
    /// @param first The first of them; the others follow.
    /// @param count How many.
    /// @param actionData What each of them does.
    /// @param nextRun When they are due, in Unix seconds.
    function update(
        WorkflowRegistry registry,
        uint256 first,
        uint256 count,
        bytes calldata actionData,
        uint256 nextRun
    ) external {
        for (uint256 i = 0; i < count; ++i) {
            registry.updateWorkflow(first + i, "", actionData, nextRun, 3600, 1e12);
        }
    }
}
