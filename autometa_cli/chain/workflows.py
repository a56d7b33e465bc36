"""What the owner of workflows does with them: create, change, pause, resume, delete, each by one transaction."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from autometa_cli.chain.contracts import Registry, Workflow
from autometa_cli.chain.interfaces import interface
from autometa_cli.errors import AutometaError, NotPermitted

if TYPE_CHECKING:
    from autometa_cli.chain.account import Account
    from autometa_cli.chain.sent import Sent
    from autometa_cli.chain.view import View

CONTRACT = "WorkflowRegistry"
#: Seconds before a workflow is due, within which a worker may already be at it.
CLOSE = 120


@dataclass(frozen=True, slots=True)
class Draft:
    """What a workflow is to be; the fields are those of `Workflow`."""

    trigger_type: int
    trigger_data: bytes
    action_type: int
    action_data: bytes
    next_run: int
    interval: int
    gas_budget: int

    @classmethod
    def of(cls, workflow: Workflow) -> Draft:
        """As it is now."""
        return cls(
            workflow.trigger_type,
            workflow.trigger_data,
            workflow.action_type,
            workflow.action_data,
            workflow.next_run,
            workflow.interval,
            workflow.gas_budget,
        )

    def made(self, id: int, owner: str, *, active: bool) -> Workflow:
        """The workflow that it makes."""
        return Workflow(id=id, owner=owner, active=active, **asdict(self))


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a change.

    Attributes:
        id: the workflow's; None in a dry run of a creation.
        changed: False where it was so already and nothing was sent.
        workflow: as the chain shows it afterwards, in a dry run as it would be (with id 0 before it has one);
            None where there is none any more.
        sent: None where nothing was sent.
        gas: what the transaction would need, in a dry run.
    """

    id: int | None
    changed: bool
    workflow: Workflow | None = None
    sent: Sent | None = None
    gas: int | None = None


class NoWorkflow(AutometaError):
    """There is no workflow of this id."""


