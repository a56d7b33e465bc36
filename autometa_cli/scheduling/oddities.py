"""Workflows that need somebody's attention: each is reported once, and counted for as long as it is so."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from autometa_cli.scheduling.triggers import Finding, Oddity

if TYPE_CHECKING:
    from autometa_cli.chain.contracts import Workflow
    from autometa_cli.scheduling.mirror import Mirror

_log = logging.getLogger(__name__)

#: Lines about single workflows that one pass writes; the others are summed up.
MOST_LINES = 50


class Oddities:
    """What is odd about the workflows of a mirror.

    Args:
        examine: what is odd about a workflow's trigger, or None.
    """

    def __init__(self, examine: Callable[[Workflow], Finding | None]) -> None:
        self._examine = examine
        self._findings: dict[int, Finding] = {}
        self._faults: set[int] = set()

    def look(self, changed: Iterable[Workflow], mirror: Mirror) -> None:
        """Take in what is new or has changed since the last look; report what was not reported before."""
        lines = []
        for workflow in changed:
            finding = self._examine(workflow)
            if finding is None:
                self._findings.pop(workflow.id, None)
            elif self._findings.get(workflow.id) != finding:
                self._findings[workflow.id] = finding
                effect = "it is never executed" if finding.blocks else "it is executed all the same"
                lines.append(f"workflow {workflow.id}: {finding.text}; {effect}")
        gone = [id for id in self._findings if id not in mirror.workflows and id not in mirror.faults]
        for id in gone:
            del self._findings[id]
        for id in mirror.faults.keys() - self._faults:
            lines.append(f"workflow {id} cannot be read, so it is not executed: {mirror.faults[id]}")
        self._faults = set(mirror.faults)
        report(lines, "workflows have triggers that cannot be evaluated or read")

    def blocks(self, id: int) -> bool:
        """Whether the workflow is never executed as it is."""
        finding = self._findings.get(id)
        return finding is not None and finding.blocks

    def count(self, oddity: Oddity, mirror: Mirror) -> int:
        """How many active workflows are odd in this way."""
        workflows = mirror.workflows
        count = sum(
            finding.oddity is oddity and id in workflows and workflows[id].active
            for id, finding in self._findings.items()
        )
        return count + (len(mirror.faults) if oddity is Oddity.UNREADABLE else 0)


def report(lines: list[str], more: str) -> None:
    """Warn of each, up to a limit; `more` is what the others are."""
    for line in lines[:MOST_LINES]:
        _log.warning("%s", line)
    if len(lines) > MOST_LINES:
        _log.warning("%d more %s", len(lines) - MOST_LINES, more)
