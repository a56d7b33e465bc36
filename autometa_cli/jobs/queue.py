"""The queue: everything that is done with one, in one class. What a claim costs and guarantees is in docs/queue.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autometa_cli.jobs import epoch, server
from autometa_cli.jobs.barrier import Barrier
from autometa_cli.jobs.claim import Claims
from autometa_cli.jobs.enqueue import OnceOnly
from autometa_cli.jobs.pause import Pauses
from autometa_cli.jobs.pending import PendingList
from autometa_cli.jobs.served import Served
from autometa_cli.jobs.transfers import Transfers
from autometa_cli.jobs.waiting import Waiting

if TYPE_CHECKING:
    from autometa_cli.config import Settings


class JobQueue(PendingList, Pauses, OnceOnly, Claims, Waiting, Served):
    """One queue in one Redis.

    Args:
        url: see `jobs.address`.
        name: of the pending list.
        min_replicas: that must have a signed transaction before it is sent (`barrier`).
        lossy_allowed: work even on a server that throws keys away.

    Example:
        >>> async with JobQueue("redis://localhost:6379/0") as queue:
        ...     await queue.length()
    """

    def __init__(
        self, url: str, name: str = "workflow_jobs", *, min_replicas: int = 0, lossy_allowed: bool = False
    ) -> None:
        super().__init__(url, name)
        self.barrier = Barrier(self.redis, self.keys, min_replicas)
        self._lossy_allowed = lossy_allowed
        self._examined = ""
        self.transfers = Transfers(self.keys, self.scripts)

    @classmethod
    def of(cls, settings: Settings) -> JobQueue:
        """The queue that the configuration names."""
        return cls(
            settings.redis_url,
            settings.queue_name,
            min_replicas=settings.redis_min_replicas,
            lossy_allowed=settings.allow_lossy_redis,
        )

    async def __aenter__(self) -> JobQueue:
        await self.connections.connect()
        self.scripts.run = self.connections.run
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        try:
            if isinstance(error, Exception) and (named := await self.named(error)) is not error:
                raise named from None
        finally:
            await self.connections.close()

    async def join(self, worker: str = "", *, address: str = "") -> None:
        """Check that the ledger belongs to this Redis process (see `jobs.epoch`), and that it is fit for one.

        Args:
            worker: the caller's id, where it is registered and goes on.
            address: of the key that the caller sends with, where it does.

        Raises:
            ConfigError: it is not (`jobs.server`).
            LedgerInDoubt: writes may be lost.
        """
        if self._examined != self.connections.run:
            findings = await server.examine(
                self.redis, min_replicas=self.barrier.needed, failover=self.connections.failover
            )
            server.judge(findings, lossy_allowed=self._lossy_allowed)
            self._examined = self.connections.run
        await epoch.join(self.redis, self.keys, self.scripts, worker, address)

    async def rejoin(self, worker: str) -> None:
        """After RunChanged: meet the new process, and prove that nothing is missing."""
        await self.reconnect()
        await self.join(worker)

    async def reconnect(self) -> None:
        """Meet whatever Redis process answers now."""
        await self.connections.reconnect()
        self.scripts.run = self.connections.run
