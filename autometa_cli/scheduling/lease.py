"""Who leads: of all schedulers of a queue one enqueues, the others keep their mirrors warm and wait.

The lease is a convenience, not what keeps an occurrence from running twice (enqueueing does that by itself): it saves
requests, and its token lets the script refuse a leader that was deposed without noticing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import redis.exceptions as rex

from autometa_cli.errors import AutometaError

if TYPE_CHECKING:
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.script import Answer

_log = logging.getLogger(__name__)

#: A leader that does not renew for this long may be replaced, seconds.
LEASE_SECONDS = 6.0
#: From one renewal to the next.
RENEW_SECONDS = 2.0
#: How often a standby asks.
ASK_SECONDS = 0.5


class Lease:
    """One scheduler's claim to lead.

    Attributes:
        holder: how this scheduler is called, of its own and for people.
        token: proves to `enqueue` that it leads; "" while it does not.
        other: who leads instead, as far as known; "" while it leads.
        changed: set when it begins or ceases to lead; whoever waits clears it.
    """

    def __init__(self, queue: JobQueue, *, seconds: float = LEASE_SECONDS) -> None:
        self._queue = queue
        self._seconds = seconds
        self._renewed = float("-inf")
        self._asked = False
        self.holder = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"
        self.token = ""
        self.other = ""
        self.changed = asyncio.Event()

    @property
    def leads(self) -> bool:
        """Whether it holds the lease as far as it can know; the script has the last word."""
        return bool(self.token)

    async def hold(self) -> bool:
        """Take or renew the lease; whether it leads now. Raises redis.exceptions.RedisError and OSError."""
        asked = asyncio.get_running_loop().time()
        self._asked = True
        answer = await self._call("take")
        if answer.word == "held":
            self._set("", answer.rest[0])
        else:
            self._renewed = asked
            self._set(answer.rest[0], "")
        return self.leads

    def deposed(self) -> None:
        """The script says that another leads."""
        self._set("", "another scheduler")

    async def leave(self) -> None:
        """Let a standby take over at once. Without Redis the lease lapses by itself."""
        if not self.token:
            return
        self.token = ""
        with suppress(rex.RedisError, OSError, AutometaError):
            async with asyncio.timeout(2.0):
                await self._call("leave")

    async def keep(self) -> None:
        """Renew, or ask again and again, until cancelled. Who never could `hold` it in a pass is not fit to lead:
        its queue may be that of others."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(RENEW_SECONDS, self._seconds / 3) if self.leads else ASK_SECONDS)
            if not self._asked:
                continue
            try:
                await self.hold()
            except (rex.RedisError, OSError, AutometaError) as error:
                _log.debug("the lease cannot be renewed: %s", error)
                if self.leads and loop.time() - self._renewed > self._seconds:
                    self._set("", "")

    def _set(self, token: str, other: str) -> None:
        if token != self.token:
            if token:
                _log.info("leading (%s)", token)
            elif self.token:
                _log.warning("not leading any more; standing by%s", f" for {other}" if other else "")
            self.changed.set()
        if other and other != self.other and not self.token:
            _log.info("standing by: %s leads", other)
        self.token, self.other = token, other

    async def _call(self, what: str) -> Answer:
        queue = self._queue
        keys = [queue.keys.epoch, queue.keys.leader]
        return await queue.scripts.call("lead", keys, [what, self.holder, int(self._seconds * 1000)])
