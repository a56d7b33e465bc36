"""Somebody put something else in the place of one run's record: that job is buried, and the others run."""

from __future__ import annotations

import asyncio

import pytest

from tests.network import LiveNetwork
from tests.working.stage import staged


@pytest.mark.parametrize("what", ["record", "workflow"])
def test_it_is_buried_and_the_others_run(network: LiveNetwork, what: str) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            ids = await stage.made(4)
            spoilt = await stage.workflow(ids[0])
            occurrence, keys = stage.occurrence(spoilt.id, spoilt.next_run), stage.queue.keys
            name = keys.occurrence(occurrence.key) if what == "record" else keys.workflow_of(occurrence.key)
            await stage.queue.redis.rpush(name, "no hash")
            jobs = [await stage.workflow(id) for id in ids]
            await stage.push(*({"workflowId": job.id, "nextRun": job.next_run} for job in jobs))
            async with stage.hired(burst=True) as hand:
                await hand.finished()
            await stage.queue.redis.delete(name)
            await stage.assert_executed_once(ids[1:])
            [letter] = [record for record in await stage.records() if record.state == "dead"]
            assert letter.reason == "unreadable"
            assert letter.claim is not None
            assert letter.claim.workflow == spoilt.id

            await stage.queue.push([letter.job])
            async with stage.hired(burst=True) as hand:
                await hand.finished()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())
