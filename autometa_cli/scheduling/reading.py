"""Reading many workflows at one block: through Multicall3 where the chain has it, else in JSON-RPC batches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from autometa_cli.chain.contracts import Registry, Workflow
from autometa_cli.chain.faults import RpcFault
from autometa_cli.chain.multicall import aggregate
from autometa_cli.errors import RpcUnreachable

if TYPE_CHECKING:
    from autometa_cli.chain.view import View

_log = logging.getLogger(__name__)

#: Reads that are under way at a time: enough to fill all batches, few enough not to hold a task per workflow.
CHUNK = 2000
#: Workflows in one call of Multicall3: at first, and at most. Some 700 bytes of answer each.
_FIRST_SIZE, _MOST_SIZE = 100, 500
#: Fewer than that are not worth a call of their own.
_FEW = 8

Found = dict[int, Workflow | None]
Faults = dict[int, RpcFault]


class Reader:
    """Reads workflows of one registry.

    Args:
        multicall3: its address, where the network has it; whether it is really there is asked once.
    """

    def __init__(self, registry: Registry, multicall3: str | None = None) -> None:
        self._registry = registry
        self._multicall3 = multicall3
        self._asked = False
        self._size = _FIRST_SIZE

    async def read(self, view: View, ids: Sequence[int]) -> tuple[Found, Faults]:
        """Workflows at the view's block, None where there is none, and what the node said of those it cannot give.

        One workflow that cannot be read stops no other.

        Raises:
            RpcUnreachable: no usable answer, or the block is gone.
            ConfigError: no registry stands there.
        """
        found: Found = {}
        rest = list(ids)
        if self._multicall3 is not None and len(rest) >= _FEW and await self._there(view):
            found, rest = await self._aggregated(view, self._multicall3, rest)
        singly, faults = await read_each(self._registry, view, rest)
        return found | singly, faults

    async def _there(self, view: View) -> bool:
        if not self._asked and self._multicall3 is not None:
            if not await view.code(self._multicall3):
                self._multicall3 = None
            self._asked = True
        return self._multicall3 is not None

    async def _aggregated(self, view: View, multicall3: str, ids: list[int]) -> tuple[Found, list[int]]:
        """What Multicall3 gives, and the ids that have to be read one by one."""
        found: Found = {}
        left: list[int] = []
        start = 0
        while start < len(ids):
            size = self._size
            groups = [ids[at : at + size] for at in range(start, min(len(ids), start + 4 * size), size)]
            answers = await asyncio.gather(
                *(self._group(view, multicall3, group) for group in groups), return_exceptions=True
            )
            for group, answer in zip(groups, answers, strict=True):
                if isinstance(answer, RpcFault | RpcUnreachable):
                    # Too much gas or too long an answer, which every server tells in its own way.
                    left += group
                    self._size = max(_FEW, size // 2)
                    _log.info("%s; reading %d workflows a call", answer.message, self._size)
                elif isinstance(answer, BaseException):
                    raise answer
                else:
                    for id, workflow in zip(group, answer, strict=True):
                        if isinstance(workflow, bytes):
                            left.append(id)
                        else:
                            found[id] = workflow
                    self._size = min(_MOST_SIZE, max(self._size, size + size // 4))
            start += sum(map(len, groups))
        return found, left

    async def _group(self, view: View, multicall3: str, ids: Sequence[int]) -> list[Workflow | bytes | None]:
        """Each workflow, None where the registry says that there is none, or bytes where that is not certain."""
        registry = self._registry
        calls = [registry.call_data(id) for id in ids]
        outputs = await aggregate(view, multicall3, registry.address, calls)
        result: list[Workflow | bytes | None] = []
        for id, (success, output) in zip(ids, outputs, strict=True):
            if success and output:
                result.append(registry.parse(id, output))
            elif not success and registry.says_missing(output):
                result.append(None)
            else:  # perhaps the gas ran out: that must not look like a deleted workflow
                result.append(output)
        return result


async def read_each(registry: Registry, view: View, ids: Sequence[int]) -> tuple[Found, Faults]:
    """Workflows at the view's block, a call each, many at a time; as `Reader.read`."""
    found: Found = {}
    faults: Faults = {}
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        answers = await asyncio.gather(*(registry.get(view, id) for id in chunk), return_exceptions=True)
        for id, answer in zip(chunk, answers, strict=True):
            if isinstance(answer, RpcFault):
                faults[id] = answer
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found[id] = answer
    return found, faults
