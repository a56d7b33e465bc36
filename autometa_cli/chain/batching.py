"""Calls that are made in the same turn of the event loop leave together, as one JSON-RPC batch.

A `Lane` holds the calls that wait for their turn and bounds the exchanges under way. While all of them are
out, calls gather, so batches grow with the load by themselves and a lone call leaves at once. Where a server
says that it is asked too often, the lane rests a moment and goes on with half as many calls at a time; where its
limit is known, a bucket of tokens keeps the lanes below it from the start.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autometa_cli.chain.bucket import TokenBucket

#: Seconds of the first rest after "too many requests", doubled while no call succeeds, and the longest.
FIRST_REST = 0.5
LONGEST_REST = 5.0


class Call:
    """One request on its way. Its future gets the result, or the exception to raise.

    Attributes:
        id, body: as sent.
        since: when it was made, by the loop's clock.
        raw: the signed bytes, for a send; empty for a read.
        patient: rather waits than fails where the server is asked too often.
        tried: has left once already.
    """

    __slots__ = ("body", "future", "id", "patient", "raw", "since", "tried")

    def __init__(
        self, id: int, body: str, future: asyncio.Future[Any], since: float, raw: bytes, patient: bool
    ) -> None:
        self.id = id
        self.body = body
        self.future = future
        self.since = since
        self.raw = raw
        self.patient = patient
        self.tried = False

    def finish(self, value: Any) -> None:
        """Give the caller its result."""
        if not self.future.done():
            self.future.set_result(value)

    def fail(self, error: Exception) -> None:
        """Raise this at the caller."""
        if not self.future.done():
            self.future.set_exception(error)


class Lane:
    """Calls of one sort (reads, or sends) to one endpoint.

    Args:
        exchange: carries a list of calls to the server and finishes each; must not raise.
        give_up: ends a call that gets no answer, with the reason.
        limit: exchanges under way at the same time.
        size: gives the largest batch that the server takes at present.
        patience: seconds that a call waits for its turn while no other call succeeds either.
        bucket: a token for each call, a batch counting as its calls; None: as many as there are.
    """

    def __init__(
        self,
        exchange: Callable[[list[Call]], Coroutine[Any, Any, None]],
        give_up: Callable[[Call, str], None],
        *,
        limit: int,
        size: Callable[[], int],
        patience: float,
        bucket: TokenBucket | None = None,
    ) -> None:
        self._bucket = bucket
        self._exchange = exchange
        self._give_up = give_up
        self._limit = limit
        self._size = size
        self._patience = patience
        self._waiting: deque[Call] = deque()
        self._under_way: dict[asyncio.Task[None], list[Call]] = {}
        self._armed = False
        self._progress = -math.inf  # when a call last succeeded
        self._window = math.inf  # calls under way at the same time that the server puts up with
        self._rest = FIRST_REST
        self._resting_until = -math.inf
        self._saturated = self._reason = f"saturated: no turn within {patience:g} s"
        self._wake: asyncio.TimerHandle | None = None

    def put(self, call: Call, *, urgent: bool = False) -> None:
        """Let a call leave with whatever else is put in this turn; an urgent one before all that wait."""
        if urgent:
            self._waiting.appendleft(call)
        else:
            self._waiting.append(call)
        if not self._armed:
            self._armed = True
            call.future.get_loop().call_soon(self._turn)

    def again(self, calls: Sequence[Call]) -> None:
        """Put calls back, ahead of the others: they have waited longest."""
        self._waiting.extendleft(reversed(calls))

    def succeeded(self, count: int) -> None:
        """The server answered so many calls: it may be asked a little more at a time."""
        self._progress = asyncio.get_running_loop().time()
        self._reason = self._saturated
        self._rest = FIRST_REST
        if self._window < self._limit * self._size():
            self._window += max(1.0, count / 10)
        else:
            self._window = math.inf

    def throttled(self, calls: Sequence[Call], reason: str, asked: float | None) -> list[Call]:
        """The server is asked too often: rest, then make these calls again, fewer at a time.

        Args:
            calls: those it did not answer.
            reason: what it said.
            asked: seconds that it asked us to wait, if it did.

        Returns:
            The calls that cannot wait that long; the caller ends them.
        """
        now = asyncio.get_running_loop().time()
        if now >= self._resting_until:  # else: another exchange of the same burst
            out = sum(len(group) for group in self._under_way.values())
            self._window = max(1.0, min(self._window, out) / 2)
            self._resting_until = now + min(LONGEST_REST, max(self._rest, asked or 0.0))
            self._rest = min(LONGEST_REST, self._rest * 2)
        self._reason = reason
        late = [self._late(call, self._resting_until) for call in calls]
        self.again([call for call, is_late in zip(calls, late, strict=True) if not is_late])
        return [call for call, is_late in zip(calls, late, strict=True) if is_late]

    def _turn(self) -> None:
        self._armed = False
        self._depart()

    def _late(self, call: Call, now: float) -> bool:
        return now - max(call.since, self._progress) > self._patience

    def _depart(self) -> None:
        if not self._waiting:
            if self._bucket is not None:
                self._bucket.leave(self)
            return
        loop = self._waiting[0].future.get_loop()
        now = loop.time()
        if now < self._resting_until:
            self._sleep(loop, self._resting_until)
            return
        out = sum(len(group) for group in self._under_way.values())
        while self._waiting and len(self._under_way) < self._limit and out < self._window:
            count = max(1, int(min(self._size(), self._window - out)))
            if self._bucket is None:
                calls = self._next(count, now)
            else:
                allowed = self._bucket.take(self, min(count, len(self._waiting)))
                if not allowed:
                    self._sleep(loop, now + self._bucket.wait())
                    return
                calls = self._next(allowed, now)
                if len(calls) < allowed:
                    self._bucket.give_back(self, allowed - len(calls))
            if calls:
                out += len(calls)
                task = loop.create_task(self._exchange(calls))
                self._under_way[task] = calls
                task.add_done_callback(self._arrived)

    def _next(self, count: int, now: float) -> list[Call]:
        calls: list[Call] = []
        while self._waiting and len(calls) < count:
            call = self._waiting.popleft()
            if call.future.done():  # its caller has gone
                continue
            if self._late(call, now) and not call.tried:
                self._give_up(call, self._reason)
            else:
                calls.append(call)
        return calls

    def _sleep(self, loop: asyncio.AbstractEventLoop, until: float) -> None:
        if self._wake is None:
            self._wake = loop.call_at(until, self._woken)

    def _woken(self) -> None:
        self._wake = None
        self._depart()

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
        if self._wake is not None:
            self._wake.cancel()
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for call in calls:
            self._give_up(call, "the client was closed")
