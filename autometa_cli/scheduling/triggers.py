"""Does a workflow's trigger hold? Asked by the scheduler, and again by the worker before it signs (DESIGN I4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from autometa_cli.chain.encodings import BadEncoding, TriggerType, decode_trigger
from autometa_cli.units import duration

if TYPE_CHECKING:
    from autometa_cli.chain.contracts import Workflow
    from autometa_cli.chain.view import View


class Oddity(Enum):
    """Why a workflow's trigger needs somebody's attention."""

    UNREADABLE = "unreadable"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is odd about a trigger, for people.

    Attributes:
        blocks: the workflow is never executed while it is so. Unreadable data of a time trigger blocks
            nothing: only `nextRun` and `interval` decide there.
    """

    oddity: Oddity
    text: str
    blocks: bool


_UNSUPPORTED = {
    TriggerType.PRICE: "price triggers are not evaluated by this version",
    TriggerType.WALLET: "wallet event triggers are not evaluated by this version",
}


def examine(trigger_type: int, trigger_data: bytes) -> Finding | None:
    """What is odd about a trigger, or None. Depends on nothing else, so it needs asking only once."""
    try:
        decode_trigger(trigger_type, trigger_data)
    except BadEncoding as error:
        return Finding(Oddity.UNREADABLE, str(error), blocks=trigger_type != TriggerType.TIME)
    unsupported = _UNSUPPORTED.get(TriggerType(trigger_type))
    return Finding(Oddity.UNSUPPORTED, unsupported, blocks=True) if unsupported else None


class Triggers:
    """Evaluates triggers (`executor.check.Triggers`). This version knows the time."""

    async def evaluate(self, workflow: Workflow, view: View, now: int) -> str | None:
        """None when the trigger holds, else why it does not, or cannot be told.

        Args:
            view: where to look; one decision, one view.
            now: the later of the view's timestamp and Redis TIME, seconds since 1970.
        """
        wait = workflow.next_run - now
        if wait > 0:
            return f"due in {duration(wait)}"
        if workflow.trigger_type == TriggerType.TIME:
            return None
        finding = examine(workflow.trigger_type, workflow.trigger_data)
        return finding.text if finding else "this trigger is not evaluated by this version"
