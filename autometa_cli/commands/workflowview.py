"""How a workflow is shown, and whether workers would execute it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from autometa_cli.times import LAST_SECOND
from autometa_cli.units import from_wei, hex0x

if TYPE_CHECKING:
    from autometa_cli.chain.contracts import Workflow
    from autometa_cli.chain.tokens import Token
    from autometa_cli.chain.view import View
    from autometa_cli.commands.context import State
    from autometa_cli.executor.policy import Forbidden, Policy

#: Up to here every JSON reader keeps whole numbers exact; beyond it they are given as text.
SAFE_INTEGER = 2**53
NO_TOKENS: Mapping[str, Token] = MappingProxyType({})


def workflow_document(
    workflow: Workflow, now: int, symbol: str, tokens: Mapping[str, Token] = NO_TOKENS
) -> dict[str, Any]:
    """A workflow in JSON.

    Args:
        now: the chain's clock, seconds since 1970.
        symbol: of the native token.
        tokens: what tokens say about themselves, by lower-case address; of those that were asked.
    """
    from autometa_cli.chain.search import is_due
    from autometa_cli.times import utc

    return {
        "id": whole(workflow.id) if workflow.id else None,
        "owner": workflow.owner,
        "active": workflow.active,
        "due": is_due(workflow, now),
        "next_run": whole(workflow.next_run),
        "next_run_utc": utc(workflow.next_run),
        "interval": whole(workflow.interval),
        "gas_budget": str(workflow.gas_budget),
        "trigger": _trigger(workflow, symbol, tokens),
        "action": _action(workflow, symbol, tokens),
    }


def workflow_rows(
    workflow: Workflow, now: int, symbol: str, tokens: Mapping[str, Token] = NO_TOKENS
) -> list[tuple[str, Any]]:
    """A workflow for people. Arguments as of `workflow_document`."""
    from autometa_cli.chain.wording import interval_in_words, time_in_words

    trigger, action = _trigger(workflow, symbol, tokens), _action(workflow, symbol, tokens)
    rows: list[tuple[str, Any]] = [
        ("workflow", workflow.id or None),
        ("owner", workflow.owner),
        ("state", state_in_words(workflow, now)),
        ("next run", time_in_words(workflow.next_run, now)),
        ("repeats", interval_in_words(workflow.interval)),
        ("trigger", trigger["text"]),
        ("action", action["text"]),
        ("gas budget", f"{from_wei(workflow.gas_budget)} {symbol}"),
    ]
    if action["type"] is not None and action["type"] != workflow.action_type:
        note = (
            f"the registry's label says {workflow.action_type}, the data {action['type']}; the data decides"
        )
        rows.insert(7, ("", note))
    return rows


def state_in_words(workflow: Workflow, now: int) -> str:
    """`"paused"`, `"due"`, `"waiting"`, or `"done"` where it never runs again."""
    if not workflow.active:
        return "paused"
    if workflow.next_run >= LAST_SECOND:
        return "done"
    return "due" if workflow.next_run <= now else "waiting"


def workers_in_words(refused: Forbidden | None, obstacle: str, *, judged: bool) -> str:
    """Whether workers would execute it; `obstacle` as of `obstacle_of`."""
    if refused is not None:
        return f"never execute it: {refused.text} ({refused.reason})"
    if obstacle:
        return f"do not execute it as things are: {obstacle}"
    return "may execute it" if judged else "cannot be told: a contract's address is not set"


def whole(number: int) -> int | str:
    """A whole number for JSON: text where a reader could lose digits."""
    return number if number < SAFE_INTEGER else str(number)


def deposit_in_words(deposit: int | None, budget: int, symbol: str) -> str:
    """What an owner has in the escrow (wei; None: not known), and how many runs of `budget` wei it pays."""
    if deposit is None:
        return "cannot be told: FEEESCROW_ADDRESS is not set"
    held = f"{from_wei(deposit)} {symbol} of its owner"
    if not budget:
        return held
    runs = deposit // budget
    return (
        f"{held}, enough for {runs} run{'' if runs == 1 else 's'}"
        if runs
        else f"{held}, too little for a run"
    )


async def tokens_of(workflow: Workflow, view: View) -> Mapping[str, Token]:
    """What the tokens in a workflow say about themselves, by lower-case address. Raises RpcUnreachable."""
    from autometa_cli.chain.tokens import describe_token
    from autometa_cli.chain.wording import tokens_in

    return {address: await describe_token(view, address) for address in tokens_in(workflow)}


def policy_of(state: State) -> Policy | None:
    """What this configuration's workers execute; None where the contracts' addresses are not all set."""
    from autometa_cli.executor.policy import Policy

    settings = state.settings
    if not (settings.registry_address and settings.actionexecutor_address and settings.feeescrow_address):
        return None
    return Policy(
        registry=settings.registry_address,
        executor=settings.actionexecutor_address,
        escrow=settings.feeescrow_address,
        allowed_targets=settings.allowed_targets,
        allowed_owners=settings.allowed_owners,
        max_value_wei=settings.max_value_wei,
    )


def refusal(state: State, owner: str, action_data: bytes) -> Forbidden | None:
    """Why workers with this configuration would never execute an action; None where they would, or where that
    cannot be told."""
    from autometa_cli.executor.policy import judge

    policy = policy_of(state)
    return judge(policy, owner, action_data) if policy else None


def _trigger(workflow: Workflow, symbol: str, tokens: Mapping[str, Token]) -> dict[str, Any]:
    from autometa_cli.chain.trigger_data import decode_trigger
    from autometa_cli.chain.wording import TRIGGER_KINDS, trigger_in_words
    from autometa_cli.chain.words import BadEncoding

    kind, readable = None, True
    try:
        trigger = decode_trigger(workflow.trigger_type, workflow.trigger_data)
        kind = TRIGGER_KINDS[type(trigger)]
        text = trigger_in_words(trigger, symbol, tokens)
    except BadEncoding as fault:
        readable, text = False, f"cannot be read: {fault.message}"
    return {
        "type": workflow.trigger_type,
        "kind": kind,
        "text": text,
        "readable": readable,
        "data": hex0x(workflow.trigger_data),
    }


def _action(workflow: Workflow, symbol: str, tokens: Mapping[str, Token]) -> dict[str, Any]:
    from autometa_cli.chain.actions import decode_action
    from autometa_cli.chain.wording import ACTION_KINDS, action_in_words
    from autometa_cli.chain.words import BadEncoding

    kind, readable = None, True
    data = workflow.action_data
    try:
        action = decode_action(data)
        kind = ACTION_KINDS[type(action)]
        text = action_in_words(action, symbol, tokens)
    except BadEncoding as fault:
        readable, text = False, f"cannot be read: {fault.message}"
    return {
        "type": data[0] if data else None,
        "label": workflow.action_type,
        "kind": kind,
        "text": text,
        "readable": readable,
        "data": hex0x(data),
    }
