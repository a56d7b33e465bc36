"""redis-py's connections as we use them."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
import redis.exceptions as rex

from autometa_cli.jobs.queue import JobQueue


def test_a_cancellation_is_never_forgotten(redis_url: str) -> None:
    """At whatever point of a command it comes. What forgets it goes on for ever, and whoever waits for it, too."""

    async def scenario() -> int:
        forgotten = 0
        for _ in range(4):
            async with JobQueue(redis_url) as queue:  # a new one: cancelled commands use connections up

                async def work(queue: JobQueue = queue) -> None:
                    while True:
                        await queue.redis.get("x")

                for turns in range(40):
                    task = asyncio.create_task(work())
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    task.cancel()
                    done, _ = await asyncio.wait([task], timeout=1.0)
                    forgotten += not done
                    task.cancel()
        return forgotten

    assert asyncio.run(scenario()) == 0


def test_a_server_that_takes_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It accepts connections, and reads none of the bytes."""
    monkeypatch.setattr("autometa_cli.jobs.connection._TIMEOUT_SECONDS", 0.2)
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server.bind(("127.0.0.1", 0))
        server.listen()
        queue = JobQueue(f"redis://127.0.0.1:{server.getsockname()[1]}/0")

        async def scenario() -> None:
            with pytest.raises((rex.TimeoutError, rex.ConnectionError)):
                await queue.redis.set("x", b"x" * 50_000_000)
            await queue.connections.close()

        asyncio.run(asyncio.wait_for(scenario(), 30))
