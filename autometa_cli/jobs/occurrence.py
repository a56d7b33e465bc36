"""The identity of one thing to execute: what is allowed to happen once."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One due run of a workflow, or one "now" job.

    Attributes:
        chain: chain id.
        executor: address of the ActionExecutor, lower case.
        workflow: workflow id.
        next_run: the `nextRun` (Unix seconds) that makes it due.
        generation: grows when a finalized block shows the same `nextRun` again after it was closed.
        now_id: the id of a "now" job; such a job has no place in the schedule.
        key: the record's name, part of its Redis key.
    """

    chain: int
    executor: str
    workflow: int
    next_run: int
    generation: int = 0
    now_id: str | None = None
    key: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        tail = f"now:{self.now_id}" if self.now_id else f"{self.next_run}:{self.generation}"
        object.__setattr__(self, "key", f"{self.chain}:{self.executor}:{self.workflow}:{tail}")

    @property
    def kind(self) -> str:
        """`now` or `due`."""
        return "due" if self.now_id is None else "now"

    def at_generation(self, generation: int) -> Occurrence:
        """The same due time, opened again."""
        return Occurrence(self.chain, self.executor, self.workflow, self.next_run, generation)


def label(key: str) -> str:
    """A record key for people: `7@1700000000`, `7@1700000000+1`, `7!a1b2c3`, else as it is."""
    parts = key.split(":")
    if len(parts) != 5 or not parts[0].isdigit():
        return key
    _, _, workflow, when, last = parts
    if when == "now":
        return f"{workflow}!{last}"
    return f"{workflow}@{when}" + (f"+{last}" if last != "0" else "")


def occurrence_named(key: str) -> Occurrence | None:
    """The due occurrence that a record key names; None of "now" jobs, self-transfers and what is no job."""
    parts = key.split(":")
    if len(parts) != 5 or not all(part.isdigit() for part in (parts[0], *parts[2:])):
        return None
    return Occurrence(int(parts[0]), parts[1], int(parts[2]), int(parts[3]), int(parts[4]))
