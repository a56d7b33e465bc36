"""Is the house in order, who is told, and how often."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import Any

import pytest
import redis.exceptions as rex

from autometa_cli.errors import ConfigError, NotPermitted, RpcUnreachable
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.working.burst import give_up
from autometa_cli.working.house import House
from autometa_cli.working.membership import Membership
from tests.chain.loopback import until
from tests.executor.fakes import head
from tests.network import LiveNetwork


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Transactions:
    """What the house looks at of a tracker."""

    trouble = ""
    age = 0.0
    waiting: tuple[str, ...] = ()

    def oldest(self) -> float:
        return self.age

    def concerns(self, patience: float) -> list[str]:
        return list(self.waiting)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _house(network_name: str, clock: Clock, **settings: str) -> House:
    from pathlib import Path

    from autometa_cli import config

    environment = {"NETWORK": network_name, "RPC_URLS": "http://127.0.0.1:1", **settings}
    house = House(config.load(Path("/dev/null"), environ=environment), clock)
    house.look(head(), _still())
    house.redis_answers()
    assert house.in_order
    return house


def _still(**changes: Any) -> Any:
    transactions = Transactions()
    for name, value in changes.items():
        setattr(transactions, name, value)
    return transactions


def test_nothing_is_taken_before_the_first_head_and_the_first_beat(clock: Clock) -> None:
    from pathlib import Path

    from autometa_cli import config

    for first, second in ((0, 1), (1, 0)):
        house = House(config.load(Path("/dev/null"), environ={"NETWORK": "local"}), clock)
        steps = [lambda: house.look(head(), _still()), house.redis_answers]  # noqa: B023
        assert not house.in_order
        steps[first]()
        assert not house.in_order
        steps[second]()
        assert house.in_order


def test_what_a_head_tells(clock: Clock) -> None:
    house = _house("moonbase", clock, TX_TIMEOUT="10")
    well = head()
    troubles = {
        "WORKER_ROLE": (replace(well, permitted=False), _still()),
        "less than one transaction may cost": (replace(well, sender_balance=5), _still()),
        "gas is dear": (replace(well, too_dear="gas is dear"), _still()),
        "behind Redis's clock": (replace(well, skew=100.0), _still()),
        "ahead of Redis's clock": (replace(well, skew=-100.0), _still()),
        "stuck": (well, _still(trouble="it is stuck")),
        "TX_TIMEOUT": (well, _still(age=11.0)),
    }
    for words, (seen, transactions) in troubles.items():
        house.look(seen, transactions)
        assert words in house.summary()
        assert not house.in_order
        house.look(well, _still())
        assert house.in_order, words
    house.look(replace(well, skew=59.0), _still(age=9.0))
    assert house.in_order


def test_what_waits_for_a_person_is_told_and_stops_nothing(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    house = _house("local", clock)
    caplog.clear()
    for _ in range(3):
        house.look(head(), _still(waiting=("one", "two", "three", "four")))
        assert house.in_order
        assert house.summary() == "one; two; three; 1 more like these"
    assert [record.message for record in caplog.records] == ["waits for a person: one; two; three"]
    house.look(head(), _still())
    assert house.summary() == ""


def test_people_move_the_clock_of_a_local_chain(clock: Clock) -> None:
    house = _house("local", clock)
    for skew in (-(10.0**6), 10.0**6):
        house.look(replace(head(), skew=skew), _still())
        assert house.in_order


def test_each_trouble_is_logged_when_it_comes_and_when_it_goes(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "autometa_cli")
    house = _house("local", clock)
    caplog.clear()
    for _ in range(5):
        house.rpc_failed(RpcUnreachable("no endpoint answers"))
        house.redis_failed(OSError("gone"))
        clock.now += 100
    assert [record.message for record in caplog.records] == [
        "taking no jobs: no endpoint answers",
        "taking no jobs: Redis at redis://127.0.0.1:6379/0 does not answer: gone",
    ]
    house.look(head(), _still())
    house.redis_answers()
    house.redis_answers()
    assert [record.message for record in caplog.records[2:]] == [
        "mended (rpc)",
        "mended (redis); taking jobs again",
    ]
    house.rpc_failed(RpcUnreachable("no endpoint answers"))
    assert len(caplog.records) == 5, "it is news again"


def test_a_redis_that_is_full_now_and_then_is_told_once_a_minute(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """In the words of the commands, and with what they advise."""
    house = _house("local", clock)
    caplog.set_level(logging.INFO, "autometa_cli")
    for _ in range(20):
        house.redis_failed(rex.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."))
        house.redis_answers()
        assert house.in_order
        clock.now += 2
    first, last = (record.message for record in caplog.records)
    assert first.startswith("taking no jobs: Redis at redis://127.0.0.1:6379/0 is full (raise its maxmemory")
    assert last == "mended (redis); taking jobs again"
    clock.now += 60
    house.redis_failed(rex.OutOfMemoryError("maxmemory"))
    assert len(caplog.records) == 3
    assert house.refused
    house.redis_answers()
    house.redis_failed(rex.ConnectionError("gone"))
    assert caplog.records[-1].message.startswith("taking no jobs: Redis"), "that it is away is told at once"
    assert not house.refused


def test_a_beat_does_not_end_a_refusal(clock: Clock, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full Redis takes beats all the same; only what a queue writes tells that there is room again."""
    monkeypatch.setattr("autometa_cli.working.membership.BEAT_SECONDS", 0.02)
    house = _house("local", clock)
    refusals = []

    def failed(error: Exception) -> None:
        refusals.append(error)
        house.redis_failed(error)

    async def scenario() -> None:
        async with JobQueue(redis_url) as queue:
            membership = Membership(queue, house, lambda: None)
            await membership.register("ann", {"chain": "1287", "executor": "0x" + "ee" * 20})
            await queue.redis.config_set("maxmemory", 1)
            house.redis_failed(rex.OutOfMemoryError("maxmemory"))
            beating = asyncio.create_task(membership.beat("ann", dict, failed))
            try:
                await until(lambda: len(refusals) >= 3)
                assert not house.in_order
                await queue.redis.config_set("maxmemory", 0)
                await until(lambda: house.in_order)
                await queue.redis.set(queue.keys.pending, "no list")
                house.redis_failed(rex.ResponseError("WRONGTYPE Operation against a key"))
                await until(lambda: "the queue's key workflow_jobs in" in house.summary())
                await queue.redis.delete(queue.keys.pending)
                await until(lambda: house.in_order)
            finally:
                beating.cancel()
                await queue.redis.config_set("maxmemory", 0)

    asyncio.run(scenario())


