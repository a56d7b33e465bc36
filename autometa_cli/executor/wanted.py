"""Does the chain ask for this run, and does what we have been told of it agree with the chain?"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autometa_cli.chain.contracts import Workflow
    from autometa_cli.jobs.job import Job
    from autometa_cli.jobs.occurrence import Occurrence


def digest(workflow: Workflow | None) -> str:
    """What an occurrence was decided on; a dead one is opened again when this changed (REVIEW H17)."""
    if workflow is None:
        return ""
    parts = (
        workflow.owner.lower(),
        workflow.trigger_data.hex(),
        workflow.action_data.hex(),
        workflow.gas_budget,
        workflow.next_run,
        workflow.interval,
        workflow.active,
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def contradiction(job: Job, workflow: Workflow | None) -> str | None:
    """Where a payload's owner or action data differ from the chain's: text, or None."""
    if workflow is None:
        return None
    if job.owner and job.owner.lower() != workflow.owner.lower():
        return f"the job names owner {job.owner}, the chain {workflow.owner}"
    if job.action_data is not None and job.action_data != workflow.action_data:
        return "the job's actionData is not the chain's"
    return None


def unwanted(occurrence: Occurrence, workflow: Workflow | None) -> tuple[str, str] | None:
    """Why the chain does not ask for this occurrence (any more): (reason, text), or None when it does."""
    if workflow is None:
        return "gone", "the workflow was deleted, or never existed"
    if not workflow.active:
        return "paused", "the workflow is paused"
    if occurrence.now_id is None and workflow.next_run != occurrence.next_run:
        return "moved_on", f"the workflow's next run is {workflow.next_run} now"
    return None
