""" "Now" jobs: pushed by hand with nextRun 0, run whatever the schedule says, and leave it as it is (DESIGN 2.3)."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest

from tests.network import LiveNetwork
from tests.working.stage import mining, no_mining, staged

FAR = 10**7  # seconds ahead


def test_it_runs_at_once_and_leaves_the_schedule_alone(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            ahead = network.now() + FAR
            (id,) = await stage.made(1, next_run=ahead)
            await stage.push({"workflowId": id, "nextRun": 0})
            async with stage.hired(burst=True) as hand:
                await hand.finished()
            await stage.assert_executed_once([id])
            assert (await stage.workflow(id)).next_run == ahead
            record = await stage.only(id)
            assert (record.kind, record.outcome) == ("now", "executed")

    asyncio.run(scenario())


def test_of_a_workflow_that_is_due_it_serves_that_run(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.due(1, interval=3600)
            await stage.push({"workflowId": id, "nextRun": 0})
            async with stage.hired(burst=True) as hand:
                await hand.finished()
            runs = await stage.executed()
            assert runs[id] in (1, 2), "the due run, and the extra one unless it came first"
            assert (await stage.workflow(id)).next_run > network.now()
            await stage.assert_nothing_left()

    asyncio.run(scenario())


def test_a_second_one_is_buried_unless_it_is_forced(
    network: LiveNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            ahead = network.now() + FAR
            (first, second) = await stage.made(2, next_run=ahead)
            await stage.push(
                {"workflowId": first, "nextRun": 0, "id": "a"}, {"workflowId": first, "nextRun": 0}
            )
            await stage.push(
                {"workflowId": second, "nextRun": 0, "id": "b"},
                {"workflowId": second, "nextRun": 0, "id": "c", "force": True},
            )
            async with mining(network), stage.hired(burst=True, CONFIRMATIONS="finalized") as hand:
                await hand.finished()
            assert await stage.executed() == Counter({first: 1, second: 2})
            dead = [record for record in await stage.records() if record.state == "dead"]
            assert [(record.workflow, record.reason) for record in dead] == [(first, "duplicate")]
            told = [r.message for r in caplog.records if "buried as duplicate" in r.message]
            assert told == [
                f"{dead[0].label} buried as duplicate: another extra run of workflow {first} is open ({first}!a); "
                "push with --force to have both"
            ]
            assert {r.levelname for r in caplog.records if "buried as duplicate" in r.message} == {"WARNING"}
            await stage.assert_nonces("worker")
            await stage.assert_nothing_left()

    asyncio.run(scenario())


def test_the_same_id_twice_runs_once(network: LiveNetwork, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.made(1, next_run=network.now() + FAR)
            await stage.push(*[{"workflowId": id, "nextRun": 0, "id": "mine", "force": True}] * 3)
            async with stage.hired(burst=True) as hand:
                await hand.finished()
            caplog.clear()
            await stage.push({"workflowId": id, "nextRun": 0, "id": "mine"})
            async with stage.hired(burst=True) as hand:
                await hand.finished()
            assert (
                f"{id}!mine dropped: that id is closed (settled); push it under another id",
                "WARNING",
            ) in {(r.message, r.levelname) for r in caplog.records}
            await stage.assert_executed_once([id])

    asyncio.run(scenario())


def test_it_waits_while_another_run_of_its_workflow_is_open(network: LiveNetwork) -> None:
    """The mutex: an old attempt mined late must not put an old nextRun back (REVIEW H3)."""

    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.made(1)
            async with stage.hired() as hand, no_mining(network):
                await stage.enqueue(id)

                async def states() -> Counter[str]:
                    return Counter(record.state for record in await stage.records())

                async def signed() -> bool:
                    return (await states())["signed"] == 1

                await stage.until(signed, "the due run to be sent")
                await stage.push({"workflowId": id, "nextRun": 0})
                await stage.until(stage.held_by_reason(id, "workflow_busy"), "the other to wait")
                assert len(await stage.transactions("worker")) == 0
                assert int(network.anvil.request("txpool_status")["pending"], 16) == 1
                await asyncio.to_thread(network.anvil.mine)
                await stage.until(lambda: hand.worker.closed["executed"] == 1, "the due run to be settled")
                await stage.hurry()
                await stage.until(signed, "the extra run to be sent")
                await asyncio.to_thread(network.anvil.mine)
                await stage.until(lambda: hand.worker.closed["executed"] == 2, "both to be settled")
                await hand.leave()
            assert await stage.executed() == Counter({id: 2})
            await stage.assert_nothing_left()

    asyncio.run(scenario())


def test_where_the_chain_says_0_it_is_the_ordinary_occurrence(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            ids = await stage.due(2, next_run=0, interval=3600)
            await stage.push({"workflowId": ids[0], "nextRun": 0}, {"workflowId": ids[0], "nextRun": 0})
            async with stage.hired(burst=True) as hand:
                await hand.finished()
            for id in ids:
                record = await stage.only(id)
                assert (record.kind, record.next_run) == ("due", 0)
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["held", "twice on the list"])
def test_the_occurrence_0_does_not_become_an_extra_run_when_the_chain_moves_on(
    network: LiveNetwork, how: str
) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            broken = stage.call_of("RevertingTarget", "act")
            (id,) = await stage.due(1, next_run=0, interval=3600, action=broken)
            if how == "held":
                async with stage.hired():
                    await stage.until(stage.held_by_reason(id, "would_fail"), "it to be held")
                ahead = network.now() + FAR
                await network.update(id, next_run=ahead)
                await stage.tell("RevertingTarget", "setMode", 0)
                await stage.hurry()
                expected = 0
            else:
                await stage.tell("RevertingTarget", "setMode", 0)
                (element,) = await stage.queue.peek(1)
                async with stage.hired(burst=True) as hand:
                    await hand.finished()
                await stage.push(element)  # as a sweep does that saw the element nowhere
                expected = 1
            async with stage.hired() as hand:
                await stage.until(lambda: hand.worker.house.in_order, "the worker to be ready")

                async def done() -> bool:
                    redis, keys = stage.queue.redis, stage.queue.keys
                    waits = await redis.llen(keys.pending) or await redis.zcard(keys.delayed)
                    return not (waits or hand.handling or await stage.queue.held(hand.worker.id))

                await stage.until(done, "it to be dealt with")
                await hand.leave()
            assert await stage.executed() == Counter({id: expected} if expected else {})
            record = await stage.only(id)
            assert record.state == ("settled" if expected else "skipped")
            await stage.assert_nothing_left()

    asyncio.run(scenario())


def test_it_keeps_its_identity_when_it_waits(network: LiveNetwork) -> None:
    """Held, promoted, its workflow's nextRun changed to 0 meanwhile: it is still that one job."""

    async def scenario() -> None:
        async with staged(network) as stage:
            action = stage.call_of("RevertingTarget", "act")
            (id,) = await stage.made(1, next_run=network.now() + FAR, action=action)
            await stage.push(json.dumps({"workflowId": id, "nextRun": 0}).encode())
            async with stage.hired() as hand:
                await stage.until(stage.held_by_reason(id, "would_fail"), "it to be held")
                held = await stage.only(id)
                await network.update(id, next_run=0)
                await stage.tell("RevertingTarget", "setMode", 0)
                await stage.until(stage.settled([id]), "it to run", hurry=True)
                record = await stage.only(id)
                assert (record.key, record.kind) == (held.key, "now")
                await hand.leave()
            await stage.assert_executed_once([id])

    asyncio.run(scenario())