def test_a_burst_waits_for_what_ends_by_itself(clock: Clock) -> None:
    """Job after job meets it, and it is others' transactions that it waits for."""
    house = _house("local", clock)
    for code, text in (("window", "too many open transactions"), ("ledger_in_doubt", "Redis restarted")):
        for _ in range(10):
            house.job_met(code, text)
            clock.now += 5.5
        house.job_met(code, text)
        assert house.lasted(f"job:{code}") > 50
        give_up(house, idle=True)
    house.job_met("blocked", "the key is blocked")
    clock.now += 4
    house.report("no_role", "no role")
    clock.now += 31
    give_up(house, idle=False)
    with pytest.raises(NotPermitted):
        give_up(house, idle=True)


def test_redis_that_speaks_is_not_away(clock: Clock) -> None:
    """A burst gives up a Redis that is away, not one that is being recovered."""
    house = _house("local", clock)
    house.redis_failed(OSError("gone"))
    clock.now += 100
    assert house.lasted("redis") == 100
    house.redis_speaks()
    assert house.lasted("redis") == 0
    assert not house.in_order, "a pause must be heard first"
    house.redis_failed(OSError("gone"))
    clock.now += 5
    assert house.lasted("redis") == 5


def test_what_a_job_met_is_believed_for_a_moment_and_told_once_a_minute(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    house = _house("local", clock)
    for _ in range(12):
        house.job_met("no_gas_money", "too little for this one")
        house.look(head(), _still())  # the balance is more than nothing, so the head sees no trouble
        assert not house.in_order
        clock.now += 4.9
        assert house.summary() == "too little for this one"
        clock.now += 0.2
        assert house.in_order
    assert len([r for r in caplog.records if "too little" in r.message]) in (1, 2)


def test_what_job_after_job_meets_is_one_trouble_and_is_over_when_none_meets_it(clock: Clock) -> None:
    house = _house("local", clock)
    for _ in range(6):
        house.job_met("gas_budget", "spent for today")
        clock.now += 6
        assert house.in_order
    house.job_met("gas_budget", "spent for today")
    assert house.lasted("job:gas_budget") == 36
    clock.now += 20
    assert house.lasted("job:gas_budget") == 0
    house.job_met("gas_budget", "spent for today")
    assert house.lasted("job:gas_budget") == 0


def test_a_pause_is_no_trouble_but_nothing_is_taken(clock: Clock) -> None:
    house = _house("local", clock)
    house.paused = "maintenance 100 %"
    assert not house.in_order
    assert house.summary() == ""
    house.paused = ""
    assert house.in_order


def test_contracts_that_do_not_belong_together_are_refused(network: LiveNetwork) -> None:
    async def wired(**settings: str) -> None:
        async with network.rpc() as rpc:
            await House(network.settings(**settings)).check_wiring(await rpc.view())

    asyncio.run(wired())
    other = network.accounts["owner"].address
    for name in ("REGISTRY_ADDRESS", "FEEESCROW_ADDRESS"):
        with pytest.raises(ConfigError, match=name):
            asyncio.run(wired(**{name: other}))
    for wrong in (other, network.info.test_contracts["Recorder"]):
        with pytest.raises(ConfigError, match="no ActionExecutor"):
            asyncio.run(wired(ACTIONEXECUTOR_ADDRESS=wrong))
