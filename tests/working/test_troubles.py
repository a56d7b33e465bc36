"""Trouble of ours costs a job nothing: the worker stops taking jobs, says why, and goes on by itself (I6, I9)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from autometa_cli.chain.actions import NativeTransfer
from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.errors import AutometaError, ExitCode
from tests.network import RECIPIENT, LiveNetwork
from tests.working.proxy import proxied
from tests.working.stage import OUTBID, Hand, Stage, no_mining, staged

ETHER = 10**18


async def _told(stage: Stage, hand: Hand, word: str) -> None:
    """The worker says so to whoever asks: in its own list of troubles, and in the registry of workers."""

    async def registered() -> bool:
        trouble = [m.fields.get("trouble", "") for m in await stage.queue.workers.members() if not m.buried]
        return any(word in text for text in trouble)

    await stage.until(lambda: word in hand.worker.house.summary(), f"{word!r} among the troubles")
    await stage.until(registered, f"{word!r} in the registry")
    (member,) = [m for m in await stage.queue.workers.members() if m.id == hand.worker.id]
    assert member.fields["state"] == "waiting"


async def _untouched(stage: Stage, count: int) -> None:
    """All jobs are still pending, as they were pushed: not taken, or put back without an attempt."""

    async def condition() -> bool:
        return bool(await stage.queue.length() == count)

    await stage.until(condition, f"all {count} jobs to be on the list")
    for record in await stage.records():
        assert (record.state, record.attempts, record.nonce) == ("queued", 0, None), record


def test_without_the_role_it_waits_for_it(network: LiveNetwork, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            await stage.second_key("novice", role=False)
            ids = await stage.due(5)
            async with stage.hired("novice") as hand:
                await _told(stage, hand, "WORKER_ROLE")
                await _untouched(stage, 5)
                assert "WORKER_ROLE" in caplog.text
                await stage.grant("novice")
                await stage.until(stage.settled(ids), "the jobs to run once the role is there")
                assert hand.worker.house.summary() == ""
                # Taken away while it works: it stops again.
                await stage.revoke("novice")
                more = await stage.due(3)
                await _told(stage, hand, "WORKER_ROLE")
                await _untouched_but_settled(stage, 3)
                await stage.grant("novice")
                await stage.until(stage.settled(more), "the rest to run")
                await hand.leave()
            await stage.assert_executed_once(ids + more, "novice")

    asyncio.run(scenario())


def test_a_burst_without_role_or_money_ends_and_says_so(
    network: LiveNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for a burst, a cron job for instance, must not wait until a person looks."""
    monkeypatch.setattr("autometa_cli.working.burst.HEADLESS_SECONDS", 0.5)

    async def scenario() -> None:
        async with staged(network) as stage:
            await stage.second_key("novice", role=False)
            poor = await stage.second_key("poor")
            network.anvil.set_balance(poor, 10**9)
            ids = await stage.due(3)
            for key, code, words in (
                ("novice", ExitCode.NOT_PERMITTED, "gives up, .* no WORKER_ROLE"),
                ("poor", ExitCode.FAILED, "gives up, .* less than one transaction may cost"),
            ):
                with pytest.raises(AutometaError, match=words) as caught:
                    await _burst(stage, key)
                assert caught.value.exit_code is code
                await _untouched(stage, 3)
                assert [m.id for m in await stage.queue.workers.members() if not m.buried] == []
            await _burst(stage, "worker")
            await stage.assert_executed_once(ids)
            await _burst(stage, "novice")  # nothing is left that it would need the role for

    asyncio.run(scenario())


async def _burst(stage: Stage, key: str) -> None:
    async with stage.hired(key, burst=True) as hand:
        await hand.finished()


async def _untouched_but_settled(stage: Stage, count: int) -> None:
    async def condition() -> bool:
        return bool(await stage.queue.length() == count)

    await stage.until(condition, f"{count} jobs to be on the list")
    assert all(record.attempts == 0 for record in await stage.records())


