"""The registry's content as of one block, and what of it is due.

This version reads every workflow at each refresh. What did not change since the last one keeps its identity, so
whoever looks at the mirror needs to look at changes only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from autometa_cli.chain.blocks import Block
from autometa_cli.chain.faults import RpcFault
from autometa_cli.chain.view import together
from autometa_cli.errors import RpcUnreachable

if TYPE_CHECKING:
    from autometa_cli.chain.contracts import Registry, Workflow
    from autometa_cli.chain.view import View

_log = logging.getLogger(__name__)

#: Reads that are under way at a time: enough to fill all batches, few enough not to hold a task per workflow.
_CHUNK = 2000


class Mirror:
    """All workflows of one registry at one block.

    Attributes:
        block: the block that it shows; None before the first refresh.
        workflows: those that exist, by id.
        faults: workflows that the endpoint could not give at this block, with its reason; left out above.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._gone: set[int] = set()  # deleted in a final block: never asked for again
        self._gone_at: Block | None = None
        self.block: Block | None = None
        self.workflows: Mapping[int, Workflow] = {}
        self.faults: Mapping[int, str] = {}

    async def refresh(self, view: View, final: View) -> list[Workflow]:
        """Show the view's block; returns what is new or has changed since the last refresh.

        Args:
            final: the last final block, at the same endpoint.

        Raises:
            RpcUnreachable, RpcFault: the mirror stays at the block before.
            ConfigError: no registry stands there.
        """
        total, _ = await together(self._registry.total(view), self._same_chain(view))
        ids = [id for id in range(1, total + 1) if id not in self._gone]
        found, faults = await read_each(self._registry, view, ids)
        if faults and not found:
            raise next(iter(faults.values()))  # nothing can be read: the trouble is the endpoint's
        before, now, changed = self.workflows, {}, []
        missing = []
        for id, workflow in found.items():
            if workflow is None:
                missing.append(id)
                continue
            old = before.get(id)
            now[id] = old if old == workflow else workflow
            if now[id] is not old:
                changed.append(workflow)
        await self._bury(missing, final)
        self.block, self.workflows = view.block, now
        self.faults = {id: fault.message for id, fault in faults.items()}
        return changed

    def due(self, now: int) -> Iterator[Workflow]:
        """Active workflows whose next run is not after `now` (seconds since 1970)."""
        return (each for each in self.workflows.values() if each.active and each.next_run <= now)

    @property
    def active(self) -> int:
        """How many workflows are not paused."""
        return sum(each.active for each in self.workflows.values())

    def next_due(self, now: int) -> int | None:
        """The earliest next run of an active workflow after `now`, or None."""
        ahead = (each.next_run for each in self.workflows.values() if each.active and each.next_run > now)
        return min(ahead, default=None)

    async def _bury(self, missing: Sequence[int], final: View) -> None:
        """Remember those that no final block has any more."""
        if not missing:
            return
        try:
            total = await self._registry.total(final)
            found, _ = await read_each(self._registry, final, [id for id in missing if id <= total])
        except (RpcUnreachable, RpcFault) as error:
            _log.debug("deleted workflows are read again next time: %s", error)
            return
        self._gone |= {id for id, workflow in found.items() if workflow is None}
        self._gone_at = final.block

    async def _same_chain(self, view: View) -> None:
        """Forget what was final when that block is not there any more: a local chain that began anew."""
        known = self._gone_at
        if known is None:
            return
        answer = await view.request("eth_getBlockByNumber", (hex(known.number), False))
        if answer is None or Block.parse(answer).hash != known.hash:
            _log.info("block %d is not the one it was; reading deleted workflows again", known.number)
            self._gone.clear()
            self._gone_at = None


async def read_each(
    registry: Registry, view: View, ids: Sequence[int]
) -> tuple[dict[int, Workflow | None], dict[int, RpcFault]]:
    """Workflows at the view's block, and what the node said about those that it cannot give.

    One workflow that cannot be read must not stop the others. Raises RpcUnreachable and ConfigError.
    """
    found: dict[int, Workflow | None] = {}
    faults: dict[int, RpcFault] = {}
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        answers = await asyncio.gather(*(registry.get(view, id) for id in chunk), return_exceptions=True)
        for id, answer in zip(chunk, answers, strict=True):
            if isinstance(answer, RpcFault):
                faults[id] = answer
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found[id] = answer
    return found, faults
