"""`autometa queue stats`: how many jobs stand where, and how Redis does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autometa_cli.commands.context import EnvFileOption, JsonOption, begin
from autometa_cli.commands.help import examples
from autometa_cli.commands.queueask import ask
from autometa_cli.commands.queueview import pause_document, pause_words
from autometa_cli.times import utc
from autometa_cli.units import duration

if TYPE_CHECKING:
    from autometa_cli.jobs.aside import Aside
    from autometa_cli.jobs.inspector import Counts
    from autometa_cli.jobs.pause import Pause
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.server import Memory

EPILOG = examples("autometa queue stats", "autometa queue stats --json | jq .oldest_seconds")
_CLEARS = 3  # that are told one by one
_MEBIBYTE = 1 << 20


def stats(as_json: JsonOption = False, env_file: EnvFileOption = None) -> None:
    """Count the jobs by where they stand.

    Oldest is how long the job waits that the scheduler put on the list
    first; a job that was pushed by hand has no time, one that was restored
    waits since then. Set aside are those that `queue clear` moved away, and
    until when `queue restore` brings them back. A workflow is halted when
    its latest run is a dead letter: it does not run until that is retried,
    or its owner changes it.
    """
    state = begin(as_json, env_file)
    from autometa_cli.jobs.aside import asides
    from autometa_cli.jobs.inspector import Inspector
    from autometa_cli.jobs.server import memory

    async def look(
        queue: JobQueue,
    ) -> tuple[Counts, dict[str, int], int, int, list[Aside], Pause | None, Memory]:
        inspector = Inspector(queue)
        counts, states, halted = await inspector.counts(), await inspector.states(), await inspector.halted()
        recovered, cleared = await inspector.recoveries(), await asides(queue)
        return counts, states, halted, recovered, cleared, await queue.pausing(), await memory(queue.redis)

    counts, states, halted, recovered, cleared, pause, used = ask(state, look)
    document = {
        **counts_document(counts),
        "halted_workflows": halted,
        "states": states,
        "aside": [aside_document(each) for each in cleared],
        "pause": None if pause is None else pause_document(pause),
        "recoveries": recovered,
        "memory": memory_document(used),
    }
    rows = [
        *counts_rows(counts),
        ("halted", f"{halted} {'workflow' if halted == 1 else 'workflows'}" if halted else 0),
        ("set aside", aside_words(cleared)),
        ("paused", "no" if pause is None else pause_words(pause)),
        ("recoveries", f"{recovered} (Redis had lost writes)" if recovered else 0),
        ("memory", memory_words(used)),
    ]
    state.console.result(document, lambda: state.console.fields(rows))


def counts_document(counts: Counts) -> dict[str, Any]:
    """The counts in JSON."""
    return {
        "pending": counts.pending,
        "inflight": counts.inflight,
        "delayed": counts.delayed,
        "dead": counts.dead,
        "open": counts.open,
        "workers": counts.workers,
        "paused": counts.paused or None,
        "oldest_seconds": None if counts.oldest is None else round(counts.oldest, 3),
    }


def counts_rows(counts: Counts) -> list[tuple[str, Any]]:
    """The counts for people."""
    return [
        ("pending", counts.pending),
        ("oldest", _oldest(counts)),
        ("in flight", counts.inflight),
        ("open", f"{counts.open} (hold a nonce)" if counts.open else 0),
        ("delayed", counts.delayed),
        ("dead", counts.dead),
        ("workers", counts.workers),
    ]


def _oldest(counts: Counts) -> str | None:
    if counts.oldest is not None:
        return f"waits {duration(counts.oldest)}"
    return "unknown (pushed by hand)" if counts.pending else None


def aside_document(aside: Aside) -> dict[str, Any]:
    """What one `queue clear` moved aside, in JSON."""
    return {"jobs": aside.jobs, "since": aside.since, "until": aside.until}


def aside_words(found: Sequence[Aside]) -> str | int:
    """What is set aside by `queue clear`, the latest first."""
    if not found:
        return 0
    return (
        "by queue clear: "
        + ", ".join(f"{each.jobs} until {utc(each.until)}" for each in found[:_CLEARS])
        + (f", and {len(found) - _CLEARS} clears more" if len(found) > _CLEARS else "")
    )


def memory_document(memory: Memory) -> dict[str, Any]:
    """How full Redis is, in JSON; bytes."""
    return {"used": memory.used, "limit": memory.limit, "full": memory.full}


def memory_words(memory: Memory) -> str:
    """How full Redis is."""
    used = f"{memory.used / _MEBIBYTE:.1f}"
    if memory.limit is None:
        return f"{used} MiB, no limit (maxmemory)"
    words = f"{used} of {memory.limit / _MEBIBYTE:.1f} MiB (maxmemory)"
    return (
        f"full, {words}: nothing new is begun; see docs/operations.md, 'Redis is full'"
        if memory.full
        else words
    )
