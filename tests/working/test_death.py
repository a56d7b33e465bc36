"""A worker dies, at any moment: nothing is lost and nothing runs twice (I1, I2, I3)."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.network import LiveNetwork
from tests.working.process import worker_process
from tests.working.stage import Hand, Stage, mining, no_mining, staged

#: What a worker can be cut off at: (where, method, before or after it).
CRASHES = [
    ("queue", "adopt", "before"),
    ("queue", "adopt", "after"),
    ("ledger", "bind", "before"),
    ("ledger", "bind", "after"),
    ("ledger", "write_call", "before"),
    ("ledger", "write_call", "after"),
    ("sender", "broadcast", "after"),
    ("ledger", "settle", "before"),
    ("ledger", "settle", "after"),
]


def _crash_at(hand: Hand, where: str, method: str, when: str, call: int) -> asyncio.Event:
    """Let the worker stop dead at the n-th call of a method: it never comes back from it, and nor does anything else.

    Set once it is there.
    """
    executor = hand.worker._executor
    part = {"queue": hand.queue, "ledger": executor.ledger, "sender": executor.sender}[where]
    real: Callable[..., Awaitable[Any]] = getattr(part, method)
    there, calls = asyncio.Event(), 0

    async def crash(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        mine = calls
        if when == "before" and mine >= call:
            there.set()
            await asyncio.Event().wait()
        result = await real(*args, **kwargs)
        if mine >= call:
            there.set()
            await asyncio.Event().wait()
        return result

    setattr(part, method, crash)
    return there


@pytest.mark.parametrize(("where", "method", "when"), CRASHES, ids=str)
def test_at_every_step(network: LiveNetwork, where: str, method: str, when: str) -> None:
    """Twelve jobs; the worker gets to the step with some of them, dies, and one with the other key goes on."""

    async def scenario() -> None:
        async with staged(network) as stage:
            await stage.second_key()
            ids = await stage.made(12)
            async with stage.hired() as hand:
                await stage.until(lambda: hand.worker.house.in_order, "the worker to be ready")
                there = _crash_at(hand, where, method, when, call=6)
                await stage.enqueue(*ids)
                await stage.until(there.is_set, "the worker to be there")
                await hand.vanish()
            await stage.forget_beats()
            async with stage.hired("worker2") as heir:
                await stage.until(stage.settled(ids), "the heir to finish")
                await heir.leave()
            await stage.assert_executed_once(ids, "worker", "worker2")

    asyncio.run(scenario())


MOMENTS = {
    "claimed": lambda count: count["claimed"] + count["bound"] + count["signed"] >= 3,
    "signed": lambda count: count["signed"] >= 10,
    "settled": lambda count: count["settled"] >= 5,
}


@pytest.mark.parametrize(
    ("moment", "heir"),
    [
        # Each moment by itself is in test_faultpoints.py; here any moment will do.
        pytest.param("claimed", "worker2", marks=pytest.mark.soak),
        pytest.param("signed", "worker", marks=pytest.mark.soak),
        ("signed", "worker2"),
        pytest.param("settled", "worker", marks=pytest.mark.soak),
    ],
)
def test_kill_9(network: LiveNetwork, tmp_path: Path, moment: str, heir: str) -> None:
    """A process of its own, killed while some of its jobs are only taken, some signed, some mined, some settled."""

    async def scenario() -> None:
        async with staged(network, CONFIRMATIONS="finalized") as stage:
            await stage.second_key()
            ids = await stage.made(60)
            arguments = ("--concurrency", "20")
            with worker_process(network, tmp_path, *arguments, CONFIRMATIONS="finalized") as process:
                async with mining(network, every=0.4):
                    await stage.until(process.ready, "the process to be ready")
                    await stage.enqueue(*ids)

                    async def come() -> bool:
                        return bool(MOMENTS[moment](Counter(r.state for r in await stage.records())))

                    await stage.until(come, f"some to be {moment}")
                    await asyncio.sleep(random.uniform(0, 0.3))  # any moment will do
                    process.kill()
                    await stage.forget_beats()
                    async with stage.hired(heir) as hand:
                        await stage.until(stage.settled(ids), "the heir to finish", 60)
                        await hand.leave()
            await stage.assert_executed_once(ids, *{"worker", heir})

    asyncio.run(scenario())


def test_kill_9_and_a_burst_right_after(network: LiveNetwork, tmp_path: Path) -> None:
    """The heir is a process too, with nothing hurried: it waits until the dead one counts as dead, then finishes."""

    async def scenario() -> None:
        async with staged(network) as stage:
            ids = await stage.made(20)
            with worker_process(network, tmp_path, "--concurrency", "20") as process:
                async with no_mining(network):
                    await stage.until(process.ready, "the process to be ready")
                    await stage.enqueue(*ids)

                    async def taken() -> bool:
                        return await stage.queue.length() == 0

                    await stage.until(taken, "all to be taken")
                    process.kill()
            await asyncio.to_thread(network.anvil.mine)
            with worker_process(network, tmp_path, "--burst", "--json") as heir:
                assert await asyncio.to_thread(heir.wait, 60) == 0, heir.output
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


def test_the_heir_finds_a_nonce_that_nobody_uses_and_fills_it(network: LiveNetwork) -> None:
    """Bound at a low nonce, never signed, given back by another key's worker: what is signed above must not hang."""

    async def scenario() -> None:
        async with staged(network) as stage:
            await stage.second_key()
            ids = await stage.made(4)
            async with stage.hired() as hand, no_mining(network):
                await stage.until(lambda: hand.worker.house.in_order, "the worker to be ready")
                # The first job stops between binding and signing; the others are signed above it.
                real, first = hand.worker._executor.ledger.write_call, asyncio.Event()

                async def write_call(*args: Any, **kwargs: Any) -> Any:
                    if not first.is_set():
                        first.set()
                        await asyncio.Event().wait()
                    return await real(*args, **kwargs)

                hand.worker._executor.ledger.write_call = write_call  # type: ignore[method-assign]
                await stage.enqueue(*ids)
                await stage.until(_count(stage, "signed", 3), "three to be sent")
                await stage.until(_count(stage, "bound", 1), "one to be bound")
                await hand.vanish()
            await stage.forget_beats()
            async with stage.hired("worker2") as heir:
                await stage.until(_count(stage, "settled", 1), "the heir to run the unsigned one")
                await heir.leave()
            gap = [r for r in await stage.records() if r.state == "signed"]
            assert len(gap) == 3, "nothing can be mined above the gap"
            async with stage.hired() as again:
                await stage.until(stage.settled(ids), "the gap to be filled and the rest to be mined")
                await again.leave()
            await stage.assert_executed_once(ids, "worker", "worker2")
            (noop,) = [r for r in await stage.records() if r.kind == "noop"]
            assert noop.state == "settled"

    asyncio.run(scenario())


def _count(stage: Stage, state: str, wanted: int) -> Callable[[], Awaitable[bool]]:
    async def condition() -> bool:
        return sum(record.state == state for record in await stage.records()) == wanted

    return condition
