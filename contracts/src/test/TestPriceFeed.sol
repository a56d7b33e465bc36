// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

/// @title TestPriceFeed
/// @notice A price feed with the functions of Chainlink's AggregatorV3Interface whose rounds anyone can write. For
/// tests and local chains.
contract TestPriceFeed {
    /// @dev One answer. `updatedAt` 0 marks an empty place.
    struct Round {
        int256 answer;
        uint256 startedAt;
        uint256 updatedAt;
        uint80 answeredInRound;
    }

    /// @notice Decimal places of the answers.
    uint8 public immutable decimals;

    /// @notice What is priced, such as `DOT / USD`.
    string public description;

    /// @notice Version of the interface that is imitated.
    uint256 public constant version = 4;

    /// @notice The newest round.
    uint80 public latestRound;

    mapping(uint80 roundId => Round round) private _rounds;

    /// @notice A round was written.
    /// @param current Its answer.
    /// @param roundId Its number.
    /// @param updatedAt Its time, in Unix seconds.
    event AnswerUpdated(int256 indexed current, uint256 indexed roundId, uint256 updatedAt);

    /// @notice Makes a feed with one round.
    /// @param decimals_ Decimal places of the answers.
    /// @param description_ What is priced.
    /// @param answer The first answer.
    constructor(uint8 decimals_, string memory description_, int256 answer) {
        decimals = decimals_;
        description = description_;
        _write(1, answer, block.timestamp, block.timestamp, 1);
    }

    /// @notice Writes a next round with the present time.
    /// @param answer The answer.
    function setAnswer(int256 answer) external {
        uint80 roundId = latestRound + 1;
        _write(roundId, answer, block.timestamp, block.timestamp, roundId);
    }

    /// @notice Writes a round with everything given, such as a stale one, and makes it the newest.
    /// @param roundId Its number.
    /// @param answer Its answer.
    /// @param startedAt When it began, in Unix seconds.
    /// @param updatedAt When it was answered, in Unix seconds; 0 leaves the feed without data.
    /// @param answeredInRound The round that the answer is from.
    function setRound(
        uint80 roundId,
        int256 answer,
        uint256 startedAt,
        uint256 updatedAt,
        uint80 answeredInRound
    ) external {
        _write(roundId, answer, startedAt, updatedAt, answeredInRound);
    }

    /// @notice A round; reverts with `No data present` if there is none.
    /// @param roundId_ Its number.
    /// @return roundId Its number again.
    /// @return answer Its answer.
    /// @return startedAt When it began, in Unix seconds.
    /// @return updatedAt When it was answered, in Unix seconds.
    /// @return answeredInRound The round that the answer is from.
    function getRoundData(
        uint80 roundId_
    )
        public
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        Round storage round = _rounds[roundId_];
        require(round.updatedAt != 0, "No data present");
        return (roundId_, round.answer, round.startedAt, round.updatedAt, round.answeredInRound);
    }

    /// @notice The newest round; reverts with `No data present` if it has none.
    /// @return roundId Its number.
    /// @return answer Its answer.
    /// @return startedAt When it began, in Unix seconds.
    /// @return updatedAt When it was answered, in Unix seconds.
    /// @return answeredInRound The round that the answer is from.
    function latestRoundData()
        external
        view
        returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound)
    {
        return getRoundData(latestRound);
    }

    /// @dev Stores a round and makes it the newest.
    function _write(
        uint80 roundId,
        int256 answer,
        uint256 startedAt,
        uint256 updatedAt,
        uint80 answeredInRound
    ) private {
        _rounds[roundId] = Round(answer, startedAt, updatedAt, answeredInRound);
        latestRound = roundId;
        emit AnswerUpdated(answer, roundId, updatedAt);
    }
}
