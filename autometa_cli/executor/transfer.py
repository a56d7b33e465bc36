"""What becomes of the transfer that a run took, when the run is not to be.

Nobody paid for it yet, so it waits for the next run. Unless the workflow was executed since the run was opened, by an
extra run or by somebody else: that served it, and a second run would pay twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from autometa_cli.executor.executions import executions
from autometa_cli.executor.reasons import CHANGED

if TYPE_CHECKING:
    from autometa_cli.chain.view import View
    from autometa_cli.jobs.record import Record

#: A run that is closed for one of these was never made; its workflow is there, and will run again.
_GIVE_BACK = frozenset({"moved_on", "paused", CHANGED})


@dataclass(frozen=True, slots=True)
class Fate:
    """Where a transfer goes.

    Attributes:
        back: it waits for the next run.
        text: for people, to be put behind the reason of the skip; "" where there is no transfer.
        unsure: that hangs on a block that is not final yet; ask again later.
    """

    back: bool = False
    text: str = ""
    unsure: bool = False


async def fate(record: Record, reason: str, view: View, final: int, log_range: int) -> Fate:
    """Of the transfer of a record that is about to be skipped.

    Args:
        reason: why it is skipped.
        view: at the head.
        final: height of the last final block there; the one that opened the record is not later.

    Raises:
        RpcUnreachable: the chain's events cannot be read.
    """
    if not record.event:
        return Fate()
    if reason not in _GIVE_BACK:
        return Fate(text=f"; its transfer {record.event} fires nothing more")
    logs = await executions(
        view, record.executor, (record.workflow,), record.seen + 1, view.block.number, log_range
    )
    if not logs:
        return Fate(back=True, text=f"; its transfer {record.event} waits for the next run")
    if all(log.block_number > final for log in logs):
        text = f"the workflow was executed in block {logs[0].block_number}, which is not final yet"
        return Fate(text=text, unsure=True)
    tx = next(log.transaction_hash for log in logs if log.block_number <= final)
    return Fate(text=f"; its transfer {record.event} was served by {tx}")
