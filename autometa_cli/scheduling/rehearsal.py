"""What would a worker do with a workflow now? The same checks as before an execution; nothing is sent or written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from autometa_cli.chain.contracts import Registry, Workflow
from autometa_cli.chain.faults import RpcFault
from autometa_cli.chain.trigger_data import decode_trigger
from autometa_cli.chain.triggers import PriceTrigger, TriggerType
from autometa_cli.chain.words import BadEncoding
from autometa_cli.chain.workflows import existing
from autometa_cli.executor.budget import Budget
from autometa_cli.executor.charge import Charge
from autometa_cli.executor.check import Checker
from autometa_cli.executor.decision import Go, Refusal
from autometa_cli.executor.funds import Funds
from autometa_cli.executor.head import Head, Heads
from autometa_cli.executor.policy import Policy
from autometa_cli.executor.schedule import next_run
from autometa_cli.executor.simulation import Simulator
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.scheduling.occasion import Event, read_waiting
from autometa_cli.scheduling.price import Price, Unusable
from autometa_cli.scheduling.triggers import Triggers
from autometa_cli.scheduling.wallets import newest_event
from autometa_cli.units import duration

if TYPE_CHECKING:
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.config import Settings
    from autometa_cli.jobs.connection import Client
    from autometa_cli.jobs.queue import JobQueue

#: Final blocks in which a transfer is looked for at most, where none waits in Redis.
TOKEN_BLOCKS = 1000
NATIVE_BLOCKS = 100
#: What a refusal's reason is where the action was not looked at.
_BEFORE_THE_ACTION = frozenset({"not_due", "condition", "trigger"})


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What came of it.

    Attributes:
        decision: what a worker decides now.
        action: what comes of the action, whatever the trigger says; None where it is not looked at.
        trigger: why the trigger does not hold, or "".
        never: why no scheduler ever queues it, as it is and as this configuration is, or "".
        price: of a price trigger's token.
        event: the transfer that a wallet trigger would run for.
        noted: it waits in Redis for its run; otherwise no scheduler has read it yet or, where Redis does not answer,
            it was found among the last blocks and may have fired before.
    """

    workflow: Workflow
    head: Head
    decision: Go | Refusal
    action: Go | Refusal | None
    trigger: str
    never: str
    price: Price | Unusable | None
    event: Event | None
    noted: bool


class _NoClock:
    """In place of Redis, where it does not answer: the chain's clock alone decides."""

    async def time(self) -> tuple[int, int]:
        return 0, 0


async def rehearse(
    settings: Settings, rpc: Rpc, id: int, sender: str, queue: JobQueue | None = None
) -> Rehearsal:
    """Go through everything that a worker checks, and change nothing.

    Args:
        sender: the worker's address.
        queue: for Redis's clock, and for the transfers that wait there.

    Raises:
        NoWorkflow: there is no workflow of this id.
        RpcUnreachable, ConfigError, redis.exceptions.RedisError
    """
    settings.require("REGISTRY_ADDRESS", "ACTIONEXECUTOR_ADDRESS", "FEEESCROW_ADDRESS")
    registry, executor = Registry(settings.registry_address or ""), settings.actionexecutor_address or ""
    heads = Heads(
        rpc,
        queue.redis if queue is not None else cast("Client", _NoClock()),
        settings.network,
        chain_id=settings.chain_id,
        sender=sender,
        executor=executor,
        confirmations=settings.confirmations,
        max_fee=settings.max_fee_wei,
    )
    head = await heads.fresh()
    workflow = await existing(registry, head.view, id)
    triggers = Triggers.of(settings)
    finding = triggers.examine(workflow)
    event, noted = await _event(settings, workflow, head, queue)
    document = event.document() if event else None
    checker = _checker(settings, registry, sender, triggers)
    due = Occurrence(settings.chain_id, executor.lower(), id, workflow.next_run)
    decision = await checker.check(due, workflow, head, holds=0, seen=0, event=document)
    action: Go | Refusal | None = decision
    why_not = await _trigger(triggers, workflow, head, document)
    if isinstance(decision, Refusal) and decision.reason in _BEFORE_THE_ACTION:
        decision = replace(decision, text=why_not or decision.text)
        extra = Occurrence(settings.chain_id, executor.lower(), id, 0, now_id="simulate")
        action = await _checker(settings, registry, sender, triggers).check(
            extra, workflow, head, holds=0, seen=0
        )
        if isinstance(action, Go):
            action = replace(action, new_next_run=_following(settings, workflow, head))
    elif isinstance(decision, Refusal) and decision.reason in ("gone", "paused", "moved_on", "no_role"):
        action = None
    return Rehearsal(
        workflow=workflow,
        head=head,
        decision=decision,
        action=action,
        trigger=why_not,
        never=finding.text if finding is not None and finding.blocks else "",
        price=await _price(triggers, workflow, head),
        event=event,
        noted=noted,
    )


