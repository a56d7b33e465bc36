"""Price triggers from the feed to the execution, on a real chain with a real scheduler and worker."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

import pytest

from autometa_cli.addresses import checksum
from autometa_cli.chain.account import Account
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.trigger_abi import encode_trigger
from autometa_cli.chain.trigger_json import encode_trigger_json
from autometa_cli.chain.triggers import PriceTrigger
from autometa_cli.networks import network as known_network
from tests.network import LiveNetwork
from tests.scheduling.live import feed_says, scheduling, settle, states, working
from tests.scheduling.test_prices import service
from tests.working.stage import Stage, staged

DOLLAR = 10**18


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, 120))


def feeds(network: LiveNetwork) -> dict[str, str]:
    return {"PRICE_FEEDS": f"DEV={network.info.test_contracts['TestPriceFeed']}", "PRICE_MAX_AGE": "86400"}


async def price_workflow(stage: Stage, trigger: PriceTrigger, data: bytes | None = None) -> int:
    data = encode_trigger(trigger) if data is None else data
    return (await stage.made(1, trigger_type=2, trigger_data=data))[0]


def test_a_feed_crosses_its_threshold_and_the_workflow_runs_once(network: LiveNetwork) -> None:
    async def scenario() -> None:
        settings = feeds(network)
        async with staged(network) as stage, scheduling(network, **settings) as scheduler:
            await feed_says(network, 520_000_000)
            id = await price_workflow(stage, PriceTrigger("DEV", ">", 6 * DOLLAR))
            done = await scheduler.run_once()
            assert (done.due, done.enqueued, done.unsupported) == (0, 0, 0)

            await feed_says(network, 600_000_000)
            assert (await scheduler.run_once()).due == 0  # 6 is not above 6

            await feed_says(network, 600_000_001)
            assert (await scheduler.run_once()).enqueued == 1
            assert (await scheduler.run_once()).already == 1
            await settle(stage, [id], **settings)
            assert (await scheduler.run_once()).due == 0  # its interval has to pass first
            await stage.assert_executed_once([id])

    run(scenario())


def test_every_encoding_is_evaluated(network: LiveNetwork) -> None:
    above, below = PriceTrigger("DEV", ">", 5 * DOLLAR), PriceTrigger("DEV", "<", 5 * DOLLAR)
    forms = [encode_trigger(above), encode_trigger(above, bytes32=True)]
    forms += [encode_trigger_json(PriceTrigger("dev", each, 520 * DOLLAR // 100)) for each in ("<=", ">=")]
    forms += [encode_trigger_json(above)]
    wrong = [encode_trigger(below), encode_trigger(below, bytes32=True), encode_trigger_json(below)]
    wrong += [encode_trigger_json(PriceTrigger("DEV", each, 520 * DOLLAR // 100)) for each in ("<", ">")]

    async def scenario() -> None:
        settings = feeds(network)
        async with staged(network) as stage, scheduling(network, **settings) as scheduler:
            await feed_says(network, 520_000_000)
            ids = [await price_workflow(stage, above, data) for data in forms]
            for data in wrong:
                await price_workflow(stage, above, data)
            assert (await scheduler.run_once()).enqueued == len(ids)
            await settle(stage, ids, **settings)
            await stage.assert_executed_once(ids)

    run(scenario())


def test_a_condition_that_ceases_before_the_worker_looks_is_skipped_and_comes_again(
    network: LiveNetwork,
) -> None:
    async def scenario() -> None:
        settings = feeds(network)
        async with staged(network) as stage, scheduling(network, **settings) as scheduler:
            await feed_says(network, 700_000_000)
            id = await price_workflow(stage, PriceTrigger("DEV", ">", 6 * DOLLAR))
            assert (await scheduler.run_once()).enqueued == 1
            await feed_says(network, 500_000_000)
            async with working(stage, **settings):
                await stage.until(stage.settled([id], "skipped"), "the run to be skipped")
                assert await states(stage, id) == [(0, "skipped", "condition")]
                (record,) = await stage.records()
                assert record.text.startswith("condition no longer holds: DEV is 5 USD")
                assert (await scheduler.run_once()).due == 0

                # It holds once more: the same due time, the next generation.
                await feed_says(network, 650_000_000)
                assert (await scheduler.run_once()).enqueued == 1
                await stage.until(stage.settled([id]), "the run")
            assert [state for _, state, _ in await states(stage, id)] == ["skipped", "settled"]
            await stage.assert_executed_once([id])

    run(scenario())


def test_a_pushed_job_whose_condition_does_not_hold_is_not_executed(network: LiveNetwork) -> None:
    async def scenario() -> None:
        settings = feeds(network)
        async with staged(network) as stage:
            await feed_says(network, 500_000_000)
            id = await price_workflow(stage, PriceTrigger("DEV", ">", 6 * DOLLAR))
            await stage.enqueue(id)
            async with working(stage, **settings):
                await stage.until(stage.settled([id], "skipped"), "the run to be skipped")
            assert await stage.executions() == []

    run(scenario())


@pytest.mark.parametrize(
    ("answer", "updated"),
    [(0, None), (-700_000_000, None), (2**200, None), (700_000_000, 1_600_000_000), (700_000_000, 2**63)],
    ids=["zero", "negative", "absurd", "stale", "future"],
)
def test_what_is_no_price_decides_nothing_and_is_told_once(
    network: LiveNetwork, caplog: pytest.LogCaptureFixture, answer: int, updated: int | None
) -> None:
    async def scenario() -> None:
        settings = feeds(network)
        async with staged(network) as stage, scheduling(network, **settings) as scheduler:
            await feed_says(network, answer, updated=updated)
            for trigger in (PriceTrigger("DEV", ">", DOLLAR), PriceTrigger("DEV", "<", 9 * DOLLAR)):
                await price_workflow(stage, trigger)
            for _ in range(3):
                assert (await scheduler.run_once()).due == 0
            told = [line.getMessage() for line in caplog.records if "no price of DEV" in line.getMessage()]
            assert len(told) == 1
            await feed_says(network, 500_000_000)
            assert (await scheduler.run_once()).due == 2
            assert any("there is a price of DEV again" in line.getMessage() for line in caplog.records)

    caplog.set_level("INFO")
    run(scenario())


def test_a_feed_that_is_not_there_decides_nothing(
    network: LiveNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        nobody = {"PRICE_FEEDS": f"DEV={network.accounts['owner'].address}"}
        async with staged(network) as stage, scheduling(network, **nobody) as scheduler:
            await price_workflow(stage, PriceTrigger("DEV", "<", 10**30))
            (timed,) = await stage.made(1)
            for _ in range(2):
                done = await scheduler.run_once()
                assert (done.due, [label.split("@")[0] for label in done.labels]) in (
                    (1, [str(timed)]),
                    (1, []),
                )
            told = [line.getMessage() for line in caplog.records if "gives no price" in line.getMessage()]
            assert len(told) == 1

    run(scenario())


def test_feeds_of_any_decimals_decide_to_the_last_unit(network: LiveNetwork) -> None:
    places = (0, 6, 18, 27)

    async def scenario() -> None:
        async with network.rpc() as rpc:
            admin = Account(rpc, network.signer("admin"), known_network("local"))
            made = {
                each: (
                    await admin.send(
                        None, interface("TestPriceFeed").deploy_data(each, "X / USD", 5 * 10**each)
                    )
                ).contract_address
                for each in places
            }
        settings = {"PRICE_FEEDS": ",".join(f"D{each}={checksum(str(made[each]))}" for each in places)}
        settings["PRICE_MAX_AGE"] = "86400"
        async with staged(network) as stage, scheduling(network, **settings) as scheduler:
            at = {
                (each, comparator): await price_workflow(
                    stage,
                    PriceTrigger(f"D{each}", "<", 1),
                    encode_trigger_json(PriceTrigger(f"D{each}", cast("Any", comparator), 5 * DOLLAR)),
                )
                for each in places
                for comparator in ("<", "<=", ">", ">=")
            }
            assert (await scheduler.run_once()).enqueued == 8
            exact = [id for (_, comparator), id in at.items() if comparator in ("<=", ">=")]
            await settle(stage, exact, **settings)
            await stage.assert_executed_once(exact)

            # One unit of the feed's last place decides.
            call = interface("TestPriceFeed").functions["setAnswer"].encode
            for each in places:
                await network.transact("admin", checksum(str(made[each])), call(5 * 10**each + 1))
            assert (await scheduler.run_once()).enqueued == 4
            above = [id for (_, comparator), id in at.items() if comparator == ">"]
            await settle(stage, above, **settings)
            await stage.assert_executed_once([*exact, *above])

    run(scenario())


def test_a_job_whose_price_nobody_can_tell_waits_and_runs_later(network: LiveNetwork) -> None:
    async def scenario() -> None:
        settings = feeds(network)
        async with staged(network) as stage, scheduling(network, **settings) as scheduler:
            await feed_says(network, 700_000_000)
            id = await price_workflow(stage, PriceTrigger("DEV", ">", 6 * DOLLAR))
            assert (await scheduler.run_once()).enqueued == 1
            await feed_says(network, 700_000_000, updated=1_600_000_000)
            async with working(stage, **settings):
                await stage.until(stage.held_by_reason(id, "trigger"), "the job to wait")
                assert await stage.executions() == []
                await feed_says(network, 700_000_000)
                await stage.hurry()
                await stage.until(stage.settled([id]), "the run")
            await stage.assert_executed_once([id])

    run(scenario())


def test_a_price_service_decides_and_a_feed_stands_in_for_it(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage, service() as made:
            settings = {
                **feeds(network),
                "PRICE_FEED_URL": made.url,
                "PRICE_SOURCES": "http,chain",
                "PRICE_SYMBOLS": str(stage.network.anvil.directory / "symbols.json"),
            }
            (stage.network.anvil.directory / "symbols.json").write_text('{"DEV": "dev-coin"}')
            await feed_says(network, 100_000_000)
            first = await price_workflow(stage, PriceTrigger("DEV", ">", 6 * DOLLAR))
            made.body = {"dev-coin": {"usd": 6.5, "last_updated_at": network.now()}}
            async with scheduling(network, **settings) as scheduler:
                assert (await scheduler.run_once()).enqueued == 1
            await settle(stage, [first], **settings)
            await stage.assert_executed_once([first])

            made.body = "out of order"
            second = await price_workflow(stage, PriceTrigger("DEV", "<", 2 * DOLLAR))
            async with scheduling(network, **settings) as scheduler:
                assert (await scheduler.run_once()).labels[0].startswith(f"{second}@")
            await settle(stage, [first, second], **settings)
            await stage.assert_executed_once([first, second])

    run(scenario())


def test_without_any_source_nothing_is_queued_and_everybody_is_told(
    network: LiveNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with staged(network) as stage, scheduling(network) as scheduler:
            id = await price_workflow(stage, PriceTrigger("DEV", ">", 1))
            for _ in range(2):
                done = await scheduler.run_once()
                assert (done.due, done.unsupported) == (0, 1)
            told = [line.getMessage() for line in caplog.records if f"workflow {id}:" in line.getMessage()]
            assert len(told) == 1
            assert "PRICE_FEED_URL" in told[0]

    run(scenario())