class Owner:
    """The workflows of one account, and what it may do with them.

    Every method raises `AutometaError` where a mined transaction did not have the event that it should, and all
    that `Account.send` raises.

    Args:
        account: the owner's key.
        registry: where the workflows are.
        dry_run: simulate only.
    """

    def __init__(self, account: Account, registry: Registry, *, dry_run: bool = False) -> None:
        self.account = account
        self.registry = registry
        self.dry_run = dry_run
        self._functions = interface(CONTRACT).functions

    async def mine(self, id: int) -> Workflow:
        """A workflow of this owner, as it is now. Raises NoWorkflow, and NotPermitted if it is another's."""
        workflow = await existing(self.registry, await self.account.rpc.view(), id)
        if workflow.owner != self.account.address:
            raise NotPermitted(
                f"workflow {id} belongs to {workflow.owner}, not to {self.account.address}",
                "use its owner's key: OWNER_PRIVATE_KEY",
            )
        return workflow

    async def create(self, draft: Draft) -> Done:
        """A new workflow, active from the start."""
        data = self._functions["createWorkflow"].encode(
            draft.trigger_type,
            draft.trigger_data,
            draft.action_type,
            draft.action_data,
            draft.next_run,
            draft.interval,
            draft.gas_budget,
        )
        await self.registry.total(await self.account.rpc.view())  # raises where no registry stands
        if self.dry_run:
            return Done(
                None, True, draft.made(0, self.account.address, active=True), gas=await self._simulate(data)
            )
        sent = await self.account.send(self.registry.address, data, contract=CONTRACT)
        ids = self._ids(sent, "WorkflowCreated")
        if len(ids) != 1:
            raise self._no_event(sent, "WorkflowCreated")
        return await self._done(ids[0], sent)

    async def update(self, workflow: Workflow, draft: Draft) -> Done:
        """Replaces all but owner, labels and whether it is active.

        Args:
            workflow: as it was read.
        """
        id = workflow.id
        data = self._functions["updateWorkflow"].encode(
            id, draft.trigger_data, draft.action_data, draft.next_run, draft.interval, draft.gas_budget
        )
        would_be = draft.made(id, workflow.owner, active=workflow.active)
        return await self._change(id, data, "WorkflowUpdated", would_be)

    async def pause(self, id: int) -> Done:
        """Nothing is sent where it is paused already. An execution under way makes it active again: look."""
        workflow = await self.mine(id)
        if not workflow.active:
            return Done(id, changed=False, workflow=workflow)
        data = self._functions["pauseWorkflow"].encode(id)
        return await self._change(id, data, "WorkflowPaused", replace(workflow, active=False))

    async def resume(self, id: int, next_run: int = 0) -> Done:
        """Nothing is sent where it is active already.

        Args:
            next_run: seconds since 1970; 0 leaves it as it is.
        """
        workflow = await self.mine(id)
        if workflow.active:
            return Done(id, changed=False, workflow=workflow)
        data = self._functions["resumeWorkflow"].encode(id, next_run)
        would_be = replace(workflow, active=True, next_run=next_run or workflow.next_run)
        return await self._change(id, data, "WorkflowResumed", would_be)

    async def delete(self, id: int) -> Done:
        """For good; the id is never used again."""
        await self.mine(id)
        return await self._change(id, self._functions["deleteWorkflow"].encode(id), "WorkflowDeleted", None)

    async def _change(self, id: int, data: bytes, event: str, would_be: Workflow | None) -> Done:
        if self.dry_run:
            return Done(id, True, would_be, gas=await self._simulate(data))
        sent = await self.account.send(self.registry.address, data, contract=CONTRACT)
        if id not in self._ids(sent, event):
            raise self._no_event(sent, event)
        return await self._done(id, sent)

    async def _done(self, id: int, sent: Sent) -> Done:
        view = await self.account.view_after(sent)
        return Done(id, changed=True, workflow=await self.registry.get(view, id), sent=sent)

    async def _simulate(self, data: bytes) -> int:
        return await self.account.simulate(self.registry.address, data, contract=CONTRACT)

    def _ids(self, sent: Sent, event: str) -> list[int]:
        """The workflows that a receipt has this event of."""
        kind = interface(CONTRACT).events[event]
        return [
            int(kind.decode(log)["workflowId"])
            for log in sent.receipt.logs
            if log.address == self.registry.address.lower() and log.topics[:1] == (kind.topic,)
        ]

    def _no_event(self, sent: Sent, event: str) -> AutometaError:
        return AutometaError(
            f"transaction {sent.hash} was mined, but the registry at {self.registry.address} "
            f"shows no {event} in it",
            "somebody else may have changed it at the same time; `autometa workflow show` tells how it stands",
        )


async def existing(registry: Registry, view: View, id: int) -> Workflow:
    """A workflow. Raises NoWorkflow, and as `Registry.get`."""
    workflow = await registry.get(view, id)
    if workflow is None:
        total = await registry.total(view)
        made = f"the highest id is {total}" if total else "the registry is empty"
        why = "it was deleted" if 0 < id <= total else f"it was never made, {made}"
        raise NoWorkflow(
            f"there is no workflow {id}: {why}", "`autometa workflow list` shows those there are"
        )
    return workflow


async def owned_by(registry: Registry, view: View, owner: str) -> list[int]:
    """The ids of an owner's workflows, ascending. Raises RpcUnreachable; RpcFault for another contract."""
    function = interface(CONTRACT).functions["getWorkflowsByOwner"]
    return sorted(function.decode(await view.call(registry.address, function.encode(owner)))[0])


def may_run_meanwhile(workflow: Workflow, now: int) -> bool:
    """Whether a worker may execute it while a change is under way.

    `updateWorkflow` writes the next run, too: that of before the execution, which would then happen again.
    """
    return workflow.active and workflow.next_run <= now + CLOSE
