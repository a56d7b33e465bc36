"""Chainlink price feeds (AggregatorV3Interface), read strictly: a feed may be any contract."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eth_hash.auto import keccak

from autometa_cli.chain.faults import RpcFault
from autometa_cli.chain.interfaces import Codec
from autometa_cli.chain.view import together
from autometa_cli.chain.words import BadEncoding

if TYPE_CHECKING:
    from autometa_cli.chain.view import View

_LATEST = keccak(b"latestRoundData()")[:4]
_DECIMALS = keccak(b"decimals()")[:4]
_ROUND = Codec(("uint80", "int256", "uint256", "uint256", "uint80"), "latestRoundData")
_PLACES = Codec(("uint8",), "decimals")


@dataclass(frozen=True, slots=True)
class Round:
    """A feed's newest round.

    Attributes:
        answer, decimals: `answer` / 10**`decimals` USD. Anything an int256 holds, also negative.
        updated: seconds since 1970; 0: there is no answer yet.
        carried_over: the answer is that of an earlier round.
    """

    answer: int
    decimals: int
    updated: int
    carried_over: bool


async def latest_round(view: View, feed: str) -> Round | None:
    """What a feed says at the view's block; None where it says nothing, or is no feed. Raises RpcUnreachable."""
    try:
        answers = await together(view.call(feed, _LATEST), view.call(feed, _DECIMALS))
        id, answer, _, updated, answered_in = _ROUND.decode(answers[0])
        (decimals,) = _PLACES.decode(answers[1])
    except (RpcFault, BadEncoding):
        return None
    return Round(answer, decimals, updated, carried_over=answered_in < id)
