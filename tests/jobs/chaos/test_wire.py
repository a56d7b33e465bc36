"""Workers behind a wire that loses answers, delays, breaks and repeats: nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
import redis

from autometa_cli.devnet.process import HOST
from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.jobs.keys import Keys
from tests.jobs.chaos.hand import Hand
from tests.jobs.chaos.harness import enqueue
from tests.jobs.chaos.wire import BadWire

# Three seconds on an idle machine. On a busy one silent workers are buried, and what they held waits its turn.
_PATIENCE_SECONDS = 180.0


async def _drain(server: ValkeyProcess, log: Path, jobs: int, seed: int, hands: int = 3) -> Counter[str]:
    """Let workers drain the queue over a bad wire, and count; what the wire did."""
    wanted, keys = await enqueue(server.url, jobs), Keys()
    loop = asyncio.get_running_loop()
    with redis.Redis.from_url(server.url, protocol=2) as client:
        async with BadWire(server.port, seed) as wire:
            crew = [Hand(f"redis://{HOST}:{wire.port}/0", log, work=0.005) for _ in range(hands)]
            tasks = [asyncio.create_task(hand.run()) for hand in crew]
            until = loop.time() + _PATIENCE_SECONDS
            while client.xlen(keys.history) < jobs:
                assert loop.time() < until, (
                    f"seed {seed}: {client.xlen(keys.history)} of {jobs}; {wire.mischief}"
                )
                await asyncio.sleep(0.02)
            wire.bad = False
            for hand in crew:
                hand.stopping = True
            await asyncio.wait_for(asyncio.gather(*tasks), _PATIENCE_SECONDS)
        closed = Counter(fields[b"key"].decode() for _, fields in client.xrange(keys.history))
        assert set(closed) == wanted, f"seed {seed}"
        assert set(closed.values()) == {1}, f"seed {seed}: {closed.most_common(3)}"
        assert client.llen(keys.pending) == 0
    return wire.mischief


@pytest.mark.timeout(400)
def test_a_bad_wire_loses_and_repeats_nothing(
    redis_url: str, redis_server: ValkeyProcess, tmp_path: Path
) -> None:
    mischief = asyncio.run(_drain(redis_server, tmp_path / "acks.log", jobs=150, seed=7))
    assert min(mischief[each] for each in ("lost answer", "cut", "twice", "delay")) > 0


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_bad_wire_ten_times(redis_server: ValkeyProcess, tmp_path: Path) -> None:
    for seed in range(10):
        with redis.Redis.from_url(redis_server.url) as client:
            client.flushall()
        asyncio.run(_drain(redis_server, tmp_path / f"acks{seed}.log", jobs=400, seed=seed))
