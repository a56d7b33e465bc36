"""After Redis lost writes: which transfers that wait may have been served in the part that it forgot?

What waits may have been taken by a run whose queueing, and all that followed, is forgotten; and so may what is found
again because the cursor went back. A recovery ends when nothing forgotten can be mined any more, and writes down the
final block that shows it. Whatever workflow was executed between the transfer and that block may have been executed
for it, so a person has to decide. All others have certainly not been served.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autometa_cli.chain.contracts import executed
from autometa_cli.executor.executions import executions
from autometa_cli.scheduling.occasion import Event

if TYPE_CHECKING:
    from autometa_cli.chain.blocks import Log
    from autometa_cli.chain.view import View

#: What one pass reads at most; where a transfer has waited for long, that takes several.
MOST_RANGES = 50
#: Workflows that are asked about at once.
MOST_WORKFLOWS = 500
#: In so many blocks before the end an index that lags is not believed; one that lags further behind is broken.
_CONFIRMED_BLOCKS = 2000


@dataclass(slots=True)
class _Walk:
    """A reading of the executions between some transfers and the end of the recovery."""

    events: Mapping[int, Event]
    at: int
    found: dict[int, Log] = field(default_factory=dict)


class Doubts:
    """Sifts what waits.

    Args:
        executor: address of the contract.
        log_range: the most blocks that one `eth_getLogs` may ask for.
    """

    def __init__(self, executor: str, log_range: int) -> None:
        self._executor = executor
        self._range = log_range
        self._upto = 0
        self._sure: dict[int, str] = {}  # names of those that were looked up
        self._walk: _Walk | None = None

    def clear(self, id: int, event: Event, upto: int) -> bool:
        """Whether a transfer has certainly not been served by what Redis forgot.

        Args:
            upto: the final block at which the last recovery ended; 0: there was none.
        """
        return event.block > upto or (upto == self._upto and self._sure.get(id) == event.name)

    async def look(self, final: View, waiting: Mapping[int, Event], upto: int) -> dict[int, Log]:
        """Read on; those of `waiting` that may have been served, each with the execution that may have.

        Raises:
            RpcUnreachable: what was read until then is kept.
        """
        if upto != self._upto:
            self._upto, self._sure, self._walk = upto, {}, None
        unsure = {id: event for id, event in waiting.items() if not self.clear(id, event, upto)}
        if not unsure or final.block.number < upto:  # an endpoint that lags cannot tell
            return {}
        if self._walk is None:
            events = dict(list(unsure.items())[:MOST_WORKFLOWS])
            self._walk = _Walk(events, min(event.block for event in events.values()) + 1)
        walk = self._walk
        for _ in range(MOST_RANGES):
            if walk.at > upto:
                break
            last = min(upto, walk.at + self._range - 1)
            logs = await executions(
                final, self._executor, walk.events, walk.at, last, self._range,
                confirmed=last > upto - _CONFIRMED_BLOCKS,
            )  # fmt: skip
            for log in logs:
                id = executed(log).workflow
                if log.block_number > walk.events[id].block:
                    walk.found.setdefault(id, log)
            walk.at = last + 1
        if walk.at <= upto:
            return {}
        self._walk = None
        self._sure |= {id: event.name for id, event in walk.events.items() if id not in walk.found}
        return {id: log for id, log in walk.found.items() if unsure.get(id) == walk.events[id]}
