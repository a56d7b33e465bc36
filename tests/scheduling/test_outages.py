"""The chain, an endpoint, one workflow, or Redis fails in the middle of a pass: nothing is lost, nothing done twice."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.errors import ConfigError, RedisUnreachable, RpcUnreachable
from autometa_cli.jobs.epoch import LedgerInDoubt
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.jobs.served import OtherContracts
from tests.chain.loopback import Gateway, bad
from tests.network import LiveNetwork
from tests.scheduling.passes import each_once, one_pass, pending, run, scheduler


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


def test_what_somebody_wrote_over_stops_no_other(
    network: LiveNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    """The record of one workflow's run, and the mark of another, are no hashes any more."""

    async def scenario() -> None:
        due = network.now() - 60
        ids = await network.create_workflows(150, next_run=due)
        chain, executor = network.info.chain_id, network.executor
        async with network.queue() as queue, scheduler(network) as one:
            record = queue.keys.occurrence(Occurrence(chain, executor.lower(), ids[3], due).key)
            mark = queue.keys.workflow(chain, executor, ids[120])
            for key in (record, mark):
                await queue.redis.set(key, "x")

            assert (await one.run_once()).enqueued == 148
            assert (await one.run_once()).enqueued == 0
            await each_once(network, [id for id in ids if id not in (ids[3], ids[120])])
            told = [each.message for each in caplog.records if "cannot be queued" in each.message]
            assert [text.split()[1] for text in told] == [str(ids[3]), str(ids[120])]

            await queue.redis.delete(record, mark)
            assert (await one.run_once()).enqueued == 2
        await each_once(network, ids)

    run(scenario())


def test_what_somebody_wrote_over_of_a_run_again_stops_no_other(network: LiveNetwork) -> None:
    """Two were skipped, and are due again as they were: the next record of one of them is no hash."""

    async def scenario() -> None:
        due = network.now() - 60
        ids = await network.create_workflows(3, next_run=due)
        network.anvil.mine(5)  # final
        chain, executor = network.info.chain_id, network.executor.lower()
        async with network.queue() as queue, scheduler(network) as one:
            for id in ids[:2]:
                first = Occurrence(chain, executor, id, due)
                await queue.redis.hset(
                    queue.keys.occurrence(first.key), mapping={"st": "skipped", "block": "0"}
                )
                mark = {"last": str(due), "gen": "0", "block": "0"}
                await queue.redis.hset(queue.keys.workflow(chain, executor, id), mapping=mark)
            await queue.redis.set(queue.keys.occurrence(first.at_generation(1).key), "x")

            assert (await one.run_once()).enqueued == 2
        await each_once(network, [ids[0], ids[2]])

    run(scenario())


def test_a_scheduler_whose_queue_is_for_others_by_now_ends(network: LiveNetwork) -> None:
    """Were it to go on, it would stand in the way of theirs: one leads."""

    async def scenario() -> None:
        async with network.queue() as queue, scheduler(network, POLL_INTERVAL="0.05") as one:
            service = asyncio.create_task(one.run(asyncio.Event()))
            while not await queue.redis.hget(queue.keys.leader, "holder"):
                assert not service.done()
                await asyncio.sleep(0.01)
            other = "0x" + "0f" * 20
            with pytest.raises(OtherContracts):
                await queue.serve(network.info.chain_id, other)

            await queue.redis.hset(queue.keys.epoch, "serves", f"{network.info.chain_id}:{other}")
            with pytest.raises(OtherContracts):
                await service
            assert await queue.redis.hget(queue.keys.leader, "holder") is None

    run(scenario())


def test_one_of_other_contracts_never_leads(network: LiveNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis is away when it starts, and there when it has gone on to its next pass."""
    monkeypatch.setattr("autometa_cli.scheduling.lease.ASK_SECONDS", 0.01)

    async def scenario() -> None:
        async with network.queue() as queue, scheduler(network, POLL_INTERVAL="0.05") as one:
            await queue.serve(network.info.chain_id, "0x" + "0f" * 20)
            await queue.push([b'{"workflowId":1,"nextRun":0}'])
            meets, passes = one._meet, 0

            async def away() -> int:
                nonlocal passes
                passes += 1
                if passes == 1:
                    raise RedisUnreachable("away")
                await asyncio.sleep(0.3)  # the keeper asks meanwhile, thirty times
                return await meets()

            monkeypatch.setattr(one, "_meet", away)
            with pytest.raises(OtherContracts):
                await one.run(asyncio.Event())
            assert passes == 2
            assert await queue.redis.hget(queue.keys.leader, "number") is None, "it led"

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


def test_a_registry_at_a_wrong_address_is_a_matter_of_configuration(network: LiveNetwork) -> None:
    async def scenario() -> None:
        with pytest.raises(ConfigError, match="no WorkflowRegistry"):
            await one_pass(network, REGISTRY_ADDRESS=network.accounts["owner"].address)
        async with scheduler(network, REGISTRY_ADDRESS=network.accounts["owner"].address) as one:
            with pytest.raises(ConfigError, match="no WorkflowRegistry"):
                await one.run(asyncio.Event())

    run(scenario())


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
