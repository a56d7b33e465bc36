"""Follows each workflow from due to final, by reading the ledger and the chain. Changes neither (I8)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autometa_cli.chain.contracts import Registry, Workflow
from autometa_cli.jobs.inspector import Counts, Inspector
from autometa_cli.units import short

if TYPE_CHECKING:
    from autometa_cli.chain.blocks import Receipt
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.config import Settings
    from autometa_cli.demo.workflows import Cast, Part
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.record import Record

STAGES = ("due", "queued", "claimed", "signed", "mined", "final")
DUE, QUEUED, CLAIMED, SIGNED, MINED, FINAL = range(len(STAGES))
_REACHED = {"queued": QUEUED, "claimed": CLAIMED, "bound": CLAIMED, "signed": SIGNED, "settled": FINAL}
#: Seconds on the chain's clock after which a paused workflow that was not run will not be.
PAST_DUE_SECONDS = 2
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{40}\b")


@dataclass(frozen=True, slots=True)
class Run:
    """One occurrence on its way.

    Attributes:
        number: of this workflow's runs, from 1.
        next_run: what made it due, seconds since 1970.
        reached: how far it came, an index into STAGES.
        stopped: "held", "buried", "skipped" …, or "" while it goes on.
        note: why it stopped.
        tx, block: its transaction, and where it was mined; "" and 0 before.
    """

    number: int
    next_run: int
    reached: int
    stopped: str = ""
    note: str = ""
    tx: str = ""
    block: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One workflow at one moment; `runs` has the oldest first."""

    id: int
    part: Part
    runs: tuple[Run, ...]
    workflow: Workflow | None
    now: int

    @property
    def done(self) -> bool:
        """Whether it has come to its destined end."""
        last = self.runs[-1] if self.runs else None
        match self.part.destiny:
            case "executed":
                return sum(run.reached == FINAL for run in self.runs) >= self.part.runs
            case "held" | "forbidden":
                return last is not None and last.stopped == _ENDS[self.part.destiny]
            case "paused":
                past = self.workflow is not None and self.now >= self.workflow.next_run + PAST_DUE_SECONDS
                return past and not self.paused_late

    @property
    def paused(self) -> bool:
        """Whether its owner has paused it."""
        return self.workflow is not None and not self.workflow.active

    @property
    def paused_late(self) -> bool:
        """Whether it is meant to be paused and is not yet."""
        return self.part.destiny == "paused" and not self.paused


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything at one moment; `block` and `final` are heights."""

    lines: tuple[Line, ...] = ()
    block: int = 0
    final: int = 0
    counts: Counts | None = None

    @property
    def done(self) -> bool:
        """Whether every workflow has come to its destined end."""
        return bool(self.lines) and all(line.done for line in self.lines)


_ENDS = {"held": "held", "forbidden": "buried"}


class Watcher:
    """Looks, and tells what changed since the last look.

    Args:
        told: gets one sentence for each change.

    Attributes:
        scene: the latest; replaced as a whole, so another thread may draw it.
        records: the ledger, as of the latest look.
        closing: nobody schedules any more; what falls due from now on is left out.
    """

    def __init__(
        self, settings: Settings, rpc: Rpc, queue: JobQueue, cast: Cast, told: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._rpc = rpc
        self._inspector = Inspector(queue)
        self._registry = Registry(settings.registry_address or "")
        self._cast = cast
        self._told = told
        self._mined: dict[str, Receipt] = {}
        self.scene = Scene()
        self.records: list[Record] = []
        self.closing = False

    async def look(self) -> Scene:
        """Read everything once. Raises RpcUnreachable, redis.exceptions.RedisError."""
        self.records = [record async for record in self._inspector.records()]
        view = await self._rpc.view()
        final = await self._rpc.final(self._settings.confirmations)
        workflows = await self._registry.get_many(view, self._cast.ids)
        await self._receipts()
        lines = tuple(
            Line(
                id,
                part,
                self._runs(id, workflows[id], view.block.timestamp),
                workflows[id],
                view.block.timestamp,
            )
            for id, part in self._cast.members
        )
        before = {line.id: line for line in self.scene.lines}
        self.scene = Scene(lines, view.block.number, final.number, await self._inspector.counts())
        for line in lines:
            for text in changes(before.get(line.id), line):
                self._told(text)
        return self.scene

    async def _receipts(self) -> None:
        hashes = {attempt.hash for record in self.records for attempt in record.attempts_sent if attempt.hash}
        wanted = sorted(hashes - set(self._mined))
        for receipt in await self._rpc.receipts(wanted) if wanted else ():
            if receipt is not None:
                self._mined[receipt.hash] = receipt

    def _runs(self, id: int, workflow: Workflow | None, now: int) -> tuple[Run, ...]:
        records = sorted(
            (each for each in self.records if each.workflow == id and each.kind == "due"),
            key=lambda each: (each.next_run, each.generation),
        )
        runs = [self._run(number, record) for number, record in enumerate(records, 1)]
        known = {record.next_run for record in records}
        due = workflow is not None and workflow.active and workflow.next_run <= now
        if workflow and due and workflow.next_run not in known and not self.closing:
            runs.append(Run(len(runs) + 1, workflow.next_run, DUE))
        return tuple(runs)

    def _run(self, number: int, record: Record) -> Run:
        stopped = {"dead": "buried", "skipped": "skipped", "cancelling": "cancelling"}.get(record.state, "")
        if record.state == "delayed":
            stopped = "held" if record.holds else "delayed"
        receipt = next((self._mined[a.hash] for a in record.attempts_sent if a.hash in self._mined), None)
        last = record.attempts_sent[-1].hash if record.attempts_sent else ""
        reached = _REACHED.get(record.state, CLAIMED)
        if receipt is not None:
            reached = max(reached, MINED)
        return Run(
            number=number,
            next_run=record.next_run,
            reached=reached,
            stopped=stopped,
            note=_why(record) if stopped else "",
            tx=record.tx or (receipt.hash if receipt else last),
            block=receipt.block_number if receipt else 0,
        )


def _why(record: Record) -> str:
    """Why it stopped; addresses are cut, the record has them whole."""
    text = _ADDRESS.sub(lambda found: short(found.group()), record.text)
    return text if record.holds else f"{record.reason}: {text}"


def changes(before: Line | None, now: Line) -> list[str]:
    """What is new of a workflow, a sentence for each of its runs that moved."""
    found = []
    title = f"{now.id} {now.part.title}"
    if now.paused and not (before is not None and before.paused):
        found.append(f"{title}: paused by its owner")
    old = {run.number: run for run in before.runs} if before is not None else {}
    for run in now.runs:
        earlier = old.get(run.number)
        if earlier is not None and (earlier.reached, earlier.stopped) == (run.reached, run.stopped):
            continue
        first = DUE if earlier is None else earlier.reached + 1
        path: Sequence[str] = STAGES[first : run.reached + 1]
        steps = [*path, *([run.stopped] if run.stopped else [])]
        if not steps:
            continue
        which = f"{title}, run {run.number}" if now.part.interval else title
        where = f" in block {run.block}" if run.block and run.reached == MINED else ""
        tx = f" {short(run.tx, 10, 6)}" if run.tx and run.reached >= SIGNED else ""
        note = f" ({run.note})" if run.note else ""
        found.append(f"{which}: {' > '.join(steps)}{tx}{where}{note}")
    return found
