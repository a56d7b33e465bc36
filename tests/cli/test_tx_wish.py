"""`autometa tx bump` and `cancel`: done by the worker that holds it, by another with its key, or by the command itself;
where nobody can, that is said. Whatever is done, at most one transaction takes the nonce."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from autometa_cli.executor import order
from autometa_cli.executor.errand import Errand
from autometa_cli.executor.requests import LAPSES_SECONDS, asked
from autometa_cli.jobs.record import Record
from tests.network import LiveNetwork
from tests.runner import Cli, Result
from tests.working.conftest import _brisk  # noqa: F401  workers look around often
from tests.working.stage import Hand, Stage, mining, no_mining, staged

Run = Callable[..., Awaitable[Result]]


def runner(cli: Cli, network: LiveNetwork) -> Run:
    """The command, beside whatever runs in this process. One at a time: it changes the environment."""

    async def run(*arguments: str, **env: str) -> Result:
        environment = network.environment(**{"CONFIRMATIONS": "1", "TX_TIMEOUT": "30", **env})
        return await asyncio.to_thread(cli, "tx", *arguments, env=environment)

    return run


async def offered(stage: Stage, workflow: int = 1) -> Record:
    """The record of a workflow whose call was offered to the chain."""

    async def there() -> Record | None:
        for record in await stage.records():
            if record.workflow == workflow and record.attempts_sent and record.attempts_sent[-1].answer:
                return record
        return None

    found: Record = await stage.until(there, "the call to be offered")
    return found


@asynccontextmanager
async def waiting(network: LiveNetwork, **settings: str) -> AsyncIterator[tuple[Stage, Hand]]:
    """A call lies in the pool, its worker watches it, and nothing is mined."""
    async with staged(network, **settings) as stage:
        await stage.made(1)
        async with stage.hired() as hand, no_mining(network):
            await stage.enqueue(1)
            await offered(stage)
            yield stage, hand


@asynccontextmanager
async def orphan(network: LiveNetwork) -> AsyncIterator[Stage]:
    """A call lies in the pool, and its worker is dead for long."""
    async with waiting(network) as (stage, hand):
        await hand.vanish()
        await stage.forget_beats()
        yield stage


async def nothing_paid(stage: Stage) -> None:
    """The workflow was not executed, and the nonce is used up by one self-transfer."""
    assert await stage.executions() == []
    (only,) = await stage.transactions("worker")
    assert (only["to"].lower(), only["input"]) == (stage.address("worker").lower(), "0x")


def test_the_worker_that_holds_it_cancels_it(cli: Cli, network: LiveNetwork) -> None:
    run = runner(cli, network)

    async def scenario() -> None:
        async with waiting(network) as (stage, hand), mining_when(stage, "cancelling"):
            result = await run("cancel", "1", "--yes", "--json")
            document = result.json
            assert (result.code, document["state"], document["outcome"]) == (0, "dead", "cancelled")
            assert (document["by"], document["done_here"]) == (hand.worker.id, False)
            await nothing_paid(stage)
            assert await asked(stage.queue, document["key"]) == ""
            again = await run("cancel", "1", "--yes")
            assert again.code == 1
            assert "there is nothing to cancel: 1@" in again.stderr
            assert "is dead (cancelled)" in again.stderr
            await hand.leave()

    asyncio.run(scenario())


@asynccontextmanager
async def mining_when(stage: Stage, state: str, sent: int = 1) -> AsyncIterator[None]:
    """A block once a record is in this state and so many of its transactions were offered, so that the test decides
    what is in it."""

    async def mine() -> None:
        while True:
            await asyncio.sleep(0.05)
            for record in await stage.records():
                offers = [attempt for attempt in record.attempts_sent if attempt.answer]
                if record.state == state and len(offers) > sent:
                    await asyncio.to_thread(stage.network.anvil.mine)
                    return

    task = asyncio.create_task(mine())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_the_worker_that_holds_it_raises_it(cli: Cli, network: LiveNetwork) -> None:
    run = runner(cli, network)

    async def scenario() -> None:
        async with waiting(network) as (stage, hand), mining_when(stage, "signed"):
            before = await stage.only(1)
            result = await run("bump", before.key, "--json")
            assert (result.code, result.json["outcome"], result.json["replaced"]) == (0, "executed", True)
            record = await stage.only(1)
            assert record.tx != before.attempts_sent[0].hash, "the dearer one was mined"
            assert result.json["tx"] == record.tx
            await stage.assert_executed_once([1])
            await hand.leave()

    asyncio.run(scenario())


def test_what_is_refused_changes_nothing_and_without_waiting_it_is_only_asked_for(
    cli: Cli, network: LiveNetwork
) -> None:
    run = runner(cli, network)

    async def scenario() -> None:
        async with waiting(network) as (stage, hand):
            unanswered = await run("cancel", "1")
            assert (unanswered.code, unanswered.stdout) == (2, "")
            assert "add --yes" in unanswered.stderr
            record = await stage.only(1)
            assert (record.state, await asked(stage.queue, record.key)) == ("signed", "")

            sender = hand.worker._executor.sender
            cap, sender._max_fee = sender._max_fee, 1
            capped = await run("bump", "1")
            assert capped.code == 1
            assert "was not raised: gas costs" in capped.stderr
            assert len((await stage.only(1)).attempts_sent) == 1
            sender._max_fee = cap

            result = await run("cancel", "1", "--yes", "--no-wait", "--json")
            assert (result.code, result.json["ended"], result.json["by"]) == (0, False, hand.worker.id)
            await stage.until(lambda: _cancel_sent(stage), "the worker to do it")
            await asyncio.to_thread(network.anvil.mine)
            await stage.until(lambda: _in_state(stage, "dead"), "the self-transfer to be final")
            await nothing_paid(stage)
            await hand.leave()

    asyncio.run(scenario())


async def _cancel_sent(stage: Stage) -> bool:
    """Written down is not sent: a block that comes in between has the call."""
    record = await stage.only(1)
    return record.state == "cancelling" and bool(record.attempts_sent[-1].answer)


async def _in_state(stage: Stage, state: str) -> bool:
    return (await stage.only(1)).state == state


def test_past_the_time_limit_it_is_pending(cli: Cli, network: LiveNetwork) -> None:
    run = runner(cli, network)

    async def scenario() -> None:
        async with waiting(network) as (stage, hand):
            assert (await run("cancel", "1", "--yes", "--no-wait")).code == 0
            await stage.until(lambda: _cancel_sent(stage), "the self-transfer to be sent")
            result = await run("cancel", "1", "--yes", "--timeout", "1", "--json")
            assert result.code == 7
            record = await stage.only(1)
            assert record.state == "cancelling", "it goes on all the same"
            assert record.attempts_sent[-1].hash in result.json["error"]["message"]
            await asyncio.to_thread(network.anvil.mine)
            await stage.until(lambda: _in_state(stage, "dead"), "the self-transfer to be final")
            await hand.leave()

    asyncio.run(scenario())


def test_a_wish_that_nobody_obeyed_in_time_stands(cli: Cli, network: LiveNetwork) -> None:
    """The holder beats and does nothing else; nobody takes what it holds."""
    run = runner(cli, network)

    async def scenario() -> None:
        async with waiting(network) as (stage, hand):
            await hand.vanish()
            workers = stage.queue.workers
            record = await stage.only(1)
            await workers.beat(record.holder, {})
            result = await run("bump", "1", "--timeout", "1")
            assert result.code == 7
            assert f"{record.holder} was asked to bump 1@" in result.stderr
            assert "the wish stands for an hour" in result.stderr
            assert LAPSES_SECONDS == 3600
            assert await asked(stage.queue, record.key) == "bump"

    asyncio.run(scenario())


def test_too_late_is_said(cli: Cli, network: LiveNetwork) -> None:
    """The call is mined while the wish is on its way; what is mined decides."""
    run = runner(cli, network)

    async def scenario() -> None:
        async with waiting(network, CONFIRMATIONS="3") as (stage, hand):
            await asyncio.to_thread(network.anvil.mine)
            result = await run("cancel", "1", "--yes", CONFIRMATIONS="3")
            assert (result.code, result.stdout) == (1, "")
            assert "was not cancelled: it is mined already" in result.stderr
            await asyncio.to_thread(network.anvil.mine, 2)
            await stage.until(stage.settled([1]), "it to be settled")
            gone = await run("cancel", "1", "--yes")
            assert gone.code == 1
            assert "is settled (executed)" in gone.stderr
            await stage.assert_executed_once([1])
            await hand.leave()

    asyncio.run(scenario())


# -- nobody holds it ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "wish"), [("", "bump"), ("owner", "cancel")])
def test_without_its_key_nobody_can_and_that_is_said(
    cli: Cli, network: LiveNetwork, key: str, wish: str
) -> None:
    run = runner(cli, network)

    async def scenario() -> None:
        async with orphan(network) as stage:
            private = network.accounts[key].private_key if key else ""
            before = await stage.only(1)
            result = await run(
                wish, "1", *(["--yes"] if wish == "cancel" else []), WORKER_PRIVATE_KEY=private
            )
            assert (result.code, result.stdout) == (3, "")
            assert f"no living worker has the key of {stage.address('worker')}" in result.stderr
            assert (stage.address(key) if key else "WORKER_PRIVATE_KEY is not set") in result.stderr
            assert "Hint: start a worker with the key of" in result.stderr
            assert await stage.only(1) == before
            assert not private or private not in result.stderr

    asyncio.run(scenario())


def test_with_its_key_the_command_ends_it(cli: Cli, network: LiveNetwork) -> None:
    """Taken over as by any worker: the old one, should it come back, is fenced (REVIEW H15)."""
    run = runner(cli, network)

    async def scenario() -> None:
        async with orphan(network) as stage, mining_when(stage, "cancelling"):
            before = await stage.only(1)
            result = await run("cancel", "1", "--yes", "--json")
            document = result.json
            assert (result.code, document["state"], document["outcome"]) == (0, "dead", "cancelled"), result
            assert document["done_here"] is True
            await nothing_paid(stage)
            after = await stage.only(1)
            assert int(after.fence) > int(before.fence)
            members = {member.id: member for member in await stage.queue.workers.members()}
            assert members[document["by"]].left, "it said goodbye"
            await stage.assert_nothing_left()

    asyncio.run(scenario())


def test_with_its_key_the_command_raises_it(cli: Cli, network: LiveNetwork) -> None:
    run = runner(cli, network)

    async def scenario() -> None:
        async with orphan(network) as stage, mining_when(stage, "signed"):
            result = await run("bump", "1", "--json")
            assert (result.code, result.json["outcome"], result.json["done_here"]) == (0, "executed", True)
            await stage.assert_executed_once([1])

    asyncio.run(scenario())


def test_what_it_leaves_open_a_worker_ends(cli: Cli, network: LiveNetwork) -> None:
    """`--no-wait`: signed, sent, and left to whoever watches it next."""
    run = runner(cli, network)

    async def scenario() -> None:
        async with orphan(network) as stage:
            result = await run("cancel", "1", "--yes", "--no-wait", "--json")
            assert (result.code, result.json["state"], result.json["done_here"]) == (0, "cancelling", True)
            repeated = await run("cancel", "1", "--yes", "--timeout", "1")
            assert repeated.code == 7, "and again, with nobody alive: it is driven on, not only waited for"
            assert "being cancelled already" in repeated.stderr
            async with mining(network), stage.hired() as heir:
                await stage.until(lambda: _in_state(stage, "dead"), "the heir to settle it")
                await heir.leave()
            await nothing_paid(stage)

    asyncio.run(scenario())


def test_a_living_worker_with_its_key_is_left_to_do_it(cli: Cli, network: LiveNetwork) -> None:
    """It takes over what the dead one held, within a moment, and is asked then; no key is needed here."""
    run = runner(cli, network)

    async def scenario() -> None:
        async with orphan(network) as stage, mining_when(stage, "cancelling"):
            address = {"address": stage.address("worker")}
            await stage.queue.workers.register("slow", address)  # lives, has the key, and takes nothing
            nobody = await run("cancel", "1", "--yes", "--timeout", "1", WORKER_PRIVATE_KEY="")
            assert (nobody.code, nobody.stdout) == (7, "")
            assert "waiting for slow to take it over" in nobody.stderr
            assert "nobody could be asked to cancel 1@" in nobody.stderr
            async with stage.hired() as heir:
                result = await run("cancel", "1", "--yes", "--json", WORKER_PRIVATE_KEY="")
                assert (result.code, result.json["by"]) == (0, heir.worker.id), result
                await nothing_paid(stage)
                await heir.leave()

    asyncio.run(scenario())


@pytest.mark.parametrize("wish", ["bump", "cancel"])
def test_the_holder_dies_while_it_is_asked(
    cli: Cli, network: LiveNetwork, monkeypatch: pytest.MonkeyPatch, wish: str
) -> None:
    """The wish stands in Redis and nobody is left to see it: the command does it itself, once."""
    run = runner(cli, network)
    left = order._left
    state, ended = ("cancelling", "dead") if wish == "cancel" else ("signed", "settled")

    async def scenario() -> None:
        async with waiting(network) as (stage, hand), mining_when(stage, state):
            await hand.vanish()
            await stage.queue.workers.beat((await stage.only(1)).holder, {})

            async def die_then(queue: Any, record: Record, wish: Any) -> bool:
                answer = await left(queue, record, wish)
                await queue.redis.zadd(queue.keys.workers, {record.holder: 1}, xx=True)
                return answer

            monkeypatch.setattr(order, "_left", die_then)
            result = await run(wish, "1", "--json", *(["--yes"] if wish == "cancel" else []))
            assert (result.code, result.json["done_here"], result.json["state"]) == (0, True, ended), result
            assert len((await stage.only(1)).attempts_sent) == 2, "it is done once"
            assert await asked(stage.queue, result.json["key"]) == ""
            await (nothing_paid(stage) if wish == "cancel" else stage.assert_executed_once([1]))

    asyncio.run(scenario())


def test_who_is_quicker_is_asked(cli: Cli, network: LiveNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker takes it over between our look and our own takeover: that is refused, and the worker does it."""
    run = runner(cli, network)
    begun = Errand.begun.__func__  # type: ignore[attr-defined]

    async def scenario() -> None:
        async with orphan(network) as stage, mining_when(stage, "cancelling"), AsyncExitStack() as later:
            hired: list[Hand] = []

            @asynccontextmanager
            async def too_late(queue: Any, executor: Any, record: Record) -> AsyncIterator[Errand]:
                there = asyncio.run_coroutine_threadsafe(hire(), loop)
                await asyncio.wrap_future(there)
                async with begun(Errand, queue, executor, record) as errand:
                    yield errand

            async def hire() -> None:
                hired.append(await later.enter_async_context(stage.hired()))
                await stage.until(taken, "the worker to hold it")

            async def taken() -> bool:
                return (await stage.only(1)).holder == hired[0].worker.id

            loop = asyncio.get_running_loop()
            monkeypatch.setattr(Errand, "begun", too_late)
            result = await run("cancel", "1", "--yes", "--json")
            assert (result.code, result.json["by"]) == (0, hired[0].worker.id), result
            assert "another worker took it over meanwhile" in result.stderr
            await nothing_paid(stage)
            await hired[0].leave()

    asyncio.run(scenario())


def test_while_the_ledger_is_in_doubt_nothing_is_asked_for(cli: Cli, network: LiveNetwork) -> None:
    run = runner(cli, network)

    async def scenario() -> None:
        async with orphan(network) as stage:
            before = await stage.only(1)
            await stage.queue.redis.hset(stage.queue.keys.epoch, "recovering", "1")
            for command in (("cancel", "1", "--yes"), ("bump", "1"), ("reconcile", "--all")):
                result = await run(*command)
                assert (result.code, result.stdout) == (1, "")
                assert "recovering the ledger" in result.stderr
            assert await stage.only(1) == before

    asyncio.run(scenario())
