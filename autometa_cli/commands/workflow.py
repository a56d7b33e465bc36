"""`autometa workflow`: what owners have stored in the registry, and what they do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from autometa_cli.commands.context import (
    DryRunOption,
    EnvFileOption,
    JsonOption,
    YesOption,
    begin,
    command_group,
    empty,
)
from autometa_cli.commands.help import examples
from autometa_cli.commands.sending import contract_address
from autometa_cli.commands.workflowchange import CONTRACT, change_workflow, obstacle_of, own_workflow
from autometa_cli.commands.workflowedit import create, update
from autometa_cli.commands.workflowoptions import parse_id, parse_start, parse_trigger_type
from autometa_cli.commands.workflowsimulate import simulate
from autometa_cli.commands.workflowtable import workflow_table
from autometa_cli.commands.workflowview import (
    deposit_in_words,
    policy_of,
    refusal,
    tokens_of,
    workers_in_words,
    workflow_document,
    workflow_rows,
)
from autometa_cli.errors import AutometaError, UsageProblem

if TYPE_CHECKING:
    from autometa_cli.chain.contracts import Workflow
    from autometa_cli.chain.search import Page
    from autometa_cli.chain.tokens import Token
    from autometa_cli.chain.view import View
    from autometa_cli.chain.workflows import Done, Owner

app = command_group(
    "Create, list, show, pause, resume and delete workflows.",
    epilog=examples(
        "autometa workflow create --transfer $TO --amount 0.1 --every 1d",
        "autometa workflow list --due",
        "autometa workflow show 12",
    ),
)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Of the workflow.", show_default=False)]


@app.command(
    "list",
    epilog=examples(
        "autometa workflow list --due",
        "autometa workflow list --owner $OWNER --paused",
        "autometa workflow list --limit 0 --json | jq length",
    ),
)
def list_workflows(
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="ADDRESS", help="Only this owner's.", show_default=False)
    ] = None,
    due: Annotated[bool, typer.Option("--due", help="Only those whose time has come.")] = False,
    active: Annotated[bool, typer.Option("--active", help="Only those that are not paused.")] = False,
    paused: Annotated[bool, typer.Option("--paused", help="Only those that are paused.")] = False,
    trigger: Annotated[
        str | None,
        typer.Option("--trigger", metavar="TYPE", help="Only time, price or wallet.", show_default=False),
    ] = None,
    unreadable: Annotated[
        bool, typer.Option("--unreadable", help="Only those whose trigger or action cannot be read.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="At most so many; 0: all.")] = 100,
    offset: Annotated[int, typer.Option("--offset", min=0, help="Leave out so many first.")] = 0,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """List the workflows in the registry, by id. Needs no key."""
    state = begin(as_json, env_file)
    if active and paused:
        raise UsageProblem("--active and --paused exclude each other", "leave both out to see all workflows")
    from autometa_cli.addresses import parse_address
    from autometa_cli.chain.contracts import Registry
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.chain.search import Search, search

    wanted = Search(
        owner=parse_address(owner, "--owner") if owner is not None else None,
        active=active if active or paused else None,
        due=due,
        trigger_type=parse_trigger_type(trigger, "--trigger") if trigger is not None else None,
        unreadable=unreadable,
    )
    registry = Registry(contract_address(state, CONTRACT))

    async def read() -> tuple[Page, int]:
        async with Rpc.of(state.settings) as rpc:
            view = await rpc.view()
            page = await search(registry, view, wanted, limit=limit or None, offset=offset)
            return page, view.block.timestamp

    page, now = state.run(read())
    none = empty("no workflows", owner, due, active, paused, trigger, unreadable, offset)
    documents = [workflow_document(each, now, state.settings.network.symbol) for each in page.workflows]
    state.console.result(documents, lambda: workflow_table(state, page.workflows, now, none))
    if page.more:
        state.console.status(f"there are more: --offset {offset + limit}, or --limit 0 for all")


@app.command(
    "show",
    epilog=examples("autometa workflow show 12", "autometa workflow show 12 --json | jq .refusal"),
)
def show(id: IdArgument, as_json: JsonOption = False, env_file: EnvFileOption = None) -> None:
    """Show a workflow in words, and whether workers would execute it.

    Needs no key. Workers with another configuration may decide otherwise.
    """
    state = begin(as_json, env_file)
    from autometa_cli.chain.contracts import Registry
    from autometa_cli.chain.escrow import Escrow
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.chain.workflows import existing

    settings = state.settings
    number = parse_id(id)
    registry = Registry(contract_address(state, CONTRACT))

    async def read() -> tuple[View, Workflow, int | None, dict[str, Token], str]:
        async with Rpc.of(settings) as rpc:
            view = await rpc.view()
            workflow = await existing(registry, view, number)
            escrow = Escrow(settings.feeescrow_address) if settings.feeescrow_address else None
            deposit = await escrow.balance(view, workflow.owner) if escrow else None
            tokens = dict(await tokens_of(workflow, view))
            return view, workflow, deposit, tokens, await obstacle_of(state, view, workflow)

    view, workflow, deposit, tokens, obstacle = state.run(read())
    symbol, now = settings.network.symbol, view.block.timestamp
    refused = refusal(state, workflow.owner, workflow.action_data)
    judged = policy_of(state) is not None
    document = workflow_document(workflow, now, symbol, tokens) | {
        "escrow_balance": None if deposit is None else str(deposit),
        "refusal": {"reason": refused.reason, "text": refused.text} if refused else None,
        "judged": judged,
        "obstacle": obstacle or None,
        "chain_id": settings.chain_id,
        "block": view.block.number,
    }
    rows = workflow_rows(workflow, now, symbol, tokens)
    rows.append(("escrow", deposit_in_words(deposit, workflow.gas_budget, symbol)))
    rows.append(("workers", workers_in_words(refused, obstacle, judged=judged)))
    state.console.result(document, lambda: state.console.fields(rows))


app.command(
    "create",
    epilog=examples(
        "autometa workflow create --transfer $TO --amount 0.1 --every 1d",
        "autometa workflow create --token $TOKEN --to $TO --amount 5 --start +1h",
        "autometa workflow create --call $TARGET --data 0xd09de08a --every 15m",
        "autometa workflow create --transfer $TO --amount 1 --price DOT --above 5",
        "autometa workflow create --transfer $TO --amount 1 --on-transfer in",
    ),
)(create)
app.command(
    "update",
    epilog=examples(
        "autometa workflow update 12 --every 2h",
        "autometa workflow update 12 --start 2030-01-31T12:00:00Z --gas-budget 0.002",
        "autometa workflow update 12 --transfer $TO --amount 0.2 --dry-run",
    ),
)(update)

app.command(
    "simulate",
    epilog=examples(
        "autometa workflow simulate 12",
        "autometa workflow simulate 12 --as $WORKER --json | jq .verdict",
    ),
)(simulate)


@app.command("pause", epilog=examples("autometa workflow pause 12", "autometa workflow pause 12 --dry-run"))
def pause(
    id: IdArgument, dry_run: DryRunOption = False, as_json: JsonOption = False, env_file: EnvFileOption = None
) -> None:
    """Pause a workflow. Signed with OWNER_PRIVATE_KEY (or its other forms).

    Nothing is sent when it is paused already.
    """
    state = begin(as_json, env_file)
    number = parse_id(id)

    async def act(owner: Owner, view: View) -> Done:
        return await owner.pause(number)

    done = change_workflow(
        state, act, dry_run=dry_run, said="paused", unchanged=f"workflow {number} is paused already"
    )
    if done.sent is not None and done.workflow is not None and done.workflow.active:
        state.console.warn(
            f"an execution that was under way has made workflow {number} active again",
            f"autometa workflow pause {number}",
        )


@app.command(
    "resume",
    epilog=examples("autometa workflow resume 12", "autometa workflow resume 12 --next-run +1h"),
)
def resume(
    id: IdArgument,
    next_run: Annotated[
        str | None,
        typer.Option(
            "--next-run",
            metavar="TIME",
            help="Else as it was: now, +10m, 2030-01-31T12:00:00Z, Unix seconds.",
            show_default=False,
        ),
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Resume a paused workflow. Signed with OWNER_PRIVATE_KEY.

    One whose time has passed is due at once, unless --next-run says
    otherwise. Nothing is sent when it is active already.
    """
    state = begin(as_json, env_file)
    number = parse_id(id)
    parse_start(next_run, 0, "--next-run")

    async def act(owner: Owner, view: View) -> Done:
        wanted = parse_start(next_run, view.block.timestamp, "--next-run")
        if wanted and (await owner.mine(number)).active:
            raise AutometaError(
                f"workflow {number} is active, so its next run is not changed by resuming it",
                f"autometa workflow update {number} --start …",
            )
        return await owner.resume(number, wanted or 0)

    change_workflow(
        state, act, dry_run=dry_run, said="resumed", unchanged=f"workflow {number} is active already"
    )


@app.command(
    "delete", epilog=examples("autometa workflow delete 12", "autometa workflow delete 12 --yes --json")
)
def delete(
    id: IdArgument,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Delete a workflow for good. Signed with OWNER_PRIVATE_KEY. Asks first."""
    state = begin(as_json, env_file)
    number = parse_id(id)
    if not dry_run:
        workflow, tokens = own_workflow(state, number)
        network = state.settings.network
        what = workflow_document(workflow, 0, network.symbol, tokens)["action"]["text"]
        if not state.console.confirm(
            f"Delete workflow {number} on {network.title} ({what}) for good?", yes=yes
        ):
            raise AutometaError("nothing was changed")

    async def act(owner: Owner, view: View) -> Done:
        return await owner.delete(number)

    change_workflow(state, act, dry_run=dry_run, said="deleted")
