"""What keeps a mirror right and quick to start: a slow comparison with the chain, and a copy in Redis."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
from typing import TYPE_CHECKING

import redis.exceptions as rex

from autometa_cli.chain.faults import RpcFault
from autometa_cli.errors import ConfigError, RpcUnreachable
from autometa_cli.scheduling.reading import CHUNK
from autometa_cli.scheduling.snapshots import Snapshots

if TYPE_CHECKING:
    from autometa_cli.chain.view import View
    from autometa_cli.config import Settings
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.scheduling.mirror import Mirror

_log = logging.getLogger(__name__)

#: The mirror is kept in Redis this often while it changes, seconds; more rarely where that takes long.
KEEP_SECONDS = 60.0
#: Workflows that came since the garbage collector was last told to leave them alone.
_SETTLE = 10_000


class Upkeep:
    """Looks after the mirror of one scheduler."""

    def __init__(self, settings: Settings, queue: JobQueue, mirror: Mirror) -> None:
        self._mirror = mirror
        self._interval = settings.resync_interval
        key = queue.keys.mirror(settings.chain_id, settings.registry_address or "")
        self._snapshots = Snapshots(queue, key)
        self._resumed = False
        self._compared: float | None = None
        self._kept_version = -1
        self._settled = 0
        self._keep_at = 0.0

    async def resume(self) -> None:
        """Once, at the start: go on from the mirror that a scheduler kept. Raises redis.exceptions.RedisError."""
        if self._resumed:
            return
        snapshot = await self._snapshots.load()
        self._resumed = True
        if snapshot is not None and not self._mirror.trail:
            self._mirror.resume(snapshot)
            self._kept_version = self._mirror.version
            _log.info("resuming from block %d with %d workflows", snapshot.number, len(snapshot.workflows))

    async def after_pass(self, view: View | None, *, leading: bool) -> None:
        """Compare what is its turn by now, and keep the mirror where that is due. Raises nothing of chain or Redis.

        Args:
            view: of the pass.
        """
        self.settle()
        if view is not None:
            await self._compare(view)
        if leading and asyncio.get_running_loop().time() >= self._keep_at:
            await self.keep()

    def settle(self) -> None:
        """Spare the garbage collector what will stay: walking 100,000 workflows takes it longer than a pass."""
        if len(self._mirror.workflows) >= self._settled + _SETTLE:
            self._settled = len(self._mirror.workflows)
            gc.collect()
            gc.freeze()

    async def keep(self) -> None:
        """Keep the mirror in Redis, where it changed, for the next start. Raises nothing of Redis."""
        loop, mirror = asyncio.get_running_loop(), self._mirror
        started = loop.time()
        if mirror.block is None or mirror.version == self._kept_version:
            return
        try:
            size = await self._snapshots.save(mirror)
        except (rex.RedisError, OSError) as error:
            _log.debug("the mirror is not kept: %s", error)
        else:
            self._kept_version = mirror.version
            _log.debug("kept %d workflows in %d bytes", len(mirror.workflows), size)
        self._keep_at = loop.time() + max(KEEP_SECONDS, 20 * (loop.time() - started))

    async def _compare(self, view: View) -> None:
        now = asyncio.get_running_loop().time()
        since = now if self._compared is None else self._compared
        self._compared = now
        count = min(CHUNK, math.ceil(self._mirror.total * (now - since) / self._interval))
        if count < 1:
            return
        try:
            wrong = await self._mirror.compare(view, count)
        except (RpcUnreachable, RpcFault, ConfigError) as error:
            _log.debug("the comparison goes on later: %s", error.message)
            self._compared = since
            return
        if wrong:
            _log.warning(
                "the registry differed from its mirror in %d workflows, which were corrected: %s",
                len(wrong), ", ".join(map(str, wrong[:20])),
            )  # fmt: skip
