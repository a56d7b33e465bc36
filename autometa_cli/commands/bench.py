"""`autometa bench`: measure the parts of the system here, on a chain and a Redis of their own."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from autometa_cli.commands.context import EnvFileOption, JsonOption, State, begin, command_group
from autometa_cli.commands.help import examples
from autometa_cli.errors import AutometaError, UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import RenderableType

    from autometa_cli.bench.scan import Scan, Synthetic

_MOST = 1_000_000
#: Processes that want to run, for each core, with which two measurements of the same thing differ too much.
_BUSY = 0.5

app = command_group(
    "Measure the parts of the system on this machine.",
    epilog=examples(
        "autometa bench scan",
        "autometa bench scan --sizes 1000",
        "autometa bench queue",
        "autometa bench execute",
    ),
)


@app.command(
    epilog=examples(
        "autometa bench scan",
        "autometa bench scan --sizes 1000,10000,100000 --synthetic 1000000",
        "autometa bench scan --json | jq .scans[].ratio",
    )
)
def scan(
    sizes: Annotated[
        str, typer.Option("--sizes", metavar="N,N,…", help="Workflows on the chain.")
    ] = "1000,10000",
    synthetic: Annotated[
        int,
        typer.Option(
            "--synthetic", min=0, max=10_000_000, help="Workflows of a registry that no chain has; 0: none."
        ),
    ] = 0,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Measure a scheduler's pass beside the plain loop's.

    Starts a local chain and a queue in a temporary directory, fills a
    registry, and times a scheduler: its first pass, a pass with nothing
    due, a thousand due at once, a restart. The plain loop reads every
    workflow with a call of its own in each pass; it is timed on a
    thousand of them in the same run. 100,000 workflows take about three
    minutes, most of it for creating them. No setting is read.
    """
    state = begin(as_json, env_file)
    wanted = _sizes(sizes)
    from autometa_cli.bench import scan as bench

    scans = bench.measure(wanted, state.console.status)
    filled = None
    if synthetic:
        state.console.status(f"{synthetic:,} workflows without a chain")
        filled = bench.synthetic(synthetic)
    _show(state, scans, filled)


@app.command(epilog=examples("autometa bench queue", "autometa bench queue --jobs 2000 --rounds 1 --json"))
def queue(
    jobs: Annotated[
        int, typer.Option("--jobs", min=100, max=100_000, help="Jobs to push and take.")
    ] = 10_000,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=20, help="How often; medians are shown.")] = 3,
    redis_url: Annotated[
        str, typer.Option("--redis-url", metavar="URL", help="Measure on this Redis, not on one of its own.")
    ] = "",
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Measure the queue beside plain loops of RPUSH and BLPOP.

    Starts a Valkey with an append-only file in a temporary directory.
    On a Redis of yours it uses keys of its own, and takes them away.
    Only the ratios mean something on another machine, and only where
    nothing else is busy. No setting is read.
    """
    state = begin(as_json, env_file)
    from autometa_cli.bench.queue import measure

    _tell_busy(state)
    with _option_named(redis_url):
        found = measure(jobs, rounds, redis_url, state.console.status)

    def rate(name: str) -> str:
        return f"{found.median(name):,.0f}/s"

    def ratio(name: str) -> str:
        low, high = found.spread(name)
        return f"{found.median(name):.2f} ({low:.2f} to {high:.2f})"

    limit = "redis-benchmark is not installed" if found.pipelined is None else f"{found.pipelined:,.0f}/s"

    def render() -> RenderableType:
        return state.console.fields(
            (
                ("jobs", f"{found.jobs:,}, medians of {len(found.rounds)}"),
                ("once-only enqueue", rate("enqueue")),
                ("  a loop of RPUSH", rate("rpush")),
                ("  times as fast", ratio("enqueue_ratio")),
                ("claim and acknowledge", rate("work")),
                ("  a loop of BLPOP", rate("blpop")),
                ("  times as fast", ratio("work_ratio")),
                ("push to claim, median", f"{found.push_to_claim_p50:.2f} ms"),
                ("  p99", f"{found.push_to_claim_p99:.2f} ms"),
                ("pipelined limit", limit),
            )
        )

    state.console.result(found.document(), render)


@app.command(epilog=examples("autometa bench execute", "autometa bench execute --jobs 10000 --json"))
def execute(
    jobs: Annotated[
        int, typer.Option("--jobs", min=10, max=50_000, help="Jobs of the main measurement.")
    ] = 3_000,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Measure a worker beside the plain ways to execute.

    Starts a local chain with a block a second and a queue in a temporary
    directory, and one worker with one key. Beside it, in the same run:
    the same transactions signed beforehand and sent one by one over one
    connection, and the plain loop (BLPOP, build, estimate, send, wait for
    the receipt). Both again with a block for each transaction. The
    worker may hold 8,192 jobs and open nonces here, and blocks are larger
    than on a public chain. No setting is read.
    """
    state = begin(as_json, env_file)
    from autometa_cli.bench.execute import Size, measure

    _tell_busy(state)
    found = measure(Size(jobs), state.console.status)

    def render() -> RenderableType:
        return state.console.fields(
            (
                ("jobs", f"{found.jobs:,}, a block a second"),
                ("one worker, one key", f"{found.worker:,.0f}/s"),
                ("  to the last settled", f"{found.worker_settled:,.0f}/s"),
                ("signed beforehand", f"{found.presigned:,.0f}/s"),
                ("  to the last accepted", f"{found.presigned_sent:,.0f}/s"),
                ("  the worker's part", f"{found.of_presigned:.2f}"),
                ("plain loop", f"{found.plain:.2f}/s"),
                ("  times as fast", f"{found.of_plain:,.0f}"),
                ("instant mining", f"{found.instant:,.0f}/s"),
                ("  plain loop", f"{found.instant_plain:,.0f}/s"),
                ("  times as fast", f"{found.of_instant_plain:.1f}"),
                ("claim to mined, median", f"{found.claim_to_mined_p50:.2f} s"),
                ("  the slowest", f"{found.claim_to_mined_worst:.2f} s"),
            )
        )

    state.console.result(found.document(), render)


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(part.replace("_", "")) for part in text.split(",")]
    except ValueError:
        sizes = [0]
    if not all(1 <= size <= _MOST for size in sizes):
        raise UsageProblem(f"--sizes takes whole numbers from 1 to {_MOST}, separated by commas")
    return sizes


