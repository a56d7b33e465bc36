"""How a worker ends: asked once, asked twice, out of work, robbed while it slept."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest

from tests.network import LiveNetwork
from tests.working.process import worker_process
from tests.working.stage import PATIENCE, Stage, no_mining, staged


async def _states(stage: Stage, state: str) -> int:
    return sum(record.state == state for record in await stage.records())


async def _living(stage: Stage) -> list[str]:
    return [member.id for member in await stage.queue.workers.members() if not member.buried]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_once_it_finishes_what_is_on_its_way(
    network: LiveNetwork, tmp_path: Path, number: signal.Signals
) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            ids = await stage.made(12)
            with worker_process(network, tmp_path, "--concurrency", "8", "--json") as process:
                async with no_mining(network):
                    await stage.until(process.ready, "the process to be ready")
                    await stage.enqueue(*ids)
                    await stage.until(lambda: _sent(stage, 8), "eight to be sent")
                    process.signal(number)
                    await stage.until(lambda: "stopping" in process.output, "it to hear of it")
                    assert process.process.poll() is None, "it left its transactions alone"
                    await asyncio.to_thread(network.anvil.mine)
                    assert await asyncio.to_thread(process.wait) == 0, process.output
            assert await stage.queue.length() == 4, "it took more than it should"
            assert await _states(stage, "settled") == 8
            assert await _living(stage) == [], "it is still registered"
            assert process.output.index(" left\n") > process.output.index(" on their way")
            told = json.loads(process.output[process.output.rindex("\n{") :])
            assert told["closed"] == {"executed": 8}
            async with stage.hired(burst=True) as hand:
                await hand.finished()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


async def _sent(stage: Stage, count: int) -> bool:
    return await _states(stage, "signed") == count


def test_asked_twice_it_leaves_at_once_and_nothing_is_lost(network: LiveNetwork, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            ids = await stage.made(12)
            with worker_process(network, tmp_path, "--concurrency", "8") as process:
                async with no_mining(network):
                    await stage.until(process.ready, "the process to be ready")
                    await stage.enqueue(*ids)
                    await stage.until(lambda: _sent(stage, 8), "eight to be sent")
                    process.signal(signal.SIGTERM)
                    await stage.until(lambda: "stopping" in process.output, "it to hear of it")
                    process.signal(signal.SIGTERM)
                    assert await asyncio.to_thread(process.wait, 5) == 130, process.output
                    assert "Traceback" not in process.output
                    assert "ended at once: 8 signed transactions are left to other workers" in process.output
                    await asyncio.to_thread(network.anvil.mine)
            await stage.forget_beats()
            async with stage.hired() as hand:
                await stage.until(stage.settled(ids), "the heir to finish")
                await hand.leave()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


def test_asked_before_it_is_ready_it_leaves(network: LiveNetwork, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            with worker_process(network, tmp_path, RPC_URLS="http://127.0.0.1:9") as process:
                await stage.until(lambda: "taking no jobs" in process.output, "it to say what it waits for")
                process.signal(signal.SIGTERM)
                assert await asyncio.to_thread(process.wait, 5) == 0, process.output

    asyncio.run(scenario())


def test_a_burst_ends_when_nothing_is_left(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network, RETRY_DELAY="0.2") as stage:
            async with stage.hired(burst=True) as hand:
                await hand.finished()  # nothing at all to do
            later = await stage.due(1, action=stage.call_of("RevertingTarget", "act"))
            ids = await stage.due(5)
            async with stage.hired(burst=True) as hand:
                await hand.finished()  # one is held for more than ten seconds: that is not waited for
            await stage.until(stage.settled(ids), "the others to be settled")
            assert (await stage.only(later[0])).state == "delayed"
            assert await _living(stage) == []

    asyncio.run(scenario())


def test_nothing_is_taken_after_stop(network: LiveNetwork) -> None:
    """A claim that is on its way when the worker is told to leave is still finished; none follows it."""

    async def scenario() -> None:
        async with staged(network) as stage:
            async with stage.hired() as hand:
                await stage.until(lambda: hand.taking, "it to wait for a job")
                hand.worker.stop()
                await hand.finished()
            await stage.due(3)
            assert await stage.queue.length() == 3
            await stage.assert_nothing_held()

    asyncio.run(scenario())


def test_a_worker_that_slept_too_long_is_robbed_and_starts_again(
    network: LiveNetwork, tmp_path: Path
) -> None:
    """Stopped (SIGSTOP) with jobs taken and transactions signed; another takes over; then it goes on (SIGCONT)."""

    async def scenario() -> None:
        async with staged(network) as stage:
            await stage.second_key()
            ids, more = await stage.made(12), await stage.made(4)
            with worker_process(network, tmp_path, "--concurrency", "8") as process:
                await stage.until(process.ready, "the process to be ready")
                async with no_mining(network):
                    await stage.enqueue(*ids)
                    await stage.until(lambda: _sent(stage, 8), "eight to be sent")
                    process.signal(signal.SIGSTOP)
                    (sleeper,) = await _living(stage)
                await stage.forget_beats()
                async with stage.hired("worker2") as heir:
                    await asyncio.to_thread(network.anvil.mine)
                    await stage.until(stage.settled(ids), "the heir to finish")
                    await stage.assert_executed_once(ids, "worker", "worker2")
                    process.signal(signal.SIGCONT)
                    await stage.until(lambda: "was buried" in process.output, "it to notice")
                    await stage.until(lambda: process.output.count(" ready: ") == 2, "it to start again")
                    assert sleeper not in await _living(stage)
                    await heir.leave()
                await stage.enqueue(*more)
                await stage.until(stage.settled(more), "it to work as before")
                process.signal(signal.SIGTERM)
                assert await asyncio.to_thread(process.wait) == 0, process.output
            await stage.assert_executed_once(ids + more, "worker", "worker2")

    asyncio.run(scenario())


def test_a_worker_is_buried_by_its_silence_alone(network: LiveNetwork) -> None:
    """With the real clock: it stops beating, and only after `dead_after` seconds another takes what it holds."""

    async def scenario() -> None:
        async with staged(network) as stage:
            ids = await stage.made(4)
            async with stage.hired() as hand, stage.hired(dead_after=1.5, concurrency=1) as heir:
                await stage.until(lambda: hand.worker.house.in_order, "the worker to be ready")
                loop = asyncio.get_running_loop()
                async with no_mining(network):
                    await stage.queue.redis.set(stage.queue.keys.paused, "one moment")
                    await stage.until(lambda: heir.worker.house.paused, "the heir to pause")
                    await stage.queue.redis.delete(stage.queue.keys.paused)
                    await stage.enqueue(*ids)
                    await stage.until(lambda: _sent(stage, 4), "four to be sent", PATIENCE)
                    await hand.vanish()
                    silent = loop.time()
                    await asyncio.to_thread(network.anvil.mine)
                await stage.until(stage.settled(ids), "the heir to finish")
                assert loop.time() - silent > 0
                await heir.leave()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


def test_what_a_zombie_signs_is_thrown_away(network: LiveNetwork) -> None:
    """It was robbed between binding and signing, and does not know it yet: the fence refuses its bytes."""

    async def scenario() -> None:
        async with staged(network) as stage:
            await stage.second_key()
            ids = await stage.made(3)
            async with stage.hired() as zombie:
                await stage.until(lambda: zombie.worker.house.in_order, "the worker to be ready")
                ledger = zombie.worker._executor.ledger
                real, wake, answers = ledger.write_call, asyncio.Event(), []

                async def write_call(*args: object, **kwargs: object) -> object:
                    await wake.wait()
                    answers.append(await real(*args, **kwargs))  # type: ignore[arg-type]
                    return answers[-1]

                async def no_beat(*args: object) -> object:
                    await asyncio.Event().wait()
                    return None

                ledger.write_call = write_call  # type: ignore[method-assign, assignment]
                zombie.queue.workers.beat = no_beat  # type: ignore[method-assign, assignment]
                await stage.enqueue(*ids)
                await stage.until(lambda: _bound(stage, 3), "three to be bound")
                await stage.forget_beats()
                async with stage.hired("worker2") as heir:
                    await stage.until(stage.settled(ids), "the heir to run them")
                    wake.set()
                    await stage.until(lambda: len(answers) == 3, "the zombie to write")
                    assert {answer.word for answer in answers} == {"fenced"}
                    await heir.leave()
            assert await stage.transactions("worker") == []
            await stage.assert_executed_once(ids, "worker2")

    asyncio.run(scenario())


async def _bound(stage: Stage, count: int) -> bool:
    return await _states(stage, "bound") == count
