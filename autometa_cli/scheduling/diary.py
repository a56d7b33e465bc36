"""What a running scheduler logs: what happened, what is wrong and since when, and now and then that it is alive."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from autometa_cli.scheduling.oddities import report
from autometa_cli.secrets import redact_url
from autometa_cli.units import duration

if TYPE_CHECKING:
    from autometa_cli.config import Settings
    from autometa_cli.errors import AutometaError
    from autometa_cli.scheduling.passes import Pass

_log = logging.getLogger(__name__)

#: Without anything else to say, a line each so many seconds; a trouble that lasts is repeated as often.
HEARTBEAT_SECONDS = 300.0
#: Two texts that differ in these only tell of the same trouble.
_NUMBER = re.compile(r"[0-9][0-9.]*[dhms]?( [0-9]+[hms])?")


class Diary:
    """The log of one run.

    Args:
        clock: monotonic seconds.
        interval: from one pass to the next, seconds.
    """

    def __init__(self, clock: Callable[[], float], interval: float) -> None:
        self._clock = clock
        self._interval = interval
        self._written = float("-inf")
        self._trouble = ""
        self._trouble_since = 0.0
        self._halted: frozenset[int] = frozenset()

    def begin(self, settings: Settings) -> None:
        """Where it runs."""
        _log.info(
            "watching registry %s on %s (chain %d), every %s; queue %s at %s",
            settings.registry_address,
            settings.network.title,
            settings.chain_id,
            duration(self._interval),
            settings.queue_name,
            redact_url(settings.redis_url),
        )

    def passed(self, done: Pass) -> None:
        """A pass reached its end; it may have had reason to enqueue nothing."""
        if done.trouble:
            self._in_trouble(f"nothing is queued: {done.trouble}")
        else:
            self._in_order()
            self._note_halted(frozenset(done.halted))
        if done.eventful or self._clock() - self._written >= HEARTBEAT_SECONDS:
            self._written = self._clock()
            fields = {name: value for name, value in done.document().items() if not isinstance(value, tuple)}
            _log.info("%s", done.sentence(), extra={"fields": fields})
        _log.debug("pass of %.3f s queued: %s", done.seconds, ", ".join(done.labels) or "nothing")

    def failed(self, error: AutometaError) -> None:
        """A pass failed, as a whole."""
        hint = f" ({error.hint})" if error.hint else ""
        self._in_trouble(f"{error.message}{hint}; trying again every {duration(self._interval)}")

    def _in_trouble(self, text: str) -> None:
        now = self._clock()
        same = _NUMBER.sub("#", text)
        if same == self._trouble and now - self._written < HEARTBEAT_SECONDS:
            return
        if not self._trouble:
            self._trouble_since = now
        self._trouble, self._written = same, now
        _log.warning("%s", text)

    def _in_order(self) -> None:
        if self._trouble:
            _log.info("in order again after %s", duration(self._clock() - self._trouble_since))
            self._trouble, self._written = "", float("-inf")

    def _note_halted(self, halted: frozenset[int]) -> None:
        report(
            [
                f"workflow {id} is halted: its due run is a dead letter"
                for id in sorted(halted - self._halted)
            ],
            "workflows are halted by dead letters",
        )
        self._halted = halted
