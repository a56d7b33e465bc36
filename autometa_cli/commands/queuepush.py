"""`autometa queue push`: jobs from the command line, a file, or the chain; all of them or none, or the good ones."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autometa_cli.commands.context import EnvFileOption, JsonOption, State, begin
from autometa_cli.commands.help import examples
from autometa_cli.commands.queueask import ask
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
    "autometa queue push --file jobs.jsonl --partial  # the good lines",
    "autometa queue push - --json < jobs.jsonl",
)
_SHOWN = 10  # wrong lines that are told; the rest is counted


@dataclass(frozen=True, slots=True)
class _Left:
    """What is not pushed.

    Attributes:
        line: its number in what was read; None where it was not read from lines.
        misuse: it is the caller's mistake, not the state of things.
    """

    line: int | None
    why: str
    hint: str
    misuse: bool = True

    @property
    def text(self) -> str:
        return self.why if self.line is None else f"line {self.line}: {self.why}"


_FORM = "one JSON object a line; docs/payload.md says what it holds"


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
    partial: Annotated[
        bool, typer.Option("--partial", help="Push the good ones, tell what is wrong with the others.")
    ] = False,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Append jobs to the list, all of them or none.

    Each is checked first and gets an id if it has none. Of a job given as
    JSON only the form is checked: no chain is asked, and a worker takes
    everything but the id from the chain; one that contradicts it is buried
    then, one whose nextRun is not the chain's is skipped.

    A job with nextRun 0 runs now, whatever the schedule of its workflow
    (docs/payload.md). Its id must be new: neither open nor closed in the
    ledger, nor among the last 5000 jobs of the list.

    With --partial one that is wrong keeps no other back; it ends with 1
    where one was left.
    """
    state = begin(as_json, env_file)
    if sum(source is not None for source in (job, file, workflow)) != 1:
        raise UsageProblem("give one of: a job, - for standard input, --file, --workflow")
    if now and not workflow:
        raise UsageProblem('--now goes with --workflow; in a job of your own write "nextRun": 0')
    if force and workflow and not now:
        raise UsageProblem("--force is about runs beside the schedule: with --workflow it goes with --now")
    ids = [parse_id(text) for text in workflow or ()]
    left: list[_Left] = []
    lines = _from_chain(state, ids, left, now=now) if ids else _read(job, file)
    one = bool(ids) or job not in (None, "-")
    jobs = _checked(lines, left, force=force, one=one)
    if not partial:
        _all_or_none(left)
    if force and jobs and not any(each.next_run == 0 for each in jobs.values()):
        raise UsageProblem("--force is about jobs that run now (nextRun 0), and none of these is one")
    length = _append(state, jobs, left, partial=partial, one=one, from_chain=bool(ids))
    left.sort(key=lambda each: each.line or 0)
    documents = [job_document(found.raw) for found in jobs.values()]
    lost = [{"line": each.line, "why": each.why} for each in left]
    state.console.result(
        {"pushed": documents, "length": length, "left": lost},
        "\n".join(str(document["id"]) for document in documents),
    )
    state.console.success(f"pushed {_count(len(jobs))}; {length} pending now")
    for each in left[:_SHOWN]:
        state.console.warn(f"left: {each.text}")
    if len(left) > _SHOWN:
        state.console.warn(f"… and {len(left) - _SHOWN} more")
    if left:
        raise typer.Exit(1)


def _all_or_none(left: Sequence[_Left]) -> None:
    """Raise what is wrong, and say that nothing was pushed."""
    if not left:
        return
    many = any(each.line is not None for each in left)
    told = ("\n" if many else "; ").join(each.text for each in left[:_SHOWN])
    more = f"\n… and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
    problem = UsageProblem if any(each.misuse for each in left) else AutometaError
    hint = left[0].hint + ("; --partial pushes the others" if many else "")
    raise problem(f"nothing was pushed:{chr(10) if many else ' '}{told}{more}", hint)


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
    content = content.removeprefix(codecs.BOM_UTF8)  # as some editors write it
    lines = [(number, line.strip()) for number, line in enumerate(content.split(b"\n"), 1)]
    found = [(number, line) for number, line in lines if line]
    if not found:
        raise UsageProblem("there is no job to push: what was read is empty")
    return found


