"""`autometa scheduler`: find due workflows and queue them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from autometa_cli.commands.context import EnvFileOption, JsonOption, State, begin, single_command
from autometa_cli.commands.help import examples
from autometa_cli.commands.signals import serve
from autometa_cli.errors import ExitCode

if TYPE_CHECKING:
    import asyncio

    from autometa_cli.scheduling.passes import Pass
    from autometa_cli.scheduling.preview import Preview


def scheduler(
    once: Annotated[bool, typer.Option("--once", help="Make one pass, say what it did, and leave.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Say what one pass would queue, and why not the others; change nothing."
        ),
    ] = False,
    poll_interval: Annotated[
        float | None,
        typer.Option(
            "--poll-interval",
            metavar="SECONDS",
            help="Time from one pass to the next [POLL_INTERVAL].",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Run the scheduler: find due workflows and queue them.

    Runs until it is told to stop. While the chain or Redis is away it
    says so and tries again. SIGTERM or Ctrl-C: it finishes the pass it is
    at and leaves with 0; a second one: it leaves at once with 130. Nothing
    is lost or queued twice either way, nor by running several of them:
    one leads, the others stand by and take over within seconds.

    With --once it leaves with 5 where the chain or Redis does not answer,
    with 1 where it found reason to queue nothing (a clock that is wrong).
    It does not wait for its turn to lead: a run is queued once whoever
    finds it.
    """
    state = begin(as_json, env_file, POLL_INTERVAL=poll_interval)
    from autometa_cli.telemetry import logs

    logs.configure(state.settings.log_format, state.settings.log_level)
    if dry_run:
        _show_preview(state, state.run(_preview(state)))
    elif once:
        _show(state, state.run(_once(state)))
    else:
        totals = serve(state, lambda stop: _run(state, stop))
        if state.console.json:  # the log has told people
            state.console.result(totals)


async def _once(state: State) -> Pass:
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.scheduler import Scheduler

    settings = state.settings
    settings.require("RPC_URLS", "REGISTRY_ADDRESS", "ACTIONEXECUTOR_ADDRESS")
    async with Rpc.of(settings) as rpc, JobQueue.of(settings) as queue:
        scheduler = Scheduler(settings, queue, rpc)
        done = await scheduler.run_once()
        await scheduler.keep()
        return done


async def _preview(state: State) -> Preview:
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.scheduling.preview import preview

    settings = state.settings
    settings.require("RPC_URLS", "REGISTRY_ADDRESS", "ACTIONEXECUTOR_ADDRESS")
    queue = JobQueue.of(settings)
    try:
        async with Rpc.of(settings) as rpc:
            return await preview(settings, queue, rpc)
    finally:
        await queue.connections.close()


async def _run(state: State, stop: asyncio.Event) -> dict[str, Any]:
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.scheduler import Scheduler

    settings = state.settings
    settings.require("RPC_URLS", "REGISTRY_ADDRESS", "ACTIONEXECUTOR_ADDRESS")
    queue = JobQueue.of(settings)  # opened by the first pass: Redis may be away at the start
    try:
        async with Rpc.of(settings) as rpc:
            return await Scheduler(settings, queue, rpc).run(stop)
    finally:
        await queue.connections.close()


def _show(state: State, done: Pass) -> None:
    names = ", ".join(done.labels[:10]) + (" …" if len(done.labels) > 10 else "")
    state.console.result(
        done.document(),
        lambda: state.console.fields(
            (
                ("block", f"{done.block} ({done.final_block} final)"),
                ("workflows", f"{done.workflows}, {done.active} active"),
                ("due", done.due),
                ("queued now", f"{done.enqueued}: {names}" if names else 0),
                ("on their way", done.already),
                *((what, count) for what, count in _unusual(done) if count),
                ("next due", _next_due(done)),
            )
        ),
    )
    if done.trouble:
        state.console.warn(f"nothing was queued: {done.trouble}")
        raise typer.Exit(ExitCode.FAILED)


def _show_preview(state: State, found: Preview) -> None:
    verdicts = found.verdicts
    state.console.result(
        {
            "block": found.block,
            "now": found.now,
            "trouble": found.trouble,
            "workflows": [
                {"workflow": each.workflow, "queue": each.queue and not found.trouble, "text": each.text}
                for each in verdicts
            ],
        },
        lambda: state.console.table(
            ("workflow", "queued", "why"),
            [(each.workflow, "yes" if each.queue else "no", each.text) for each in verdicts],
            empty="no workflows",
        ),
    )
    if found.trouble:
        state.console.warn(f"nothing would be queued: {found.trouble}")
        raise typer.Exit(ExitCode.FAILED)


def _unusual(done: Pass) -> tuple[tuple[str, int], ...]:
    return (
        ("waiting for a final block", done.waiting),
        ("halted by a dead letter", len(done.halted)),
        ("trigger not readable", done.unreadable),
        ("no source of its price", done.unsupported),
        ("lost and queued again", done.requeued),
        ("retries queued", done.promoted),
    )


def _next_due(done: Pass) -> str | None:
    from autometa_cli.units import duration

    return None if done.next_due is None else f"in {duration(done.next_due - done.now)}"


app = single_command(
    scheduler,
    epilog=examples(
        "autometa scheduler",
        "autometa scheduler --once --json | jq .enqueued",
        "autometa scheduler --dry-run",
        "autometa --env-file .env.devnet scheduler --poll-interval 1",
    ),
)
