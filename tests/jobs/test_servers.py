"""What a server must be like before a ledger is trusted to it, and how connections to it are made."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis.exceptions as rex

from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.errors import ConfigError, RedisUnreachable
from autometa_cli.jobs import server as fitness
from autometa_cli.jobs.connection import Connections, RunChanged
from autometa_cli.jobs.faults import explain
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.jobs.server import Finding
from tests.jobs.desk import Desk
from tests.jobs.fleet import KINDS, Node, binary, start, wait_for
from tests.network import LiveNetwork
from tests.runner import Cli

# -- a server's fitness ------------------------------------------------------------------------------------


def findings(desk: Desk, **options: Any) -> dict[str, Finding]:
    return {found.code: found for found in desk.do(fitness.examine(desk.queue.redis, **options))}


@pytest.fixture
def changed(desk: Desk) -> Iterator[Desk]:
    """A desk whose server's settings are put back afterwards."""
    names = ("maxmemory-policy", "maxmemory", "appendonly", "appendfsync")
    before = {name: desk.redis.config_get(name)[name] for name in names}
    yield desk
    for name, value in before.items():
        desk.redis.config_set(name, value)
    # It does not end while it writes an append-only file anew.
    wait_for(lambda: not desk.redis.info("persistence")["aof_rewrite_in_progress"], "the rewriting")
    wait_for(lambda: not desk.redis.info("persistence")["aof_rewrite_scheduled"], "the rewriting")


def test_a_server_that_is_fit(desk: Desk) -> None:
    found = findings(desk)

    assert {each.severity for each in found.values()} == {"ok"}, found
    assert set(found) == {"version", "role", "memory", "persistence", "replicas", "latency"}


@pytest.mark.parametrize(
    ("settings", "code", "severity", "says"),
    [
        ({"maxmemory-policy": "allkeys-lru"}, "memory", "error", "allkeys-lru"),
        ({"maxmemory-policy": "volatile-ttl"}, "memory", "error", "volatile-ttl"),
        ({"maxmemory": "1"}, "memory", "warning", "% full"),
        ({"appendonly": "no"}, "persistence", "warning", "no append-only file"),
        ({"appendfsync": "no"}, "persistence", "warning", "appendfsync no"),
        ({"appendfsync": "always"}, "persistence", "ok", "to disk always"),
    ],
)
def test_settings(changed: Desk, settings: dict[str, str], code: str, severity: str, says: str) -> None:
    for name, value in settings.items():
        changed.redis.config_set(name, value)

    found = findings(changed)

    assert found[code].severity == severity
    assert says in found[code].text
    assert {each.code for each in found.values() if each.severity != "ok"} <= {code}


@pytest.mark.parametrize("policy", ["allkeys-lru", "noeviction"])
def test_where_config_is_denied_info_tells(changed: Desk, policy: str) -> None:
    changed.redis.config_set("maxmemory-policy", policy)
    changed.redis.config_set("appendonly", "no")
    changed.redis.execute_command("ACL", "SETUSER", "plain", "on", ">topsecret", "~*", "+@all", "-config")
    url = str(changed.queue.connections.url).replace("redis://", "redis://plain:topsecret@")

    async def scenario() -> list[Finding]:
        async with JobQueue(url) as queue:
            return await fitness.examine(queue.redis)

    found = {each.code: each for each in changed.do(scenario())}
    changed.redis.execute_command("ACL", "DELUSER", "plain")

    assert found["memory"].severity == ("ok" if policy == "noeviction" else "error")
    assert found["persistence"].severity == "warning"


def test_replicas_that_are_asked_for(desk: Desk) -> None:
    assert "nothing will be sent" in findings(desk, min_replicas=1)["replicas"].text
    assert "REDIS_MIN_REPLICAS=1" in findings(desk, failover=True)["replicas"].hint


def test_a_server_that_is_too_old() -> None:
    found = fitness._version({"redis_version": "6.0.16"})

    assert (found.severity, found.text) == ("error", "Redis 6.0.16 is too old")
    assert fitness._version({"redis_version": "7.2.4", "valkey_version": "9.1.2"}).text == "Valkey 9.1.2"
    assert fitness._version({}).severity == "warning"


def test_a_server_that_says_little() -> None:
    assert fitness._memory({}, "").severity == "warning"
    assert fitness._role({"role": "slave"}).severity == "warning"
    assert (
        fitness._persistence({"aof_enabled": 1, "aof_last_write_status": "err"}, "yes", "").severity
        == "warning"
    )
    assert "does not tell" in fitness._persistence({"aof_enabled": 1}, "", "").text


def test_what_is_not_right_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        fitness.judge(
            [Finding("role", "ok", "fine"), Finding("latency", "warning", "slow", "move")],
            lossy_allowed=False,
        )

    assert [record.getMessage() for record in caplog.records] == ["slow (move)"]


def test_permission_to_lose_is_for_memory_alone() -> None:
    fitness.judge([Finding("memory", "error", "evicts")], lossy_allowed=True)
    with pytest.raises(ConfigError):
        fitness.judge([Finding("version", "error", "old")], lossy_allowed=True)


