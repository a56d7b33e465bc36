"""What is due is queued, each occurrence once, with what the chain says."""

from __future__ import annotations

import asyncio
import logging

import pytest

from autometa_cli.chain.trigger_abi import encode_trigger
from autometa_cli.chain.triggers import PriceTrigger, TimeTrigger, WalletTrigger
from tests.chain.loopback import Gateway
from tests.network import LiveNetwork
from tests.scheduling.passes import each_once, one_pass, pending, run, scheduler


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


def test_every_way_to_write_a_time_trigger_down_is_the_same(network: LiveNetwork) -> None:
    async def scenario() -> None:
        later = network.now() + 10_000
        forms = [
            b"",
            encode_trigger(TimeTrigger(interval=60)),
            encode_trigger(TimeTrigger(start=later, interval=1)),  # only the workflow's own nextRun decides
        ]
        ids = [await network.create_workflow(trigger_data=form, next_run=100) for form in forms]
        for form in forms:
            await network.create_workflow(trigger_data=form, next_run=later)
        done = await one_pass(network)
        assert (done.enqueued, done.unreadable) == (len(forms), 0)
        await each_once(network, ids)

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
