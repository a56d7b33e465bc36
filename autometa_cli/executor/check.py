"""Should this job be executed now? Reads only, all at one pinned block of one endpoint.

The payload names the workflow; everything else comes from the chain (I4). What is not executed now is skipped (only
when a finalized block agrees), buried, held for its own sake, or put off for ours (I6).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, Protocol

from autometa_cli.chain import reverts, roles
from autometa_cli.chain.contracts import Registry, Workflow, interface
from autometa_cli.chain.encodings import (
    Action,
    ContractCall,
    NativeTransfer,
    TokenTransfer,
    decode_action,
    native_value,
)
from autometa_cli.chain.faults import RpcFault, is_revert
from autometa_cli.chain.networks import Network
from autometa_cli.chain.view import View, together
from autometa_cli.errors import AutometaError
from autometa_cli.executor.budget import Budget
from autometa_cli.executor.funds import Funds, Need
from autometa_cli.executor.head import Head
from autometa_cli.executor.policy import Policy, judge
from autometa_cli.executor.schedule import next_run, next_run_after_extra
from autometa_cli.jobs.job import Job
from autometa_cli.jobs.occurrence import Occurrence

#: What the executor contract spends around the inner call: charge, registry, event; measured below 150,000 gas.
OUTER_OVERHEAD_GAS = 200_000
#: How nodes say that the code itself failed, where it did not revert (anvil, geth, Frontier).
_MACHINE_FAILURES = (
    "evm error",
    "out of gas",
    "outofgas",
    "gas required exceeds",
    "invalid opcode",
    "invalid jump",
    "stack underflow",
    "stack limit",
    "vm exception",
)
#: An occurrence that is put off for a short while looks again after this many blocks.
_SOON_BLOCKS = 2
#: Seconds until a job whose condition nobody can tell looks again.
_UNKNOWN_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why a trigger does not let its workflow run.

    Attributes:
        kind: `ceased`: its condition does not hold (any more) · `unknown`: nobody can tell at present, which is no
            fault of the job's · `lost`: what it runs for is not to be found, which may be the endpoint's fault.
        text: for people.
    """

    kind: Literal["ceased", "unknown", "lost"]
    text: str


class Triggers(Protocol):
    """Evaluates a workflow's trigger; given by whoever composes the executor (`scheduling.triggers`)."""

    async def recheck(
        self, workflow: Workflow, view: View, final: View, now: int, event: Any
    ) -> WhyNot | None:
        """None when the trigger holds for a workflow that is due; `event` is what the payload says."""
        ...


