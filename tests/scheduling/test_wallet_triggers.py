"""Wallet triggers from the transfer to the execution: each transfer once, whoever restarts and however often."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from autometa_cli.addresses import checksum
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.rpc import Rpc
from autometa_cli.chain.trigger_abi import encode_trigger
from autometa_cli.chain.trigger_json import encode_trigger_json
from autometa_cli.chain.triggers import WalletTrigger
from autometa_cli.jobs.job import job_json
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.scheduler import Scheduler
from tests.chain.loopback import Gateway, bad
from tests.network import LiveNetwork
from tests.scheduling.live import one_pass, scheduling, settle, states, token, working
from tests.working.stage import Stage, staged

WALLET = "0x00000000000000000000000000000000000b0b01"
BEFORE = {"CONFIRMATIONS": "3"}


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 150))


async def watching(stage: Stage, trigger: WalletTrigger, **fields: Any) -> int:
    """A workflow with this trigger, in the ABI form where it can say it."""
    json_form = trigger.watched is not None or trigger.min_amount
    data = encode_trigger_json(trigger) if json_form else encode_trigger(trigger)
    return (await stage.made(1, trigger_type=3, trigger_data=data, **fields))[0]


async def pay(network: LiveNetwork, sender: str, to: str, wei: int) -> str:
    """A plain transfer of the native token; its hash."""
    receipt = (await network.transact(sender, checksum(to), b"", value=wei))[0]
    return str(receipt.hash)


def test_each_way_fires_once(network: LiveNetwork) -> None:
    async def scenario() -> None:
        test_token = network.info.test_contracts["TestToken"].lower()
        owner = network.accounts["owner"].address
        await token(network, "admin", "mint", network.accounts["admin"].address, 1000)
        await token(network, "admin", "mint", owner, 1000)
        async with staged(network) as stage, scheduling(network) as scheduler:
            native_in = await watching(stage, WalletTrigger("incoming"))
            native_out = await watching(stage, WalletTrigger("outgoing"))
            token_in = await watching(stage, WalletTrigger("incoming", test_token))
            token_out = await watching(stage, WalletTrigger("outgoing", test_token))
            monitor = await watching(stage, WalletTrigger("incoming", test_token, WALLET, 100))
            native_monitor = await watching(stage, WalletTrigger("incoming", None, WALLET, 100))
            assert (await scheduler.run_once()).enqueued == 0

            fired: list[int] = []

            async def expect(*ids: int) -> None:
                assert (await scheduler.run_once()).enqueued == len(ids)
                assert (await one_pass(network)).enqueued == 0
                fired.extend(ids)
                await settle(stage, fired)
                await stage.assert_executed_once(fired)

            await token(network, "admin", "transfer", WALLET, 99)  # too little
            await pay(network, "admin", WALLET, 99)
            await expect()
            await token(network, "admin", "transfer", owner, 5)
            await expect(token_in)
            await pay(network, "admin", owner, 5)
            await expect(native_in)
            await token(network, "owner", "transfer", WALLET, 100)
            await expect(token_out, monitor)
            await pay(network, "owner", WALLET, 100)
            await expect(native_out, native_monitor)

    run(scenario())


def test_a_transfer_counts_when_it_is_final_and_is_named(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage, scheduling(network, **BEFORE) as scheduler:
            id = await watching(stage, WalletTrigger("incoming", None, WALLET))
            network.anvil.mine(3)
            await scheduler.run_once()
            tx = await pay(network, "admin", WALLET, 7)
            assert (await scheduler.run_once()).enqueued == 0
            network.anvil.mine(1)
            assert (await scheduler.run_once()).enqueued == 0
            network.anvil.mine(1)
            assert (await scheduler.run_once()).enqueued == 1
            (raw,) = await stage.queue.peek(10)
            event = json.loads(raw)["event"]
            assert (event["tx"], event["ordinal"], event["count"]) == (tx, "native", 1)
            (record,) = await stage.records()
            field = await stage.queue.redis.hget(stage.queue.keys.occurrence(record.key), "event")
            assert field.decode() == f"{tx}:native"
            await settle(stage, [id])

    run(scenario())


def test_a_reorganised_transfer_fires_nothing_and_its_return_once(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage, scheduling(network, **BEFORE) as scheduler:
            await watching(stage, WalletTrigger("incoming", None, WALLET))
            network.anvil.mine(3)
            await scheduler.run_once()
            before = network.anvil.request("evm_snapshot")
            await pay(network, "admin", WALLET, 7)
            network.anvil.mine(1)
            assert (await scheduler.run_once()).enqueued == 0
            network.anvil.request("evm_revert", before)
            network.anvil.mine(6)
            assert (await scheduler.run_once()).enqueued == 0
            await pay(network, "admin", WALLET, 8)
            network.anvil.mine(3)
            assert (await scheduler.run_once()).enqueued == 1
            assert (await scheduler.run_once()).enqueued == 0

    run(scenario())


def test_transfers_during_a_run_and_before_the_next_one_are_served_by_one_run(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage, scheduling(network) as scheduler:
            id = await watching(stage, WalletTrigger("incoming", None, WALLET), interval=3600)
            await scheduler.run_once()
            await pay(network, "admin", WALLET, 1)
            assert (await scheduler.run_once()).enqueued == 1
            for amount in (2, 3):  # while its run is open
                await pay(network, "admin", WALLET, amount)
                assert (await scheduler.run_once()).enqueued == 0
            await settle(stage, [id])
            last = await pay(network, "admin", WALLET, 4)  # before the next run is due
            assert (await scheduler.run_once()).enqueued == 0

            await network.update(id, next_run=network.now() - 1)
            assert (await scheduler.run_once()).enqueued == 1
            (raw,) = await stage.queue.peek(10)
            assert (json.loads(raw)["event"]["tx"], json.loads(raw)["event"]["count"]) == (last, 3)
            async with working(stage):
                await stage.until(lambda: _count(stage, 2), "the second run")
            await network.update(id, next_run=network.now() - 1)
            assert (await scheduler.run_once()).enqueued == 0  # nothing waits any more

    run(scenario())


async def _count(stage: Stage, runs: int) -> bool:
    return len(await stage.executions()) >= runs


@pytest.mark.parametrize("schedulers", [1, 2])
def test_each_transfer_fires_once_across_restarts_and_schedulers_side_by_side(
    network: LiveNetwork, schedulers: int
) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            ids = await stage.made(
                20,
                trigger_type=3,
                trigger_data=encode_trigger_json(WalletTrigger("incoming", None, WALLET)),
            )
            await one_pass(network)
            enqueued = 0
            for amount in range(1, 4):
                await pay(network, "admin", WALLET, amount)
                passes = await asyncio.gather(*(one_pass(network) for _ in range(schedulers)))
                enqueued += sum(each.enqueued for each in passes)
            enqueued += (await one_pass(network)).enqueued
            assert enqueued == len(ids)
            await settle(stage, ids)
            await stage.assert_executed_once(ids)

    run(scenario())


def test_transfers_from_before_the_workflow_or_while_it_was_paused_fire_nothing(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage, scheduling(network) as scheduler:
            paused = await watching(stage, WalletTrigger("incoming", None, WALLET))
            await scheduler.run_once()
            await network.pause(paused)
            await pay(network, "admin", WALLET, 1)
            await watching(stage, WalletTrigger("incoming", None, WALLET))
            await network.resume(paused)
            assert (await scheduler.run_once()).enqueued == 0
            await pay(network, "admin", WALLET, 2)
            assert (await scheduler.run_once()).enqueued == 2

    run(scenario())


def test_several_transfers_of_one_transaction_have_ordinals(network: LiveNetwork) -> None:
    """Forged payloads name transfers that are not there, or too many of them."""

    async def scenario() -> None:
        test_token = network.info.test_contracts["TestToken"].lower()
        await token(network, "admin", "mint", network.accounts["admin"].address, 1000)
        async with staged(network) as stage:
            id = await watching(stage, WalletTrigger("incoming", test_token, WALLET))
            receipt = await token(network, "admin", "transfer", WALLET, 5)
            workflow = await network.workflow(id)
            event = {"tx": receipt.hash, "block": receipt.block_number, "count": 1}
            for number, (ordinal, reason) in enumerate(
                ((1, "does not fire it"), ("native", "does not fire it"))
            ):
                await stage.queue.push([job_json(workflow, event={**event, "ordinal": ordinal})])
                async with working(stage):
                    closed = partial(_closed, stage, id, number + 1)
                    await stage.until(closed, "the job to be skipped")
                assert all(reason in record.text for record in await stage.records())
            await stage.queue.push([job_json(workflow)])
            async with working(stage):
                await stage.until(lambda: _closed(stage, id, 3), "the job without an event to be skipped")
            assert await stage.executions() == []
            await stage.queue.push([job_json(workflow, event={**event, "ordinal": 0})])
            await settle(stage, [id])
            assert await stage.executed() == {id: 1}

    run(scenario())


async def _closed(stage: Stage, id: int, count: int) -> bool:
    return [state for _, state, _ in await states(stage, id)].count("skipped") == count


def _refusing(widest: Callable[[], int]) -> Callable[[Any, Any], Any]:
    """A chain's endpoint that answers no question about transfers in more blocks than this."""
    transfer = interface("IERC20").events["Transfer"].topic

    def refuse(body: Any, answer: Any) -> Any:
        calls, answers = (body, answer) if isinstance(body, list) else ([body], [answer])
        for number, call in enumerate(calls):
            if call["method"] != "eth_getLogs" or call["params"][0].get("topics", [""])[0] != transfer:
                continue
            criteria = call["params"][0]
            if int(criteria["toBlock"], 16) - int(criteria["fromBlock"], 16) + 1 > widest():
                answers[number] = bad(call, -32005, "query returned more than 10000 results")
        return answers if isinstance(body, list) else answers[0]

    return refuse


