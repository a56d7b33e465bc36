"""A gateway between a worker and the chain does its worst: executions equal occurrences, and no attempt is used up."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from autometa_cli.jobs.job import job_json
from tests.network import LiveNetwork
from tests.working.gateway import FAULTS, gateway
from tests.working.process import worker_process
from tests.working.stage import Stage, staged

SOME = 4


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second stands for production's ten, and the gateway's second and a half for thirty."""
    monkeypatch.setattr("tests.working.stage.RPC_TIMEOUT", 1.0)


async def _untried(stage: Stage) -> None:
    """No job has used up an attempt, none has failed."""
    for record in await stage.records():
        assert (record.attempts, record.outcome) == (0, "executed"), record


def _tidy(stage: Stage) -> Any:
    """Condition: nothing is left to do."""

    async def condition() -> bool:
        try:
            await stage.assert_nothing_left()
        except AssertionError:
            return False
        return True

    return condition


def test_whatever_a_gateway_does_each_occurrence_is_executed_once(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage, gateway(network.rpc_url) as wire:
            everything: list[int] = []
            async with stage.hired(RPC_URLS=wire.url, rebroadcast_after=0.5) as hand:
                for fault in FAULTS:
                    ids = await stage.made(SOME)
                    everything += ids
                    wire.hurt = {True: 0, False: 0}
                    wire.fault, wire.reads = fault, 1 if "slow" in fault else 4
                    await stage.enqueue(*ids)
                    await stage.until(stage.settled(everything), f"all to be settled by one that {fault}", 60)
                    wire.fault = ""
                    assert wire.hurt[True], fault
                    assert await stage.executed() == dict.fromkeys(everything, 1), fault
                await hand.leave()
            await stage.assert_executed_once(everything)
            await _untried(stage)

    asyncio.run(scenario())


def test_an_endpoint_that_shows_an_old_head_decides_nothing(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage, gateway(network.rpc_url) as wire:
            first, then = await stage.made(SOME), await stage.made(SOME)
            old = {id: await stage.workflow(id) for id in first}
            before = (await stage.rpc.view()).block.number
            async with stage.hired(RPC_URLS=wire.url, rebroadcast_after=0.3) as hand:
                # It stands still: what is sent is mined, and the worker does not get to see it.
                await stage.until(lambda: hand.worker.house.in_order, "the worker to be at work")
                await wire.stop_the_clock()
                await stage.enqueue(*first)
                await stage.until(lambda: _all_executed(stage, first), "the first to be mined")
                wire.go_on()
                await stage.until(stage.settled(first), "the first to be settled")
                # It goes back to before what was seen already.
                await wire.stop_the_clock(blocks_ago=3)
                await stage.enqueue(*then)
                await stage.until(
                    lambda: "was seen before" in hand.worker.house.summary(), "it to be noticed"
                )
                wire.go_on()
                await stage.until(stage.settled(first + then), "the rest to be settled")
                await hand.leave()
            # A worker that has seen nothing yet, an endpoint from before it all, and the same jobs once more.
            newest = (await stage.rpc.view()).block.number
            await wire.stop_the_clock(blocks_ago=newest - before)
            await stage.push(*(job_json(workflow) for workflow in old.values()))
            async with stage.hired(RPC_URLS=wire.url) as hand:
                await stage.until(lambda: hand.worker.house.in_order, "the worker to be at work")
                await stage.until(lambda: _taken(stage), "the jobs to be looked at")
                wire.go_on()
                await stage.until(_tidy(stage), "nothing to be left", hurry=True)
                await hand.leave()
            await stage.assert_executed_once(first + then)

    asyncio.run(scenario())


@pytest.mark.parametrize("known", [True, False], ids=["kept", "run into"])
def test_a_limit_of_requests_costs_waiting_and_no_attempt(network: LiveNetwork, known: bool) -> None:
    """Where the worker knows the limit it never runs into it; where it does not, it waits and goes on."""

    async def scenario() -> None:
        async with staged(network) as stage, gateway(network.rpc_url) as wire:
            ids = await stage.due(12)
            wire.limit = 60
            rate = "60" if known else "0"
            async with stage.hired(RPC_URLS=wire.url, rebroadcast_after=0.5, RPC_RATE_LIMIT=rate) as hand:
                await stage.until(stage.settled(ids), "all to be settled", 60)
                await hand.leave()
            assert (wire.refused == 0) == known
            await stage.assert_executed_once(ids)
            await _untried(stage)

    asyncio.run(scenario())


async def _all_executed(stage: Stage, ids: list[int]) -> bool:
    return await stage.executed() == dict.fromkeys(ids, 1)


async def _taken(stage: Stage) -> bool:
    return await stage.queue.length() == 0


@pytest.mark.soak
@pytest.mark.parametrize("fault", FAULTS)
def test_a_worker_process_behind_a_gateway_that_hurts_it_all_the_time(
    network: LiveNetwork, tmp_path: Path, fault: str
) -> None:
    """With production's timeouts, and a gateway that is slow by 30 seconds."""

    async def scenario() -> None:
        async with staged(network) as stage, gateway(network.rpc_url, delay=30) as wire:
            ids = await stage.made(60)
            wire.fault, wire.chance, wire.reads = fault, 0.1, 20 if "slow" in fault else 10_000
            with worker_process(network, tmp_path, RPC_URLS=wire.url) as worker:
                await stage.enqueue(*ids)
                await stage.until(stage.settled(ids), "all to be settled", 600)
                assert worker.process.poll() is None
            assert wire.hurt[True]
            await stage.assert_executed_once(ids)
            await _untried(stage)

    asyncio.run(scenario())
