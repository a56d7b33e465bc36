"""Calls that are made in the same turn of the event loop leave together, as one JSON-RPC batch.

A `Lane` holds the calls that wait for their turn and bounds the exchanges under way. While all of them are
out, calls gather, so batches grow with the load by themselves and a lone call leaves at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any


class Call:
    """One request on its way. Its future gets the result, or the exception to raise."""

    __slots__ = ("body", "future", "id", "raw", "since", "tried")

    def __init__(self, id: int, body: str, future: asyncio.Future[Any], since: float, raw: bytes) -> None:
        self.id = id
        self.body = body
        self.future = future
        self.since = since
        self.raw = raw
        self.tried = False

    def finish(self, value: Any) -> None:
        if not self.future.done():
            self.future.set_result(value)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class Lane:
    """Calls of one sort (reads, or sends) to one endpoint.

    Args:
        exchange: carries a list of calls to the server and finishes each; must not raise.
        give_up: ends a call that gets no answer, with the reason.
        limit: exchanges under way at the same time.
        size: gives the largest batch that the server takes at present.
        patience: seconds that a call may wait for its turn.
    """

    def __init__(
        self,
        exchange: Callable[[list[Call]], Coroutine[Any, Any, None]],
        give_up: Callable[[Call, str], None],
        *,
        limit: int,
        size: Callable[[], int],
        patience: float,
    ) -> None:
        self._exchange = exchange
        self._give_up = give_up
        self._limit = limit
        self._size = size
        self._patience = patience
        self._waiting: deque[Call] = deque()
        self._under_way: dict[asyncio.Task[None], list[Call]] = {}
        self._armed = False

    def put(self, call: Call) -> None:
        """Let a call leave with whatever else is put in this turn."""
        self._waiting.append(call)
        if not self._armed:
            self._armed = True
            call.future.get_loop().call_soon(self._turn)

    def again(self, calls: Sequence[Call]) -> None:
        """Put calls back, ahead of the others: they have waited longest."""
        self._waiting.extendleft(reversed(calls))

    def _turn(self) -> None:
        self._armed = False
        self._depart()

    def _depart(self) -> None:
        while self._waiting and len(self._under_way) < self._limit:
            size = max(1, self._size())
            calls: list[Call] = []
            while self._waiting and len(calls) < size:
                call = self._waiting.popleft()
                if call.future.done():  # its caller has gone
                    continue
                if call.future.get_loop().time() - call.since > self._patience and not call.tried:
                    self._give_up(call, f"saturated: no turn within {self._patience:g} s")
                    continue
                calls.append(call)
            if calls:
                task = asyncio.create_task(self._exchange(calls))
                self._under_way[task] = calls
                task.add_done_callback(self._arrived)

    def _arrived(self, task: asyncio.Task[None]) -> None:
        calls = self._under_way.pop(task)
        self._depart()
        if not task.cancelled() and task.exception() is not None:
            for call in calls:  # a defect of ours must not leave anybody waiting
                self._give_up(call, "the exchange failed")
            task.result()  # and shows in the loop's log

    async def close(self) -> None:
        """Give up every call that waits or is under way."""
        calls = [*self._waiting, *(call for group in self._under_way.values() for call in group)]
        self._waiting.clear()
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for call in calls:
            self._give_up(call, "the client was closed")
