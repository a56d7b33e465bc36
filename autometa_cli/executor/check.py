"""Should this job be executed now? Reads only, all at one pinned block of one endpoint.

The payload names the workflow; everything else comes from the chain (I4). What is not executed now is skipped (only
when a finalized block agrees), buried, held for its own sake, or put off for ours (I6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autometa_cli.chain.actions import TokenTransfer, decode_action, native_value
from autometa_cli.chain.executionwords import execution_call
from autometa_cli.executor.decision import Go, Refusal, Triggers, WhyNot, held
from autometa_cli.executor.funds import Funds, Need
from autometa_cli.executor.policy import Policy, judge
from autometa_cli.executor.schedule import next_run, next_run_after_extra
from autometa_cli.executor.wanted import unwanted

if TYPE_CHECKING:
    from autometa_cli.chain.actions import Action
    from autometa_cli.chain.contracts import Registry, Workflow
    from autometa_cli.executor.budget import Budget
    from autometa_cli.executor.charge import Charge
    from autometa_cli.executor.head import Head
    from autometa_cli.executor.simulation import Simulator
    from autometa_cli.jobs.occurrence import Occurrence
    from autometa_cli.networks import Network
from autometa_cli.times import utc

#: An occurrence that is put off for a short while looks again after this many blocks.
_SOON_BLOCKS = 2
#: Seconds until a job whose condition nobody can tell looks again.
_UNKNOWN_SECONDS = 15.0


class Checker:
    """Makes the decision of DESIGN 4.2 step 1."""

    def __init__(
        self,
        *,
        registry: Registry,
        executor: str,
        network: Network,
        policy: Policy,
        triggers: Triggers,
        funds: Funds,
        budget: Budget,
        simulator: Simulator,
        charge: Charge,
    ) -> None:
        self.registry = registry
        self.executor = executor
        self._network = network
        self._policy = policy
        self._triggers = triggers
        self._funds = funds
        self._budget = budget
        self._simulator = simulator
        self._charge = charge

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
                when = utc(workflow.next_run) or str(workflow.next_run)
                return Refusal("delayed", "not_due", f"due at {when}", delay=min(wait, 24 * 3600))
            why_not = await self._triggers.recheck(workflow, head.view, head.final, head.now, event)
            if why_not:
                return self._not_now(why_not, head, holds)
        return await self._rehearse(occurrence, workflow, head, holds)

    def _not_now(self, why_not: WhyNot, head: Head, holds: int) -> Refusal:
        # A skip closes this generation only. The scheduler opens the next one, on a final block, as soon as the
        # condition holds again: waiting here instead would end in the dead-letter list after MAX_HOLD.
        if why_not.kind == "ceased":
            text = f"condition no longer holds: {why_not.text}"
            return Refusal("skipped", "condition", text, block=head.final_number)
        if why_not.kind == "lost":
            return held("trigger", why_not.text, holds)
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

    async def _rehearse(
        self, occurrence: Occurrence, workflow: Workflow, head: Head, holds: int
    ) -> Go | Refusal:
        action = decode_action(workflow.action_data)
        later = next_run if occurrence.now_id is None else next_run_after_extra
        new_next_run = later(
            workflow.next_run,
            workflow.interval,
            head.now,
            self._network.block_time,
            price_or_event=workflow.trigger_type != 1,
        )
        charge = self._charge.provisional(workflow.gas_budget)
        needs = self._needs(workflow, action, charge)
        if short := await self._short(occurrence, needs, head, holds):
            return short
        data = _call(workflow, new_next_run, charge)
        gas = await self._simulator.gas(action, data, head, holds, spare=self._charge.spare_gas)
        if isinstance(gas, Refusal):
            return gas
        if (due := self._charge.due(workflow.gas_budget, gas.expected, head.fees)) != charge:
            charge = due
            data, needs = _call(workflow, new_next_run, charge), self._needs(workflow, action, charge)
            if short := await self._short(occurrence, needs, head, holds):
                return short
        most = gas.limit * head.fees.max_fee
        too_much = await self._budget.reserve(occurrence.key, most, head.sender_balance)
        if too_much is not None:
            return Refusal("queued", *too_much, trouble=True)
        fails = None if gas.proven else await self._simulator.run(action, data, gas.limit, head, holds)
        return fails or Go(workflow, data, gas.limit, new_next_run, needs, charge)

    def _needs(self, workflow: Workflow, action: Action, charge: int) -> tuple[Need, ...]:
        return (
            Need("executor", self.executor, native_value(action)),
            Need("escrow", workflow.owner, charge),
            *([Need("token", action.token, action.amount)] if isinstance(action, TokenTransfer) else []),
        )

    async def _short(
        self, occurrence: Occurrence, needs: tuple[Need, ...], head: Head, holds: int
    ) -> Refusal | None:
        """Set the money aside, in place of what was set aside for this occurrence before; or say whose is missing."""
        short = await self._funds.reserve(occurrence.key, needs, head)
        if short is None:
            return None
        if short.need.purse == "escrow":
            return held("escrow_low", short.text, holds)
        return Refusal("delayed", "executor_low", short.text, delay=self._soon_seconds(short.ours))

    def _soon(self, reason: str, text: str) -> Refusal:
        return Refusal("delayed", reason, text, delay=self._soon_seconds(True))

    def _soon_seconds(self, soon: bool) -> float:
        return max(1.0, _SOON_BLOCKS * self._network.block_time) if soon else 30.0


def _call(workflow: Workflow, new_next_run: int, charge: int) -> bytes:
    return execution_call(workflow.id, workflow.action_data, new_next_run, workflow.owner, charge)
