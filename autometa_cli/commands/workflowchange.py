"""Changing a workflow by its owner's key, and telling what became of it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from autometa_cli.commands.sending import (
    account_of,
    announce,
    contract_address,
    transaction_document,
    transaction_rows,
)
from autometa_cli.commands.workflowview import (
    refusal,
    tokens_of,
    whole,
    workflow_document,
    workflow_rows,
)
from autometa_cli.errors import AutometaError
from autometa_cli.units import from_wei

if TYPE_CHECKING:
    from autometa_cli.chain.contracts import Workflow
    from autometa_cli.chain.tokens import Token
    from autometa_cli.chain.view import View
    from autometa_cli.chain.workflows import Done, Draft, Owner
    from autometa_cli.commands.context import State

    Act = Callable[[Owner, View], Coroutine[Any, Any, Done]]

CONTRACT = "WorkflowRegistry"


def change_workflow(state: State, act: Act, *, dry_run: bool, said: str, unchanged: str = "") -> Done:
    """Does what `act` does with OWNER_PRIVATE_KEY, and prints what became of it.

    Args:
        act: gets the owner, and a view of the chain before the change.
        said: what was done, for people, as in "paused".
        unchanged: what is said where nothing had to be sent.
    """
    from autometa_cli.chain.contracts import Registry
    from autometa_cli.chain.workflows import Owner

    settings = state.settings
    registry = Registry(contract_address(state, CONTRACT))
    signer = settings.owner_key().load(chain_id=settings.chain_id)
    announce(state, CONTRACT, signer.address)

    async def run() -> tuple[Done, int, dict[str, Token]]:
        async with account_of(state, signer) as account:
            view = await account.rpc.view()
            done = await act(Owner(account, registry, dry_run=dry_run), view)
            tokens = dict(await tokens_of(done.workflow, view)) if done.workflow else {}
            return done, view.block.timestamp, tokens

    done, now, tokens = state.run(run())
    symbol = settings.network.symbol
    workflow = workflow_document(done.workflow, now, symbol, tokens) if done.workflow else None
    document = {
        "id": None if done.id is None else whole(done.id),
        "changed": done.changed and not dry_run,
        "dry_run": dry_run,
        "from": signer.address,
        "contract_address": registry.address,
        "chain_id": settings.chain_id,
        "workflow": workflow,
        **transaction_document(done.sent, done.gas),
    }
    rows = workflow_rows(done.workflow, now, symbol, tokens) if done.workflow else []
    if not rows and done.id is not None:
        rows = [("workflow", done.id)]
    rows += transaction_rows(done.sent, done.gas, symbol)
    state.console.result(document, lambda: state.console.fields(rows))
    if not done.changed:
        state.console.success(f"{unchanged}; nothing was sent")
    elif dry_run:
        state.console.success("this would work; nothing was sent")
    else:
        state.console.success(f"workflow {done.id} {said}")
    return done


def own_workflow(state: State, id: int) -> tuple[Workflow, dict[str, Token]]:
    """A workflow of OWNER_PRIVATE_KEY's account, as it is now, and what its tokens say. Raises as `Owner.mine`."""
    from autometa_cli.chain.contracts import Registry
    from autometa_cli.chain.workflows import Owner

    registry = Registry(contract_address(state, CONTRACT))
    signer = state.settings.owner_key().load(chain_id=state.settings.chain_id)

    async def read() -> tuple[Workflow, dict[str, Token]]:
        async with account_of(state, signer) as account:
            workflow = await Owner(account, registry).mine(id)
            return workflow, dict(await tokens_of(workflow, await account.rpc.view()))

    return state.run(read())


def price_gap(state: State, draft: Draft | Workflow) -> str:
    """Why this configuration can never tell the price that a trigger, which is readable, waits for, or ""."""
    from autometa_cli.chain.trigger_data import decode_trigger
    from autometa_cli.chain.triggers import PriceTrigger
    from autometa_cli.scheduling.prices import PriceBook

    trigger = decode_trigger(draft.trigger_type, draft.trigger_data)
    return PriceBook.of(state.settings).gap(trigger.symbol) if isinstance(trigger, PriceTrigger) else ""


async def obstacle_of(state: State, view: View, workflow: Workflow) -> str:
    """What keeps workers with this configuration from executing a workflow as things are, or "".

    Raises RpcUnreachable.
    """
    from autometa_cli.chain.actions import decode_action, native_value
    from autometa_cli.chain.words import BadEncoding

    if not workflow.active:
        return "it is paused"
    try:
        gap = price_gap(state, workflow)
        value = native_value(decode_action(workflow.action_data))
    except BadEncoding:
        return "its trigger or its action cannot be read"
    executor = state.settings.actionexecutor_address
    if gap or not executor or not value:
        return gap
    held, symbol = await view.balance(executor), state.settings.network.symbol
    if held >= value:
        return ""
    return f"the executor contract has {from_wei(held)} {symbol}, it pays {from_wei(value)} {symbol}"


async def warn_of_trouble(state: State, view: View, owner: str, draft: Draft, *, sure: bool) -> None:
    """Warns where a workflow as drafted would not be executed, or not now.

    Args:
        sure: a trigger that nobody understands is not asked about.

    Raises:
        RpcUnreachable: the endpoint failed.
        UsageProblem: there is something to ask, and nobody to answer.
        AutometaError: the answer was no.
    """
    from autometa_cli.addresses import checksum
    from autometa_cli.chain.actions import ContractCall, NativeTransfer, TokenTransfer, decode_action
    from autometa_cli.chain.escrow import Escrow
    from autometa_cli.chain.trigger_data import decode_trigger
    from autometa_cli.chain.words import BadEncoding

    warn = state.console.warn
    refused = refusal(state, owner, draft.action_data)
    if refused is not None:
        warn(f"workers never execute this action: {refused.text} ({refused.reason})")
    try:
        decode_trigger(draft.trigger_type, draft.trigger_data)
    except BadEncoding as fault:
        warn(f"no scheduler understands this trigger: {fault.message}")
        if not state.console.confirm("It would never run. Send it all the same?", yes=sure):
            raise AutometaError("nothing was sent") from None
    else:
        gap = price_gap(state, draft)
        if gap:
            warn(
                f"here {gap}; nothing executes the workflow unless scheduler and workers have a source",
                "see docs/triggers.md, Prices",
            )
    called = None
    try:
        action = decode_action(draft.action_data)
        if isinstance(action, NativeTransfer | TokenTransfer) and not action.amount:
            warn("this action transfers nothing: its amount is 0")
        if isinstance(action, TokenTransfer):
            called = action.token
        elif isinstance(action, ContractCall) and action.call_data:
            called = action.target
    except BadEncoding:
        called = None  # told above, where the policy judges it
    if called is not None and not await view.code(called):
        warn(f"there is no contract at {checksum(called)} on this chain")
    if not draft.gas_budget or not state.settings.feeescrow_address:
        return
    deposit = await Escrow(state.settings.feeescrow_address).balance(view, owner)
    if deposit < draft.gas_budget:
        symbol = state.settings.network.symbol
        warn(
            f"{owner} has {from_wei(deposit)} {symbol} in the escrow, less than the gas budget of one run, "
            f"{from_wei(draft.gas_budget)} {symbol}: it is not executed until there is enough",
            f"autometa escrow deposit {from_wei(draft.gas_budget - deposit)}",
        )
