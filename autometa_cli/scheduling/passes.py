"""What one pass of the scheduler found and did."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from autometa_cli.units import duration


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass.

    Attributes:
        block, final_block: heights that it looked at.
        now: what "now" was, seconds since 1970.
        workflows: that exist.
        active: of these, not paused.
        due: active, past their next run, with a trigger that holds.
        enqueued: of these, put on the list by this pass; `labels` names them.
        already: of these, on their way since an earlier pass.
        waiting: of these, closed before at this same next run; they wait for a final block to show it again.
        halted: of these, the ids of those in the dead-letter list, which stops them until somebody acts.
        unreadable: active workflows whose trigger cannot be read (time triggers run all the same).
        unsupported: active workflows that go by a price which no configured source can tell.
        requeued: records that said queued but stood in no list, pushed again.
        promoted: delayed jobs whose time came, put on the list.
        next_due: the earliest next run after `now`, seconds since 1970.
        trouble: why nothing was enqueued although the chain and Redis answer, or "".
        seconds: that it took.
        leading: it may enqueue; False: another scheduler does, and nothing is counted as due.
    """

    block: int
    final_block: int
    now: int
    workflows: int
    active: int
    due: int
    enqueued: int
    already: int
    waiting: int
    unreadable: int
    unsupported: int
    next_due: int | None
    trouble: str
    labels: tuple[str, ...] = ()
    halted: tuple[int, ...] = ()
    requeued: int = 0
    promoted: int = 0
    seconds: float = 0.0
    leading: bool = True

    @property
    def eventful(self) -> bool:
        """Whether it did anything."""
        return bool(self.enqueued or self.requeued or self.promoted)

    def sentence(self) -> str:
        """For people, in one line."""
        parts = [f"{self.due} due"] if self.leading else ["another scheduler queues what is due"]
        for count, what in (
            (self.enqueued, "queued now"),
            (self.already, "on their way"),
            (self.waiting, "waiting for a final block"),
            (len(self.halted), "halted by a dead letter"),
            (self.requeued, "lost from the list and queued again"),
            (self.promoted, "queued for another try"),
        ):
            if count:
                parts.append(f"{count} {what}")
        ahead = "" if self.next_due is None else f"; next due in {duration(self.next_due - self.now)}"
        role = "" if self.leading else "standing by; "
        registry = f"{self.active} active of {self.workflows} workflows"
        return f"{role}block {self.block}, {registry}: {', '.join(parts)}{ahead}"

    def document(self) -> dict[str, Any]:
        """As JSON; a date beyond what others can read is a text."""
        found = asdict(self) | {"seconds": round(self.seconds, 3)}
        if self.next_due is not None and self.next_due >= 2**53:
            found["next_due"] = str(self.next_due)
        return found
