"""A run that was closed, lost, delayed or buried: when its occurrence comes on the list again, and when not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autometa_cli.jobs.waiting import LOST_AFTER_MS
from tests.chain.loopback import Gateway
from tests.network import LiveNetwork
from tests.scheduling.hand import hand
from tests.scheduling.passes import each_once, pending, run, scheduler


class Lagging(Gateway):
    """The chain as it was at a block, which it takes for the newest and for the final one."""

    def __init__(self, upstream: str, block: int) -> None:
        super().__init__(upstream)
        self.block = block

    async def _forward(self, body: Any) -> Any:
        for call in body if isinstance(body, list) else [body]:
            if call["method"] == "eth_getBlockByNumber":
                call["params"][0] = hex(self.block)
        return await super()._forward(body)


def test_a_next_run_that_comes_back_opens_a_generation_when_it_is_final(network: LiveNetwork) -> None:
    async def scenario() -> None:
        due = network.now() - 100
        id = await network.create_workflow(next_run=due)
        async with scheduler(network) as one, hand(network) as worker:
            assert (await one.run_once()).labels == (f"{id}@{due}",)
            await network.set_workflow(id, True, due + 50_000)  # executed …
            network.finalize()
            await worker.close("skipped")  # … and closed
            assert (await one.run_once()).due == 0

            await network.update(id, next_run=due)  # the owner wants that very run again
            seen = await one.run_once()
            assert (seen.due, seen.enqueued, seen.waiting) == (1, 0, 1)
            assert await pending(network) == []

            network.finalize()
            assert (await one.run_once()).labels == (f"{id}@{due}+1",)
            again = await one.run_once()
            assert (again.enqueued, again.already) == (0, 1)
            (job,) = await pending(network)
            assert job["occurrence"].endswith(f":{due}:1")

    run(scenario())


def test_an_endpoint_that_lags_behind_the_settlement_queues_nothing(network: LiveNetwork) -> None:
    async def scenario() -> None:
        due = network.now() - 100
        id = await network.create_workflow(next_run=due)
        network.finalize()
        behind = network.anvil.block_number()
        async with scheduler(network) as one, hand(network) as worker:
            await one.run_once()
            await network.set_workflow(id, True, due + 50_000)
            network.finalize()
            await worker.close("skipped")

        async with Lagging(network.rpc_url, behind) as gateway, scheduler(network, gateway.url) as misled:
            done = await misled.run_once()
        assert (done.block, done.due, done.enqueued, done.waiting) == (behind, 1, 0, 1)
        assert await pending(network) == []

    run(scenario())


def test_a_dead_letter_halts_its_workflow_until_the_chain_says_otherwise(
    network: LiveNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        due = network.now() - 100
        id = await network.create_workflow(next_run=due)
        other = await network.create_workflow(next_run=due)
        network.finalize()
        async with scheduler(network) as one, hand(network) as worker:
            await one.run_once()
            await worker.close("dead")
            for _ in range(3):
                done = await one.run_once()
                assert (done.due, done.enqueued, done.already, done.halted) == (2, 0, 1, (id,))

            await network.update(id, action_data=b"\x01" + bytes(64))
            assert (await one.run_once()).halted == (id,)  # not final yet
            network.finalize()
            done = await one.run_once()
            assert (done.labels, done.halted) == ((f"{id}@{due}+1",), ())
        await each_once(network, [other, id])

    run(scenario())


def test_an_element_that_somebody_took_is_pushed_again(network: LiveNetwork) -> None:
    async def scenario() -> None:
        ids = await network.create_workflows(3)
        async with scheduler(network) as one, network.queue() as queue:
            await one.run_once()
            stolen = json.loads(await queue.redis.lpop(queue.keys.pending))
            for key in await queue.redis.zrange(queue.keys.queued, 0, -1):
                await queue.redis.zincrby(queue.keys.queued, -LOST_AFTER_MS - 1000, key)

            done = await one.run_once()
            assert (done.requeued, done.enqueued) == (1, 0)
            assert (await pending(network))[-1]["workflowId"] == stolen["workflowId"]
            assert (await one.run_once()).requeued == 0
        await each_once(network, ids)

    run(scenario())


def test_a_delayed_job_whose_time_came_is_put_on_the_list(network: LiveNetwork) -> None:
    async def scenario() -> None:
        id = await network.create_workflow()
        async with scheduler(network) as one, hand(network) as worker:
            await one.run_once()
            await worker.close("delayed", delay=0)
            done = await one.run_once()
            assert (done.promoted, done.already) == (1, 1)
        await each_once(network, [id])

    run(scenario())
