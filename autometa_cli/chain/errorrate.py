"""How often a server failed lately, counted in exchanges."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

#: Exchanges, and seconds, that are remembered.
_EXCHANGES = 40
_SECONDS = 60.0
#: A server is shaky when so many of them failed, and this share of all.
_FAILURES = 4
_SHARE = 0.25


class ErrorRate:
    """Consecutive failures say that a server is down; this says that it answers only now and then. Memory fades, so a
    server that is left alone is trusted again after a minute.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=_EXCHANGES)
        self._faultless = True

    def add(self, failed: bool) -> None:
        """One exchange came to its end."""
        self._faultless = self._faultless and not failed
        self._outcomes.append((self._clock(), failed))

    @property
    def share(self) -> float:
        """Of the exchanges that are remembered, how many failed: 0 to 1."""
        self._forget()
        return self._failures() / len(self._outcomes) if self._outcomes else 0.0

    @property
    def shaky(self) -> bool:
        """Whether another server had better be asked first. One that answers nothing at all is down, not shaky."""
        if self._faultless:  # asked before each request, and the rule
            return False
        self._faultless = not self._failures()
        return 1.0 > self.share >= _SHARE and self._failures() >= _FAILURES

    def _failures(self) -> int:
        return sum(failed for _, failed in self._outcomes)

    def _forget(self) -> None:
        oldest = self._clock() - _SECONDS
        while self._outcomes and self._outcomes[0][0] < oldest:
            self._outcomes.popleft()
