"""Whatever anybody pushes on the list: it is executed, or buried with its reason, and never stops a worker."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from tests.network import LiveNetwork
from tests.working.stage import Stage, mining, staged

HUGE = 2**256 - 1


async def _worked_off(stage: Stage) -> None:
    async with stage.hired(burst=True) as hand:
        await hand.finished()


async def _dead(stage: Stage) -> dict[bytes, str]:
    return {r.job: r.reason for r in await stage.records() if r.state == "dead"}


def test_a_hand_written_job_is_executed_with_all_its_fields(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            ids = await stage.made(3)
            first, second, third = [await stage.workflow(id) for id in ids]
            plain: dict[str, Any] = {
                "workflowId": first.id,
                "owner": first.owner.lower(),
                "triggerType": 1,
                "actionType": 1,
                "actionData": "0x" + first.action_data.hex(),
                "nextRun": first.next_run,
                "gasBudget": 200000,
                "retryCount": 0,
            }
            strange = json.dumps(
                {"workflowId": str(second.id), "nextRun": str(second.next_run), "gasBudget": HUGE,
                 "note": {"by": "hand ☃", "n": [HUGE, 1.5, None]}}
            ).encode()  # fmt: skip
            short = b'  {"nextRun":%d ,"workflowId":%d}\n' % (third.next_run, third.id)
            await stage.push(plain, strange, short)
            await _worked_off(stage)
            await stage.assert_executed_once(ids)
            record = await stage.only(second.id)
            assert record.job == strange, "the payload is not what was pushed"

    asyncio.run(scenario())


def test_what_is_no_job_is_buried_as_it_is(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.made(1)
            workflow = await stage.workflow(id)
            garbage = [
                b"not json",
                b"",
                b"\xff\xfe\x00\x01",
                b"null",
                b"[1,2]",
                b'{"nextRun":1}',
                b'{"workflowId":-1,"nextRun":1}',
                b'{"workflowId":0,"nextRun":1}',
                b'{"workflowId":1.5,"nextRun":1}',
                b'{"workflowId":1,"nextRun":1,"nextRun":2}',
                b'{"workflowId":%d,"nextRun":1}' % (HUGE + 1),
                b'{"workflowId":1,"nextRun":1,"actionData":"0xzz"}',
                b"[" * 100_000,
                b"x" * 10_000_000,
                b"v1|id|key|raw",
                b"v1|1287:x:1:2:0|y",
            ]
            await stage.push(*garbage)
            await stage.push({"workflowId": id, "nextRun": workflow.next_run})
            await _worked_off(stage)
            buried = await _dead(stage)
            assert set(buried) == set(garbage), "bytes are lost or changed"
            assert set(buried.values()) == {"unreadable"}
            await stage.assert_executed_once([id])

    asyncio.run(scenario())


def test_an_occurrence_that_is_pushed_many_times_runs_once(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.due(1)
            workflow = await stage.workflow(id)
            payloads: list[dict[str, Any]] = [
                {"workflowId": id, "nextRun": workflow.next_run},
                {"workflowId": id, "nextRun": workflow.next_run, "id": "x"},
                {"workflowId": id, "nextRun": str(workflow.next_run), "owner": workflow.owner},
            ]
            await stage.push(*payloads * 5)
            async with mining(network), stage.hired() as one, stage.hired() as two:
                await stage.until(stage.settled([id]), "it to be settled")
                await stage.push(*payloads)
                await one.leave()
                await two.leave()
            await _worked_off(stage)
            await stage.assert_executed_once([id])

    asyncio.run(scenario())


def test_a_stale_one_is_skipped_and_a_future_one_waits(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            stale, future = await stage.made(1), await stage.made(1, next_run=network.now() + 5000)
            await stage.push({"workflowId": stale[0], "nextRun": 12345})
            await stage.push({"workflowId": future[0], "nextRun": (await stage.workflow(future[0])).next_run})
            await stage.push({"workflowId": future[0], "nextRun": HUGE})
            await stage.push({"workflowId": 10**30, "nextRun": 5})
            await _worked_off(stage)
            found = {(r.workflow, r.next_run): (r.state, r.reason) for r in await stage.records()}
            assert found[stale[0], 12345] == ("skipped", "moved_on")
            assert found[future[0], (await stage.workflow(future[0])).next_run] == ("delayed", "not_due")
            assert found[future[0], HUGE] == ("skipped", "moved_on")
            assert found[10**30, 5] == ("skipped", "gone")
            due = await stage.queue.redis.zrange(stage.queue.keys.delayed, 0, -1, withscores=True)
            (wait,) = [score / 1000 for _, score in due]
            assert 3000 < wait - (await stage.queue.redis.time())[0] < 6000
            assert await stage.executions() == []

    asyncio.run(scenario())


def test_an_occurrence_key_that_lies_changes_nothing(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            ids = await stage.made(2)
            first, second = [await stage.workflow(id) for id in ids]
            other = stage.occurrence(second.id, second.next_run).key
            await stage.push({"workflowId": first.id, "nextRun": first.next_run, "occurrence": other})
            far = stage.occurrence(second.id, second.next_run, generation=7).key
            await stage.push({"workflowId": second.id, "nextRun": second.next_run, "occurrence": far})
            await _worked_off(stage)
            assert await stage.executed() == Counter([first.id]), "a generation that nobody opened ran"
            await stage.enqueue(second.id)
            await _worked_off(stage)
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


def test_a_tampered_copy_does_not_bury_the_occurrence(network: LiveNetwork) -> None:
    """It reaches a worker before the scheduler's own element does."""

    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.made(1)
            [key] = await stage.enqueue(id)
            workflow = await stage.workflow(id)
            copies = [
                json.dumps({"workflowId": id, "nextRun": workflow.next_run, **lie}).encode()
                for lie in (
                    {"owner": "0x" + "66" * 20},
                    {"actionData": "01"},
                    {"owner": "0x" + "66" * 20, "occurrence": key},
                )
            ]
            own = await stage.queue.redis.lpop(stage.queue.keys.pending)
            await stage.push(*copies)
            await _worked_off(stage)
            assert await _dead(stage) == dict.fromkeys(copies, "mismatch")
            assert (await stage.record(key)).state == "queued"
            await stage.push(own)
            await _worked_off(stage)
            await stage.assert_executed_once([id])

    asyncio.run(scenario())


def test_the_occurrences_own_element_is_buried_with_it(network: LiveNetwork) -> None:
    """Its own element contradicts the chain: nothing else stands for the occurrence."""

    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.made(1)
            [key] = await stage.enqueue(id)
            [element] = await stage.queue.peek()
            lie = element.replace(b'"owner":"0x', b'"owner":"0x' + b"6" * 40 + b'","was":"0x', 1)
            await stage.queue.redis.lset(stage.queue.keys.pending, 0, lie)
            await stage.queue.redis.hset(stage.queue.keys.occurrence(key), "job", lie)
            await _worked_off(stage)
            record = await stage.record(key)
            assert (record.state, record.reason) == ("dead", "mismatch")

    asyncio.run(scenario())


def test_a_payload_of_a_newer_version_waits_for_newer_workers(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            ids = await stage.made(2)
            first, second = [await stage.workflow(id) for id in ids]
            await stage.push({"v": 1, "workflowId": first.id, "nextRun": first.next_run})
            await stage.push({"v": 2, "workflowId": second.id, "nextRun": second.next_run})
            await _worked_off(stage)
            assert await stage.executed() == Counter([first.id])
            assert list((await _dead(stage)).values()) == ["unreadable"]

    asyncio.run(scenario())
