"""Redis and a worker die together. What that worker alone remembered must not be declared whole by the others."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import redis

from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.jobs.claim import Claim, Sighting
from autometa_cli.jobs.epoch import LedgerInDoubt
from autometa_cli.jobs.job import parse_job
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.jobs.queue import JobQueue

RAW = b'{"workflowId":1,"nextRun":100}'
SEEN = Sighting(10, True, "d")


@pytest.fixture
def server(tmp_path: Path) -> ValkeyProcess:
    return ValkeyProcess(tmp_path / "valkey", fsync="always")


def test_burying_the_only_witness_proves_nothing(server: ValkeyProcess) -> None:
    """Ann's last writes are lost with Redis, and Ann with them. Bob buries her, and nobody is left to ask."""

    async def scenario() -> None:
        ann, bob = JobQueue(server.url), JobQueue(server.url)
        try:
            for queue, name in ((ann, "ann"), (bob, "bob")):
                await queue.__aenter__()
                await queue.join()
                assert (await queue.workers.register(name, {})).word == "ok"
            assert (await ann.enqueue(Occurrence(1287, "0xee", 1, 100), RAW, SEEN)).word == "ok"
            (raw,) = await ann.take("ann", 1)
            job = parse_job(raw)
            claim = await ann.adopt("ann", job, Occurrence(1287, "0xee", 1, 100), "x", SEEN)
            assert isinstance(claim, Claim)
            with redis.Redis.from_url(server.url) as client:  # what Ann did next is not on the disk
                client.hincrby("{workflow_jobs}:epoch", "seq", -1)
            server.kill()
            server.start()
            with pytest.raises(LedgerInDoubt, match="not heard: ann"):
                await bob.rejoin("bob")
            await bob.workers.reap("bob", dead_after=0.0)
            with pytest.raises(LedgerInDoubt, match="not heard: ann"):
                await bob.join("bob")
        finally:
            for queue in (ann, bob):
                await queue.connections.close()

    server.start()
    try:
        asyncio.run(scenario())
    finally:
        server.stop()
