"""How soon another worker holds what a dead one held."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.jobs.job import open_envelope
from autometa_cli.jobs.keys import Keys
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.jobs.workers import DEAD_AFTER_SECONDS
from tests.jobs.chaos.harness import ROOT, enqueue, wait_until
from tests.jobs.desk import Desk

JOBS = 3


def _hand(server: ValkeyProcess, directory: Path, dead_after: float) -> subprocess.Popen[bytes]:
    """A worker process whose jobs take a minute."""
    code = (
        "import asyncio, sys, pathlib; from tests.jobs.chaos.hand import Hand;"
        "asyncio.run(Hand(sys.argv[1], pathlib.Path(sys.argv[2]), work=60, dead_after=float(sys.argv[3])).run())"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, server.url, str(directory / "acks.log"), str(dead_after)], cwd=ROOT
    )


def _seconds_until_another_holds(server: ValkeyProcess, directory: Path, dead_after: float) -> float:
    """Kill a worker that holds jobs while others are idle; seconds until these hold them all."""
    keys = Keys()
    hands: list[subprocess.Popen[bytes]] = []
    with redis.Redis.from_url(server.url, protocol=2) as client:

        def holders() -> list[str]:
            found = []
            for name in client.zrange(keys.workers, 0, -1):
                elements = client.lrange(keys.inflight(name.decode()), 0, -1)
                found += [name.decode() for each in elements if open_envelope(each)]
            return found

        try:
            asyncio.run(enqueue(server.url, JOBS))
            hands.append(_hand(server, directory, dead_after))
            wait_until(lambda: len(holders()) == JOBS, lambda: "nobody took the jobs")
            (dead,) = set(holders())
            hands += [
                _hand(server, directory, dead_after) for _ in range(JOBS)
            ]  # each takes what it can at once
            wait_until(lambda: client.zcard(keys.workers) == len(hands), lambda: "somebody is missing")
            hands[0].send_signal(signal.SIGKILL)
            killed = time.monotonic()
            wait_until(
                lambda: len(holders()) == JOBS and dead not in holders(), lambda: f"held by {holders()}"
            )
            return time.monotonic() - killed
        finally:
            for hand in hands:
                hand.kill()
                hand.wait(10)


def test_a_dead_workers_jobs_are_held_by_another(
    redis_url: str, redis_server: ValkeyProcess, tmp_path: Path
) -> None:
    assert _seconds_until_another_holds(redis_server, tmp_path, 1.0)


@pytest.mark.soak
def test_within_fifteen_seconds_by_default(
    redis_url: str, redis_server: ValkeyProcess, tmp_path: Path
) -> None:
    assert _seconds_until_another_holds(redis_server, tmp_path, DEAD_AFTER_SECONDS) < 15


@pytest.mark.soak  # it asks how soon, of an idle machine
def test_within_a_second_of_the_reapers_turn(valkey_desk: Desk) -> None:
    """A hundred jobs of a worker that is dead by now: from the reaper's turn to another's claim."""
    desk = valkey_desk
    desk.worker("dead")
    for number in range(100):
        desk.claim("dead", workflow=number + 1)
    desk.silence("dead")
    desk.worker("heir")

    async def scenario(queue: JobQueue) -> int:
        assert await queue.workers.reap("heir") == 100
        return len(await queue.take("heir", 200))

    started = time.monotonic()
    assert desk.do(scenario(desk.queue)) == 100
    assert time.monotonic() - started < 1