def _checked(
    lines: Sequence[tuple[int, bytes]], left: list[_Left], *, force: bool, one: bool
) -> dict[int, Job]:
    """Line number to job as it will be pushed; what is wrong is added to `left`."""
    from autometa_cli.jobs.job import BadJob, new_id, parse_job, with_fields

    jobs: dict[int, Job] = {}
    seen: dict[tuple[int, str], int] = {}
    for number, line in lines:
        try:
            job = parse_job(line)
            more: dict[str, str | bool] = {} if job.id else {"id": new_id()}
            if force and not job.force:
                if "force" in job.fields:
                    raise BadJob("it says itself that force is not true")
                more["force"] = True
            job = parse_job(with_fields(line, **more)) if more else job
            first = seen.setdefault((job.workflow, str(job.id)), number)
            if first != number:
                raise BadJob(f"the job of line {first} has the same workflow and id")
        except BadJob as error:
            left.append(_Left(None if one else number, error.message, _FORM))
            continue
        jobs[number] = job
    return jobs


def _append(
    state: State, jobs: dict[int, Job], left: list[_Left], *, partial: bool, one: bool, from_chain: bool
) -> int:
    """Push them; those that would not run are taken out of `jobs` into `left`. How many are pending then."""
    from autometa_cli.jobs.extraruns import ExtraRuns

    settings = state.settings

    async def append(queue: JobQueue) -> int:
        runs = ExtraRuns(queue, settings.chain_id, settings.actionexecutor_address or "")
        known = await runs.known(list(jobs.values()))
        beside = await runs.open(
            {job.workflow for job in jobs.values() if job.next_run == 0 and not job.force}
        )
        for number, job in list(jobs.items()):
            if job.next_run != 0:
                continue
            if why := known.get((job.workflow, str(job.id))):
                why += "; under the same id it would not run again"
                hint, misuse = "push it under another id, or without one", False
            elif job.workflow in beside and from_chain:
                why = f"{beside[job.workflow]}, another run beside the schedule, is open: this one would be buried"
                hint, misuse = (
                    f"--force runs both; autometa tx show {job.workflow} says where that one stands",
                    True,
                )
            else:
                if job.workflow in beside:
                    state.console.warn(
                        f"{beside[job.workflow]}, another run beside the schedule, is open: workers bury this one "
                        "unless that has ended by then",
                        "--force runs both",
                    )
                continue
            left.append(_Left(None if one else number, why, hint, misuse))
            del jobs[number]
        if not partial:
            _all_or_none(left)
        return await queue.push([job.raw for job in jobs.values()]) if jobs else await queue.length()

    return ask(state, append)


def _from_chain(state: State, ids: Sequence[int], left: list[_Left], *, now: bool) -> list[tuple[int, bytes]]:
    """Jobs for workflows as the chain shows them; those that do not exist are added to `left`."""
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
    left += [
        _Left(
            None, f"workflow {id} was deleted, or never existed", "autometa workflow list shows which exist",
            misuse=False,
        )
        for id, workflow in found.items() if workflow is None
    ]  # fmt: skip
    lines = []
    for number, workflow in enumerate((workflow for workflow in found.values() if workflow), 1):
        if not workflow.active:
            state.console.warn(f"workflow {workflow.id} is paused: a worker will skip its job")
        elif not now and workflow.next_run > clock:
            state.console.warn(
                f"workflow {workflow.id} is due {relative(workflow.next_run, clock)}; its job waits until then",
                "--now runs it at once and leaves its schedule as it is",
            )
        elif now and workflow.next_run <= clock:
            state.console.warn(
                f"workflow {workflow.id} is due: this run counts as the regular one, they will not be two"
            )
        lines.append((number, job_json(workflow, now=now)))
    return lines


def _count(number: int) -> str:
    return "1 job" if number == 1 else f"{number} jobs"
