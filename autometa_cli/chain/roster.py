"""Several endpoints of one chain, and which of them to ask first: how each has been doing lately.

Asked last are those that rest after a failure; before them those that fail now and then (`ErrorRate`), and those whose
head is behind what another one showed. All of this passes: a rest ends, errors are forgotten, a head catches up.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from autometa_cli.chain.endpoint import Endpoint
from autometa_cli.chain.faults import EndpointDown, WrongChain
from autometa_cli.errors import ConfigError, RpcUnreachable

#: Seconds for which a failing endpoint rests: the first time, doubled each time, up to the longest.
FIRST_REST = 0.5
LONGEST_REST = 30.0
#: An endpoint lags when another one showed a head so many blocks higher. One or two are the way of the network.
LAG_BLOCKS = 3
#: A head that was seen this long ago (block times) accuses nobody any more: a local chain may have begun anew.
_REMEMBERED_BLOCKS = 20

_log = logging.getLogger(__name__)


class Health:
    """How one endpoint has been doing lately.

    Attributes:
        head: the highest block that it showed when it was last asked, or -1.
        seen_at, grew_at: when it was last asked for its head, and when that had last changed.
        lags: another one is well ahead of it.
    """

    __slots__ = (
        "failures", "grew_at", "head", "lags", "last_error", "resting_until", "seen_at", "shaky", "wrong",
    )  # fmt: skip

    def __init__(self) -> None:
        self.failures = 0
        self.resting_until = 0.0
        self.last_error = ""
        self.wrong: WrongChain | None = None
        self.head = -1
        self.seen_at = 0.0
        self.grew_at = 0.0
        self.lags = False
        self.shaky = False


class Roster:
    """Endpoints in the order in which they were configured.

    Args:
        clock: monotonic seconds.
        block_time: seconds between two blocks, as a rule.
        variable: what to set where none of them answers.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        clock: Callable[[], float] = time.monotonic,
        block_time: float = 6.0,
        variable: str = "RPC_URLS",
    ) -> None:
        self.endpoints = tuple(endpoints)
        self._health = {endpoint: Health() for endpoint in endpoints}
        self._clock = clock
        self._variable = variable
        #: A head that does not change for so long is worth a look at the others, seconds.
        self.patience = max(10.0, 5 * block_time)
        self._remembered = max(30.0, _REMEMBERED_BLOCKS * block_time)

    def of(self, endpoint: Endpoint) -> Health:
        """Its health."""
        return self._health[endpoint]

    def order(self) -> list[Endpoint]:
        """All that serve our chain, those that are asked first in front."""
        now = self._clock()
        usable = [(endpoint, health) for endpoint, health in self._health.items() if health.wrong is None]
        awake = [(endpoint, health) for endpoint, health in usable if health.resting_until <= now]
        if len(usable) > 1:
            for endpoint, health in usable:
                self._judge(endpoint, health)
            awake.sort(key=lambda pair: pair[1].lags or pair[1].shaky)
        if len(awake) < len(usable):
            resting = [pair for pair in usable if pair[1].resting_until > now]
            awake += sorted(resting, key=lambda pair: pair[1].resting_until)
        return [endpoint for endpoint, _ in awake]

    def awake(self) -> list[Endpoint]:
        """Those in `order` that do not rest."""
        now = self._clock()
        return [endpoint for endpoint in self.order() if self._health[endpoint].resting_until <= now]

    def down(self, endpoint: Endpoint, error: EndpointDown) -> None:
        """It gave no usable answer: it rests, longer each time."""
        health = self._health[endpoint]
        now = self._clock()
        health.last_error = error.reason
        if health.resting_until > now:
            return  # one of many calls that failed together
        pause = min(LONGEST_REST, FIRST_REST * 2 ** min(health.failures, 10))
        if error.retry_after is not None:
            pause = min(LONGEST_REST, max(pause, error.retry_after))
        health.failures += 1
        health.resting_until = now + pause
        _log.warning("RPC endpoint %s: %s; resting %.1f s", endpoint.name, error.reason, pause)

    def up(self, endpoint: Endpoint) -> None:
        """It answered."""
        health = self._health[endpoint]
        if health.failures:
            health.failures = 0
            health.resting_until = 0.0
            health.last_error = ""
            _log.info("RPC endpoint %s answers again", endpoint.name)

    def set_aside(self, endpoint: Endpoint, error: WrongChain) -> None:
        """It serves another chain: it is never asked again."""
        health = self._health[endpoint]
        if health.wrong is None:
            health.wrong = error
            _log.error("%s; it is not used", error.message)

    def saw(self, endpoint: Endpoint, head: int) -> None:
        """It showed this head."""
        health, now = self._health[endpoint], self._clock()
        if head != health.head:
            health.head, health.grew_at = head, now
        health.seen_at = now
        others = [
            other.head
            for other in self._health.values()
            if other is not health and other.wrong is None and now - other.seen_at < self._remembered
        ]
        highest = max(others, default=-1)
        lags = head + LAG_BLOCKS < highest
        if lags and not health.lags:
            _log.warning(
                "RPC endpoint %s lags: it shows block %d, another one showed %d; the others are asked first",
                endpoint.name, head, highest,
            )  # fmt: skip
        elif health.lags and not lags:
            _log.info("RPC endpoint %s has caught up", endpoint.name)
        health.lags = lags

    def stands_still(self, endpoint: Endpoint) -> bool:
        """Its head has not changed for a while: either the chain stands still, or it does."""
        health = self._health[endpoint]
        return health.head >= 0 and self._clock() - health.grew_at > self.patience

    def unseen(self, but: Endpoint | None = None) -> list[Endpoint]:
        """Those that are awake and whose head nobody asked for lately."""
        now = self._clock()
        return [
            endpoint
            for endpoint in self.awake()
            if endpoint is not but and now - self._health[endpoint].seen_at > self.patience
        ]

    def nobody(self, trouble: Sequence[EndpointDown]) -> RpcUnreachable | ConfigError:
        """What to raise when none of them gave an answer, for these reasons."""
        wrong = [health.wrong for health in self._health.values() if health.wrong is not None]
        if len(wrong) == len(self.endpoints):
            return WrongChain(wrong[0].endpoint, expected=wrong[0].expected, found=wrong[0].found)
        reasons = [f"{error.endpoint}: {error.reason}" for error in trouble]
        reasons += [f"{error.endpoint}: it serves chain {error.found}" for error in wrong]
        return RpcUnreachable(
            f"no RPC endpoint gave an answer: {'; '.join(reasons)}",
            f"check {self._variable} (`autometa config show` tells where it comes from) and your network",
        )

    def _judge(self, endpoint: Endpoint, health: Health) -> None:
        shaky = endpoint.errors.shaky
        if shaky and not health.shaky:
            share = f"{endpoint.errors.share:.0%}"
            _log.warning(
                "RPC endpoint %s failed %s of its last requests; the others are asked first",
                endpoint.name,
                share,
            )
        health.shaky = shaky
