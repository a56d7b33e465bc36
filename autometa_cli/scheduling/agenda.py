"""When each workflow is due: a heap on the next run, so that a pass costs what is due, not what exists."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autometa_cli.chain.contracts import Workflow

#: The heap is built anew when more than half of it, and more than this, is out of date.
_SLACK = 1024


class Agenda:
    """Active workflows by next run.

    Entries are never taken out when a workflow changes: what a heap entry says is compared with the workflow when it
    comes to the top. Those whose time has come stay in a set of their own until they change.

    Args:
        workflows: as they are at present; the owner of the agenda changes it and says so by `note`.
    """

    def __init__(self, workflows: Mapping[int, Workflow]) -> None:
        self._workflows = workflows
        self._heap: list[tuple[int, int]] = []
        self._ripe: dict[int, None] = {}  # in the order in which their time came
        self.active = 0

    def note(self, old: Workflow | None, new: Workflow | None) -> None:
        """One workflow changed from `old` to `new`; None where there is none."""
        was, now = old is not None and old.active, new is not None and new.active
        self.active += now - was
        if old is not None and not (now and new is not None and new.next_run == old.next_run):
            self._ripe.pop(old.id, None)
        if new is None or not now or (was and old is not None and old.next_run == new.next_run):
            return
        heapq.heappush(self._heap, (new.next_run, new.id))
        if len(self._heap) > 2 * self.active + _SLACK:
            self._rebuild()

    def due(self, now: int) -> Iterator[Workflow]:
        """Active workflows whose next run is not after `now` (seconds since 1970), earliest first.

        Nothing may change the workflows while it is read.
        """
        self._ripen(now)
        for id in self._ripe:
            workflow = self._workflows[id]
            if workflow.next_run <= now:
                yield workflow

    def next_due(self, now: int) -> int | None:
        """The earliest next run of an active workflow after `now`, or None."""
        self._ripen(now)
        ahead = [self._workflows[id].next_run for id in self._ripe]
        found = min((each for each in ahead if each > now), default=None)
        if self._heap and (found is None or self._heap[0][0] < found):
            found = self._heap[0][0]
        return found

    def _ripen(self, now: int) -> None:
        """Move what is due into the set; drop what is out of date at the top of the heap."""
        heap = self._heap
        while heap:
            next_run, id = heap[0]
            workflow = self._workflows.get(id)
            current = workflow is not None and workflow.active and workflow.next_run == next_run
            if current and next_run > now:
                return
            heapq.heappop(heap)
            if current:
                self._ripe[id] = None

    def _rebuild(self) -> None:
        ripe = self._ripe
        self._heap = [
            (each.next_run, id) for id, each in self._workflows.items() if each.active and id not in ripe
        ]
        heapq.heapify(self._heap)
