"""What a check decides: execute it, with exactly this call, or not now, for this reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from autometa_cli.chain.contracts import Workflow
    from autometa_cli.chain.view import View
    from autometa_cli.executor.funds import Need


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why a trigger does not let its workflow run.

    Attributes:
        kind: `ceased`: its condition does not hold (any more) · `unknown`: nobody can tell at present, which is no
            fault of the job's · `lost`: what it runs for is not to be found, which may be the endpoint's fault.
        text: for people.
    """

    kind: Literal["ceased", "unknown", "lost"]
    text: str


class Triggers(Protocol):
    """Evaluates a workflow's trigger; given by whoever composes the executor (`scheduling.triggers`)."""

    async def recheck(
        self, workflow: Workflow, view: View, final: View, now: int, event: Any
    ) -> WhyNot | None:
        """None when the trigger holds for a workflow that is due; `event` is what the payload says."""
        ...


@dataclass(frozen=True, slots=True)
class Go:
    """Execute it, with exactly this call.

    Attributes:
        data: call data of `executeWorkflow`.
        gas: gas limit.
        new_next_run: what the call writes to the registry.
        needs: what it takes out of whose balance.
        charge: wei that the owner's escrow pays.
    """

    workflow: Workflow
    data: bytes
    gas: int
    new_next_run: int
    needs: tuple[Need, ...]
    charge: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Do not execute it now.

    Attributes:
        to: `skipped`, `dead`, `delayed`, or `queued` (back to the head: the trouble is ours).
        reason: a short code, for records and metrics.
        text: for people.
        block: finalized height, for `skipped` and `dead`.
        delay: seconds, for `delayed`.
        hold: this pause counts against MAX_HOLD.
        trouble: the worker had better stop taking jobs.
        gives_back: the transfer that the run took waits for the next one.
    """

    to: Literal["skipped", "dead", "delayed", "queued"]
    reason: str
    text: str
    block: int = 0
    delay: float = 0
    hold: bool = False
    trouble: bool = False
    gives_back: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """The transaction is on its way; the tracker follows it."""

    key: str
    tx: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The record is not ours any more (or never became bindable); nothing was sent and nothing is owed."""

    why: str


def held(reason: str, text: str, holds: int) -> Refusal:
    """A pause that counts against MAX_HOLD, for what the job itself, or its owner, has to mend."""
    return Refusal("delayed", reason, text, delay=pause(holds), hold=True)


def pause(holds: int) -> float:
    """Seconds until a job that was held so often looks again: 30 s, doubled each time, up to an hour."""
    return float(min(30 * 2 ** min(holds, 10), 3600))
