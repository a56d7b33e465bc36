"""JobWorker as a Python API, and that no surprise of one round or one job ends it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from autometa_cli.errors import ConfigError
from tests.network import LiveNetwork
from tests.working.stage import staged


def test_a_worker_without_its_contracts_says_which(network: LiveNetwork) -> None:
    async def scenario(**settings: str) -> None:
        async with staged(network, **settings) as stage, stage.hired() as hand:
            await hand.finished()

    with pytest.raises(ConfigError, match="FEEESCROW_ADDRESS"):
        asyncio.run(scenario(FEEESCROW_ADDRESS=""))
    with pytest.raises(ConfigError, match="no ActionExecutor"):
        asyncio.run(scenario(ACTIONEXECUTOR_ADDRESS=network.accounts["owner"].address))


def test_it_tells_who_it_is_and_what_it_does(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            ids = await stage.due(3)
            async with stage.hired(concurrency=7) as hand:
                await stage.until(stage.settled(ids), "all to be settled")
                (member,) = await stage.queue.workers.members()
                assert member.id == hand.worker.id
                assert member.fields["address"] == network.accounts["worker"].address
                assert (member.fields["chain"], member.fields["concurrency"]) == ("1287", "7")

                async def idle() -> bool:
                    (member,) = await stage.queue.workers.members()
                    return member.fields.get("state") == "working" and member.fields["busy"] == "0"

                await stage.until(idle, "it to say that it waits for work")
                assert hand.worker.closed == {"executed": 3}
                await hand.leave()
            (member,) = await stage.queue.workers.members()
            assert member.buried

    asyncio.run(scenario())


def test_it_holds_no_more_than_its_concurrency(network: LiveNetwork) -> None:
    from tests.working.stage import no_mining

    async def scenario() -> None:
        async with staged(network) as stage:
            ids = await stage.made(12)
            async with stage.hired(concurrency=5) as hand:
                async with no_mining(network):
                    await stage.enqueue(*ids)

                    async def five_signed() -> bool:
                        return sum(record.state == "signed" for record in await stage.records()) == 5

                    await stage.until(five_signed, "five to be sent")
                    assert len(await hand.queue.held(hand.worker.id)) == 5
                    assert await stage.queue.length() == 7
                    await asyncio.to_thread(network.anvil.mine)
                await stage.until(stage.settled(ids), "all to be settled")
                await hand.leave()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("part", "method"),
    [
        ("tracker", "tick"),
        ("tracker", "discover"),
        ("heads", "fresh"),
        ("queue", "promote"),
        ("queue", "held"),
    ],
)
def test_a_surprise_in_a_round_is_told_and_survived(
    network: LiveNetwork, part: str, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            async with stage.hired() as hand:
                await stage.until(lambda: hand.worker.house.in_order, "the worker to be ready")
                owner: Any = hand.queue if part == "queue" else getattr(hand.worker._executor, part)
                real, calls = getattr(owner, method), 0

                async def broken(*args: Any) -> Any:
                    nonlocal calls
                    calls += 1
                    if calls == 1:
                        raise ZeroDivisionError("nobody thought of this")
                    return await real(*args)

                setattr(owner, method, broken)
                hand.worker._look_soon()
                ids = await stage.due(3)
                await stage.until(lambda: calls > 0, "the surprise")
                await stage.until(stage.settled(ids), "all to be settled")
                assert "nobody thought of this" in caplog.text
                await hand.leave()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


def test_a_surprise_in_one_job_is_told_and_the_job_is_looked_at_again(
    network: LiveNetwork, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autometa_cli.working.claimer._AUDIT_SECONDS", 0.3)

    async def scenario() -> None:
        async with staged(network) as stage:
            async with stage.hired() as hand:
                await stage.until(lambda: hand.worker.house.in_order, "the worker to be ready")
                real, calls = hand.worker._executor.execute_workflow, 0

                async def broken(*args: Any) -> Any:
                    nonlocal calls
                    calls += 1
                    if calls == 1:
                        raise ZeroDivisionError("nobody thought of this")
                    return await real(*args)

                hand.worker._executor.execute_workflow = broken  # type: ignore[method-assign, assignment]
                ids = await stage.due(3)
                await stage.until(stage.settled(ids), "all to be settled")
                assert "nobody thought of this" in caplog.text
                await hand.leave()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())


def test_a_lost_reply_to_a_claim_loses_no_job(network: LiveNetwork) -> None:
    """The elements have moved, and nobody was told: the worker looks into its own list."""

    async def scenario() -> None:
        from redis.exceptions import ConnectionError as Gone

        async with staged(network) as stage:
            async with stage.hired() as hand:
                await stage.until(lambda: hand.worker.house.in_order, "the worker to be ready")
                real, lost = hand.queue.take, 0

                async def take(worker: str, most: int) -> list[bytes]:
                    nonlocal lost
                    raws = await real(worker, most)
                    if raws and not lost:
                        lost = len(raws)
                        raise Gone("the connection broke before the answer came")
                    return raws

                hand.queue.take = take  # type: ignore[method-assign]
                ids = await stage.due(6)
                await stage.until(stage.settled(ids), "all to be settled")
                assert lost
                await hand.leave()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())
