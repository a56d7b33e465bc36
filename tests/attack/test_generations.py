"""An element that names a generation nobody opened must not stay in a worker's hands for ever, unseen."""

from __future__ import annotations

import asyncio

from tests.network import LiveNetwork
from tests.working.stage import staged


def test_a_generation_out_of_nowhere_is_got_rid_of(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.made(1, interval=3600)
            key = stage.occurrence(id, 5, 7).key  # the chain's nextRun is another
            await stage.push({"workflowId": id, "nextRun": 5, "occurrence": key})
            async with stage.hired() as hand:

                async def gone() -> bool:
                    if await stage.queue.length():
                        return False
                    return not await stage.queue.held(hand.worker.id)

                await stage.until(lambda: hand.worker.house.in_order, "it to be ready")
                await stage.until(gone, "the element to be gone", 12.0)

    asyncio.run(scenario())
