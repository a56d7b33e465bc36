"""The scheduler on a real chain and a real Redis: what is due is queued, each occurrence once, whatever happens."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autometa_cli.chain.encodings import PriceTrigger, WalletTrigger, encode_trigger
from autometa_cli.chain.rpc import Rpc
from autometa_cli.devnet import anvil_binary
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.errors import ConfigError, RedisUnreachable, RpcUnreachable
from autometa_cli.jobs.epoch import LedgerInDoubt
from autometa_cli.jobs.queue import LOST_AFTER_MS, JobQueue
from autometa_cli.scheduler import Scheduler
from autometa_cli.scheduling.passes import Pass
from tests.chain.loopback import Gateway, bad
from tests.network import LiveNetwork
from tests.scheduling.hand import hand


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 120))


@asynccontextmanager
async def scheduler(network: LiveNetwork, *urls: str, **settings: str) -> AsyncIterator[Scheduler]:
    """One of its own: own connections, own memory."""
    async with AsyncExitStack() as stack:
        rpc = await stack.enter_async_context(
            Rpc(urls or [network.rpc_url], chain_id=network.info.chain_id, timeout=5.0)
        )
        queue = JobQueue(network.redis_url)
        stack.push_async_callback(queue.connections.close)
        yield Scheduler(network.settings(**settings), queue, rpc)


async def one_pass(network: LiveNetwork, **settings: str) -> Pass:
    async with scheduler(network, **settings) as one:
        return await one.run_once()


async def pending(network: LiveNetwork) -> list[dict[str, Any]]:
    """The jobs on the list, in order."""
    async with network.queue() as queue:
        return [json.loads(raw) for raw in await queue.peek(100_000)]


async def each_once(network: LiveNetwork, ids: list[int]) -> None:
    """Exactly one job for each of these workflows is on the list, and no other."""
    jobs = await pending(network)
    assert Counter(job["workflowId"] for job in jobs) == Counter(ids)
    assert len({job["occurrence"] for job in jobs}) == len(ids)


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


# -- what is due --------------------------------------------------------------------------------------


def test_two_hundred_due_workflows_are_queued_once(network: LiveNetwork) -> None:
    async def scenario() -> None:
        ids = await network.create_workflows(200)
        async with scheduler(network) as one:
            first = await one.run_once()
            assert (first.workflows, first.active, first.due, first.enqueued) == (200, 200, 200, 200)
            assert len(first.labels) == 200
            second = await one.run_once()
            assert (second.due, second.enqueued, second.already, second.labels) == (200, 0, 200, ())
        # One that remembers nothing finds out, too.
        assert (await one_pass(network)).enqueued == 0
        await each_once(network, ids)

    run(scenario())


def test_an_outage_of_the_workers_puts_no_duplicate_on_the_list(network: LiveNetwork) -> None:
    async def scenario() -> None:
        ids = await network.create_workflows(50)
        async with scheduler(network) as one:
            for _ in range(60):
                await one.run_once()
        await each_once(network, ids)

    run(scenario())


def test_schedulers_side_by_side_queue_each_occurrence_once(network: LiveNetwork) -> None:
    async def scenario() -> None:
        ids = await network.create_workflows(200)
        async with scheduler(network) as one, scheduler(network) as other, scheduler(network) as third:
            done = await asyncio.gather(*(each.run_once() for each in (one, other, third)))
        assert sum(each.enqueued for each in done) == 200
        assert sum(each.already for each in done) == 400
        await each_once(network, ids)

    run(scenario())


def test_the_payload_is_what_the_chain_says(network: LiveNetwork) -> None:
    async def scenario() -> None:
        id = await network.create_workflow(next_run=1234, interval=77, gas_budget=2**70)
        done = await one_pass(network)
        assert done.labels == (f"{id}@1234",)
        (job,) = await pending(network)
        assert job == {
            "occurrence": f"1287:{network.executor.lower()}:{id}:1234:0",
            "workflowId": id,
            "owner": network.accounts["owner"].address,
            "triggerType": 1,
            "actionType": 1,
            "actionData": job["actionData"],
            "nextRun": 1234,
            "gasBudget": 2**70,
            "interval": 77,
            "retryCount": 0,
        }
        workflow = await network.workflow(id)
        assert workflow is not None
        assert bytes.fromhex(job["actionData"]) == workflow.action_data

    run(scenario())


def test_only_what_is_active_and_due_is_queued(network: LiveNetwork) -> None:
    async def scenario() -> None:
        later = network.now() + 10_000
        due, paused, deleted, future, zero = await network.create_workflows(5, next_run=100)
        await network.pause(paused)
        await network.delete(deleted)
        await network.update(future, next_run=later)
        await network.update(zero, next_run=0)

        async with scheduler(network) as one:
            done = await one.run_once()
            assert (done.workflows, done.active, done.due, done.enqueued) == (4, 3, 2, 2)
            assert done.labels == (f"{zero}@0", f"{due}@100")  # earliest first
            assert done.next_due == later

            await network.resume(paused, 500)
            assert (await one.run_once()).labels == (f"{paused}@500",)
        await each_once(network, [due, zero, paused])

    run(scenario())


def test_triggers_that_cannot_be_evaluated_are_told_once_and_counted(
    network: LiveNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        price = encode_trigger(PriceTrigger("DOT", ">", 10**18))
        wallet = encode_trigger(WalletTrigger("incoming"))
        await network.create_workflow(trigger_type=2, trigger_data=price)
        await network.create_workflow(trigger_type=3, trigger_data=wallet)
        await network.create_workflow(trigger_type=2, trigger_data=b"garbage")
        await network.create_workflow(trigger_type=77)
        odd_time = await network.create_workflow(trigger_type=1, trigger_data=b"garbage")

        async with scheduler(network) as one:
            for _ in range(3):
                done = await one.run_once()
                assert (done.due, done.unsupported, done.unreadable) == (1, 1, 3)
        await each_once(network, [odd_time])
        told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(told) == 4
        assert sum("it is executed all the same" in line for line in told) == 1

    run(scenario())


# -- once, and once more ------------------------------------------------------------------------------


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


# -- what was lost, what was delayed ------------------------------------------------------------------


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


# -- trouble ------------------------------------------------------------------------------------------


def test_a_chain_that_fails_in_the_middle_costs_nothing(network: LiveNetwork) -> None:
    async def scenario() -> None:
        ids = await network.create_workflows(300)
        allowed = 0

        def cut(body: Any, answer: Any) -> Any:
            nonlocal allowed
            allowed -= 1
            return answer if allowed >= 0 else None

        async with Gateway(network.rpc_url, cut) as gateway, scheduler(network, gateway.url) as one:
            failures, done = 0, None
            while done is None:
                allowed = failures  # answers, before the chain falls silent
                try:
                    done = await one.run_once()
                except RpcUnreachable:
                    failures += 1
                    assert await pending(network) == []
            assert failures >= 5
            assert done.enqueued == 300
        await each_once(network, ids)

    run(scenario())


def test_a_second_endpoint_takes_over_in_the_same_pass(network: LiveNetwork) -> None:
    async def scenario() -> None:
        ids = await network.create_workflows(300)
        allowed = 4

        def cut(body: Any, answer: Any) -> Any:
            nonlocal allowed
            allowed -= 1
            return answer if allowed >= 0 else None

        async with (
            Gateway(network.rpc_url, cut) as gateway,
            scheduler(network, gateway.url, network.rpc_url) as one,
        ):
            assert (await one.run_once()).enqueued == 300
        assert allowed < 0
        await each_once(network, ids)

    run(scenario())


def test_one_workflow_that_cannot_be_read_stops_no_other(network: LiveNetwork) -> None:
    async def scenario() -> None:
        ids = await network.create_workflows(5)
        poisoned = hex(ids[2])[2:].rjust(64, "0")

        def refuse(body: Any, answer: Any) -> Any:
            calls, answers = (body, answer) if isinstance(body, list) else ([body], [answer])
            shown = [
                bad(call, -32000, "out of gas: gas required exceeds allowance")
                if call["method"] == "eth_call" and call["params"][0]["data"].endswith(poisoned)
                else each
                for call, each in zip(calls, answers, strict=True)
            ]
            return shown if isinstance(body, list) else shown[0]

        async with Gateway(network.rpc_url, refuse) as gateway, scheduler(network, gateway.url) as one:
            done = await one.run_once()
        assert (done.workflows, done.enqueued, done.unreadable) == (4, 4, 1)
        await each_once(network, [id for id in ids if id != ids[2]])

    run(scenario())


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[ValkeyProcess]:
    """A server that may be killed."""
    server = ValkeyProcess(tmp_path / "valkey", fsync="always")
    server.start()
    yield server
    server.stop()


def test_a_redis_that_restarts_in_the_middle_costs_nothing(
    network: LiveNetwork, own_redis: ValkeyProcess
) -> None:
    there = LiveNetwork(network.anvil, replace(network.info, redis_url=own_redis.url))

    async def scenario() -> None:
        ids = await there.create_workflows(1000)
        async with scheduler(there) as one:
            under_way = asyncio.create_task(one.run_once())
            async with there.queue() as queue:
                deadline = asyncio.get_running_loop().time() + 20
                while await queue.length() == 0:
                    assert asyncio.get_running_loop().time() < deadline
            own_redis.kill()
            with pytest.raises(RedisUnreachable):
                await under_way
            with pytest.raises(RedisUnreachable):
                await one.run_once()
            own_redis.start()
            done = await one.run_once()
            assert done.due == 1000
            assert 0 < done.enqueued < 1000
            assert (await one.run_once()).enqueued == 0
        await each_once(there, ids)

    run(scenario())


def test_writes_that_only_the_scheduler_remembers_void_the_ledger(
    network: LiveNetwork, own_redis: ValkeyProcess
) -> None:
    there = LiveNetwork(network.anvil, replace(network.info, redis_url=own_redis.url))

    async def scenario() -> None:
        ids = await there.create_workflows(2)
        async with scheduler(there) as one, there.queue() as queue:
            assert (await one.run_once()).enqueued == 2
            await queue.connections.close()
            own_redis.kill()
            shutil.rmtree(own_redis.data)
            own_redis.start()
            for message in ("forgot writes", "workers are recovering"):
                with pytest.raises(LedgerInDoubt, match=message):
                    await one.run_once()
            await queue.reconnect()
            assert await queue.length() == 0
            # What a worker does when it has used up its key's open nonces.
            answer = await queue.scripts.call("recovery_end", [queue.keys.epoch, queue.keys.seen], [])
            assert answer.word == "ok"
            assert (await one.run_once()).enqueued == 2
        await each_once(there, ids)

    run(scenario())


def test_nothing_is_queued_while_the_clocks_disagree(
    redis_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chain = AnvilProcess(tmp_path / "anvil", anvil_binary.find(), block_time=None)
    chain.start()
    try:
        network = LiveNetwork.on(chain, redis_url)

        async def scenario() -> None:
            id = await network.create_workflow(next_run=network.now() + 300)
            await network.create_workflow()
            network.pass_time(600)
            public = await one_pass(network, NETWORK="moonbase")
            assert (public.due, public.enqueued) == (0, 0)
            assert "ahead of Redis's clock" in public.trouble
            # A chain of one's own may live in the future: its clock is the later one.
            local = await one_pass(network)
            assert (local.due, local.enqueued, local.trouble) == (2, 2, "")
            assert local.labels[1].startswith(f"{id}@")

        run(scenario())
    finally:
        chain.stop()


def test_a_registry_at_a_wrong_address_is_a_matter_of_configuration(network: LiveNetwork) -> None:
    async def scenario() -> None:
        with pytest.raises(ConfigError, match="no WorkflowRegistry"):
            await one_pass(network, REGISTRY_ADDRESS=network.accounts["owner"].address)
        async with scheduler(network, REGISTRY_ADDRESS=network.accounts["owner"].address) as one:
            with pytest.raises(ConfigError, match="no WorkflowRegistry"):
                await one.run(asyncio.Event())

    run(scenario())


def test_a_pass_costs_what_changed_not_what_exists(network: LiveNetwork) -> None:
    async def scenario() -> None:
        far = network.now() + 100_000
        ids = await network.create_workflows(200, next_run=far)
        await network.delete(*ids[:10])

        async with Gateway(network.rpc_url) as gateway, scheduler(network, gateway.url) as one:

            async def requests(*, due: int) -> tuple[int, int]:
                """Exchanges with the endpoint, and workflows read."""
                gateway.bodies.clear()
                done = await one.run_once()
                assert (done.workflows, done.due) == (190, due)
                return len(gateway.bodies), sum(call["method"] == "eth_call" for call in gateway.calls)

            assert (await requests(due=0))[1] == 1 + 200  # the total, and each
            network.anvil.mine(5)  # past what is asked for twice
            await requests(due=0)
            assert await requests(due=0) == (2, 0)
            await network.pause(ids[20])
            assert (await requests(due=0))[1] == 1
            await network.update(ids[21], next_run=100)
            assert (await requests(due=1))[1] == 2  # what changed, and once more before it is queued
            exchanges, reads = await requests(due=1)
            assert (exchanges <= 5, reads) == (True, 0)

    run(scenario())


# -- the service --------------------------------------------------------------------------------------


async def until(condition: Callable[[], bool], within: float = 30.0) -> None:
    """Wait for something to become true."""
    deadline = asyncio.get_running_loop().time() + within
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.01)


def test_the_service_carries_on_by_itself(
    network: LiveNetwork, own_redis: ValkeyProcess, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    there = LiveNetwork(network.anvil, replace(network.info, redis_url=own_redis.url))

    def logged(text: str, times: int = 1) -> Callable[[], bool]:
        return lambda: sum(text in record.getMessage() for record in caplog.records) >= times

    async def scenario() -> None:
        ids = await there.create_workflows(2)
        stop, broken = asyncio.Event(), True
        own_redis.stop()

        async with (
            Gateway(network.rpc_url, lambda _, answer: None if broken else answer) as gateway,
            scheduler(there, gateway.url, POLL_INTERVAL="0.05") as one,
        ):
            service = asyncio.create_task(one.run(stop))
            await until(logged("does not answer"))
            own_redis.start()
            await until(logged("no RPC endpoint gave an answer"))
            broken = False
            await until(logged("2 queued now"))
            await until(logged("in order again after"))
            ids += await there.create_workflows(1)
            await until(logged("1 queued now"))
            own_redis.kill()
            await until(lambda: not own_redis.running)
            own_redis.start()
            ids += await there.create_workflows(1)
            await until(logged("1 queued now", times=2))
            stop.set()
            totals = await service
        assert totals["enqueued"] == 4
        assert totals["failed"] >= 2
        await each_once(there, ids)

    run(scenario())
