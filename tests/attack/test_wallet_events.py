"""A transfer that a run was queued for is not lost because somebody pushed the same run by hand."""

from __future__ import annotations

import asyncio
from typing import Any

from autometa_cli.chain.contracts import Registry
from autometa_cli.executor.decision import WhyNot
from autometa_cli.executor.wanted import digest
from autometa_cli.jobs.claim import Sighting
from autometa_cli.jobs.job import job_json
from tests.network import LiveNetwork
from tests.working.stage import staged

TX = "0x" + "ab" * 32
DOCUMENT = {"tx": TX, "ordinal": 0, "block": 1, "count": 1}


class OnlyWithItsTransfer:
    """A trigger that holds for one transfer."""

    async def recheck(self, workflow: Any, view: Any, final: Any, now: int, event: Any) -> WhyNot | None:
        named = isinstance(event, dict) and (event.get("tx"), event.get("ordinal")) == (TX, 0)
        return None if named else WhyNot("ceased", "the job names no transfer that it runs for")


def test_a_copy_pushed_by_hand_does_not_use_up_the_transfer(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.made(1, interval=3600)
            view = await stage.rpc.view()
            workflow = await Registry(network.registry).get(view, id)
            assert workflow is not None
            await stage.push(job_json(workflow, id="byhand"))  # autometa queue push --workflow
            keys = stage.queue.keys
            chain, executor = network.info.chain_id, network.executor.lower()
            await stage.queue.redis.hset(keys.events(chain, executor), str(id), f"{TX}:0:1:1")
            answer = await stage.queue.enqueue(
                stage.occurrence(id, workflow.next_run),
                job_json(workflow, event=DOCUMENT),
                Sighting(view.block.number, False, digest(workflow)),
                event=(f"{TX}:0:1:1", f"{TX}:0"),
            )
            assert answer.word == "ok"
            async with stage.hired(burst=True, concurrency=1, triggers=OnlyWithItsTransfer()) as hand:
                await hand.finished()
            await stage.assert_executed_once([id])

    asyncio.run(scenario())
