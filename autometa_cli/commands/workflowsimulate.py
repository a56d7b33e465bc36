"""`autometa workflow simulate`: everything that a worker checks, without sending anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autometa_cli.commands.context import EnvFileOption, JsonOption, begin
from autometa_cli.commands.workflowoptions import parse_id
from autometa_cli.commands.workflowview import tokens_of, whole, workflow_document, workflow_rows
from autometa_cli.errors import ConfigError, ExitCode, RedisUnreachable
from autometa_cli.units import duration, from_wei

if TYPE_CHECKING:
    from autometa_cli.chain.tokens import Token
    from autometa_cli.commands.context import State
    from autometa_cli.executor.decision import Go, Refusal
    from autometa_cli.scheduling.rehearsal import Rehearsal

#: Of these nothing is queued, so that no worker decides anything yet. `{}`: what the trigger says.
_NOT_NOW = {
    "not_due": "not now: it is {}",
    "condition": "not now: {}",
    "trigger": "not now: whether its trigger holds cannot be told ({})",
}


def simulate(
    id: Annotated[str, typer.Argument(metavar="ID", help="Of the workflow.", show_default=False)],
    sender: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="ADDRESS",
            help="The worker's address; else that of WORKER_PRIVATE_KEY.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Try a workflow without sending anything: would a worker execute it now?

    Looks at the trigger, with the price or the transfer that it goes by,
    and simulates the action with the gas limit and fee of the real call.
    Leaves with 0 where a worker would execute it, with 8 where not.
    """
    state = begin(as_json, env_file)
    number = parse_id(id)
    address = _address(state, sender)
    from autometa_cli.executor.decision import Go

    found, tokens = state.run(_rehearse(state, number, address))
    executes = isinstance(found.decision, Go)
    document = _document(state, found, address, tokens, executes=executes)
    state.console.result(document, lambda: state.console.fields(_rows(state, found, document, tokens)))
    if not executes:
        raise typer.Exit(ExitCode.NEGATIVE)


def _address(state: State, given: str | None) -> str:
    from autometa_cli.addresses import parse_address

    if given is not None:
        return parse_address(given, "--as")
    settings = state.settings
    try:
        return settings.worker_key().load(chain_id=settings.chain_id).address
    except ConfigError as error:
        raise ConfigError(error.message, "name the worker's address: --as ADDRESS") from None


async def _rehearse(state: State, id: int, sender: str) -> tuple[Rehearsal, Mapping[str, Token]]:
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.jobs.connection import redis_errors
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.scheduling.rehearsal import rehearse

    settings = state.settings
    async with Rpc.of(settings) as rpc:
        try:
            async with redis_errors(settings.redis_url), JobQueue.of(settings) as queue:
                found = await rehearse(settings, rpc, id, sender, queue)
        except RedisUnreachable as error:
            state.console.warn(f"{error.message}; going by the chain alone")
            found = await rehearse(settings, rpc, id, sender)
        return found, await tokens_of(found.workflow, found.head.view)


def _document(
    state: State, found: Rehearsal, sender: str, tokens: Mapping[str, Token], *, executes: bool
) -> dict[str, Any]:
    from autometa_cli.scheduling.price import Price

    head, symbol = found.head, state.settings.network.symbol
    price = None
    if isinstance(found.price, Price):
        price = {
            "usd": found.price.usd,
            "source": found.price.source,
            "updated": found.price.updated,
            "age": max(0, head.now - found.price.updated),
        }
    return {
        "id": whole(found.workflow.id),
        "as": sender,
        "would_execute": executes,
        "verdict": _verdict(found.decision),
        "trigger": {
            "holds": not found.trigger,
            "text": found.trigger or None,
            "price": price,
            "event": found.event.document() if found.event else None,
        },
        "action": _action(found),
        "workflow": workflow_document(found.workflow, head.view.block.timestamp, symbol, tokens),
        "chain_id": state.settings.chain_id,
        "block": head.number,
    }


def _verdict(decision: Go | Refusal) -> dict[str, Any]:
    from autometa_cli.executor.decision import Go

    if isinstance(decision, Go):
        return {"to": "execute", "reason": None, "text": None}
    return {"to": decision.to, "reason": decision.reason, "text": decision.text}


def _action(found: Rehearsal) -> dict[str, Any] | None:
    from autometa_cli.executor.decision import Go
    from autometa_cli.times import utc

    done = found.action
    if done is None:
        return None
    if not isinstance(done, Go):
        return {"succeeds": False, "reason": done.reason, "text": done.text}
    return {
        "succeeds": True,
        "gas": done.gas,
        "max_fee": str(done.gas * found.head.fees.max_fee),
        "expected_fee": str(done.gas * (found.head.fees.base_fee + found.head.fees.priority_fee)),
        "charge": str(done.charge),
        "new_next_run": whole(done.new_next_run),
        "new_next_run_utc": utc(done.new_next_run),
    }


def _rows(
    state: State, found: Rehearsal, document: dict[str, Any], tokens: Mapping[str, Token]
) -> list[tuple[str, Any]]:
    from autometa_cli.chain.wording import time_in_words
    from autometa_cli.executor.schedule import NEVER

    symbol, now = state.settings.network.symbol, found.head.now
    rows = workflow_rows(found.workflow, now, symbol, tokens)
    rows.append(("", ""))
    rows.append(("trigger", found.trigger or "holds"))
    price, event, action = document["trigger"]["price"], found.event, document["action"]
    if price is not None:
        rows.append(("price", f"{price['usd']} USD, {duration(price['age'])} old ({price['source']})"))
    if event is not None:
        more = f", the newest of {event.count}" if event.count > 1 else ""
        where = "" if found.noted else "; not noted by a scheduler"
        rows.append(("transfer", f"{event.name} in block {event.block}{more}{where}"))
    if action is not None and action["succeeds"]:
        rows += [
            ("action", "succeeds"),
            ("gas limit", action["gas"]),
            ("cost", f"at most {from_wei(int(action['max_fee']))} {symbol}, paid by {document['as']}"),
            ("charge", f"{from_wei(int(action['charge']))} {symbol} of its owner's escrow"),
            (
                "then",
                "it does not run again"
                if int(action["new_next_run"]) == NEVER
                else f"next run {time_in_words(int(action['new_next_run']), now)}",
            ),
        ]
    elif action is not None:
        rows.append(("action", f"{action['text']} ({action['reason']})"))
    rows.append(("verdict", _verdict_in_words(found)))
    return rows


def _verdict_in_words(found: Rehearsal) -> str:
    from autometa_cli.executor.decision import Go

    decision = found.decision
    if isinstance(decision, Go):
        return "a worker would execute it now"
    if decision.reason in _NOT_NOW and found.never:
        return f"never, as it is: {found.never}"
    if decision.reason in _NOT_NOW:
        return _NOT_NOW[decision.reason].format(decision.text)
    return f"not executed now: {decision.text} ({decision.to}: {decision.reason})"