@dataclass(frozen=True, slots=True)
class Go:
    """Execute it, with exactly this call.

    Attributes:
        data: call data of `executeWorkflow`.
        gas: gas limit.
        new_next_run: what the call writes to the registry.
        needs: what it takes out of whose balance.
    """

    workflow: Workflow
    data: bytes
    gas: int
    new_next_run: int
    needs: tuple[Need, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Do not execute it now.

    Attributes:
        to: `skipped`, `dead`, `delayed`, or `queued` (back to the head: the trouble is ours).
        reason: a short code, for records and metrics.
        text: for people.
        block: finalized height, for `skipped` and `dead`.
        delay: seconds, for `delayed`.
        hold: this pause counts against MAX_HOLD.
        trouble: the worker had better stop taking jobs.
        gives_back: the transfer that the run took waits for the next one.
    """

    to: Literal["skipped", "dead", "delayed", "queued"]
    reason: str
    text: str
    block: int = 0
    delay: float = 0
    hold: bool = False
    trouble: bool = False
    gives_back: bool = False


def digest(workflow: Workflow | None) -> str:
    """What an occurrence was decided on; a dead one is opened again when this changed (REVIEW H17)."""
    if workflow is None:
        return ""
    parts = (
        workflow.owner.lower(),
        workflow.trigger_data.hex(),
        workflow.action_data.hex(),
        workflow.gas_budget,
        workflow.next_run,
        workflow.interval,
        workflow.active,
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def contradiction(job: Job, workflow: Workflow | None) -> str | None:
    """Where a payload's owner or action data differ from the chain's: text, or None."""
    if workflow is None:
        return None
    if job.owner and job.owner.lower() != workflow.owner.lower():
        return f"the job names owner {job.owner}, the chain {workflow.owner}"
    if job.action_data is not None and job.action_data != workflow.action_data:
        return "the job's actionData is not the chain's"
    return None


def unwanted(occurrence: Occurrence, workflow: Workflow | None) -> tuple[str, str] | None:
    """Why the chain does not ask for this occurrence (any more): (reason, text), or None when it does."""
    if workflow is None:
        return "gone", "the workflow was deleted, or never existed"
    if not workflow.active:
        return "paused", "the workflow is paused"
    if occurrence.now_id is None and workflow.next_run != occurrence.next_run:
        return "moved_on", f"the workflow's next run is {workflow.next_run} now"
    return None


class Checker:
    """Makes the decision of DESIGN 4.2 step 1."""

    def __init__(
        self,
        *,
        registry: Registry,
        executor: str,
        escrow: str,
        sender: str,
        network: Network,
        policy: Policy,
        triggers: Triggers,
        funds: Funds,
        budget: Budget,
        gas_multiplier: Decimal,
        max_gas: int,
    ) -> None:
        self.registry = registry
        self.executor = executor
        self._escrow = escrow
        self._sender = sender
        self._network = network
        self._policy = policy
        self._triggers = triggers
        self._funds = funds
        self._budget = budget
        self._gas_multiplier = gas_multiplier
        self._max_gas = max_gas

    async def check(
        self,
        occurrence: Occurrence,
        workflow: Workflow | None,
        head: Head,
        *,
        holds: int,
        seen: int,
        event: Any = None,
    ) -> Go | Refusal:
        """Decide at `head`; `workflow` was read there. After a Go the money is set aside in `funds`.

        Args:
            holds: how often it was held before; the pause grows with it.
            seen: height at which the chain asked for it. An older block knows nothing of it yet.
            event: what the payload says that it runs for; the trigger looks it up.

        Raises:
            RpcUnreachable: the endpoint failed half-way; nothing was decided.
        """
        if not head.permitted:
            return Refusal("queued", "no_role", "this worker's key has no WORKER_ROLE", trouble=True)
        refused = await self._wanted(occurrence, workflow, head, seen)
        if refused or workflow is None:
            return refused or self._soon("gone", "the workflow is gone at the head, but not yet finally")
        forbidden = judge(self._policy, workflow.owner, workflow.action_data)
        if forbidden:
            return Refusal("dead", forbidden.reason, forbidden.text, block=head.final_number)
        if occurrence.now_id is None:
            wait = workflow.next_run - head.now
            if wait > 0:
                return Refusal("delayed", "not_due", f"due in {wait} s", delay=min(wait, 24 * 3600))
            why_not = await self._triggers.recheck(workflow, head.view, head.final, head.now, event)
            if why_not:
                return self._not_now(why_not, head, holds)
        return await self._simulate(occurrence, workflow, head, holds)

    def _not_now(self, why_not: WhyNot, head: Head, holds: int) -> Refusal:
        # A skip closes this generation only. The scheduler opens the next one, on a final block, as soon as the
        # condition holds again: waiting here instead would end in the dead-letter list after MAX_HOLD.
        if why_not.kind == "ceased":
            text = f"condition no longer holds: {why_not.text}"
            return Refusal("skipped", "condition", text, block=head.final_number)
        if why_not.kind == "lost":
            return self._hold("trigger", why_not.text, holds)
        return Refusal("delayed", "trigger", why_not.text, delay=_UNKNOWN_SECONDS)

    async def _wanted(
        self, occurrence: Occurrence, workflow: Workflow | None, head: Head, seen: int
    ) -> Refusal | None:
        why_not = unwanted(occurrence, workflow)
        if why_not is None:
            return None
        if head.final_number < seen:
            return self._soon(why_not[0], f"{why_not[1]}, but the block that asked for it is not final yet")
        finally_ = unwanted(occurrence, await self.registry.get(head.final, occurrence.workflow))
        if finally_ is None:
            return self._soon(why_not[0], f"{why_not[1]}, but that is not final yet")
        return Refusal("skipped", finally_[0], finally_[1], block=head.final_number)

    async def _simulate(
        self, occurrence: Occurrence, workflow: Workflow, head: Head, holds: int
    ) -> Go | Refusal:
        action = decode_action(workflow.action_data)
        charge = workflow.gas_budget
        target, inner_data, value = inner_call(action)
        later = next_run if occurrence.now_id is None else next_run_after_extra
        new_next_run = later(
            workflow.next_run,
            workflow.interval,
            head.now,
            self._network.block_time,
            price_or_event=workflow.trigger_type != 1,
        )
        data = (
            interface("ActionExecutor")
            .functions["executeWorkflow"]
            .encode(workflow.id, workflow.action_data, new_next_run, workflow.owner, charge)
        )
        needs = (
            Need("executor", self.executor, native_value(action)),
            Need("escrow", workflow.owner, charge),
            *([Need("token", action.token, action.amount)] if isinstance(action, TokenTransfer) else []),
        )
        short = await self._funds.reserve(occurrence.key, needs, head)
        if short is not None:
            if short.need.purse == "escrow":
                return self._hold("escrow_low", short.text, holds)
            return Refusal("delayed", "executor_low", short.text, delay=self._soon_seconds(short.ours))
        try:
            inner_gas = await head.view.estimate_gas(target, inner_data, sender=self.executor, value=value)
        except RpcFault as fault:
            return self._would_fail("the action would fail", fault, holds)
        try:
            outer_gas = await head.view.estimate_gas(self.executor, data, sender=self._sender)
        except RpcFault as fault:
            return await self._call_would_fail("the call would revert", fault, head, holds)
        # An inner call that runs out of gas is swallowed by the contract, so the outer estimate alone can be too low;
        # the EVM hands 63/64 of the gas to an inner call.
        least = max(outer_gas, inner_gas * 64 // 63 + OUTER_OVERHEAD_GAS)
        if least > self._max_gas:
            return Refusal(
                "dead",
                "over_gas",
                f"it needs {least} gas, MAX_GAS_PER_TX is {self._max_gas}",
                block=head.final_number,
            )
        gas = min(int(least * self._gas_multiplier), self._max_gas, head.view.block.gas_limit)
        too_much = await self._budget.reserve(occurrence.key, gas * head.fees.max_fee, head.sender_balance)
        if too_much is not None:
            return Refusal("queued", *too_much, trouble=True)
        try:
            returned, _ = await together(
                head.view.call(
                    target, inner_data, sender=self.executor, value=value, gas=min(gas, 63 * gas // 64)
                ),
                head.view.call(self.executor, data, sender=self._sender, gas=gas, fees=head.fees),
            )
        except RpcFault as fault:
            return await self._call_would_fail("the call would fail with its gas limit", fault, head, holds)
        if isinstance(action, TokenTransfer) and returned and not int.from_bytes(returned[:32], "big"):
            return self._hold("would_fail", "the token's transfer answers false", holds)
        return Go(workflow, data, gas, new_next_run, needs)

    async def _call_would_fail(self, what: str, fault: RpcFault, head: Head, holds: int) -> Refusal:
        """Of a call by our own key: is it the job that fails, or is it that key (I6)?

        A node that is just mining has been seen to answer for the pinned block out of the next one, so that `permitted`
        was true a block too early. What it says of the role now is asked again, of that block and of the newest.
        """
        if is_revert(fault) and not await self._permitted(head):
            return Refusal("queued", "no_role", "this worker's key has no WORKER_ROLE", trouble=True)
        return self._would_fail(what, fault, holds)

    async def _permitted(self, head: Head) -> bool:
        return all(
            await together(
                *(
                    roles.has_role(view, self.executor, "WORKER_ROLE", self._sender)
                    for view in (head.view, head.view.newest())
                )
            )
        )

    def _would_fail(self, what: str, fault: RpcFault, holds: int) -> Refusal:
        # A revert's words are the target's own: they are shown, and never believed ("your worker has no role").
        if is_revert(fault):
            return self._hold("would_fail", f"{what}: {reverts.explain_fault(fault).text}", holds)
        if any(words in fault.text.lower() for words in _MACHINE_FAILURES):
            return self._hold("would_fail", f"{what}: {fault.text}", holds)
        # Not the contract's doing but the node's: an unknown method, a fault of its own.
        return Refusal("delayed", "rpc_refused", f"{what}: {fault.message}", delay=_pause(holds))

    def _hold(self, reason: str, text: str, holds: int) -> Refusal:
        return Refusal("delayed", reason, text, delay=_pause(holds), hold=True)

    def _soon(self, reason: str, text: str) -> Refusal:
        return Refusal("delayed", reason, text, delay=self._soon_seconds(True))

    def _soon_seconds(self, soon: bool) -> float:
        return max(1.0, _SOON_BLOCKS * self._network.block_time) if soon else 30.0


def _pause(holds: int) -> float:
    """Seconds until a held job looks again: 30 s, doubled each time, up to an hour."""
    return float(min(30 * 2 ** min(holds, 10), 3600))


def inner_call(action: Action) -> tuple[str, bytes, int]:
    """What the executor contract itself does for an action: (target, call data, wei)."""
    match action:
        case NativeTransfer(to, amount):
            return to, b"", amount
        case TokenTransfer(token, to, amount):
            return token, interface("IERC20").functions["transfer"].encode(to, amount), 0
        case ContractCall(target, value, call_data):
            return target, call_data, value
    raise AutometaError(f"unknown action {action!r}")
