"""Connections to Redis: one client for commands, one for blocking claims.

redis-py 8 gives every connection a socket timeout of 5 s and retries up to ten times. Commands keep a timeout and
retry a few times (all scripts are idempotent). A blocking claim must outlast its own block time and is never retried
by the client: a lost reply means that the element may have moved, which only the worker's own list can tell.

Behind Sentinel and in a Cluster these are plain clients, too, of the one server that holds the queue: all keys of a
queue are in one slot (`jobs.keys`). Each new connection asks where that server is (`jobs.locator`). redis-py's
RedisCluster cannot put scripts into a pipeline, and was measured at a third of the speed on the same Cluster
(benchmarks/redis_clients.py); nor would its silent redirections do: a queue on another server is another run.
"""

from __future__ import annotations

from typing import Any

import redis.exceptions as rex
from redis.asyncio import Redis
from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff

from autometa_cli.jobs.address import parse
from autometa_cli.jobs.faults import Misconfigured, NotOurPrimary, RunChanged, redis_errors
from autometa_cli.jobs.locator import locator
from autometa_cli.jobs.wire import ServerConnection, SocketConnection

__all__ = ["BLOCK_SECONDS", "Client", "Connections", "RunChanged", "redis_errors"]

#: How long one blocking claim waits, seconds. Short, so that signals and pauses are seen.
BLOCK_SECONDS = 1.0
_TIMEOUT_SECONDS = 5.0

#: A redis-py client. Its annotations mix bytes with text and plain with awaited results, so they prove nothing here.
Client = Any


class Connections:
    """The clients of one process, all bound to one run of one Redis process.

    Args:
        url: see `jobs.address`.
        queue: the key that tells the slot in a Cluster.

    Attributes:
        commands: for scripts and reads.
        blocking: for BLMOVE only.
        failover: whether another server may take this one's place.
        run: what every connection must meet; empty until the first connection. The process's run id, and the id of
            its replication history, which is another one after each promotion: a primary that was demoted and
            promoted again has lost what its successor never had, and is the same process all the while.

    Raises:
        ConfigError: the URL is malformed.
    """

    def __init__(self, url: str, queue: str = "workflow_jobs") -> None:
        self.url = url
        self.run = ""
        self._address = parse(url)
        self._queue = queue
        self.failover = self._address.kind in ("sentinel", "cluster")
        self._locator = locator(self._address, queue)
        self.commands = self._client(
            socket_timeout=_TIMEOUT_SECONDS, retry=Retry(ExponentialWithJitterBackoff(cap=0.5, base=0.02), 3)
        )
        self.blocking = self._client(
            socket_timeout=BLOCK_SECONDS + _TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )

    def _client(self, **options: Any) -> Client:
        address = self._address
        options |= {
            **address.login.options,
            "db": address.db,
            "protocol": 2,
            "driver_info": None,  # CLIENT SETINFO would need one more permission
            "socket_connect_timeout": _TIMEOUT_SECONDS,
            "redis_connect_func": self._meet,
        }
        if address.kind == "socket":
            return Redis.from_pool(ConnectionPool(SocketConnection, path=address.path, **options))
        host, port = address.hosts[0]
        options |= {"host": host, "port": port, "tls": address.tls}
        if self._locator is not None:
            options |= {"find": self._locator.primary, "moved": self._locator.moved}
        return Redis.from_pool(ConnectionPool(ServerConnection, **options))

    async def _meet(self, connection: Any) -> None:
        """After every connect: is this the server that holds the queue, and still the same run of it?"""
        await connection.on_connect()
        for section in ("server", "replication"):
            await connection.send_command("INFO", section)
        try:
            server, replication = [_fields(await connection.read_response()) for _ in range(2)]
        except rex.NoPermissionError as error:
            raise rex.NoPermissionError(
                f"INFO, which tells that Redis restarted ({error})", status_code=error.status_code
            ) from None
        if "sentinel" in (server.get("redis_mode"), server.get("server_mode")):
            raise Misconfigured(
                "this is a Sentinel", "REDIS_URL for Sentinels is redis+sentinel://host:port/service"
            )
        if not server.get("run_id"):
            raise Misconfigured("INFO shows no run_id, so a restart would not be noticed")
        if self._locator is not None and replication.get("role") != "master":
            raise NotOurPrimary(f"{connection.host}:{connection.port} is no primary")
        if self._address.kind == "cluster":
            await self._holds_queue(connection)
        run = server["run_id"] + replication.get("master_replid", "")[:16]
        if not self.run:
            self.run = run
        elif run != self.run:
            raise RunChanged(f"run {run}, was {self.run}")

    async def _holds_queue(self, connection: Any) -> None:
        """A node of which others say that it serves the slot: does it say so itself?"""
        await connection.send_command("TYPE", self._queue)
        try:
            await connection.read_response()
        except rex.MovedError as error:
            raise NotOurPrimary(
                f"{connection.host}:{connection.port} sends us to {error.node_addr}"
            ) from None
        except rex.AskError:
            return  # on its way elsewhere, and still here

    async def connect(self) -> None:
        """Open a connection now, so that a wrong address is told at once.

        Raises:
            RedisUnreachable: nobody answers there.
            ConfigError: wrong credentials, certificates or kind of server.
        """
        async with redis_errors(self.url):
            await self.commands.ping()

    async def reconnect(self) -> None:
        """Drop all connections and accept whatever Redis process answers now. Raises as `connect`."""
        await self.close()
        self.run = ""
        await self.connect()

    async def close(self) -> None:
        """Close every connection. Redis itself is left as it is."""
        await self.commands.connection_pool.disconnect()
        await self.blocking.connection_pool.disconnect()


def _fields(info: Any) -> dict[str, str]:
    lines = bytes(info).decode("utf-8", "replace").splitlines()
    return {name: value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon}
