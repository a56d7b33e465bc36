"""What an occurrence costs in Redis, open and settled: the bounds that docs/redis-keys.md states."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from tests.network import LiveNetwork
from tests.working.stage import Stage, no_mining, staged

PAGE = Path(__file__).parents[2] / "docs" / "redis-keys.md"
MANY = 50


def _stated(what: str) -> int:
    """Bytes, from the page's table."""
    found = re.search(rf"^\| {what} \|.*\| ([\d,]+) \|$", PAGE.read_text(), re.MULTILINE)
    assert found, f"docs/redis-keys.md does not say what {what} takes"
    return int(found[1].replace(",", ""))


async def _bytes(stage: Stage) -> int:
    """Of everything that the queue has in Redis, apart from what workers say of themselves."""
    redis, total = stage.queue.redis, 0
    async for name in redis.scan_iter(match="*workflow_jobs*"):
        if b":worker" not in name:
            total += await redis.memory_usage(name, samples=0) or 0
    return total


def test_an_occurrence_takes_no_more_than_is_stated(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network, BUMP_AFTER="2") as stage:
            ids = await stage.made(MANY)
            start = await _bytes(stage)
            await stage.enqueue(*ids)
            queued = await _bytes(stage)
            async with stage.hired(rebroadcast_after=0.2) as hand, no_mining(network):
                await stage.until(lambda: len(stage.pool()) == MANY, "all to be sent")
                sent = await _bytes(stage)
                await stage.until(lambda: _attempts(stage, 2), "all to be raised")
                raised = await _bytes(stage)
                await asyncio.to_thread(network.anvil.mine)
                await stage.until(stage.settled(ids), "all to be settled")
                await hand.leave()
            measured = {
                "queued": queued - start,
                "on its way": sent - start,
                "each raise of its fee": raised - sent,
                "settled": await _bytes(stage) - start,
            }
            for what, total in measured.items():
                stated = _stated(what)
                assert stated / 3 < total / MANY < stated, (
                    f"{what}: {total / MANY:.0f} bytes, stated {stated}"
                )

    asyncio.run(scenario())


async def _attempts(stage: Stage, count: int) -> bool:
    return {len(record.attempts_sent) for record in await stage.records()} == {count}
