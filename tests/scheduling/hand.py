"""A worker played by hand: takes jobs and closes them, as far as the scheduler can tell the difference."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from autometa_cli.chain.contracts import Registry
from autometa_cli.executor.head import final_block
from autometa_cli.executor.ledger import Ledger
from autometa_cli.executor.wanted import digest
from autometa_cli.jobs.claim import Claim, Sighting
from autometa_cli.jobs.job import parse_job
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.jobs.workers import new_worker_id
from tests.network import LiveNetwork


class Hand:
    """One registered worker."""

    def __init__(self, network: LiveNetwork, queue: JobQueue) -> None:
        self.network = network
        self.queue = queue
        self.id = new_worker_id()
        self._ledger = Ledger(queue, max_open_nonces=1024, max_retries=3, retry_delay=2.0)

    async def claim(self) -> Claim:
        """The next job."""
        (raw,) = await self.queue.take(self.id, 1)
        job = parse_job(raw)
        assert job.occurrence is not None
        *_, next_run, generation = job.occurrence.split(":")
        occurrence = Occurrence(
            self.network.info.chain_id,
            self.network.executor.lower(),
            job.workflow,
            int(next_run),
            int(generation),
        )
        async with self.network.rpc() as rpc:
            view = await rpc.view()
            workflow = await Registry(self.network.registry).get(view, job.workflow)
        seen = Sighting(view.block.number, False, digest(workflow))
        claim = await self.queue.adopt(self.id, job, occurrence, occurrence.key, seen)
        assert isinstance(claim, Claim), claim
        return claim

    async def close(self, to: str, delay: float = 0) -> str:
        """Take the next job and let it end as `skipped`, `dead` or `delayed`, at the final block; its key."""
        claim = await self.claim()
        async with self.network.rpc() as rpc:
            final = await final_block(await rpc.view(), None)
        answer = await self._ledger.release(
            claim,
            to,
            "by_hand",
            "closed by a test",
            sender=self.network.accounts["worker"].address,
            block=final.number,
            delay=delay,
        )
        assert answer.word == "ok", answer
        return claim.key


@asynccontextmanager
async def hand(network: LiveNetwork) -> AsyncIterator[Hand]:
    """A worker of one's own, with a queue of its own."""
    async with network.queue() as queue:
        played = Hand(network, queue)
        assert (await queue.workers.register(played.id, {"host": "test"})).word == "ok"
        yield played