async def _trigger(
    triggers: Triggers, workflow: Workflow, head: Head, event: Mapping[str, Any] | None
) -> str:
    if workflow.next_run > head.now:
        return f"due in {duration(workflow.next_run - head.now)}"
    if workflow.trigger_type == TriggerType.WALLET and event is None and triggers.examine(workflow) is None:
        return "no transfer that fires it waits for its run"
    why_not = await triggers.recheck(workflow, head.view, head.final, head.now, event)
    return why_not.text if why_not else ""


def _following(settings: Settings, workflow: Workflow, head: Head) -> int:
    """The next run after one that waits for its date or its condition, were it executed as soon as it may."""
    return next_run(
        workflow.next_run,
        workflow.interval,
        max(head.now, workflow.next_run),
        settings.network.block_time,
        price_or_event=workflow.trigger_type != TriggerType.TIME,
    )


async def _price(triggers: Triggers, workflow: Workflow, head: Head) -> Price | Unusable | None:
    if workflow.trigger_type != TriggerType.PRICE:
        return None
    try:
        trigger = decode_trigger(workflow.trigger_type, workflow.trigger_data)
    except BadEncoding:
        return None
    return (
        await triggers.price(trigger.symbol, head.view, head.now)
        if isinstance(trigger, PriceTrigger)
        else None
    )


async def _event(
    settings: Settings, workflow: Workflow, head: Head, queue: JobQueue | None
) -> tuple[Event | None, bool]:
    if workflow.trigger_type != TriggerType.WALLET:
        return None, False
    last, executor = head.final_number, settings.actionexecutor_address or ""
    first = last + 1 - (NATIVE_BLOCKS if _is_native(workflow) else TOKEN_BLOCKS)
    if queue is not None:
        waiting = (await queue.transfers.waiting(settings.chain_id, executor)).get(workflow.id)
        if waiting is not None and (event := read_waiting(waiting)) is not None:
            return event, True
        cursor = await queue.transfers.cursor(settings.chain_id, executor)
        first = max(first, cursor.block + 1 if cursor.block is not None else last)
    try:
        return await newest_event(head.final, workflow, max(0, first)), False
    except RpcFault:
        return None, False


def _is_native(workflow: Workflow) -> bool:
    try:
        trigger = decode_trigger(workflow.trigger_type, workflow.trigger_data)
    except BadEncoding:
        return False
    return getattr(trigger, "token", None) is None


def _checker(settings: Settings, registry: Registry, sender: str, triggers: Triggers) -> Checker:
    executor, escrow = settings.actionexecutor_address or "", settings.feeescrow_address or ""

    async def nothing() -> int:
        return 0

    return Checker(
        registry=registry,
        executor=executor,
        network=settings.network,
        policy=Policy(
            registry=registry.address,
            executor=executor,
            escrow=escrow,
            allowed_targets=settings.allowed_targets,
            allowed_owners=settings.allowed_owners,
            max_value_wei=settings.max_value_wei,
        ),
        triggers=triggers,
        funds=Funds(escrow, executor, settings.network.symbol),
        budget=Budget(
            None, nothing, settings.network.symbol
        ),  # what was spent today is the worker's business
        simulator=Simulator(
            executor=executor,
            sender=sender,
            gas_multiplier=settings.gas_multiplier,
            max_gas=settings.max_gas_per_tx,
        ),
        charge=Charge(by_cost=settings.charge == "cost"),
    )
