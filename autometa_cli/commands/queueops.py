"""`autometa queue pause, resume, workers, history`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autometa_cli.commands.context import EnvFileOption, JsonOption, State, begin
from autometa_cli.commands.help import examples
from autometa_cli.commands.queueask import (
    CountOption,
    OffsetOption,
    ReasonOption,
    WorkflowOption,
    ask,
    nothing,
    operator,
    wanted,
)
from autometa_cli.commands.queueview import in_labels, pause_document, pause_words
from autometa_cli.commands.workflowview import whole
from autometa_cli.errors import UsageProblem
from autometa_cli.jobs.occurrence import label
from autometa_cli.times import parse_interval, parse_time, utc
from autometa_cli.units import duration

if TYPE_CHECKING:
    from rich.console import RenderableType

    from autometa_cli.jobs.pause import Pause
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.workers import Member


_REASON = 200  # characters of a pause's reason: each beat of each worker carries it


def register(app: typer.Typer) -> None:
    """Add these commands to `autometa queue`."""
    app.command(
        "pause",
        epilog=examples("autometa queue pause --reason 'new fee rules'", "autometa queue pause --for 2h"),
    )(pause)
    app.command("resume", epilog=examples("autometa queue resume"))(resume)
    app.command("workers", epilog=examples("autometa queue workers", "autometa queue workers --all --json"))(
        workers
    )
    app.command(
        "history",
        epilog=examples(
            "autometa queue history",
            "autometa queue history --workflow 7 --since 1d",
            "autometa queue history --reason reverted --offset 100",
        ),
    )(history)


def pause(
    reason: Annotated[
        str, typer.Option("--reason", "-r", metavar="TEXT", help="Why; everybody sees it.")
    ] = "",
    lasts: Annotated[
        str | None,
        typer.Option("--for", metavar="TIME", help="End by itself after 90s, 15m, 2h …", show_default=False),
    ] = None,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Let no worker take jobs until `autometa queue resume`.

    Workers hear of it within two seconds. Transactions that are signed
    are watched to their end, and the scheduler goes on queueing.
    """
    state = begin(as_json, env_file)
    if len(reason) > _REASON:
        raise UsageProblem(f"--reason has {len(reason)} characters, more than {_REASON}")
    seconds = None if lasts is None else _seconds_of(lasts, "--for")
    by = operator()

    async def begin_pause(queue: JobQueue) -> tuple[Pause | None, Pause]:
        return await queue.pausing(), await queue.pause(reason.strip(), by, seconds)

    before, paused = ask(state, begin_pause)
    state.console.result(
        {
            "paused": True,
            **pause_document(paused),
            "replaced": None if before is None else pause_document(before),
        },
        f"paused {pause_words(paused)}",
    )
    if before is not None:
        state.console.warn(f"this replaces the pause {pause_words(before)}")


def resume(as_json: JsonOption = False, env_file: EnvFileOption = None) -> None:
    """Let workers take jobs again."""
    state = begin(as_json, env_file)

    async def end(queue: JobQueue) -> Pause | None:
        return await queue.resume()

    was = ask(state, end)
    state.console.result(
        {"paused": False, "was": None if was is None else pause_document(was)},
        f"resumed; it was paused {pause_words(was)}" if was else "the queue was not paused",
    )


