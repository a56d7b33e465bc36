"""Redis lost writes: a transfer that a forgotten run served fires no second one by itself (I2), all others do (I1)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from autometa_cli.addresses import checksum
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.trigger_json import encode_trigger_json
from autometa_cli.chain.triggers import WalletTrigger
from autometa_cli.chain.view import View
from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.jobs.epoch import LedgerInDoubt
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.scheduler import Scheduler
from autometa_cli.scheduling.doubts import Doubts
from autometa_cli.scheduling.occasion import Event
from autometa_cli.scheduling.passes import Pass
from autometa_cli.scheduling.preview import preview
from autometa_cli.scheduling.triggers import Triggers
from autometa_cli.worker import JobWorker
from tests.loss import forgetful, roll_back
from tests.network import LiveNetwork
from tests.scheduling.live import scheduling
from tests.working.stage import DEFAULTS, Stage, staged

WALLET, OTHER = "0x00000000000000000000000000000000000b0b01", "0x00000000000000000000000000000000000b0b02"
SETTINGS = {**DEFAULTS, "MAX_OPEN_NONCES": "8"}


@pytest.fixture
def lossy(tmp_path: Path) -> Iterator[tuple[LiveNetwork, ValkeyProcess]]:
    with forgetful(tmp_path) as network:
        yield network


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 150))


async def pay(network: LiveNetwork, to: str = WALLET) -> str:
    return str((await network.transact("admin", checksum(to), b"", value=7))[0].hash)


async def watching(stage: Stage, wallet: str, **fields: Any) -> int:
    trigger = encode_trigger_json(WalletTrigger("incoming", None, wallet))
    return (await stage.made(1, trigger_type=3, trigger_data=trigger, **fields))[0]


async def recovered(scheduler: Scheduler) -> Pass:
    """The first pass that the ledger lets through."""
    for _ in range(600):
        try:
            return await scheduler.run_once()
        except LedgerInDoubt:
            await asyncio.sleep(0.1)
    raise AssertionError("no pass after the recovery")


def test_a_transfer_that_a_forgotten_run_served_fires_no_second_one(
    lossy: tuple[LiveNetwork, ValkeyProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, valkey = lossy
    monkeypatch.setattr("autometa_cli.working.membership.RECOVER_AFTER_SECONDS", 2.0)
    settings = network.settings(**SETTINGS)

    async def scenario() -> None:
        async with (
            staged(network) as stage,
            scheduling(network, **SETTINGS) as scheduler,
            JobQueue(network.redis_url) as queue,
            network.rpc() as rpc,
        ):
            served = await watching(stage, WALLET)
            waits = await watching(stage, OTHER, next_run=network.now() + 50_000)
            await scheduler.run_once()
            await queue.join()
            worker = JobWorker(settings, queue, rpc, network.signer("worker"), Triggers.of(settings))
            living = asyncio.create_task(worker.start())
            await stage.until(lambda: worker.house.in_order, "the worker to be ready")
            assert await stage.queue.redis.execute_command("WAITAOF", 1, 0, 2000)
            shutil.copytree(valkey.data, tmp_path / "saved")
            # From here on, all is forgotten: both transfers, and the run that served the one.
            tx, _ = await pay(network), await pay(network, OTHER)
            assert (await scheduler.run_once()).enqueued == 1
            await stage.until(stage.settled([served]), "it to be executed")
            await asyncio.to_thread(roll_back, valkey, tmp_path / "saved")
            await stage.queue.reconnect()
            assert await stage.records() == []

            later = network.now() - 5
            await network.update(served, next_run=later)
            await network.update(waits, next_run=later)
            done = await recovered(scheduler)
            assert [label.split("@")[0] for label in done.labels] == [str(waits)]
            await stage.until(stage.settled([waits]), "the other to be executed")
            assert await stage.executed() == {served: 1, waits: 1}
            (letter,) = [record for record in await stage.records() if record.state == "dead"]
            assert (letter.workflow, letter.reason, letter.event) == (served, "uncertain", f"{tx}:native")
            assert "may have been served by 0x" in letter.text

            later_one = await pay(network)  # whoever comes after the recovery is served as always
            await stage.until(lambda: _fires(scheduler), "a later transfer to fire")
            await stage.until(lambda: _executed(stage, served, 2), "the later one to be executed")
            assert later_one in [record.event[:66] for record in await stage.records()]

            letters = await stage.queue.redis.zrange(stage.queue.keys.dead, 0, -1)
            assert [name.decode() for name in letters] == [letter.key]
            from autometa_cli.jobs.deadletters import DeadLetters

            await stage.queue.join()
            assert (await DeadLetters(stage.queue).retry(letter, by="ann")).word == "ok"
            await stage.until(lambda: _executed(stage, served, 3), "the one to run that a person wants")
            worker.stop()
            await asyncio.wait_for(living, 60)

    run(scenario())


async def _fires(scheduler: Scheduler) -> bool:
    return (await scheduler.run_once()).enqueued == 1


async def _executed(stage: Stage, id: int, times: int) -> bool:
    return (await stage.executed())[id] == times


def test_a_dry_run_promises_no_run_for_a_transfer_in_doubt(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage, network.rpc() as rpc:
            id = await watching(stage, WALLET)
            where = (network.info.chain_id, network.executor.lower())
            event = Event("0x" + "11" * 32, None, 7)
            await stage.queue.transfers.note(
                *where, since=None, upto=9, genesis="0x", events=[(id, event.noted, 1)]
            )
            (verdict,) = (await preview(network.settings(), stage.queue, rpc)).verdicts
            assert verdict.queue
            await stage.queue.redis.hset(stage.queue.keys.cursor(*where), "doubt", 7)
            (verdict,) = (await preview(network.settings(), stage.queue, rpc)).verdicts
            assert (verdict.queue, "Redis lost writes" in verdict.text) == (False, True)

    run(scenario())


# -- what the chain tells ------------------------------------------------------------------------------


async def execute(network: LiveNetwork, stage: Stage, id: int) -> int:
    """By whoever; its block."""
    workflow = await stage.workflow(id)
    call = interface("ActionExecutor").functions["executeWorkflow"].encode
    data = call(id, workflow.action_data, workflow.next_run + 1, workflow.owner, 0)
    return int((await network.transact("worker", network.executor, data))[0].block_number)


async def sifted(
    doubts: Doubts, view: View, waiting: dict[int, Event], upto: int
) -> tuple[set[int], set[int]]:
    """Ids of those that are clear, and of those that may have been served."""
    found = await doubts.look(view, waiting, upto)
    return {id for id, event in waiting.items() if doubts.clear(id, event, upto)}, set(found)


def test_what_the_chain_says_of_waiting_transfers(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            before, after, never, late = await stage.made(4)
            at = await execute(network, stage, before)
            event = Event("0x" + "11" * 32, 0, at)
            await execute(network, stage, after)
            network.anvil.mine(7)
            upto = (await stage.rpc.view()).block.number
            await execute(network, stage, late)
            view = await stage.rpc.view()
            waiting = dict.fromkeys((before, after, never, late), event)

            doubts = Doubts(network.executor, 2)
            clear, found = await sifted(doubts, view, waiting, upto)
            assert (clear, found) == ({before, never, late}, {after})
            # Without a recovery nothing is in doubt, and after one no later transfer is.
            assert await sifted(Doubts(network.executor, 2), view, waiting, 0) == (set(waiting), set())
            newer = {after: Event("0x" + "22" * 32, 0, upto + 1)}
            assert await sifted(doubts, view, newer, upto) == ({after}, set())
            # Another recovery puts them all in doubt again, up to where that one ended.
            clear, found = await sifted(doubts, view, waiting, upto + 1)
            assert (clear, found) == ({before, never}, {after, late})

    run(scenario())


def test_nothing_is_clear_before_all_blocks_are_read(
    network: LiveNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autometa_cli.scheduling.doubts.MOST_RANGES", 2)

    async def scenario() -> None:
        async with staged(network) as stage:
            served, never = await stage.made(2)
            at = (await stage.rpc.view()).block.number
            network.anvil.mine(5)
            await execute(network, stage, served)
            view = await stage.rpc.view()
            upto, waiting = view.block.number, dict.fromkeys((served, never), Event("0x" + "11" * 32, 0, at))
            doubts = Doubts(network.executor, 1)
            behind = view.pinned((await stage.rpc.view(hex(upto - 1))).block)
            assert await sifted(doubts, behind, waiting, upto) == (set(), set())  # an endpoint that lags
            for _ in range((upto - at - 1) // 2):
                assert await sifted(doubts, view, waiting, upto) == (set(), set())
            assert await sifted(doubts, view, waiting, upto) == ({never}, {served})

    run(scenario())
