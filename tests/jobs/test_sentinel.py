"""Behind real Sentinels: a failover is another run; nothing is believed that it may have lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis.exceptions as rex

from autometa_cli.devnet.process import HOST
from autometa_cli.errors import ConfigError, RedisUnreachable
from autometa_cli.jobs.address import Place, parse
from autometa_cli.jobs.claim import Claim, Sighting
from autometa_cli.jobs.connection import Connections, RunChanged, redis_errors
from autometa_cli.jobs.epoch import LedgerInDoubt
from autometa_cli.jobs.job import parse_job
from autometa_cli.jobs.locator import Sentinels, _Seen
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.jobs.queue import JobQueue
from tests.jobs.desk import Desk
from tests.jobs.fleet import KINDS, SERVICE, Node, Pair, binary, until

SEEN = Sighting(10, True, "d")
DUE = Occurrence(1287, "0xee", 1, 100)
RAW = b'{"workflowId":1,"nextRun":100}'
AWAY = (RedisUnreachable, rex.RedisError)


@pytest.fixture(scope="module", params=KINDS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """One of each kind, for what leaves it as it is."""
    with Pair(tmp_path_factory.mktemp("pair"), binary(request.param)) as made:
        yield made


@pytest.fixture(params=KINDS)
def own_pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    """For what does not."""
    with Pair(tmp_path, binary(request.param)) as made:
        yield made


async def _at_work(queue: JobQueue) -> Claim:
    """A worker with one claim and one job waiting."""
    await queue.join()
    assert (await queue.workers.register("ann", {})).word == "ok"
    assert (await queue.enqueue(DUE, RAW, SEEN)).word == "ok"
    await queue.push([b'{"workflowId":2,"nextRun":100}'])
    [raw] = await queue.take("ann", 1)
    claim = await queue.adopt("ann", parse_job(raw), DUE, "id", SEEN)
    assert isinstance(claim, Claim)
    return claim


async def _back(queue: JobQueue) -> bool:
    await queue.rejoin("ann")
    return True


async def _lost(queue: JobQueue) -> bool:
    try:
        await queue.rejoin("ann")
    except LedgerInDoubt as error:
        return error.lost
    return False


# -- failovers ---------------------------------------------------------------------------------------------


def test_the_life_of_a_job(pair: Pair, runner: asyncio.Runner) -> None:
    with Desk(runner, pair.url, pair.primary.url) as desk:
        ann = desk.worker("ann")
        claim = desk.signed(ann)
        assert desk.settle(claim.key).word == "ok"
        assert desk.do(desk.inspector.counts()).workers == 1


def test_the_primary_dies_and_its_replica_goes_on(own_pair: Pair) -> None:
    async def scenario() -> None:
        async with JobQueue(own_pair.url, min_replicas=1) as queue:
            claim = await _at_work(queue)
            assert await queue.barrier.replicas() == 1
            died = own_pair.primary
            died.kill()

            with pytest.raises(rex.RedisError):
                await queue.take("ann", 1)
            await until(lambda: _back(queue), "the queue to be whole", *AWAY)

            # The queue follows the first Sentinel that knows; the others hear of the change a moment later.
            own_pair.failed_over(died)
            assert await queue.held("ann") == [claim.envelope]
            assert len(await queue.take("ann", 10)) == 1
            assert (await queue.enqueue(DUE, RAW, SEEN)).word == "already"
            assert await queue.barrier.replicas() == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("own_pair", ["valkey"], indirect=True)
def test_a_replica_that_missed_writes_is_found_out(own_pair: Pair) -> None:
    async def scenario() -> None:
        async with JobQueue(own_pair.url) as queue:
            await queue.join()
            assert (await queue.workers.register("ann", {})).word == "ok"
            own_pair.second.cut_off()
            assert (await queue.enqueue(DUE, RAW, SEEN)).word == "ok"
            own_pair.first.kill()

            await until(lambda: _lost(queue), "the loss to be noticed", *AWAY)

    asyncio.run(scenario())


def test_there_and_back_is_another_run_of_the_same_process(tmp_path: Path) -> None:
    async def scenario(first: Node, second: Node) -> None:
        async with JobQueue(first.url) as queue:
            claim = await _at_work(queue)
            before = queue.connections.run
            second.lead()
            first.follow(second)
            with pytest.raises(rex.ReadOnlyError):
                await queue.push([RAW])
            first.lead()

            with pytest.raises(RunChanged):
                await queue.length()
            await queue.rejoin("ann")

            after = queue.connections.run
            assert after != before
            assert after[:40] == before[:40] == first.client.info("server")["run_id"]
            assert await queue.held("ann") == [claim.envelope]

    with Pair(tmp_path, None, sentinels=0) as pair:
        asyncio.run(scenario(pair.first, pair.second))


def test_a_primary_that_was_one_before_and_lost_writes_meanwhile(tmp_path: Path) -> None:
    """Nobody cut the connection, and it is the same process; but what it answers is older than what it answered."""

    async def scenario(first: Node, second: Node) -> None:
        async with JobQueue(first.url) as queue:
            await queue.join()
            assert (await queue.workers.register("ann", {})).word == "ok"
            second.cut_off()
            assert (await queue.enqueue(DUE, RAW, SEEN)).word == "ok"
            second.lead()
            first.follow(second)
            first.lead()

            with pytest.raises(RunChanged, match="went back"):
                await queue.workers.beat("ann", {})
            assert await _lost(queue)

    with Pair(tmp_path, None, sentinels=0) as pair:
        asyncio.run(scenario(pair.first, pair.second))


def test_the_newest_configuration_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Sentinel that was cut off from the others with the old primary still names that one."""
    names: dict[int, _Seen | Exception] = {
        1: _Seen(3, ("old", 1)),
        2: rex.ConnectionError("away"),
        3: _Seen(4, ("new", 1)),
    }

    async def ask(self: Sentinels, place: Place) -> _Seen:
        answer = names[place[1]]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(Sentinels, "_ask", ask)
    sentinels = Sentinels(parse("redis+sentinel://a:1,b:2,c:3/svc"))

    assert asyncio.run(sentinels.primary()) == ("new", 1)


