"""The queue in a real Redis Cluster: every script, a node that dies, a slot that moves, and what is said meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis.exceptions as rex
from redis.crc import key_slot

from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.errors import ConfigError, RedisUnreachable
from autometa_cli.jobs.claim import Claim, Sighting
from autometa_cli.jobs.connection import Connections, RunChanged, redis_errors
from autometa_cli.jobs.epoch import LedgerInDoubt
from autometa_cli.jobs.job import parse_job
from autometa_cli.jobs.keys import Keys
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.jobs.queue import JobQueue
from tests.jobs import cases
from tests.jobs.cluster import Cluster
from tests.jobs.desk import Desk
from tests.jobs.fleet import KINDS, Node, binary, until, wait_for

SLOT = key_slot(b"workflow_jobs")
SEEN = Sighting(10, True, "d")
DUE = Occurrence(1287, "0xee", 1, 100)
RAW = b'{"workflowId":1,"nextRun":100}'


@pytest.fixture(scope="module", params=KINDS)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One of each kind, for what leaves it as it is."""
    with Cluster(tmp_path_factory.mktemp("cluster"), binary(request.param), SLOT) as made:
        yield made


@pytest.fixture(params=KINDS)
def own_cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    """For what does not."""
    with Cluster(tmp_path, binary(request.param), SLOT) as made:
        yield made


@pytest.fixture
def desk(cluster: Cluster, runner: asyncio.Runner) -> Iterator[Desk]:
    """An empty queue in the Cluster."""
    with Desk(runner, cluster.url, cluster.holder.url) as made:
        yield made


# -- every script ------------------------------------------------------------------------------------------


# Redis 6.2 looks less closely at the slots of keys than those that came after it.
@pytest.mark.parametrize("cluster", ["valkey", "redis-7"], indirect=True)
@pytest.mark.parametrize(("script", "word", "note"), sorted(cases.CASES), ids=lambda part: part or "-")
def test_every_script_does_the_same_in_a_cluster(desk: Desk, script: str, word: str, note: str) -> None:
    cases.CASES[script, word, note](desk)()

    assert (desk.scripts.asked[-1][0], desk.answer.word) == (script, word)
    for name, keys, _ in desk.scripts.asked:
        slots = {desk.redis.execute_command("CLUSTER", "KEYSLOT", key) for key in keys}
        assert slots == {SLOT}, f"{name}: {keys}"


def test_every_key_name_is_in_the_slot_of_the_list() -> None:
    keys = Keys("some:other queue")
    names = [value for value in vars(keys).values() if value != "some:other queue"]
    names += [
        keys.inflight("w:1"),
        keys.worker("w"),
        keys.occurrence("due:1:0xee:7:1:0"),
        keys.cleared_list("1"),
    ]
    names += [keys.workflow(1, "0xEE", 7), keys.sender(1, "0xA"), keys.freed(1, "0xA"), keys.nonces(1, "0xA")]

    assert {key_slot(name.encode()) for name in names} == {key_slot(b"some:other queue")}


def test_the_life_of_a_job(desk: Desk) -> None:
    ann = desk.worker("ann")
    assert desk.enqueue().word == "ok"
    [raw] = desk.do(desk.queue.take(ann, 10))
    claim = desk.adopt(ann, raw)
    assert isinstance(claim, Claim)
    assert desk.bind(claim).word == "ok"
    assert desk.write(claim).word == "ok"
    assert desk.settle(claim.key).word == "ok"

    counts = desk.do(desk.inspector.counts())
    assert (counts.pending, counts.inflight, counts.open, counts.workers) == (0, 0, 0, 1)
    assert desk.do(_keys(desk)) == [claim.key]


async def _keys(desk: Desk) -> list[str]:
    return [record.key async for record in desk.inspector.records()]


# -- another node ------------------------------------------------------------------------------------------


async def _at_work(queue: JobQueue) -> Claim:
    """A worker with one claim and one job waiting."""
    await queue.join()
    assert (await queue.workers.register("ann", {})).word == "ok"
    assert (await queue.enqueue(DUE, RAW, SEEN)).word == "ok"
    await queue.push([b'{"workflowId":2,"nextRun":100}'])
    [raw] = await queue.take("ann", 1)
    job = parse_job(raw)
    claim = await queue.adopt("ann", job, DUE, "id", SEEN)
    assert isinstance(claim, Claim)
    return claim


async def _back(queue: JobQueue) -> bool:
    await queue.rejoin("ann")
    return True