_ROWS: tuple[tuple[str, Callable[[Scan], str]], ...] = (
    ("first pass", lambda each: f"{each.first:.2f} s"),
    ("  its requests", lambda each: str(each.first_requests)),
    ("  with Multicall3", lambda each: f"{each.first_multicall:.2f} s"),
    ("  its requests", lambda each: str(each.first_multicall_requests)),
    ("restart", lambda each: f"{each.resume:.2f} s"),
    ("nothing due", lambda each: f"{each.poll * 1000:.1f} ms"),
    ("  the slowest", lambda each: f"{each.poll_worst * 1000:.1f} ms"),
    ("  its requests", lambda each: str(each.poll_requests)),
    ("1,000 due at once", lambda each: f"{each.due:.2f} s"),
    ("memory", lambda each: f"{each.memory_whole:.0f} MiB"),
    ("plain loop, a pass", lambda each: f"{each.plain:.2f} s"),
    ("  its requests", lambda each: f"{each.workflows:,}"),
    ("times as fast", lambda each: f"{each.ratio:,.0f}"),
)


def _show(state: State, scans: Sequence[Scan], filled: Synthetic | None) -> None:
    from autometa_cli.bench.scan import document

    def render() -> RenderableType:
        from rich.console import Group

        table = state.console.table(
            ["workflows", *(f"{each.workflows:,}" for each in scans)],
            [[name, *(value(each) for each in scans)] for name, value in _ROWS],
        )
        if filled is None:
            return table
        return Group(
            table,
            "",
            state.console.fields(
                (
                    ("without a chain", f"{filled.workflows:,} workflows"),
                    ("filling the mirror", f"{filled.fill:.1f} s, {filled.memory:.0f} MiB"),
                    ("changes", f"{filled.changes_per_second:,.0f} a second"),
                    ("due ones", f"{filled.due_per_second:,.0f} a second"),
                    ("nothing due", f"{filled.nothing_due * 1e6:.0f} µs"),
                )
            ),
        )

    state.console.result(document(scans, filled), render)


def _tell_busy(state: State) -> None:
    """Warn where others keep this machine busy already."""
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    if load > _BUSY:
        state.console.warn(
            f"this machine is busy: {load:.1f} processes for each core in the last minute",
            "only the ratios of an idle machine mean something; measure again when it is one",
        )


@contextmanager
def _option_named(url: str) -> Iterator[None]:
    """What is wrong with --redis-url is not blamed on REDIS_URL, which is not read."""
    import redis.exceptions as rex

    from autometa_cli.jobs.faults import explain
    from autometa_cli.parsers import redis_url

    try:
        if url and redis_url(url, "--redis-url").lower().startswith("redis+"):
            raise UsageProblem("--redis-url takes one server: redis://, rediss:// or unix://")
        yield
    except rex.RedisError as error:
        found = explain(error, url)
        raise type(found)(found.message, found.hint.replace("REDIS_URL", "--redis-url")) from None
    except AutometaError as error:
        kind = UsageProblem if error.message.startswith("--redis-url ") else type(error)
        raise kind(error.message, error.hint.replace("REDIS_URL", "--redis-url")) from None