# -- what replicas have ------------------------------------------------------------------------------------


def test_only_what_replicas_have_counts(pair: Pair) -> None:
    """Whichever connection wrote, and whichever asks."""

    async def scenario() -> None:
        async with JobQueue(pair.url, min_replicas=1) as writer, JobQueue(pair.url, min_replicas=1) as asker:
            await until(asker.barrier.replicas, "the replica to keep up")
            pair.other.pause()
            try:
                await writer.push([RAW])
                assert await asker.barrier.replicas() == 0
            finally:
                pair.other.resume()
            await until(asker.barrier.replicas, "the replica to catch up")

    asyncio.run(scenario())


def test_who_asks_at_the_same_time_shares_an_answer(pair: Pair) -> None:
    def asked() -> int:
        return int(pair.primary.client.info("commandstats").get("cmdstat_wait", {}).get("calls", 0))

    async def scenario() -> int:
        async with JobQueue(pair.url, min_replicas=1) as queue:
            before = asked()
            assert set(await asyncio.gather(*(queue.barrier.replicas() for _ in range(50)))) == {1}
            return asked() - before

    assert asyncio.run(scenario()) == 1


def test_nobody_is_asked_where_nobody_is_needed(pair: Pair) -> None:
    async def scenario() -> None:
        async with JobQueue(pair.url) as queue:
            await pair_away(queue)

    async def pair_away(queue: JobQueue) -> None:
        pair.other.pause()
        try:
            assert await asyncio.wait_for(queue.barrier.replicas(), 0.5) == 0
        finally:
            pair.other.resume()

    asyncio.run(scenario())


# -- what is said ------------------------------------------------------------------------------------------


def _connect(url: str) -> None:
    async def scenario() -> None:
        connections = Connections(url)
        try:
            await connections.connect()
        finally:
            await connections.close()

    asyncio.run(scenario())


def test_one_sentinel_is_enough(pair: Pair) -> None:
    _connect(f"redis+sentinel://127.0.0.1:9,{HOST}:{pair.sentinels[1].port}/{SERVICE}")


def test_no_sentinel_answers() -> None:
    with pytest.raises(
        RedisUnreachable, match=r"no Sentinel answers \(127\.0\.0\.1:9: .*; 127\.0\.0\.1:10: "
    ):
        _connect("redis+sentinel://u:topsecret@127.0.0.1:9,127.0.0.1:10/svc")


def test_a_service_that_they_do_not_know(pair: Pair) -> None:
    with pytest.raises(ConfigError, match="the Sentinels know no service 'another'"):
        _connect(pair.url.replace(SERVICE, "another"))


def test_a_sentinel_is_no_server(pair: Pair) -> None:
    with pytest.raises(ConfigError, match="this is a Sentinel") as caught:
        _connect(f"redis://{HOST}:{pair.sentinels[0].port}/0")
    assert "redis+sentinel://" in caught.value.hint


def test_a_server_is_no_sentinel(pair: Pair) -> None:
    with pytest.raises(ConfigError, match="is no Sentinel"):
        _connect(f"redis+sentinel://{pair.first.place}/{SERVICE}")


def test_a_replica_takes_no_writes(pair: Pair) -> None:
    async def scenario() -> None:
        async with JobQueue(pair.other.url) as queue:
            assert await queue.paused() == ""  # reading is well
            for write in (queue.push([RAW]), queue.scripts.call("recovery_begin", [queue.keys.epoch], [])):
                with pytest.raises(RedisUnreachable, match="is a read-only replica"):
                    async with redis_errors(queue.connections.url):
                        await write

    asyncio.run(scenario())


@pytest.mark.parametrize("own_pair", ["valkey"], indirect=True)
def test_passwords_of_both(own_pair: Pair) -> None:
    """Of the servers, and of the Sentinels. A wrong one is told as such, and never shown."""
    for node in own_pair.nodes:
        node.client.config_set("masterauth", "topsecret")
    own_pair.sentinels[0].client.execute_command("SENTINEL", "SET", SERVICE, "auth-pass", "topsecret")
    for node in own_pair.nodes:
        node.client.config_set("requirepass", "topsecret")
    url = f"redis+sentinel://:topsecret@{HOST}:{own_pair.sentinels[0].port}/{SERVICE}"

    _connect(url)
    with pytest.raises(ConfigError, match="refuses this user") as caught:
        _connect(url.replace("topsecret", "wrong-one"))
    assert "wrong-one" not in caught.value.message + caught.value.hint
    with pytest.raises(ConfigError, match="refuses this user"):
        _connect(url.replace(":topsecret@", ""))
