"""A transfer whose run is not to be: the next run serves it, unless the workflow was executed meanwhile (I1, I2)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest

from autometa_cli.addresses import checksum
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.trigger_json import encode_trigger_json
from autometa_cli.chain.triggers import WalletTrigger
from autometa_cli.executor.transfer import fate
from autometa_cli.scheduler import Scheduler
from autometa_cli.scheduling.triggers import Triggers
from tests.chain.loopback import Gateway, bad
from tests.network import LiveNetwork
from tests.scheduling.live import scheduling, states, working
from tests.working.stage import Stage, no_mining, staged

WALLET = "0x00000000000000000000000000000000000b0b01"
FIRES = encode_trigger_json(WalletTrigger("incoming", None, WALLET))


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 150))


async def pay(network: LiveNetwork, wei: int = 7) -> str:
    return str((await network.transact("admin", checksum(WALLET), b"", value=wei))[0].hash)


async def fired(stage: Stage, scheduler: Scheduler, **fields: Any) -> tuple[int, str]:
    """A workflow whose run is queued, and the transfer that it is for."""
    (id,) = await stage.made(1, trigger_type=3, trigger_data=FIRES, **fields)
    await scheduler.run_once()
    tx = await pay(stage.network)
    assert (await scheduler.run_once()).enqueued == 1
    return id, tx


async def worked(stage: Stage, id: int, state: str, count: int = 1) -> None:
    """A worker takes what is there, until so many runs of the workflow ended like this."""

    async def ended() -> bool:
        return [each for _, each, _ in await states(stage, id)].count(state) == count

    async with working(stage):
        await stage.until(ended, f"{count} {state} runs", hurry=True)


async def payload(stage: Stage) -> dict[str, Any]:
    (raw,) = await stage.queue.peek(10)
    return dict(json.loads(raw)["event"])


@pytest.mark.parametrize("move", ["forward", "pause"])
def test_a_transfer_whose_run_was_not_wanted_is_served_by_the_next_one(
    network: LiveNetwork, move: str
) -> None:
    async def scenario() -> None:
        async with staged(network) as stage, scheduling(network) as scheduler:
            id, tx = await fired(stage, scheduler)
            if move == "pause":
                await network.pause(id)
            else:
                await network.update(id, next_run=network.now() + 50_000)
            await worked(stage, id, "skipped")
            (record,) = await stage.records()
            assert f"{tx}:native waits for the next run" in record.text
            assert (await scheduler.run_once()).enqueued == 0  # paused, or not due

            if move == "pause":
                await network.resume(id)
            else:
                await network.update(id, next_run=network.now() - 5)
            assert (await scheduler.run_once()).enqueued == 1
            event = await payload(stage)
            assert (event["tx"], event["count"]) == (tx, 1)
            await worked(stage, id, "settled")
            assert await stage.executed() == {id: 1}
            await network.update(id, next_run=network.now() - 4)
            assert (await scheduler.run_once()).enqueued == 0  # served, once

    run(scenario())


def test_an_extra_run_that_moved_the_date_has_served_the_transfer(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage, scheduling(network) as scheduler:
            id, tx = await fired(stage, scheduler)
            (taken,) = await stage.queue.peek(1)
            await stage.queue.redis.lpop(stage.queue.keys.pending)
            await stage.push({"workflowId": id, "nextRun": 0})  # overtakes it
            await worked(stage, id, "settled")
            assert await stage.executed() == {id: 1}
            await stage.push(taken)
            await worked(stage, id, "skipped")
            due = next(record for record in await stage.records() if record.kind == "due")
            (executed,) = [record.tx for record in await stage.records() if record.kind == "now"]
            assert f"{tx}:native was served by {executed}" in due.text

            await network.update(id, next_run=network.now() - 5)
            assert (await scheduler.run_once()).enqueued == 0
            assert await stage.executed() == {id: 1}

    run(scenario())


def test_a_cancelled_run_gives_its_transfer_back(network: LiveNetwork) -> None:
    """Signed and sent, and then its owner moved the date before it was mined."""

    async def scenario() -> None:
        async with staged(network) as stage, scheduling(network) as scheduler:
            id, tx = await fired(stage, scheduler)
            async with stage.hired(triggers=Triggers.of(network.settings())) as hand, no_mining(network):
                worker = network.accounts["worker"].address
                await stage.until(lambda: pooled(network, worker), "the call to be in the pool")
                tracker = hand.worker._executor.tracker
                tracker.pusher.rebroadcast_after = 1000
                for call in pooled(network, worker):
                    network.anvil.request("anvil_dropTransaction", call)
                moving = asyncio.create_task(network.update(id, next_run=network.now() + 50_000))
                while not moving.done():
                    await asyncio.to_thread(network.anvil.mine)
                    await asyncio.sleep(0.02)
                await moving
                tracker.pusher.rebroadcast_after = 0.1
                await stage.until(lambda: pooled(network, worker), "the self-transfer to be in the pool")
                await asyncio.to_thread(network.anvil.mine)
                await stage.until(lambda: _in_state(stage, id, "skipped"), "it to be skipped")
            assert await stage.executed() == {}
            await network.update(id, next_run=network.now() - 5)
            assert (await scheduler.run_once()).enqueued == 1
            assert (await payload(stage))["tx"] == tx
            await worked(stage, id, "settled")
            assert await stage.executed() == {id: 1}

    run(scenario())


def test_an_execution_that_is_not_final_yet_leaves_it_open(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage, scheduling(network) as scheduler:
            id, _ = await fired(stage, scheduler)
            record = await stage.only(id)
            workflow = await stage.workflow(id)
            later = network.now() + 50_000
            before = (await stage.rpc.view()).block.number
            call = interface("ActionExecutor").functions["executeWorkflow"].encode
            data = call(id, workflow.action_data, later, workflow.owner, 0)
            await network.transact("worker", network.executor, data)
            await network.transact("worker", network.executor, data)
            view = await stage.rpc.view()
            assert (await fate(record, "moved_on", view, before, 1)).unsure
            for final in (before + 1, before + 2):
                end = await fate(record, "moved_on", view, final, 1)
                assert (end.back, end.unsure) == (False, False)
                assert "was served by" in end.text
            opened_later = replace(record, seen=before + 2)
            assert (await fate(opened_later, "moved_on", view, before + 2, 1)).back

    run(scenario())


def test_a_history_that_cannot_be_read_leaves_it_open_and_stops_nobody(network: LiveNetwork) -> None:
    broken = True
    executed = interface("ActionExecutor").events["WorkflowExecuted"].topic

    def refuse(body: Any, answer: Any) -> Any:
        calls, answers = (body, answer) if isinstance(body, list) else ([body], [answer])
        for number, call in enumerate(calls):
            if broken and call["method"] == "eth_getLogs" and executed in call["params"][0]["topics"]:
                answers[number] = bad(call, -32000, "history is pruned")
        return answers if isinstance(body, list) else answers[0]

    async def scenario() -> None:
        nonlocal broken
        async with (
            staged(network) as stage,
            scheduling(network) as scheduler,
            Gateway(network.rpc_url, refuse) as gateway,
        ):
            id, tx = await fired(stage, scheduler)
            await network.update(id, next_run=network.now() + 50_000)
            async with working(stage, RPC_URLS=gateway.url):
                await stage.until(stage.held_by_reason(id, "transfer"), "it to wait")
                assert "history is pruned" in (await stage.only(id)).text
                (other,) = await stage.due(1)
                await stage.until(stage.settled([other]), "another to be executed meanwhile")
                broken = False
                await stage.until(stage.settled([id], "skipped"), "it to be skipped", hurry=True)
            waiting = await stage.queue.transfers.waiting(network.info.chain_id, network.executor.lower())
            assert waiting[id].startswith(f"{tx}:native:")

    run(scenario())


def pooled(network: LiveNetwork, address: str) -> list[str]:
    """Hashes of an account's transactions in the pool."""
    pending = network.anvil.request("txpool_content")["pending"]
    found = {account.lower(): by_nonce for account, by_nonce in pending.items()}.get(address.lower(), {})
    return [transaction["hash"] for transaction in found.values()]


async def _in_state(stage: Stage, id: int, state: str) -> bool:
    return state in [each for _, each, _ in await states(stage, id)]


def test_a_deleted_workflow_drops_its_transfer(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage, scheduling(network) as scheduler:
            id, tx = await fired(stage, scheduler)
            await network.delete(id)
            await worked(stage, id, "skipped")
            (record,) = await stage.records()
            assert f"{tx}:native fires nothing more" in record.text
            await scheduler.run_once()
            where = (network.info.chain_id, network.executor.lower())
            assert await stage.queue.transfers.waiting(*where) == {}

    run(scenario())