def test_without_gas_money_it_waits_for_it(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            address = await stage.second_key("poor")
            network.anvil.set_balance(address, 10**9)
            ids = await stage.due(5)
            async with stage.hired("poor") as hand:
                await _told(stage, hand, "less than one transaction may cost")
                await _untouched(stage, 5)
                network.anvil.set_balance(address, ETHER)
                network.anvil.mine()  # the head that it looks at is of before
                await stage.until(stage.settled(ids), "the jobs to run once there is money")
                await hand.leave()
            await stage.assert_executed_once(ids, "poor")

    asyncio.run(scenario())


def test_a_target_cannot_make_the_worker_believe_that_its_role_is_gone(network: LiveNetwork) -> None:
    """Anybody may own a contract that reverts with the words in which our own contract would refuse us."""

    async def scenario() -> None:
        async with staged(network) as stage:
            worker = network.accounts["worker"].address.lower()
            role = "0x97667070c54ef182b0f5858b034beac1b6f3089aa2d3188bb1e8929f4fa9b929"
            words = f"AccessControl: account {worker} is missing role {role}"
            await stage.tell("RevertingTarget", "setReason", words)
            (liar,) = await stage.due(1, action=stage.call_of("RevertingTarget", "act"))
            ids = await stage.due(5)
            async with stage.hired() as hand:
                await stage.until(stage.settled(ids), "the honest ones to run")
                await stage.until(stage.held_by_reason(liar, "would_fail"), "the liar to be held")
                assert hand.worker.house.summary() == ""
                await hand.leave()

    asyncio.run(scenario())


def test_an_action_that_burns_all_gas_is_held(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            (id,) = await stage.due(1, action=stage.call_of("GasBurner", "burnEverything"))
            async with stage.hired():
                await stage.until(stage.held_by_reason(id, "would_fail"), "it to be held")
                assert (await stage.only(id)).held_since

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["cut", "frozen"])
def test_the_chain_goes_away(network: LiveNetwork, how: str) -> None:
    async def scenario() -> None:
        async with staged(network) as stage, proxied(network.rpc_url) as wire:
            first, then = await stage.made(10), await stage.made(10)
            async with stage.hired(RPC_URLS=wire.url) as hand:
                await stage.enqueue(*first)
                await stage.until(stage.settled(first), "the first to run")
                if how == "cut":
                    await wire.cut()
                else:
                    wire.freeze()
                await stage.enqueue(*then)
                await _told(stage, hand, "RPC endpoint")
                await stage.until(lambda: not hand.handling, "nothing to be in hand")
                await _untouched_but_settled(stage, 10)
                if how == "cut":
                    await wire.start()
                else:
                    wire.thaw()
                await stage.until(stage.settled(first + then), "the rest to run")
                await hand.leave()
            await stage.assert_executed_once(first + then)

    asyncio.run(scenario())


def test_the_chain_goes_away_while_transactions_are_open(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage, proxied(network.rpc_url) as wire:
            ids = await stage.made(10)
            async with stage.hired(RPC_URLS=wire.url) as hand, no_mining(network):
                await stage.enqueue(*ids)
                await stage.until(_states(stage, "signed", 10), "all to be sent")
                await wire.cut()
                await _told(stage, hand, "RPC endpoint")
                await asyncio.to_thread(network.anvil.mine)
                await wire.start()
                await stage.until(stage.settled(ids), "all to be settled")
                await hand.leave()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


def test_a_lost_answer_to_a_broadcast_counts_as_sent(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage, proxied(network.rpc_url) as wire:
            wire.lose_answers_to = "eth_sendRawTransaction"
            ids = await stage.made(6)
            async with stage.hired(RPC_URLS=wire.url, rebroadcast_after=0.5) as hand:
                await stage.enqueue(*ids)
                await stage.until(stage.settled(ids), "all to be settled", 60)
                await hand.leave()
            assert wire.lost > 0
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["frozen", "stopped", "killed"])
def test_redis_goes_away(own_network: LiveNetwork, own_redis: ValkeyProcess, how: str) -> None:
    """Also with transactions on their way: what was acknowledged is on disk before the server is killed."""

    async def scenario() -> None:
        async with staged(own_network) as stage:
            first, then = await stage.made(10), await stage.made(10)
            async with stage.hired() as hand, no_mining(own_network):
                await stage.enqueue(*first)
                await stage.until(_states(stage, "signed", 10), "ten to be sent")
                await stage.enqueue(*then)
                match how:
                    case "frozen":
                        await asyncio.to_thread(own_redis.pause)
                    case "stopped":
                        await asyncio.to_thread(own_redis.stop)
                    case _:
                        await stage.queue.redis.execute_command("WAITAOF", 1, 0, 2000)
                        await asyncio.to_thread(own_redis.kill)
                await stage.until(lambda: "Redis" in hand.worker.house.summary(), "it to be told")
                await asyncio.to_thread(own_network.anvil.mine)
                await asyncio.to_thread(own_redis.resume if how == "frozen" else own_redis.start)
                await stage.queue.reconnect()
                miner = asyncio.create_task(_mine(own_network))
                await stage.until(stage.settled(first + then), "all to be settled", 60)
                miner.cancel()
                await hand.leave()
            await stage.assert_executed_once(first + then)

    asyncio.run(scenario())


@pytest.mark.parametrize("keys", [("worker", "worker"), ("worker", "worker2")], ids=["one key", "two keys"])
def test_redis_restarts_under_two_workers(
    own_network: LiveNetwork, own_redis: ValkeyProcess, keys: tuple[str, str]
) -> None:
    """Who asks first has to wait for the other, and hears from his beat that nothing is missing. Twice, so that the
    second restart finds no doubt left of the first.
    """

    async def scenario() -> None:
        async with staged(own_network) as stage:
            if "worker2" in keys:
                await stage.second_key()
            async with stage.hired(keys[0]) as one, stage.hired(keys[1]) as two:
                houses = [hand.worker.house for hand in (one, two)]
                names = {one.worker.id, two.worker.id}
                await stage.until(lambda: all(house.in_order for house in houses), "both to be ready")
                for _ in range(2):
                    await stage.queue.redis.execute_command("WAITAOF", 1, 0, 2000)
                    await asyncio.to_thread(own_redis.kill)
                    await stage.until(
                        lambda: all("Redis" in house.summary() for house in houses), "both to tell of it"
                    )
                    await asyncio.to_thread(own_redis.start)
                    await stage.until(lambda: all(house.in_order for house in houses), "both to go on")
                    await stage.queue.reconnect()
                assert {one.worker.id, two.worker.id} == names, "somebody was buried, though nothing was lost"
                ids = await stage.due(10)
                await stage.until(stage.settled(ids), "all to be settled")
                await one.leave()
                await two.leave()
            await stage.assert_executed_once(ids, *set(keys))
            assert len(await stage.transactions(*set(keys))) == 10, "nonces were used up, as by a recovery"

    asyncio.run(scenario())


async def _mine(network: LiveNetwork) -> None:
    while True:
        await asyncio.sleep(0.2)
        await asyncio.to_thread(network.anvil.mine)


def test_a_worker_that_starts_before_redis_and_the_chain_says_so_and_waits(
    own_network: LiveNetwork, own_redis: ValkeyProcess, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with staged(own_network) as stage, proxied(own_network.rpc_url) as wire:
            ids = await stage.due(3)
            await wire.cut()
            async with stage.hired(RPC_URLS=wire.url) as hand:
                await stage.until(
                    lambda: "taking no jobs: no RPC endpoint" in caplog.text, "the log to say so"
                )
                await asyncio.to_thread(own_redis.stop)
                await wire.start()
                await stage.until(lambda: "taking no jobs: Redis" in caplog.text, "the log to say so")
                await asyncio.to_thread(own_redis.start)
                await stage.queue.reconnect()
                await stage.until(stage.settled(ids), "the jobs to run")
                assert hand.worker.house.summary() == ""
                await hand.leave()

    asyncio.run(scenario())


def test_a_pause_by_the_operator_holds_everything(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            await stage.queue.redis.set(stage.queue.keys.paused, "maintenance")
            ids = await stage.due(3)
            async with stage.hired() as hand:
                await stage.until(lambda: hand.worker.house.paused == "maintenance", "it to be heard")
                assert await stage.queue.length() == 3
                await stage.queue.redis.delete(stage.queue.keys.paused)
                await stage.until(stage.settled(ids), "the jobs to run")
                await hand.leave()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


def test_a_transaction_that_reverts_uses_up_attempts_and_then_is_dead(network: LiveNetwork) -> None:
    """The owner takes the deposit away in the very block of the execution: the charge reverts all (REVIEW H19)."""

    async def scenario() -> None:
        async with staged(network, MAX_RETRIES="2", RETRY_DELAY="0.5") as stage:
            (id,) = await stage.made(1, owner="admin", gas_budget=10**15)
            await _deposit(stage, 10**15)
            async with stage.hired() as hand, no_mining(network):
                await stage.enqueue(id)
                for attempt in (1, 2, 3):
                    await stage.until(_states(stage, "signed", 1), "it to be sent")
                    withdrawal = asyncio.create_task(_withdraw(stage, 10**15))
                    await stage.until(lambda: _pooled(network) == 2, "both to be in the pool")
                    await asyncio.to_thread(network.anvil.mine)
                    await withdrawal
                    record = await stage.until(_attempts(stage, id, attempt), "the revert to count")
                    if attempt < 3:
                        assert record.state in ("delayed", "queued", "claimed")
                        due = await stage.queue.redis.zscore(stage.queue.keys.delayed, record.key)
                        seconds, micros = await stage.queue.redis.time()
                        wait = (due or 0) / 1000 - seconds - micros / 1e6
                        assert wait <= 0.5 * attempt
                        paid = asyncio.create_task(_deposit(stage, 10**15))
                        await stage.until(lambda: _pooled(network) == 1, "the deposit to be in the pool")
                        await asyncio.to_thread(network.anvil.mine)
                        await paid
                assert (record.state, record.reason, record.attempts) == ("dead", "reverted", 3)
                await hand.leave()
            assert [t["status"] for t in await stage.transactions("worker")] == [0, 0, 0]
            assert await stage.executions() == []
            await stage.assert_nothing_left()

    asyncio.run(scenario())


async def _deposit(stage: Stage, wei: int) -> None:
    from autometa_cli.chain.interfaces import interface

    call = interface("FeeEscrow").functions["depositGas"].encode()
    await stage.network.transact("admin", stage.network.escrow, call, value=wei)


async def _withdraw(stage: Stage, wei: int) -> None:
    from autometa_cli.chain.interfaces import interface

    call = interface("FeeEscrow").functions["withdrawGas"].encode(wei)
    await stage.network.transact("admin", stage.network.escrow, call, gas_price=OUTBID)


def _attempts(stage: Stage, id: int, count: int) -> Any:
    async def condition() -> Any:
        return next((r for r in await stage.records() if r.workflow == id and r.attempts == count), None)

    return condition


def _states(stage: Stage, state: str, count: int) -> Any:
    async def condition() -> bool:
        return sum(record.state == state for record in await stage.records()) == count

    return condition


def _pooled(network: LiveNetwork) -> int:
    status = network.anvil.request("txpool_status")
    return int(status["pending"], 16) + int(status["queued"], 16)


def test_native_transfers_that_fit_one_by_one_do_not_go_out_together(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            network.anvil.set_balance(network.executor, 30)
            ids = await stage.made(20, action=NativeTransfer(RECIPIENT, 2), gas_budget=0)
            async with stage.hired() as hand:
                await stage.enqueue(*ids)
                await stage.until(lambda: hand.worker.closed.total() >= 15, "as many as there is money for")
                await stage.until(lambda: _delayed_count(stage, "executor_low", 5), "the others to wait")
                assert set(hand.worker.closed) == {"executed"}
            assert all(run.success for run in await stage.executions())
            network.anvil.set_balance(network.executor, ETHER)

    asyncio.run(scenario())


async def _delayed_count(stage: Stage, reason: str, count: int) -> bool:
    found = [r for r in await stage.records() if r.state == "delayed" and r.reason == reason]
    return len(found) == count
