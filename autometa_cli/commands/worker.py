"""`autometa worker`: take jobs and execute them on chain, each once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autometa_cli.commands.context import EnvFileOption, JsonOption, State, begin, single_command
from autometa_cli.commands.help import examples

if TYPE_CHECKING:
    from autometa_cli.worker import JobWorker


def worker(
    burst: Annotated[
        bool, typer.Option("--burst", help="Leave when nothing is left to do, rather than waiting for more.")
    ] = False,
    concurrency: Annotated[
        int | None,
        typer.Option(
            "--concurrency",
            min=1,
            max=10_000,
            help="Jobs held at a time, from claim to settlement [MAX_CONCURRENT_EXECUTIONS].",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Run a worker: take jobs and execute them on chain.

    Runs until it is told to stop. SIGTERM or Ctrl-C: it takes no more
    jobs, waits until what it sent is final, and leaves with 0. A second
    one: it leaves at once with 130; nothing is lost, another worker (or
    the next start) goes on. While the chain or Redis is away, or its key
    has no role or no gas money, it waits; with --burst it gives up after
    half a minute: with 5, without the role with 4, else with 1.
    """
    state = begin(as_json, env_file, MAX_CONCURRENT_EXECUTIONS=concurrency)
    from autometa_cli.telemetry import logs

    logs.configure(state.settings.log_format, state.settings.log_level)
    from autometa_cli.commands.signals import serve

    summary = serve(state, lambda stop: _run(state, burst, stop))
    if state.console.json:
        state.console.result(summary)


async def _run(state: State, burst: bool, stop: asyncio.Event) -> dict[str, Any]:
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.jobs.connection import redis_errors
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.scheduling.triggers import Triggers
    from autometa_cli.worker import JobWorker

    settings = state.settings
    settings.require("REGISTRY_ADDRESS", "ACTIONEXECUTOR_ADDRESS", "FEEESCROW_ADDRESS")
    signer = settings.worker_key().load(chain_id=settings.chain_id)
    async with Rpc.of(settings) as rpc, redis_errors(settings.redis_url), JobQueue.of(settings) as queue:
        running = JobWorker(settings, queue, rpc, signer, Triggers.of(settings))
        told = asyncio.create_task(_pass_on(stop, running))
        try:
            await running.start(burst=burst)
        finally:
            told.cancel()
        return {"worker": running.id, "address": signer.address, "closed": dict(running.closed)}


async def _pass_on(stop: asyncio.Event, running: JobWorker) -> None:
    await stop.wait()
    running.stop()


app = single_command(
    worker,
    epilog=examples(
        "autometa worker",
        "autometa worker --burst                 # do what is there, then leave",
        "autometa --env-file .env.devnet worker --concurrency 64",
    ),
)
