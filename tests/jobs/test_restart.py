"""Redis restarts: nobody works on with what it may have forgotten, and nobody waits longer than it takes to prove."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import redis

from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.errors import RedisUnreachable
from autometa_cli.jobs.claim import Sighting
from autometa_cli.jobs.connection import RunChanged
from autometa_cli.jobs.epoch import LedgerInDoubt
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.jobs.queue import JobQueue

SEEN = Sighting(10, True, "d")
RAW = b'{"workflowId":1,"nextRun":100}'


@asynccontextmanager
async def workers(server: ValkeyProcess, *names: str) -> AsyncIterator[list[JobQueue]]:
    """One queue for each worker, registered."""
    queues = [JobQueue(server.url) for _ in names]
    try:
        for queue, name in zip(queues, names, strict=True):
            await queue.__aenter__()
            await queue.join()
            assert (await queue.workers.register(name, {})).word == "ok"
        yield queues
    finally:
        for queue in queues:
            await queue.connections.close()


async def enqueue(queue: JobQueue, next_run: int = 100) -> str:
    return (await queue.enqueue(Occurrence(1287, "0xee", 1, next_run), RAW, SEEN)).word


def forget(server: ValkeyProcess, writes: int) -> None:
    """Turn the ledger back by some writes, as an append-only file without its end does."""
    with redis.Redis.from_url(server.url) as client:
        client.hincrby("{workflow_jobs}:epoch", "seq", -writes)


def restart(server: ValkeyProcess, *, lose: int = 0) -> None:
    if lose:
        forget(server, lose)
    server.kill()
    server.start()


def test_a_restart_is_noticed_by_every_connection(own_server: ValkeyProcess) -> None:
    async def scenario() -> None:
        async with workers(own_server, "ann") as [queue]:
            restart(own_server)
            with pytest.raises(RunChanged):
                await queue.length()
            with pytest.raises(RunChanged):
                await queue.take("ann", 1)
            with pytest.raises(RedisUnreachable, match="restarted meanwhile"):
                await queue.connections.connect()

    asyncio.run(scenario())


def test_one_worker_that_remembers_nothing_more_goes_on_at_once(own_server: ValkeyProcess) -> None:
    async def scenario() -> None:
        async with workers(own_server, "ann") as [queue]:
            assert await enqueue(queue) == "ok"
            restart(own_server)
            await queue.rejoin("ann")
            assert await enqueue(queue) == "already"
            assert await enqueue(queue, 200) == "ok"
            assert (await queue.workers.beat("ann", {})).word == "ok"
            await queue.join("ann")

    asyncio.run(scenario())


def test_everybody_who_was_there_has_to_say_so(own_server: ValkeyProcess) -> None:
    async def scenario() -> None:
        async with workers(own_server, "ann", "bob") as [ann, bob]:
            restart(own_server)
            with pytest.raises(LedgerInDoubt, match="not heard: bob"):
                await ann.rejoin("ann")
            assert await enqueue(ann) == "recovery"
            await bob.rejoin("bob")
            await ann.rejoin("ann")
            assert await enqueue(ann) == "ok"

    asyncio.run(scenario())


def test_who_left_need_not_be_asked(own_server: ValkeyProcess) -> None:
    async def scenario() -> None:
        async with workers(own_server, "ann", "bob") as [ann, bob]:
            assert (await bob.workers.leave("bob")).word == "ok"
            restart(own_server)
            await ann.rejoin("ann")

    asyncio.run(scenario())


def test_a_process_without_memory_proves_nothing(own_server: ValkeyProcess) -> None:
    async def scenario() -> None:
        async with workers(own_server, "ann") as [ann]:
            restart(own_server)
            async with JobQueue(own_server.url) as fresh:
                with pytest.raises(LedgerInDoubt, match="not heard: ann"):
                    await fresh.join()
                await ann.rejoin("ann")
                await fresh.join()

    asyncio.run(scenario())


def test_nobody_was_there(own_server: ValkeyProcess) -> None:
    async def scenario() -> None:
        async with JobQueue(own_server.url) as queue:
            await queue.join()
            assert await enqueue(queue) == "ok"
        restart(own_server)
        async with JobQueue(own_server.url) as queue:
            await queue.join()
            assert await enqueue(queue) == "already"

    asyncio.run(scenario())


@pytest.mark.parametrize("first", ["ann", "bob"])
def test_lost_writes_are_known_whoever_remembers_them(own_server: ValkeyProcess, first: str) -> None:
    """Bob was told of the last write, Ann was not."""

    async def scenario() -> None:
        async with workers(own_server, "ann", "bob") as [ann, bob]:
            assert await enqueue(bob) == "ok"
            restart(own_server, lose=1)
            order = [("ann", ann), ("bob", bob)]
            for name, queue in order if first == "ann" else order[::-1]:
                with pytest.raises(LedgerInDoubt):
                    await queue.rejoin(name)
            assert await enqueue(ann) == "recovery"
            with pytest.raises(LedgerInDoubt) as caught:
                await bob.join("bob")
            assert caught.value.lost

    asyncio.run(scenario())


async def recover(queue: JobQueue, *senders: str) -> None:
    """What workers do, without a chain: the windows of these keys are used up."""
    await queue.reconnect()
    k = queue.keys
    await queue.scripts.call("recovery_begin", [k.epoch], [])
    for sender in senders:
        await queue.scripts.call("recovery_window", [k.epoch, k.cursor(1287, "0xee")], [sender, "9", 20])
    answer = await queue.scripts.call("recovery_end", [k.epoch, k.seen], senders)
    assert answer.word == "ok"
    queue.scripts.seen = answer.seq


async def recovering(queue: JobQueue) -> bool:
    return bool(await queue.redis.hget(queue.keys.epoch, "recovering"))


def test_who_remembers_what_was_recovered_from_asks_for_no_second_recovery(
    own_server: ValkeyProcess,
) -> None:
    """Bob, a scheduler, was told of writes that are gone. Ann's worker recovered while he was away."""

    async def scenario() -> None:
        async with workers(own_server, "ann") as [ann], JobQueue(own_server.url) as bob:
            await bob.join()
            for next_run in range(100, 110):
                assert await enqueue(bob, next_run) == "ok"
            restart(own_server, lose=10)
            await recover(ann, "0xa")
            assert bob.scripts.seen > ann.scripts.seen
            await bob.rejoin("")
            assert not await recovering(bob)
            assert await enqueue(bob, 200) == "ok"
            # What is lost from now on is known again.
            restart(own_server, lose=1)
            with pytest.raises(LedgerInDoubt) as caught:
                await bob.rejoin("")
            assert caught.value.lost

    asyncio.run(scenario())