def workers(
    everyone: Annotated[
        bool, typer.Option("--all", help="Also those that left or died within the last day.")
    ] = False,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Show the workers: what each does, and what troubles it."""
    state = begin(as_json, env_file)
    members = ask(state, lambda queue: queue.workers.members())
    documents = [worker_document(one) for one in members if everyone or not one.buried]
    state.console.result(documents, lambda: workers_table(state, documents))


def history(
    count: CountOption = 100,
    offset: OffsetOption = 0,
    workflow: WorkflowOption = None,
    reason: ReasonOption = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="90m, 2d, or a date.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Show what became of jobs, the latest first.

    Runs, failed tries, and what was skipped, buried, retried or dropped;
    about the last ten thousand. --reason looks at what is shown as OUTCOME
    and WHY.
    """
    state = begin(as_json, env_file)
    from autometa_cli.jobs.inspector import Inspector

    chosen = wanted(workflow, reason)

    async def look(queue: JobQueue) -> tuple[list[tuple[int, dict[str, str]]], str]:
        start = 0 if since is None else _start(since, await queue.clock())

        async def entries(most: int, after: int = 0) -> list[tuple[int, dict[str, str]]]:
            return await Inspector(queue).history(most, after, wanted=chosen, since=start)

        page = await entries(count, offset)
        return page, await nothing(
            "nothing happened yet", page, offset, entries, workflow, chosen.reason, since
        )

    page, none = ask(state, look)
    documents = [history_document(at, entry) for at, entry in page]
    state.console.result(documents, lambda: history_table(state, documents, none))


def worker_document(member: Member) -> dict[str, Any]:
    """A worker in JSON: what the registry knows, and what it says of itself."""
    said = member.fields
    return {
        "id": member.id,
        "alive": not member.buried,
        "left": member.left,
        "beat_seconds": round(member.beat_age, 3),
        "state": said.get("state") if not member.buried else "left" if member.left else "buried",
        # What one said of itself that is gone is not so any more.
        "trouble": None if member.buried else said.get("trouble") or None,
        "busy": None if member.buried else _whole(said.get("busy")),
        "open": None if member.buried else _whole(said.get("open")),
        "concurrency": _whole(said.get("concurrency")),
        "address": said.get("address"),
        "chain": _whole(said.get("chain")),
        "version": said.get("version"),
        "host": said.get("host"),
        "pid": _whole(said.get("pid")),
        "registered": (_whole(said.get("registered")) or 0) // 1000 or None,
    }


def workers_table(state: State, documents: Sequence[dict[str, Any]]) -> RenderableType:
    """Workers, one a line, the most recent beat first."""
    return state.console.table(
        ("WORKER", "STATE", "BEAT", "BUSY", "OPEN", "ADDRESS", "TROUBLE"),
        [
            (
                one["id"],
                one["state"],
                f"{'' if one['alive'] else one['state'] + ' '}{duration(one['beat_seconds'])} ago",
                one["busy"],
                one["open"],
                one["address"],
                one["trouble"],
            )
            for one in documents
        ],
        empty="no workers",
        beneath=True,
    )


def history_document(at_ms: int, entry: Mapping[str, str]) -> dict[str, Any]:
    """An entry of the history in JSON; the fee is wei as text."""
    workflow = entry.get("workflow", "")
    return {
        "at": at_ms // 1000,
        "at_utc": utc(at_ms // 1000),
        "key": entry.get("key", ""),
        "job": label(entry.get("key", "")),
        "workflow": whole(int(workflow))
        if workflow.isascii() and workflow.isdigit() and workflow != "0"
        else None,
        "state": entry.get("st", ""),
        "outcome": entry.get("outcome") or None,
        "tx": entry.get("tx") or None,
        "block": _whole(entry.get("block")),
        "fee": entry.get("fee") or "0",
        "text": entry.get("text") or None,
        "event": entry.get("event") or None,
    }


def history_table(state: State, documents: Sequence[dict[str, Any]], empty: str) -> RenderableType:
    """The history, one entry a line, the latest first."""
    return state.console.table(
        ("WHEN", "JOB", "STATE", "OUTCOME", "TRANSACTION", "WHY"),
        [
            (
                one["at_utc"],
                one["job"],
                one["state"],
                one["outcome"],
                one["tx"],
                in_labels(one["text"] or "") or None,
            )
            for one in documents
        ],
        empty=empty,
        beneath=True,
    )


def _seconds_of(text: str, option: str) -> int:
    try:
        return parse_interval(text)
    except ValueError as error:
        raise UsageProblem(f"{option}: {error}") from None


def _start(text: str, now: int) -> int:
    """How long ago, or a date. Raises UsageProblem."""
    try:
        return max(0, now - parse_interval(text))
    except ValueError:
        try:
            return parse_time(text, now)
        except ValueError:
            raise UsageProblem(
                f"--since: {text!r} is neither how long ago nor a date",
                "write 90m, 2d, 1h30m, or a date: 2030-01-31, 2030-01-31T12:00:00Z, or seconds since 1970",
            ) from None


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else None