# -- who refuses -------------------------------------------------------------------------------------------


def test_a_queue_is_not_joined_on_a_server_that_evicts(changed: Desk) -> None:
    changed.redis.config_set("maxmemory-policy", "allkeys-random")

    async def join(**options: Any) -> None:
        async with JobQueue(changed.queue.connections.url, **options) as queue:
            await queue.join()

    with pytest.raises(ConfigError, match="throws keys away"):
        changed.do(join())
    changed.do(join(lossy_allowed=True))


@pytest.mark.parametrize("arguments", [("worker", "--burst"), ("scheduler", "--once"), ("scheduler",)])
def test_services_refuse_a_server_that_evicts(
    network: LiveNetwork, redis_server: ValkeyProcess, cli: Cli, arguments: tuple[str, ...]
) -> None:
    admin = Node(redis_server.directory, None, {}, port=redis_server.port).client
    environment = network.environment(
        CONFIRMATIONS="1", WORKER_PRIVATE_KEY=network.accounts["worker"].private_key
    )
    admin.config_set("maxmemory-policy", "allkeys-lru")
    try:
        refused = cli(*arguments, "--json", env=environment)
        if arguments != ("scheduler",):
            allowed = cli(*arguments, "--json", env={**environment, "ALLOW_LOSSY_REDIS": "1"})
            assert allowed.code == 0, allowed.stderr
    finally:
        admin.config_set("maxmemory-policy", "noeviction")

    assert refused.code == 3
    assert "maxmemory-policy allkeys-lru" in refused.json["error"]["message"]
    assert "noeviction" in refused.json["error"]["hint"]


# -- connections -------------------------------------------------------------------------------------------


def test_a_unix_socket(tmp_path: Path, runner: asyncio.Runner) -> None:
    with ExitStack() as stack:
        node = Node(tmp_path, None, {"unixsocket": f"{tmp_path}/s.sock"})
        start(node, stack)
        with Desk(runner, f"unix://{tmp_path}/s.sock?db=3", f"redis://127.0.0.1:{node.port}/3") as desk:
            assert desk.settle(desk.signed(desk.worker("ann")).key).word == "ok"
            assert node.client.dbsize() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_demoted_server_is_left(kind: str, tmp_path: Path) -> None:
    """Its address may lead to another one by then."""
    with ExitStack() as stack:
        node = Node(tmp_path, binary(kind), {})
        start(node, stack)

        async def scenario() -> None:
            async with JobQueue(node.url) as queue:
                await queue.join()
                node.client.replicaof("127.0.0.1", "9")
                with pytest.raises(rex.ResponseError, match="read only"):
                    await queue.scripts.call("recovery_begin", [queue.keys.epoch], [])
                assert not queue.redis.connection_pool._available_connections[0].is_connected

        asyncio.run(scenario())


def test_a_server_without_a_run_id_is_no_server_for_us(
    monkeypatch: pytest.MonkeyPatch, redis_url: str
) -> None:
    monkeypatch.setattr("autometa_cli.jobs.connection._fields", lambda info: {"redis_mode": "standalone"})

    async def scenario() -> None:
        async with JobQueue(redis_url):
            pass

    with pytest.raises(ConfigError, match="shows no run_id"):
        asyncio.run(scenario())


def test_the_ledger_went_back_on_the_same_connection(valkey_desk: Desk) -> None:
    ann = valkey_desk.worker("ann")
    valkey_desk.enqueue()
    valkey_desk.redis.hincrby(valkey_desk.keys.epoch, "seq", -2)

    with pytest.raises(RunChanged, match="went back"):
        valkey_desk.do(valkey_desk.queue.workers.leave(ann))


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (rex.MovedError("1 a:1"), ConfigError, "node of a Redis Cluster"),
        (rex.TryAgainError("x"), RedisUnreachable, "moving the queue"),
        (rex.ClusterDownError("x"), RedisUnreachable, "the Cluster is down"),
        (
            rex.ResponseError("NOREPLICAS Not enough good replicas to write."),
            RedisUnreachable,
            "too few of its",
        ),
        (rex.ResponseError("MISCONF Errors writing to the AOF file"), RedisUnreachable, "cannot save them"),
        (rex.ResponseError("script: -READONLY You can't write"), RedisUnreachable, "read-only replica"),
        (rex.ConnectionError("Connection closed by server."), RedisUnreachable, "it closed the connection"),
    ],
)
def test_more_of_what_redis_may_say(error: Exception, kind: type[Exception], says: str) -> None:
    found = explain(error, "redis://u:topsecret@h:1/0")

    assert type(found) is kind
    assert says in found.message
    assert "topsecret" not in found.message + found.hint


def test_a_host_that_nobody_knows() -> None:
    async def scenario() -> None:
        await Connections("redis://nobody.invalid/0").connect()

    with pytest.raises(RedisUnreachable, match="that host name is not known"):
        asyncio.run(scenario())
