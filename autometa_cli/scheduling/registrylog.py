"""Events of the registry: which workflows were touched, block by block, in ranges that the endpoint accepts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from autometa_cli.chain.blocks import Log
from autometa_cli.chain.faults import RpcFault
from autometa_cli.chain.interfaces import interface
from autometa_cli.errors import RpcUnreachable

if TYPE_CHECKING:
    from autometa_cli.chain.view import View

_log = logging.getLogger(__name__)

_NAMES = ("WorkflowCreated", "WorkflowUpdated", "WorkflowPaused", "WorkflowResumed", "WorkflowDeleted")

#: After so many requests that were not refused, one may span more blocks again.
_GROW_AFTER = 50


class RegistryLog:
    """Reads the registry's events.

    Args:
        registry: its address.
        most: blocks that one request may span; it halves when the endpoint refuses, and grows again.
    """

    def __init__(self, registry: str, most: int) -> None:
        self._address = registry
        self._most = self._range = max(1, most)
        self._accepted = 0
        self._topics = [interface("WorkflowRegistry").events[name].topic for name in _NAMES]

    async def between(self, view: View, first: int, last: int) -> list[Log]:
        """Events of the blocks from `first` to `last`, both included, in order.

        Raises:
            RpcUnreachable: no usable answer.
            RpcFault: the endpoint refuses even a single block.
        """
        found: list[Log] = []
        while first <= last:
            until = min(last, first + self._range - 1)
            try:
                found += await self._read(view, first, until)
            except RpcFault as fault:
                if until == first:
                    raise
                self._range = max(1, (until - first + 1) // 2)
                self._accepted = 0
                _log.info("%s; asking for %d blocks at a time", fault.message, self._range)
                continue
            first = until + 1
            self._accepted += 1
            if self._accepted % _GROW_AFTER == 0:
                self._range = min(self._most, self._range * 2)
        return found

    async def _read(self, view: View, first: int, last: int) -> list[Log]:
        wanted = {
            "address": self._address,
            "fromBlock": hex(first),
            "toBlock": hex(last),
            "topics": [self._topics],
        }
        answer = await view.request("eth_getLogs", (wanted,))
        if not isinstance(answer, list):
            raise RpcUnreachable("malformed answer of an RPC endpoint: the answer to eth_getLogs is no list")
        return [Log.parse(each) for each in answer if not (isinstance(each, dict) and each.get("removed"))]


def touched(logs: list[Log]) -> set[int]:
    """The workflows that events tell of."""
    return {int(log.topics[1], 16) for log in logs if len(log.topics) > 1}
