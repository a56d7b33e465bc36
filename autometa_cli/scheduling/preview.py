"""What a pass would queue, and why it would not queue the others. Reads only: nothing is noted, in Redis or here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autometa_cli.chain.contracts import Registry
from autometa_cli.chain.triggers import TriggerType
from autometa_cli.executor.clocks import clock_trouble
from autometa_cli.executor.head import final_block
from autometa_cli.jobs.connection import redis_errors
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.scheduling.mirror import Mirror
from autometa_cli.scheduling.occasion import read_waiting
from autometa_cli.scheduling.triggers import Triggers

if TYPE_CHECKING:
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.config import Settings
    from autometa_cli.jobs.queue import JobQueue

_IN_DOUBT = "its transfer may have been served before Redis lost writes; the scheduler looks that up first"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What would become of one workflow.

    Attributes:
        queue: whether its run would be queued.
        text: the run, or why not.
    """

    workflow: int
    queue: bool
    text: str


@dataclass(frozen=True, slots=True)
class Preview:
    """What would become of all.

    Attributes:
        block: that it was looked at.
        now: seconds since 1970.
        trouble: why nothing would be queued whatever is due, or "".
        verdicts: by workflow id.
    """

    block: int
    now: int
    trouble: str
    verdicts: Sequence[Verdict]


async def preview(settings: Settings, queue: JobQueue, rpc: Rpc) -> Preview:
    """Look at everything once.

    Raises:
        RedisUnreachable, RpcUnreachable, RpcFault: it cannot be told.
        ConfigError: another chain, or no registry at its address.
    """
    async with redis_errors(queue.connections.url):
        await queue.connections.connect()
        clock = await queue.clock()
        view = await rpc.view()
        final = view.pinned(await final_block(view, settings.confirmations))
        now = max(clock, view.block.timestamp)
        network = settings.network
        mirror = Mirror(
            Registry(settings.registry_address or ""),
            multicall3=network.multicall3,
            log_range=network.log_range,
        )
        await mirror.refresh(view)
        triggers = Triggers.of(settings)
        odd = {id: found for id, each in mirror.workflows.items() if (found := triggers.examine(each))}
        due = [each for each in mirror.due(now) if not (each.id in odd and odd[each.id].blocks)]
        await triggers.prepare(mirror.workflows, due, due, view, final, now)
        executor = (settings.actionexecutor_address or "").lower()
        waiting = await queue.transfers.waiting(settings.chain_id, executor)
        doubt = (await queue.transfers.cursor(settings.chain_id, executor)).doubt
        verdicts = []
        for id in sorted({*mirror.workflows, *mirror.faults}):
            workflow = mirror.workflows.get(id)
            if workflow is None:
                verdicts.append(Verdict(id, False, f"cannot be read: {mirror.faults[id]}"))
                continue
            finding = odd.get(id)
            if not workflow.active:
                why: str | None = "paused"
            elif finding is not None and finding.blocks:
                why = finding.text
            elif workflow.trigger_type == TriggerType.WALLET and workflow.next_run <= now and id in waiting:
                event = read_waiting(waiting[id])
                why = _IN_DOUBT if event is None or event.block <= doubt else None
            else:
                why = await triggers.evaluate(workflow, view, now)
            if why is None:
                occurrence = Occurrence(settings.chain_id, executor, id, workflow.next_run)
                why = await _on_its_way(queue, occurrence)
            verdicts.append(Verdict(id, why is None, why or f"its run of {workflow.next_run} is due"))
    trouble = clock_trouble(network, clock - view.block.timestamp)
    if not trouble and await queue.redis.hget(queue.keys.epoch, "recovering"):
        trouble = "workers are recovering the ledger"
    return Preview(view.block.number, now, trouble, verdicts)


async def _on_its_way(queue: JobQueue, occurrence: Occurrence) -> str | None:
    """Why a run that is due is not queued (again), as the ledger has it; None where it would be."""
    generation = await queue.generation(occurrence)
    record = await queue.record(occurrence.at_generation(generation).key)
    if record is not None:
        return f"on its way: {record.state}"
    if generation == 0:
        return None
    before = await queue.record(occurrence.at_generation(generation - 1).key)
    if before is not None and before.state == "dead":
        return "halted: its due run is a dead letter, until its workflow changes"
    return "closed at this same next run; queued when a final block shows it, too"