def test_the_node_dies_and_its_replica_goes_on(own_cluster: Cluster) -> None:
    async def scenario() -> None:
        async with JobQueue(own_cluster.url, min_replicas=1) as queue:
            claim = await _at_work(queue)
            assert await queue.barrier.replicas() == 1
            died = own_cluster.holder
            died.kill()

            with pytest.raises(rex.RedisError):
                await queue.take("ann", 1)
            await until(lambda: _back(queue), "the queue to be whole", RedisUnreachable, rex.RedisError)

            # The queue asks whom it finds; the node that the test asks may hear of the change a moment later.
            wait_for(lambda: own_cluster.holder is not died, "everybody to know of the change")
            assert await queue.held("ann") == [claim.envelope]
            assert len(await queue.take("ann", 10)) == 1
            assert (await queue.enqueue(DUE, RAW, SEEN)).word == "already"

    asyncio.run(scenario())


@pytest.mark.parametrize("own_cluster", ["valkey"], indirect=True)
def test_a_replica_that_missed_writes_is_found_out(own_cluster: Cluster) -> None:
    async def scenario() -> None:
        async with JobQueue(own_cluster.url) as queue:
            await queue.join()
            assert (await queue.workers.register("ann", {})).word == "ok"
            own_cluster.nodes[3].cut_off()
            assert (await queue.enqueue(DUE, RAW, SEEN)).word == "ok"
            own_cluster.holder.kill()

            async def lost() -> bool:
                try:
                    await queue.rejoin("ann")
                except LedgerInDoubt as error:
                    return error.lost
                return False

            await until(lost, "the loss to be noticed", RedisUnreachable, rex.RedisError)

    asyncio.run(scenario())


def test_the_slot_moves_to_another_node(own_cluster: Cluster) -> None:
    async def scenario() -> None:
        async with JobQueue(own_cluster.url) as queue:
            claim = await _at_work(queue)
            source = own_cluster.holder
            target = next(node for node in own_cluster.nodes[:3] if node is not source)
            own_cluster.begin_move(source, target)
            await _is_told(queue, "moving the queue")
            own_cluster.finish_move(source, target)

            with pytest.raises(rex.MovedError):
                await queue.length()
            with pytest.raises(RunChanged):
                await queue.length()
            await queue.rejoin("ann")

            assert await queue.held("ann") == [claim.envelope]
            assert await queue.length() == 1
            assert len(await queue.take("ann", 10)) == 1

    asyncio.run(scenario())


async def _is_told(queue: JobQueue, words: str) -> None:
    """Commands fail, and say why."""
    with pytest.raises(RedisUnreachable, match=words):
        async with redis_errors(queue.connections.url):
            await queue.enqueue(Occurrence(1287, "0xee", 9, 100), RAW, SEEN)


def test_a_replica_is_not_taken_for_the_primary(cluster: Cluster) -> None:
    url = f"redis+cluster://{cluster.nodes[3].place}"

    async def scenario() -> str:
        async with JobQueue(url) as queue:
            await queue.push([RAW])
            where = await queue.redis.info("server")
            return str(where["tcp_port"])

    assert asyncio.run(scenario()) == str(cluster.holder.port)


# -- what is said ------------------------------------------------------------------------------------------


def _connect(url: str) -> None:
    async def scenario() -> None:
        connections = Connections(url)
        try:
            await connections.connect()
            async with redis_errors(url):
                await connections.commands.llen("workflow_jobs")
        finally:
            await connections.close()

    asyncio.run(scenario())


def test_a_single_nodes_address_leads_to_the_right_form(cluster: Cluster) -> None:
    other = next(node for node in cluster.nodes[:3] if node is not cluster.holder)

    with pytest.raises(ConfigError, match="node of a Redis Cluster") as caught:
        _connect(other.url)
    assert "redis+cluster://" in caught.value.hint


def test_what_is_no_cluster(redis_server: ValkeyProcess) -> None:
    with pytest.raises(ConfigError, match="no Redis Cluster"):
        _connect(f"redis+cluster://127.0.0.1:{redis_server.port}")


def test_nobody_there() -> None:
    with pytest.raises(RedisUnreachable, match=r"no Cluster node answers \(127\.0\.0\.1:9: "):
        _connect("redis+cluster://127.0.0.1:9")


@pytest.mark.parametrize("own_cluster", ["valkey"], indirect=True)
def test_a_cluster_with_a_third_of_it_gone(own_cluster: Cluster) -> None:
    absent = next(node for node in own_cluster.nodes[:3] if node is not own_cluster.holder)
    absent.kill()

    wait_for(
        lambda: any("fail" in row["flags"] for row in own_cluster.table(own_cluster.nodes[3])), "its death"
    )
    _refuses(own_cluster, absent)


def _refuses(cluster: Cluster, absent: Node) -> None:
    """With a third of its slots gone, a Cluster serves none, unless it is told to."""
    url = cluster.url + "," + cluster.nodes[2].place

    wait_for(lambda: not cluster.up(cluster.holder), "the Cluster to be down")
    with pytest.raises(RedisUnreachable, match="the Cluster is down"):
        _connect(url)
    for node in cluster.nodes:
        if node is not absent:
            node.client.config_set("cluster-require-full-coverage", "no")
    wait_for(lambda: cluster.up(cluster.holder), "it to serve what it has")
    _connect(url)
