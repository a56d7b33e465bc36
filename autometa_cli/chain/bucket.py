"""A bucket of tokens: how many calls may leave for one server without asking it too often."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

#: A token that was spent is back after so long, seconds.
WINDOW = 1.0
#: Who gives way to another taker asks again after this long at least, seconds.
_SHORTLY = 0.01


class TokenBucket:
    """`rate` tokens, one for each call. A token comes back one second after it was spent, so no second ever sees more
    than `rate` of them, however they are bunched. (A bucket that drips allows twice as many after a pause.)

    Several takers share it fairly: while one waits, another takes at most half of what is there.

    Args:
        rate: calls a second.
        clock: monotonic seconds.
    """

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._free = rate
        self._spent: deque[tuple[float, int]] = deque()
        self._waiting: set[object] = set()
        self._last: object = None

    def take(self, who: object, wanted: int) -> int:
        """Tokens for at most `wanted` calls, 0 where there are none; who got fewer counts as waiting."""
        self._refill()
        share = self._free
        if share and any(other is not who for other in self._waiting):
            share = share // 2 if share > 1 else int(self._last is not who)
        got = min(share, wanted)
        if got:
            self._free -= got
            self._spent.append((self._clock(), got))
            self._last = who
        if got < wanted:
            self._waiting.add(who)
        else:
            self._waiting.discard(who)
        return got

    def give_back(self, who: object, unused: int) -> None:
        """Of what was just taken, so many were not needed after all."""
        self._waiting.discard(who)
        if unused and self._spent:
            moment, count = self._spent.pop()
            unused = min(unused, count)
            self._free += unused
            if count > unused:
                self._spent.append((moment, count - unused))

    def leave(self, who: object) -> None:
        """Wants nothing any more."""
        self._waiting.discard(who)

    def wait(self) -> float:
        """Seconds until it is worth asking again."""
        self._refill()
        if not self._spent:
            return _SHORTLY
        return max(_SHORTLY, self._spent[0][0] + WINDOW - self._clock())

    def _refill(self) -> None:
        now = self._clock()
        while self._spent and self._spent[0][0] + WINDOW <= now:
            self._free += self._spent.popleft()[1]
