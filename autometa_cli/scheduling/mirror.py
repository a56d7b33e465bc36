"""The registry's content as of one block: read once, then kept by its events. docs/scaling.md has what it costs.

What is read is as of the view's block. What is not read again is known from events, whose blocks are compared with
the chain's, so that a reorg is noticed and whatever it touched is read anew. A full comparison at a slow pace
(`compare`) catches what an endpoint failed to tell.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from autometa_cli.chain.blocks import Block
from autometa_cli.chain.faults import RpcFault
from autometa_cli.chain.view import together
from autometa_cli.scheduling.agenda import Agenda
from autometa_cli.scheduling.reading import CHUNK, Reader
from autometa_cli.scheduling.registrylog import RegistryLog, touched
from autometa_cli.scheduling.trail import OVERLAP, Step, Trail

if TYPE_CHECKING:
    from autometa_cli.chain.blocks import Log
    from autometa_cli.chain.contracts import Registry, Workflow
    from autometa_cli.chain.view import View
    from autometa_cli.scheduling.snapshot import Snapshot

_log = logging.getLogger(__name__)

#: Blocks that one `eth_getLogs` spans where nothing is known of the network.
LOG_RANGE = 1000
#: A gap of so many requests' ranges is followed by events; after a longer one everything is read anew.
_MOST_RANGES = 500


class Mirror:
    """All workflows of one registry at one block.

    Args:
        multicall3: its address, where the network has it.
        log_range: blocks that one `eth_getLogs` may span.

    Attributes:
        block: the block that it shows; None before the first refresh.
        workflows: those that exist, by id.
        faults: workflows that the endpoint could not give when they were read last, with its reason. They are
            left out above, and asked for again at each refresh.
        total: workflows ever made.
        trail: the blocks at which it stood.
        version: grows with each change.
    """

    def __init__(
        self, registry: Registry, *, multicall3: str | None = None, log_range: int = LOG_RANGE
    ) -> None:
        self._registry = registry
        self._reader = Reader(registry, multicall3)
        self._events = RegistryLog(getattr(registry, "address", ""), log_range)
        self._farthest = log_range * _MOST_RANGES
        self._workflows: dict[int, Workflow] = {}
        self._agenda = Agenda(self._workflows)
        self._first: list[
            tuple[Block, int]
        ] = []  # a first reading under way: at which blocks, from which id on
        self._read_to = 0  # how far it has come
        self._again: set[int] = set()  # must be read before the mirror is whole
        self._changed: dict[int, Workflow] = {}  # since the last refresh that succeeded
        self._compared = 0  # how far the slow comparison has come
        self.block: Block | None = None
        self.faults: dict[int, str] = {}
        self.total = 0
        self.trail = Trail()
        self.version = 0

    @property
    def workflows(self) -> Mapping[int, Workflow]:
        return self._workflows

    def resume(self, snapshot: Snapshot) -> None:
        """Start from what another one showed; the next refresh checks that the chain still has its blocks."""
        self._clear()
        for workflow in snapshot.workflows:
            self._put(workflow.id, workflow)
        self.total, self.trail = snapshot.total, Trail(snapshot.steps)
        self._again = set(snapshot.unread)

    async def refresh(self, view: View) -> list[Workflow]:
        """Show the view's block; returns what is new or has changed since the last refresh.

        Where it fails half-way, what was read stays and the next one goes on; the mirror must not be used until
        one succeeds.

        Raises:
            RpcUnreachable, RpcFault: the endpoint does not give what is needed.
            ConfigError: no registry stands there.
        """
        while True:
            if not self.trail:
                await self._read_all(view)
            ancestor, logs = await self._ancestor(view)
            if ancestor is not None:
                break
            self._clear()
        self._again.update(self.faults)
        if ancestor is not self.trail.last:
            again = self.trail.since(ancestor)
            _log.info(
                "the chain went back from block %d to %d; reading again what changed since (%d workflows)",
                self.trail.last.number, ancestor.number, len(again),
            )  # fmt: skip
            self._again |= again
            self.trail.back_to(ancestor)
            logs = await self._logs(view, ancestor)
        news = self.trail.news(logs)
        # Remembered until all is read: what a failed attempt read may belong to a block that is gone by then.
        self._again |= touched(news)
        await self._read(view, sorted(self._again))
        self.trail.forward(Step(view.block.number, view.block.hash, frozenset(self._again)), news)
        self.total = max([self.total, *self._again])
        self._again = set()
        self.block = view.block
        changed, self._changed = self._changed, {}
        return list(changed.values())

    async def compare(self, view: View, count: int) -> list[int]:
        """Compare the next `count` workflows with the chain and mend what differs; the ids that did.

        Args:
            view: of the block that the last refresh showed.
        """
        if self.block is None or view.block.hash != self.block.hash or not self.total:
            return []
        if self._compared >= self.total:
            self._compared = 0
            self.total = max(self.total, await self._registry.total(view))
        last = min(self.total, self._compared + count)
        found, _ = await self._reader.read(view, list(range(self._compared + 1, last + 1)))
        self._compared = last
        return self.correct(found)

    def correct(self, found: Mapping[int, Workflow | None]) -> list[int]:
        """Take in workflows that were read at the mirror's block; the ids of those that differed."""
        wrong = [id for id, workflow in found.items() if self._workflows.get(id) != workflow]
        for id in wrong:
            self._put(id, found[id])
        self._again.update(wrong)
        return wrong

    async def read(
        self, view: View, ids: list[int]
    ) -> tuple[dict[int, Workflow | None], dict[int, RpcFault]]:
        """Workflows at the view's block, past the mirror, as `Reader.read`."""
        return await self._reader.read(view, ids)

    def due(self, now: int) -> Iterator[Workflow]:
        """Active workflows whose next run is not after `now` (seconds since 1970), earliest first."""
        return self._agenda.due(now)

    @property
    def active(self) -> int:
        """How many workflows are not paused."""
        return self._agenda.active

    def next_due(self, now: int) -> int | None:
        """The earliest next run of an active workflow after `now`, or None."""
        return self._agenda.next_due(now)

    # -- reading --------------------------------------------------------------------------------------

    async def _read_all(self, view: View) -> None:
        """The first reading: each part at whatever block is the newest then; events since the first part follow.

        One that failed half-way goes on where it was, as long as the blocks that it read at are on the chain.
        """
        answers = await together(*(self._stands(view, block) for block, _ in self._first))
        for (_, start), stands in zip(self._first, answers, strict=True):
            if not stands:
                self._first = [each for each in self._first if each[1] < start]
                self._read_to = start
                break
        if not self._first:
            self._clear()
        self._first.append((view.block, self._read_to))
        self.total = await self._registry.total(view)
        while self._read_to < self.total:
            last = min(self.total, self._read_to + CHUNK)
            await self._read(view, list(range(self._read_to + 1, last + 1)))
            self._read_to = last
        anchor = self._first[0][0]
        self.trail = Trail([Step(anchor.number, anchor.hash, frozenset())])
        self._first = []

    async def _ancestor(self, view: View) -> tuple[Step | None, list[Log]]:
        """The last block of the trail that the view's chain has, and the events since; mostly in one exchange."""
        last, head = self.trail.last, view.block
        if last.hash == head.hash:
            return last, []
        if head.number - last.number > self._farthest:
            _log.info("%d blocks behind; reading every workflow again", head.number - last.number)
            return None, []
        if head.number > last.number:
            same, logs = await together(self._stands(view, last), self._logs(view, last))
            if same:
                return last, logs
        older = [step for step in self.trail if step.number <= head.number]
        answers = await together(*(self._stands(view, step) for step in older))
        standing = [step for step, stands in zip(older, answers, strict=True) if stands]
        if not standing:
            _log.warning("no block that was seen is on the chain any more; reading every workflow again")
            return None, []
        return standing[-1], []

    async def _logs(self, view: View, after: Step) -> list[Log]:
        return await self._events.between(view, max(0, after.number + 1 - OVERLAP), view.block.number)

    async def _stands(self, view: View, block: Block | Step) -> bool:
        if block.number >= view.block.number:
            return block.hash == view.block.hash
        answer = await view.request("eth_getBlockByNumber", (hex(block.number), False))
        return isinstance(answer, dict) and str(answer.get("hash")).lower() == block.hash

    async def _read(self, view: View, ids: list[int]) -> None:
        """Read workflows at the view's block and take them in."""
        if not ids:
            return
        found, faults = await self._reader.read(view, ids)
        if faults and not found:
            await self._registry.total(view)  # where the endpoint can call nothing at all, this fails, too
        for id, workflow in found.items():
            self.faults.pop(id, None)
            self._put(id, workflow)
        for id, fault in faults.items():
            self.faults[id] = fault.message
            self._put(id, None)

    def _put(self, id: int, workflow: Workflow | None) -> None:
        old = self._workflows.get(id)
        if old == workflow:
            return  # what is the same keeps its identity
        if workflow is None:
            del self._workflows[id]
            self._changed.pop(id, None)
        else:
            self._workflows[id] = self._changed[id] = workflow
        self._agenda.note(old, workflow)
        self.version += 1

    def _clear(self) -> None:
        self._workflows.clear()
        self._agenda = Agenda(self._workflows)
        self.faults = {}
        self.trail = Trail()
        self._first, self._read_to = [], 0
        self._again, self._changed = set(), {}
        self.version += 1
