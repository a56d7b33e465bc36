"""`autometa queue push`: jobs from the command line, a file, or the chain; all of them or none."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autometa_cli.commands.context import EnvFileOption, JsonOption, State, begin
from autometa_cli.commands.help import examples
from autometa_cli.commands.queueview import job_document
from autometa_cli.commands.workflowoptions import parse_id
from autometa_cli.errors import AutometaError, UsageProblem

if TYPE_CHECKING:
    from autometa_cli.chain.contracts import Workflow
    from autometa_cli.jobs.job import Job
    from autometa_cli.jobs.queue import JobQueue

EPILOG = examples(
    'autometa queue push \'{"workflowId": 7, "nextRun": 1767225600}\'',
    "autometa queue push --workflow 7          # as the chain shows it",
    "autometa queue push --workflow 7 --now    # whatever its schedule",
    "autometa queue push --file jobs.jsonl",
    "autometa queue push - --json < jobs.jsonl",
)
_SHOWN = 10  # wrong lines that are told; the rest is counted


def push(
    job: Annotated[
        str | None, typer.Argument(metavar="JSON", help="One job, or - to read them.", show_default=False)
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", metavar="FILE", help="Read jobs, one JSON a line.", show_default=False),
    ] = None,
    workflow: Annotated[
        list[str] | None,
        typer.Option(
            "--workflow", "-w", metavar="ID", help="Make the job from the chain.", show_default=False
        ),
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="With --workflow: whatever its schedule.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help='Also while another "now" job of the workflow is open.')
    ] = False,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Append jobs to the list, all of them or none.

    Each is checked first and gets an id if it has none. Of a job given as
    JSON only the form is checked: no chain is asked, and a worker takes
    everything but the id from the chain; one that contradicts it is buried
    then, one whose nextRun is not the chain's is skipped. A job with
    nextRun 0 runs now, whatever the schedule of its workflow
    (docs/payload.md); its id must be new.
    """
    state = begin(as_json, env_file)
    if sum(source is not None for source in (job, file, workflow)) != 1:
        raise UsageProblem("give one of: a job, - for standard input, --file, --workflow")
    if now and not workflow:
        raise UsageProblem('--now goes with --workflow; in a job of your own write "nextRun": 0')
    ids = [parse_id(text) for text in workflow or ()]
    lines = _from_chain(state, ids, now=now) if ids else _read(job, file)
    jobs = _checked(lines, force=force, one=job is not None and job != "-")
    length = _append(state, jobs)
    documents = [job_document(found.raw) for found in jobs]
    state.console.result(
        {"pushed": documents, "length": length}, "\n".join(str(document["id"]) for document in documents)
    )
    state.console.success(f"pushed {_count(len(jobs))}; {length} pending now")


def _read(job: str | None, file: Path | None) -> list[tuple[int, bytes]]:
    """(line number, job) of everything that was given; empty lines are left out."""
    if job not in (None, "-"):
        return [(1, str(job).encode("utf-8", "surrogateescape"))]
    if file is None or str(file) == "-":
        if sys.stdin.isatty():
            raise UsageProblem(
                "standard input is a terminal, so there is nothing to read", "pipe jobs in, one JSON a line"
            )
        content = sys.stdin.buffer.read() if hasattr(sys.stdin, "buffer") else sys.stdin.read().encode()
    else:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise UsageProblem(f"{file} cannot be read: {error.strerror or error}") from None
    lines = [(number, line.strip()) for number, line in enumerate(content.split(b"\n"), 1)]
    found = [(number, line) for number, line in lines if line]
    if not found:
        raise UsageProblem("there is no job to push: what was read is empty")
    return found