@pytest.mark.parametrize(("done", "good"), [(["0xa"], False), (["0xa", "0xb"], True)])
def test_a_key_that_the_recovery_did_not_know_makes_another_one(
    own_server: ValkeyProcess, done: list[str], good: bool
) -> None:
    """Bob's registration was among the lost writes, as a failover may have it, and so was what his key sent."""

    async def scenario() -> None:
        async with workers(own_server, "ann", "bob") as [ann, bob]:
            for next_run in range(100, 110):
                assert await enqueue(bob, next_run) == "ok"
            restart(own_server, lose=10)
            await recover(ann, *done)
            with pytest.raises(LedgerInDoubt) as caught:
                await bob.rejoin("bob")
            assert caught.value.lost, "what he holds is void, in any case"
            assert not await recovering(bob)
            if good:
                await bob.join(address="0xb")
                assert await enqueue(bob, 200) == "ok"
            else:
                with pytest.raises(LedgerInDoubt) as caught:
                    await bob.join(address="0xb")
                assert caught.value.lost

    asyncio.run(scenario())


def test_a_worker_that_slept_through_a_recovery_holds_nothing_any_more(own_server: ValkeyProcess) -> None:
    """Its fences may have been given again to others, in what was forgotten, though it remembers nothing more."""

    async def scenario() -> None:
        async with workers(own_server, "ann", "bob") as [ann, bob]:
            assert await enqueue(ann) == "ok"
            restart(own_server, lose=1)
            await recover(ann, "0xa", "0xb")
            assert bob.scripts.seen < ann.scripts.seen
            with pytest.raises(LedgerInDoubt) as caught:
                await bob.rejoin("bob")
            assert caught.value.lost
            await bob.join(address="0xb")

    asyncio.run(scenario())


def test_a_recovery_that_was_forgotten_excuses_nobody(own_server: ValkeyProcess) -> None:
    async def scenario() -> None:
        async with workers(own_server, "ann") as [ann], JobQueue(own_server.url) as bob:
            await bob.join()
            before = await ann.redis.hgetall(ann.keys.epoch)
            restart(own_server, lose=1)
            await recover(ann, "0xa")
            await bob.rejoin("")
            for next_run in range(100, 110):
                assert await enqueue(bob, next_run) == "ok"
            await bob.redis.delete(bob.keys.epoch)
            await bob.redis.hset(bob.keys.epoch, mapping=before)
            restart(own_server)
            with pytest.raises(LedgerInDoubt) as caught:
                await bob.rejoin("")
            assert caught.value.lost

    asyncio.run(scenario())


def test_work_that_goes_on_in_doubt_does_not_hide_the_loss(own_server: ValkeyProcess) -> None:
    """Ann puts elements back meanwhile; that must not make the number that Bob remembers true again."""

    async def scenario() -> None:
        async with workers(own_server, "ann", "bob") as [ann, bob]:
            await ann.push([RAW] * 5)
            taken = await ann.take("ann", 5)
            assert await enqueue(bob) == "ok"
            restart(own_server, lose=1)
            await ann.connections.reconnect()
            ann.scripts.run = ann.connections.run
            for raw in taken:
                await ann.retreat("ann", raw)
            await ann.clear()
            assert (await ann.workers.leave("ann")).word == "ok"
            with pytest.raises(LedgerInDoubt) as caught:
                await bob.rejoin("bob")
            assert caught.value.lost

    asyncio.run(scenario())


def test_lost_registrations_count_too(own_server: ValkeyProcess) -> None:
    """Bob registered and worked in the part that is gone: he says so, though nobody knows him."""

    async def scenario() -> None:
        async with workers(own_server, "ann", "bob") as [ann, bob]:
            with redis.Redis.from_url(own_server.url) as client:
                client.zrem("{workflow_jobs}:workers", "bob")
            restart(own_server, lose=1)
            with pytest.raises(LedgerInDoubt):
                await bob.rejoin("bob")
            with pytest.raises(LedgerInDoubt):
                await ann.rejoin("ann")

    asyncio.run(scenario())


def test_nothing_is_written_for_another_process(own_server: ValkeyProcess) -> None:
    async def scenario() -> None:
        async with workers(own_server, "ann") as [queue]:
            restart(own_server)
            await queue.connections.reconnect()  # without proof
            queue.scripts.run = queue.connections.run
            assert await enqueue(queue) == "recovery"
            assert (await queue.workers.beat("ann", {})).word == "recovery"
            assert await queue.length() == 0

    asyncio.run(scenario())
