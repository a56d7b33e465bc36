"""What the `tx` commands share: how a record is named, found, and looked up on the chain."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from autometa_cli.errors import AutometaError, ConfigError

if TYPE_CHECKING:
    from autometa_cli.commands.context import State
    from autometa_cli.executor.catalog import Catalog
    from autometa_cli.executor.evidence import Evidence
    from autometa_cli.executor.standing import Crew, Standing
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.record import Record

NameArgument = Annotated[
    str,
    typer.Argument(metavar="NAME", help="Key, short name, id, hash, or workflow number.", show_default=False),
]


def catalog_of(state: State, queue: JobQueue) -> Catalog:
    """The ledger's records; short names are of the configured executor contract."""
    from autometa_cli.executor.catalog import Catalog

    return Catalog(queue, state.settings.chain_id, state.settings.actionexecutor_address or "")


async def found(state: State, queue: JobQueue, name: str) -> Record:
    """The record with this name. Raises UsageProblem, AutometaError."""
    return await catalog_of(state, queue).find(name)


async def crew_of(queue: JobQueue) -> Crew:
    """The workers now."""
    from autometa_cli.executor.standing import Crew

    return Crew(await queue.workers.members())


async def tell_doubt(state: State, queue: JobQueue) -> None:
    """Warn where the ledger may lack writes: what it tells is not all then."""
    run, recovering = await queue.scripts.command("HMGET", queue.keys.epoch, "run", "recovering")
    if recovering:
        state.console.warn(
            "the ledger is being recovered: Redis lost writes, and what they said is missing here"
        )
    elif run is not None and run.decode("utf-8", "replace") != queue.scripts.run:
        state.console.warn("Redis restarted, and no worker has shown yet that nothing is missing")


def aside_words(until: int) -> str:
    """What a job waits for that `queue clear` moved aside until a time."""
    from autometa_cli.times import utc

    return f"autometa queue restore, until {utc(until)}"


async def set_aside(queue: JobQueue, standing: Standing) -> Standing:
    """The same; where `queue clear` moved its job aside, saying so."""
    from autometa_cli.jobs.aside import aside_until

    if standing.record.state != "queued" or not (until := await aside_until(queue, standing.record.key)):
        return standing
    return replace(
        standing,
        summary="moved aside by autometa queue clear; after that time the scheduler queues it again if it is due",
        waits=aside_words(until),
        steps=("autometa queue restore   brings the latest clear back",),
    )


def other_chain(state: State, record: Record) -> str:
    """Why the configured chain can say nothing about a record, or ""."""
    settings = state.settings
    if record.chain == settings.chain_id:
        return ""
    if not record.chain:
        return "it is no job, so no chain knows of it"
    return f"its chain is {record.chain}, and the configured one is {settings.network.title} ({settings.chain_id})"


def on_this_chain(state: State, record: Record) -> None:
    """Raises ConfigError unless it is a record of the configured chain."""
    if why := other_chain(state, record):
        raise ConfigError(
            f"{record.label}: {why}", "set NETWORK or CHAIN_ID, and RPC_URLS, to the chain of the record"
        )


async def evidence_of(state: State, record: Record) -> tuple[Evidence | None, str]:
    """What the chain shows of it; None, and why, where that cannot be told."""
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.executor.evidence import Moment, gather
    from autometa_cli.executor.judge import Judge

    if why := other_chain(state, record):
        return None, why
    settings = state.settings
    try:
        async with Rpc.of(settings) as rpc:
            moment = await Moment.of(rpc, settings.confirmations)
            return await gather(record, moment, Judge(settings.network.log_range)), ""
    except AutometaError as error:  # nobody answers, or says something that helps nobody
        return None, error.message