def _checked(lines: Sequence[tuple[int, bytes]], *, force: bool, one: bool) -> list[Job]:
    """The jobs as they will be pushed. Raises UsageProblem with everything that is wrong."""
    from autometa_cli.jobs.job import BadJob, new_id, parse_job, with_fields

    jobs: list[Job] = []
    wrong: list[str] = []
    seen: dict[tuple[int, str], int] = {}
    for number, line in lines:
        place = "" if one else f"line {number}: "
        try:
            job = parse_job(line)
            more: dict[str, str | bool] = {} if job.id else {"id": new_id()}
            if force and not job.force:
                if "force" in job.fields:
                    raise BadJob("it says itself that force is not true")
                more["force"] = True
            job = parse_job(with_fields(line, **more)) if more else job
        except BadJob as error:
            wrong.append(place + error.message)
            continue
        first = seen.setdefault((job.workflow, str(job.id)), number)
        if first != number:
            wrong.append(f"{place}the job of line {first} has the same workflow and id")
        jobs.append(job)
    if wrong:
        more_wrong = f"\n… and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise UsageProblem(
            f"nothing was pushed:{' ' if one else chr(10)}" + "\n".join(wrong[:_SHOWN]) + more_wrong,
            "one JSON object a line; docs/payload.md says what it holds",
        )
    return jobs


def _append(state: State, jobs: Sequence[Job]) -> int:
    from autometa_cli.jobs.connection import redis_errors
    from autometa_cli.jobs.queue import JobQueue

    async def append() -> int:
        async with redis_errors(state.settings.redis_url), JobQueue.of(state.settings) as queue:
            await _refuse_known(state, queue, jobs)
            return await queue.push([job.raw for job in jobs])

    return state.run(append())


async def _refuse_known(state: State, queue: JobQueue, jobs: Sequence[Job]) -> None:
    """An id names one extra run, once: a worker would drop the job without a word to whoever pushed it."""
    from autometa_cli.jobs.occurrence import Occurrence
    from autometa_cli.jobs.record import CLOSED_STATES

    settings = state.settings
    executor = (settings.actionexecutor_address or "").lower()
    keys = [
        Occurrence(settings.chain_id, executor, job.workflow, 0, now_id=job.id).key
        for job in jobs
        if job.next_run == 0 and job.occurrence is None
    ]
    known = [record for record in await queue.records(keys) if record is not None]
    if not known:
        return
    told = [
        f"{record.label} is "
        + (f"closed ({record.outcome or record.reason or record.state})" if record.state in CLOSED_STATES
           else f"on its way already ({record.state})")
        for record in known[:_SHOWN]
    ]  # fmt: skip
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    raise AutometaError(
        f"nothing was pushed: {'; '.join(told)}{more}; under the same id it would not run again",
        "push it under another id, or without one",
    )


def _from_chain(state: State, ids: Sequence[int], *, now: bool) -> list[tuple[int, bytes]]:
    """Jobs for workflows as the chain shows them. Raises AutometaError where one does not exist."""
    from autometa_cli.chain.contracts import Registry
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.jobs.job import job_json
    from autometa_cli.times import relative

    settings = state.settings
    settings.require("REGISTRY_ADDRESS")

    async def read() -> tuple[dict[int, Workflow | None], int]:
        async with Rpc.of(settings) as rpc:
            view = await rpc.view()
            return await Registry(settings.registry_address or "").get_many(view, ids), view.block.timestamp

    found, clock = state.run(read())
    missing = [str(id) for id, workflow in found.items() if workflow is None]
    if missing:
        raise AutometaError(
            f"nothing was pushed: workflow {', '.join(missing)} was deleted, or never existed",
            "autometa workflow list shows which exist",
        )
    lines = []
    for number, workflow in enumerate((workflow for workflow in found.values() if workflow), 1):
        if not workflow.active:
            state.console.warn(f"workflow {workflow.id} is paused: a worker will skip its job")
        elif not now and workflow.next_run > clock:
            state.console.warn(
                f"workflow {workflow.id} is due {relative(workflow.next_run, clock)}; its job waits until then",
                "--now runs it at once and leaves its schedule as it is",
            )
        lines.append((number, job_json(workflow, now=now)))
    return lines


def _count(number: int) -> str:
    return "1 job" if number == 1 else f"{number} jobs"
