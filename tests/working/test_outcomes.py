"""What can become of an occurrence, each as the chain and the ledger tell it (I1, I4, I5, I10)."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from autometa_cli.chain.actions import Action, ContractCall, NativeTransfer, TokenTransfer
from autometa_cli.chain.interfaces import interface
from autometa_cli.executor.schedule import NEVER
from autometa_cli.jobs.job import job_json
from tests.network import RECIPIENT, LiveNetwork
from tests.working.stage import OUTBID, Stage, no_mining, staged

HEALTHY, REASON = 0, 1  # modes of RevertingTarget
NO_LIMIT = 2**256 - 1
ETHER = 10**18


def test_an_inner_call_that_needs_over_5_million_gas_succeeds(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            ids = await stage.due(1, action=stage.call_of("GasBurner", "burn", 5_500_000))
            async with stage.hired(burst=True) as hand:
                await hand.finished()
            await stage.assert_executed_once(ids)
            assert await stage.ask("GasBurner", "burns") == 1
            assert await stage.ask("GasBurner", "lastBurned") > 5_000_000
            (transaction,) = await stage.transactions("worker")
            assert int(transaction["gas"], 16) > 5_500_000

    asyncio.run(scenario())


def test_each_kind_of_action_and_a_one_shot(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            token = stage.target("TestToken")
            actions: list[Action] = [
                NativeTransfer(RECIPIENT, 5),
                TokenTransfer(token, RECIPIENT, 7),
                stage.call_of("Recorder", "mark", b"\x07" * 32, value=9),
            ]
            before = await stage.ask("TestToken", "balanceOf", RECIPIENT)
            ids = [id for action in actions for id in await stage.due(1, action=action, interval=0)]
            async with stage.hired(burst=True) as hand:
                await hand.finished()
            await stage.assert_executed_once(ids)
            assert await stage.ask("TestToken", "balanceOf", RECIPIENT) - before == 7
            assert await stage.ask("Recorder", "marks", b"\x07" * 32) == 1
            assert await stage.ask("Recorder", "lastValue") == 9
            assert (await stage.ask("Recorder", "lastSender")).lower() == network.executor.lower()
            for id in ids:
                assert (await stage.workflow(id)).next_run == NEVER

    asyncio.run(scenario())


def test_an_action_that_fails_on_chain_after_a_clean_simulation_is_never_retried(
    network: LiveNetwork,
) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            await stage.tell("RevertingTarget", "setMode", HEALTHY)
            id = (await stage.made(1, action=stage.call_of("RevertingTarget", "act")))[0]
            async with stage.hired() as hand:
                await stage.until(lambda: hand.worker.house.in_order, "the worker to be ready")
                async with no_mining(network):
                    # The target breaks in the very block in which the execution is mined, just before it.
                    await stage.enqueue(id)
                    await stage.until(_signed(stage, id), "the transaction to be sent")
                    breaking = asyncio.create_task(
                        stage.tell("RevertingTarget", "setMode", REASON, gas_price=OUTBID)
                    )
                    await stage.until(lambda: _pooled(network) >= 2, "both to be in the pool")
                    await asyncio.to_thread(network.anvil.mine)
                    await breaking
                record = await stage.until(_closed(stage, id), "the outcome")
                assert (record.state, record.outcome) == ("settled", "action_failed")
                assert "target is not healthy" in record.text
                moved_to = (await stage.workflow(id)).next_run
                assert moved_to > network.now()
                await hand.leave()
            (run,) = await stage.executions()
            assert not run.success
            await stage.assert_nonces("worker")  # status 1: the receipt alone would say that all is well
            await stage.assert_nothing_left()
            # Pushed again, it is not executed again.
            await stage.push({"workflowId": id, "nextRun": record.next_run})
            async with stage.hired(burst=True) as hand:
                await hand.finished()
            assert len(await stage.executions()) == 1

    asyncio.run(scenario())


def test_an_action_that_passes_simulation_by_its_gas_price_is_reported_as_failed(
    network: LiveNetwork,
) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            await stage.tell("RevertingTarget", "setMode", HEALTHY)
            await stage.tell("RevertingTarget", "setLimits", 0, NO_LIMIT)  # a simulation has gas price 0
            (id,) = await stage.due(1, action=stage.call_of("RevertingTarget", "act"))
            async with stage.hired(burst=True) as hand:
                await hand.finished()
            assert hand.worker.closed == Counter(action_failed=1)
            record = await stage.only(id)
            assert (record.state, record.outcome) == ("settled", "action_failed")
            (entry,) = await stage.queue.redis.xrange(stage.queue.keys.history)
            assert entry[1][b"outcome"] == b"action_failed"
            assert [run.success for run in await stage.executions()] == [False]

    asyncio.run(scenario())


def test_an_action_that_would_fail_is_held_with_its_reason_and_runs_once_healed(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            await stage.tell("RevertingTarget", "setMode", REASON)
            (id,) = await stage.due(1, action=stage.call_of("RevertingTarget", "act"))
            async with stage.hired() as hand:
                await stage.until(stage.held_by_reason(id, "would_fail"), "it to be held")
                record = await stage.only(id)
                assert "target is not healthy" in record.text
                assert (record.holds, record.attempts) == (1, 0)
                await stage.hurry()
                await stage.until(_holds(stage, id, 2), "it to be held again")
                assert await stage.transactions("worker") == []
                await stage.tell("RevertingTarget", "setMode", HEALTHY)
                await stage.until(stage.settled([id]), "it to run by itself", hurry=True)
                await hand.leave()
            await stage.assert_executed_once([id])

    asyncio.run(scenario())


def test_what_would_fail_for_longer_than_max_hold_is_buried(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network, MAX_HOLD="3600") as stage:
            await stage.tell("RevertingTarget", "setMode", REASON)
            (id,) = await stage.due(1, action=stage.call_of("RevertingTarget", "act"))
            async with stage.hired() as hand:
                await stage.until(stage.held_by_reason(id, "would_fail"), "it to be held")
                record = await stage.only(id)
                assert record.held_since
                held_since = record.held_since - 3700 * 1000
                await stage.queue.redis.hset(
                    stage.queue.keys.occurrence(record.key), "held_since", held_since
                )
                await stage.hurry()
                record = await stage.until(_closed(stage, id), "it to be buried")
                assert (record.state, record.reason) == ("dead", "would_fail")
                assert "target is not healthy" in record.text
                assert record.job.endswith(job_json(await stage.workflow(id))[1:]), "the payload is lost"
                await hand.leave()
            assert await stage.executions() == []
            await stage.assert_nothing_left()

    asyncio.run(scenario())


def _forbidden(stage: Stage) -> dict[str, ContractCall]:
    network = stage.network
    victim, thief = network.accounts["owner"].address, RECIPIENT
    charge = interface("FeeEscrow").functions["chargeGas"].encode(victim, ETHER)
    reset = interface("WorkflowRegistry").functions["adminSetWorkflow"].encode(1, True, 1)
    again = interface("ActionExecutor").functions["executeWorkflow"].encode(1, b"\x01", 1, victim, 0)
    token = interface("TestToken").functions
    return {
        "escrow": ContractCall(network.escrow, 0, charge),
        "registry": ContractCall(network.registry, 0, reset),
        "executor": ContractCall(network.executor, 0, again),
        "approve": ContractCall(stage.target("TestToken"), 0, token["approve"].encode(thief, NO_LIMIT)),
        "transferFrom": ContractCall(
            stage.target("TestToken"), 0, token["transferFrom"].encode(network.executor, thief, 1)
        ),
        "precompile": ContractCall("0x0000000000000000000000000000000000000802", 0, charge),
    }


def test_the_executors_powers_are_not_for_hire(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            (victim,) = await stage.made(1, next_run=network.now() + 10**6)
            before = await stage.workflow(victim)
            escrow, executor = await network.balance(network.escrow), await network.balance(network.executor)
            wanted = {name: (await stage.due(1, action=a))[0] for name, a in _forbidden(stage).items()}
            async with stage.hired(burst=True) as hand:
                await hand.finished()
            for name, id in wanted.items():
                record = await stage.only(id)
                assert (record.state, record.reason) == ("dead", "forbidden_target"), (name, record.text)
            assert await stage.transactions("worker") == []
            assert await stage.workflow(victim) == before
            assert await network.balance(network.escrow) == escrow
            assert await network.balance(network.executor) == executor
            allowance = await stage.ask("TestToken", "allowance", network.executor, RECIPIENT)
            assert allowance == 0
            await stage.assert_nothing_left()

    asyncio.run(scenario())


@pytest.mark.parametrize("lie", ["owner", "actionData"])
def test_a_job_that_contradicts_the_chain_moves_no_money(network: LiveNetwork, lie: str) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.made(1)
            workflow = await stage.workflow(id)
            payload: dict[str, Any] = {"workflowId": id, "nextRun": workflow.next_run}
            payload |= {
                "owner": {"owner": network.accounts["admin"].address},
                "actionData": {"actionData": workflow.action_data.hex()[:-2] + "ff"},
            }[lie]
            await stage.push(payload)
            async with stage.hired(burst=True) as hand:
                await hand.finished()
            (record,) = await stage.records()
            assert (record.state, record.reason) == ("dead", "mismatch")
            assert record.job.endswith(b"}")
            assert await stage.executions() == []
            await stage.assert_nothing_left()
            # The lie does not stand in the way of the true occurrence.
            await stage.enqueue(id)
            async with stage.hired(burst=True) as hand:
                await hand.finished()
            await stage.assert_executed_once([id])

    asyncio.run(scenario())


@pytest.mark.parametrize("change", ["paused", "deleted", "moved on"])
def test_what_the_chain_no_longer_asks_for_is_skipped_only_when_that_is_final(
    network: LiveNetwork, change: str
) -> None:
    async def scenario() -> None:
        async with staged(network, CONFIRMATIONS="finalized") as stage:
            ids = await stage.due(2)
            network.finalize()
            match change:
                case "paused":
                    await network.pause(*ids)
                case "deleted":
                    await network.delete(*ids)
                case _:
                    for id in ids:
                        await network.set_workflow(id, True, network.now() + 10**6)
            async with stage.hired() as hand:
                # Not final yet: it waits, and nothing is closed.
                reasons = {"paused": "paused", "deleted": "gone", "moved on": "moved_on"}
                await stage.until(stage.held_by_reason(ids[0], reasons[change]), "it to be put off")
                assert hand.worker.closed.total() == 0
                assert not [record for record in await stage.records() if record.state == "skipped"]
                network.finalize()
                await stage.until(stage.settled(ids, "skipped"), "it to be skipped", hurry=True)
                await hand.leave()
            for id in ids:
                assert (await stage.only(id)).reason == reasons[change]
            assert await stage.executions() == []
            await stage.assert_nothing_left()
            if change == "paused":
                assert not (await stage.workflow(ids[0])).active, "it was activated again"

    asyncio.run(scenario())


def test_what_needs_more_gas_than_allowed_is_buried(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network, MAX_GAS_PER_TX="1000000") as stage:
            (id,) = await stage.due(1, action=stage.call_of("GasBurner", "burn", 2_000_000))
            async with stage.hired(burst=True) as hand:
                await hand.finished()
            record = await stage.only(id)
            assert (record.state, record.reason) == ("dead", "over_gas")
            assert await stage.executions() == []

    asyncio.run(scenario())


def test_an_owner_without_deposit_waits_until_it_is_filled(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.due(1, owner="admin", gas_budget=10**15)
            deposit = interface("FeeEscrow").functions["depositGas"].encode()
            async with stage.hired() as hand:
                await stage.until(stage.held_by_reason(id, "escrow_low"), "it to be held")
                record = await stage.only(id)
                assert network.accounts["admin"].address in record.text
                await network.transact("admin", network.escrow, deposit, value=10**15)
                await stage.until(stage.settled([id]), "it to run", hurry=True)
                await hand.leave()
            await stage.assert_executed_once([id])

    asyncio.run(scenario())


def test_an_executor_contract_short_of_money_costs_no_attempts(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            network.anvil.set_balance(network.executor, 10)
            ids = await stage.due(3, action=NativeTransfer(RECIPIENT, 6))  # one fits, two do not
            async with stage.hired() as hand:
                await stage.until(lambda: hand.worker.closed["executed"] == 1, "one to run")
                await stage.until(_delayed(stage, "executor_low", 2), "the others to wait")
                for record in await stage.records():
                    assert record.attempts == 0
                    assert not record.held_since, "our own trouble must not count against MAX_HOLD"
                network.anvil.set_balance(network.executor, ETHER)
                await stage.until(stage.settled(ids), "all to run", hurry=True)
                await hand.leave()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


def test_a_token_transfer_that_answers_false_or_reverts_is_held(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            token = stage.target("TestToken")
            (id,) = await stage.due(1, action=TokenTransfer(token, RECIPIENT, 7))
            async with stage.hired() as hand:
                for count, refusal in enumerate((1, 2), 1):
                    await stage.tell("TestToken", "setRefusal", refusal)
                    if count == 1:
                        await stage.until(lambda: hand.worker.house.in_order, "the worker to be ready")
                    await stage.hurry()
                    await stage.until(_holds(stage, id, count), "it to be held")
                assert await stage.transactions("worker") == []
                await stage.tell("TestToken", "setRefusal", 0)
                await stage.until(stage.settled([id]), "it to run", hurry=True)
                await hand.leave()
            await stage.assert_executed_once([id])

    asyncio.run(scenario())


def _signed(stage: Stage, id: int) -> Any:
    async def condition() -> bool:
        return any(r.workflow == id and r.state == "signed" for r in await stage.records())

    return condition


def _closed(stage: Stage, id: int) -> Any:
    async def condition() -> Any:
        states = ("settled", "skipped", "dead")
        return next((r for r in await stage.records() if r.workflow == id and r.state in states), None)

    return condition


def _holds(stage: Stage, id: int, count: int) -> Any:
    async def condition() -> bool:
        return any(
            r.workflow == id and r.state == "delayed" and r.holds == count for r in await stage.records()
        )

    return condition


def _delayed(stage: Stage, reason: str, count: int) -> Any:
    async def condition() -> bool:
        found = [r for r in await stage.records() if r.state == "delayed" and r.reason == reason]
        return len(found) == count

    return condition


def _pooled(network: LiveNetwork) -> int:
    return int(network.anvil.request("txpool_status")["pending"], 16)
