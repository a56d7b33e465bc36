"""While a transaction waits to be mined its workflow is changed: what was signed is not sent again, nothing is lost."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from autometa_cli.executor.head import Counts
from autometa_cli.jobs.claim import Claim, Sighting
from autometa_cli.jobs.job import parse_job
from autometa_cli.jobs.occurrence import Occurrence
from tests.executor.bench import ME, Bench, bench, go, hold_of
from tests.executor.fakes import CHAIN, EXECUTOR, FEES
from tests.executor.test_tracker import FINAL_ONE, OPEN, _at, _receipt


async def extra(b: Bench, workflow: int) -> Claim:
    """A claimed "now" job of a workflow that is known already."""
    await b.queue.push([b'{"workflowId":%d,"nextRun":0,"id":"x"}' % workflow])
    (taken,) = await b.queue.take(ME, 1)
    occurrence = Occurrence(CHAIN, EXECUTOR.lower(), workflow, 0, now_id="x")
    claim = await b.queue.adopt(ME, parse_job(taken), occurrence, "x", Sighting(5, False, "d"))
    assert isinstance(claim, Claim)
    return claim


def test_who_lowers_the_charge_is_not_charged_the_old_one(redis_url: str) -> None:
    async def scenario() -> None:
        async with bench(redis_url) as b:
            hold, record = await b.signed()
            b.tracker.add(record, hold, sent=False)
            workflow = b.registry.workflows[record.workflow]
            assert workflow is not None
            b.registry.workflows[record.workflow] = replace(workflow, gas_budget=1)
            await b.tracker.tick(_at(19, OPEN))
            assert record.attempts_sent[0].raw not in b.rpc.offered
            assert (await b.record(hold.key)).state == "cancelling"

    asyncio.run(scenario())


def test_who_allows_more_keeps_the_transaction_that_takes_less(redis_url: str) -> None:
    """With CHARGE=cost nearly every charge is below the budget; cancelling such a one would cost a nonce, and time."""

    async def scenario() -> None:
        async with bench(redis_url) as b:
            hold, record = await b.signed()
            b.tracker.add(record, hold, sent=False)
            workflow = b.registry.workflows[record.workflow]
            assert workflow is not None
            b.registry.workflows[record.workflow] = replace(workflow, gas_budget=10**18)
            await b.tracker.tick(_at(19, OPEN))
            assert record.attempts_sent[0].raw in b.rpc.offered
            assert (await b.record(hold.key)).state == "signed"

    asyncio.run(scenario())


@pytest.mark.parametrize("what", ["action", "date"])
def test_an_extra_run_that_was_changed_is_made_anew(redis_url: str, what: str) -> None:
    async def scenario() -> None:
        async with bench(redis_url) as b:
            due = await b.claimed()  # only to have a workflow
            number = due.occurrence.workflow
            claim = await extra(b, number)
            answer = await b.ledger.bind(
                claim, b.sender.address, Counts(0, 0, 0), block=10, final=8, genesis="0x00"
            )
            assert answer.word == "ok"
            hold = hold_of(claim)
            record = await b.sender.sign_call(hold, await b.record(claim.key), go(number), FEES)
            assert record is not None
            b.tracker.add(record, hold, sent=False)
            workflow = b.registry.workflows[number]
            assert workflow is not None
            changes = {"action_data": b"\x09"} if what == "action" else {"next_run": 2 * 10**9}
            b.registry.workflows[number] = replace(workflow, **changes)
            await b.tracker.tick(_at(19, OPEN))
            stored = await b.record(claim.key)
            assert (stored.state, stored.reason) == ("cancelling", "changed")
            assert record.attempts_sent[0].raw not in b.rpc.offered
            receipts = {stored.attempts_sent[1].hash: _receipt(stored, 1)}
            await b.tracker.tick(_at(22, FINAL_ONE, receipts))
            assert (await b.record(claim.key)).state == "delayed", "it is still wanted"

    asyncio.run(scenario())
