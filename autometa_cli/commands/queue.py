"""`autometa queue`: the list of pending jobs, and what became of those that were taken from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from autometa_cli.commands import queuedead, queueops
from autometa_cli.commands.context import EnvFileOption, JsonOption, YesOption, begin, command_group
from autometa_cli.commands.help import examples
from autometa_cli.commands.queueask import (
    CountOption,
    OffsetOption,
    ReasonOption,
    WorkflowOption,
    ask,
    nothing,
    wanted,
)
from autometa_cli.commands.queuepush import EPILOG, push
from autometa_cli.commands.queuestats import EPILOG as STATS_EPILOG
from autometa_cli.commands.queuestats import stats
from autometa_cli.commands.queueview import (
    dead_table,
    delayed_document,
    delayed_table,
    held_document,
    held_table,
    job_document,
    job_table,
    one_line,
    record_document,
    record_rows,
)
from autometa_cli.errors import AutometaError
from autometa_cli.times import utc

if TYPE_CHECKING:
    from autometa_cli.jobs.inspector import Held
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.record import Record

app = command_group(
    "See and change the queue of pending jobs.",
    epilog=examples("autometa queue stats", "autometa queue peek", "autometa queue push --workflow 7"),
)
dead = command_group(
    "See the jobs that were given up, and why; try them again, or drop them.",
    epilog=examples("autometa queue dead list", "autometa queue dead retry 7@1767225600"),
)
app.command("push", epilog=EPILOG)(push)
app.add_typer(dead, name="dead")
queueops.register(app)
queuedead.register(dead)


@app.command("len", epilog=examples("autometa queue len", "autometa queue len --json"))
def length(as_json: JsonOption = False, env_file: EnvFileOption = None) -> None:
    """Count the pending jobs, as LLEN does.

    Jobs in flight, delayed or dead are not among them: see `autometa
    queue stats`.
    """
    state = begin(as_json, env_file)
    found = ask(state, lambda queue: queue.length())
    state.console.result({"length": found}, str(found))


@app.command(
    "peek",
    epilog=examples(
        "autometa queue peek",
        "autometa queue peek -n 100 --offset 100",
        "autometa queue peek --raw                 # the payloads, one a line",
        "autometa queue peek --json | jq '.[].workflow'",
    ),
)
def peek(
    count: CountOption = 10,
    offset: OffsetOption = 0,
    raw: Annotated[bool, typer.Option("--raw", help="Print the payloads, one a line.")] = False,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Show the next jobs, in the order in which they will be taken.

    Takes none. What is no job is shown with what is wrong with it. With
    --raw each payload is one line: line breaks, other control characters
    and bytes that are no UTF-8 stand there as \\x0a, marks that turn the
    direction of writing as \\u202e; all else is as it is.
    """
    state = begin(as_json, env_file)

    async def look(queue: JobQueue) -> tuple[list[bytes], int]:
        return await queue.peek(count, offset), await queue.length()

    found, total = ask(state, look)
    documents = [job_document(element, position) for position, element in enumerate(found, offset)]
    if raw and not state.console.json:
        if found:
            state.console.result(None, "\n".join(one_line(element) for element in found))
    else:
        none = f"none from {offset} on; {total} in all" if offset and total else "no pending jobs"
        state.console.result(documents, lambda: job_table(state, documents, none))
    if (rest := total - offset - len(found)) > 0:
        state.console.status(f"{rest} more")


@app.command("clear", epilog=examples("autometa queue clear", "autometa queue clear --yes --json"))
def clear(yes: YesOption = False, as_json: JsonOption = False, env_file: EnvFileOption = None) -> None:
    """Move all pending jobs aside.

    For a day `autometa queue restore` brings them back. After that jobs
    that were pushed by hand are gone; the scheduler's come again as long
    as they are due. Jobs in flight, delayed or dead are left alone.
    """
    state = begin(as_json, env_file)
    count = ask(state, lambda queue: queue.length())
    nothing_to_ask = count == 0 and state.console.interactive
    if not nothing_to_ask and not state.console.confirm(f"Clear {count} pending jobs?", yes=yes):
        raise AutometaError("nothing was changed")
    from autometa_cli.jobs.pending import CLEARED_KEPT_SECONDS

    stamp, cleared = ask(state, lambda queue: queue.clear())
    until = int(stamp) // 1000 + CLEARED_KEPT_SECONDS
    state.console.result(
        {"cleared": cleared, "restorable_until": until if cleared else None}, f"cleared {cleared}"
    )
    if cleared:
        state.console.status(f"autometa queue restore brings them back, until {utc(until)}")


