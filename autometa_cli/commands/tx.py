"""`autometa tx`: the transactions of the ledger, and what a person may do about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from autometa_cli.commands import txreconcile, txwish
from autometa_cli.commands.context import EnvFileOption, JsonOption, State, begin, command_group
from autometa_cli.commands.help import examples
from autometa_cli.commands.queueask import OffsetOption, WorkflowOption, ask
from autometa_cli.commands.txlook import (
    NameArgument,
    aside_words,
    catalog_of,
    crew_of,
    evidence_of,
    found,
    set_aside,
    tell_doubt,
)
from autometa_cli.commands.txview import (
    LIST_COLUMNS,
    list_cells,
    list_document,
    show_document,
    show_rows,
)
from autometa_cli.commands.workflowoptions import parse_id

if TYPE_CHECKING:
    from autometa_cli.executor.catalog import Chosen
    from autometa_cli.executor.evidence import Evidence
    from autometa_cli.executor.standing import Crew, Standing
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.record import Record

app = command_group(
    "See, raise, cancel and reconcile the transactions on their way.",
    epilog=examples(
        "autometa tx list",
        "autometa tx show 7@1767225600",
        "autometa tx cancel 7@1767225600",
        "autometa tx reconcile --all",
    ),
)


@app.command(
    "list",
    epilog=examples(
        "autometa tx list",
        "autometa tx list --workflow 7 --all",
        "autometa tx list --state signed --state cancelling",
        "autometa tx list -n 0 --all --json | jq '.[].tx'",
    ),
)
def list_transactions(
    workflow: WorkflowOption = None,
    states: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            metavar="STATE",
            help="Only in this state; may be repeated. open: all before the end.",
            show_default=False,
        ),
    ] = None,
    sender: Annotated[
        str | None,
        typer.Option("--sender", metavar="ADDRESS", help="Only of this key.", show_default=False),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every record: also what waits, is settled, skipped or dead.")
    ] = False,
    count: Annotated[int, typer.Option("-n", "--count", min=0, help="At most so many; 0: all.")] = 100,
    offset: OffsetOption = 0,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """List the transactions on their way, the oldest first.

    These are the records that hold a nonce. Asks Redis only, and changes
    nothing. With --all settled and skipped records come last, in no order;
    they are kept for 30 days.
    """  # fmt: skip
    state = begin(as_json, env_file)
    chosen = _chosen(workflow, states, sender, everything)
    ask(state, lambda queue: _list(state, queue, chosen, count, offset))


@app.command(
    "show",
    epilog=examples(
        "autometa tx show 7@1767225600",
        "autometa tx show 7                  # what workflow 7 has, or had last",
        "autometa tx show 0x… --json | jq .next_steps",
    ),
)
def show(name: NameArgument, as_json: JsonOption = False, env_file: EnvFileOption = None) -> None:
    """Explain where a transaction stands, and what can be done.

    Named by its key or short name (as in the list), its job's id, any of
    its hashes, or its workflow's number (what is on its way, else what was
    last). Changes nothing. Where no endpoint answers it says what the ledger tells.
    """
    state = begin(as_json, env_file)

    from autometa_cli.executor.standing import stand

    async def look(queue: JobQueue) -> tuple[Standing, Crew, int, list[dict[str, Any]], Evidence | None, str]:
        await tell_doubt(state, queue)
        record = await found(state, queue, name)
        evidence, trouble = await evidence_of(state, record)
        crew, now = await crew_of(queue), await queue.clock()
        standing = await set_aside(queue, stand(record, crew, now, evidence))
        return standing, crew, now, await _earlier(queue, record), evidence, trouble

    standing, crew, now, earlier, evidence, trouble = ask(state, look)
    record = standing.record
    network = state.settings.network if record.chain == state.settings.chain_id else None
    symbol = network.symbol if network else ""
    if trouble:
        state.console.warn(f"only what the ledger tells: {trouble}")
    state.console.result(
        show_document(standing, crew, now, network, evidence, trouble, earlier),
        lambda: state.console.fields(show_rows(standing, network, evidence, earlier, symbol)),
    )


txwish.register(app)
txreconcile.register(app)


async def _list(state: State, queue: JobQueue, chosen: Chosen, count: int, offset: int) -> None:
    from autometa_cli.executor.standing import waits_for
    from autometa_cli.jobs.aside import aside_until, asides

    await tell_doubt(state, queue)
    crew, now = await crew_of(queue), await queue.clock()
    cleared = await asides(queue)
    lowest: dict[tuple[int, str], int | None] = {}
    left, symbol, more = offset, state.settings.network.symbol, False
    shown = 0
    with state.console.listing(LIST_COLUMNS, empty="no transactions") as add:
        async for page in catalog_of(state, queue).walk(chosen):
            for record in page:
                if left > 0:
                    left -= 1
                    continue
                if count and shown >= count:
                    more = True
                    break
                place = (record.chain, record.sender)
                if record.sender and place not in lowest:
                    lowest[place] = await _lowest(queue, *place)
                waits = waits_for(record, crew, lowest.get(place))
                if cleared and record.state == "queued" and (until := await aside_until(queue, record.key)):
                    waits = aside_words(until)
                add(list_document(record, crew, now, waits), list_cells(record, now, waits, symbol))
                shown += 1
            if more:
                break
    if more:
        state.console.status(f"there are more: --offset {offset + count}, or -n 0 for all")


async def _lowest(queue: JobQueue, chain: int, sender: str) -> int | None:
    """The lowest open nonce of a key."""
    names = await queue.redis.hkeys(queue.keys.nonces(chain, sender))
    return min((int(name) for name in names if name.isdigit()), default=None)


async def _earlier(queue: JobQueue, record: Record) -> list[dict[str, Any]]:
    """What the history says of its transactions under nonces that are used up, the oldest first."""
    from autometa_cli.commands.queueops import history_document
    from autometa_cli.jobs.deadletters import Wanted
    from autometa_cli.jobs.inspector import Inspector
    from autometa_cli.jobs.retention import HISTORY_LENGTH

    rows = await Inspector(queue).history(2 * HISTORY_LENGTH, wanted=Wanted(record.workflow))
    documents = [history_document(at, entry) for at, entry in rows if entry.get("key") == record.key]
    return [each for each in reversed(documents) if each["tx"] and each["tx"] != record.tx]


def _chosen(workflow: str | None, states: list[str] | None, sender: str | None, everything: bool) -> Chosen:
    from autometa_cli.addresses import parse_address
    from autometa_cli.executor.catalog import HOLDING, Chosen, states_named
    from autometa_cli.jobs.states import STATES

    named = states_named(states or [])
    return Chosen(
        states=named or (frozenset(STATES) if everything else HOLDING),
        workflow=None if workflow is None else parse_id(workflow),
        sender="" if sender is None else parse_address(sender, "--sender").lower(),
    )