@asynccontextmanager
async def behind(network: LiveNetwork, gateway: Gateway) -> AsyncIterator[Scheduler]:
    async with Rpc([gateway.url], chain_id=network.info.chain_id) as rpc:
        queue = JobQueue(network.redis_url)
        try:
            yield Scheduler(network.settings(CONFIRMATIONS="1"), queue, rpc)
        finally:
            await queue.connections.close()


def test_an_endpoint_that_answers_short_ranges_only(network: LiveNetwork) -> None:
    async def scenario() -> None:
        test_token = network.info.test_contracts["TestToken"].lower()
        await token(network, "admin", "mint", network.accounts["admin"].address, 1000)
        async with (
            staged(network) as stage,
            Gateway(network.rpc_url, _refusing(lambda: 3)) as gateway,
            behind(network, gateway) as scheduler,
        ):
            id = await watching(stage, WalletTrigger("incoming", test_token, WALLET))
            assert (await scheduler.run_once()).enqueued == 0
            network.anvil.mine(11)
            await token(network, "admin", "transfer", WALLET, 5)
            network.anvil.mine(12)
            assert (await scheduler.run_once()).enqueued == 1
            await settle(stage, [id])

    run(scenario())


def test_transfers_that_cannot_be_read_stop_no_other_trigger_and_are_not_lost(
    network: LiveNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        test_token = network.info.test_contracts["TestToken"].lower()
        await token(network, "admin", "mint", network.accounts["admin"].address, 1000)
        widest = 1000
        async with (
            staged(network) as stage,
            Gateway(network.rpc_url, _refusing(lambda: widest)) as gateway,
            behind(network, gateway) as scheduler,
        ):
            id = await watching(stage, WalletTrigger("incoming", test_token, WALLET))
            await scheduler.run_once()
            widest = 0
            await token(network, "admin", "transfer", WALLET, 5)
            (timed,) = await stage.made(1)
            assert [label.split("@")[0] for label in (await scheduler.run_once()).labels] == [str(timed)]
            assert (await scheduler.run_once()).enqueued == 0
            told = [line for line in caplog.records if "transfers cannot be read" in line.getMessage()]
            assert len(told) == 1
            widest = 1000
            assert [label.split("@")[0] for label in (await scheduler.run_once()).labels] == [str(id)]
            await settle(stage, [id, timed])

    run(scenario())