@app.command("restore", epilog=examples("autometa queue restore", "autometa queue restore --json"))
def restore(as_json: JsonOption = False, env_file: EnvFileOption = None) -> None:
    """Undo the latest `queue clear`: its jobs are at the head again.

    Once more undoes the one before. Works for a day after the clear.
    """
    state = begin(as_json, env_file)
    restored = ask(state, lambda queue: queue.restore())
    state.console.result({"restored": restored}, f"restored {restored}")
    if not restored:
        state.console.status("nothing was cleared within the last day")


app.command("stats", epilog=STATS_EPILOG)(stats)


@app.command("inflight", epilog=examples("autometa queue inflight", "autometa queue inflight --json"))
def inflight(
    count: CountOption = 1000,
    offset: OffsetOption = 0,
    workflow: WorkflowOption = None,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Show what the workers hold: each job's state, nonce and transaction.

    A transaction whose worker is gone is in nobody's list; another worker
    watches it, and `autometa queue stats` counts it as open.
    """
    state = begin(as_json, env_file)
    from autometa_cli.jobs.inspector import Inspector

    chosen = wanted(workflow, reason)

    async def look(queue: JobQueue) -> tuple[list[Held], str]:
        inflight = Inspector(queue).inflight
        page = await inflight(count, offset, chosen)
        none = await nothing(
            "nothing in flight", page, offset, lambda most: inflight(most, 0, chosen), workflow, reason
        )
        return page, none

    held, none = ask(state, look)
    state.console.result([held_document(one) for one in held], lambda: held_table(state, held, none))


@app.command("delayed", epilog=examples("autometa queue delayed", "autometa queue delayed -n 1000 --json"))
def delayed(
    count: CountOption = 100,
    offset: OffsetOption = 0,
    workflow: WorkflowOption = None,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Show the jobs that wait for another look, and why.

    Retries after a revert, and jobs that are held because their action
    would fail now. The next due come first.
    """
    state = begin(as_json, env_file)
    from autometa_cli.jobs.inspector import Inspector

    chosen = wanted(workflow, reason)

    async def look(queue: JobQueue) -> tuple[list[tuple[Record, int]], int, str]:
        waiting = Inspector(queue).delayed
        page = await waiting(count, offset, chosen)
        none = await nothing(
            "nothing waits", page, offset, lambda most: waiting(most, 0, chosen), workflow, reason
        )
        return page, await queue.clock(), none

    rows, now, none = ask(state, look)
    state.console.result(
        [delayed_document(record, due) for record, due in rows],
        lambda: delayed_table(state, rows, now, none),
    )


@dead.command("list", epilog=examples("autometa queue dead list", "autometa queue dead list -n 1000 --json"))
def dead_list(
    count: CountOption = 100,
    offset: OffsetOption = 0,
    workflow: WorkflowOption = None,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """List the jobs that were given up, the latest first."""
    state = begin(as_json, env_file)
    from autometa_cli.jobs.inspector import Inspector

    chosen = wanted(workflow, reason)

    async def look(queue: JobQueue) -> tuple[list[Record], int, str]:
        letters = Inspector(queue).dead
        page = await letters(count, offset, chosen)
        none = await nothing(
            "no dead letters", page, offset, lambda most: letters(most, 0, chosen), workflow, reason
        )
        return page, await queue.clock(), none

    records, now, none = ask(state, look)
    state.console.result(
        [record_document(record) for record in records],
        lambda: dead_table(state, records, now, none),
    )


@dead.command(
    "show",
    epilog=examples(
        "autometa queue dead show 7@1767225600",
        "autometa queue dead show $KEY --json | jq -r .raw > payload",
    ),
)
def dead_show(
    name: Annotated[
        str,
        typer.Argument(metavar="JOB", help="Its name in the list, its key or its id.", show_default=False),
    ],
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Show one dead letter in full, with its payload.

    A payload of more than 2000 characters is cut; --json has all of it.
    """
    state = begin(as_json, env_file)
    from autometa_cli.jobs.inspector import Inspector

    async def look(queue: JobQueue) -> tuple[Record | None, int]:
        return await Inspector(queue).dead_letter(name), await queue.clock()

    record, now = ask(state, look)
    if record is None:
        raise AutometaError(f"there is no dead letter {name}", "autometa queue dead list shows them")
    state.console.result(record_document(record), lambda: state.console.fields(record_rows(record, now)))
