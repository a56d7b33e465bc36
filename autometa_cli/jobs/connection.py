"""Connections to Redis: one client for commands, one for blocking claims.

redis-py 8 gives every connection a socket timeout of 5 s and retries up to ten times. Commands keep a timeout and
retry a few times (all scripts are idempotent). A blocking claim must outlast its own block time and is never retried
by the client: a lost reply means that the element may have moved, which only the worker's own list can tell.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import redis.exceptions as rex
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff

from autometa_cli.errors import AutometaError, ConfigError, RedisUnreachable
from autometa_cli.secrets import redact_url

#: How long one blocking claim waits, seconds. Short, so that signals and pauses are seen.
BLOCK_SECONDS = 1.0
_TIMEOUT_SECONDS = 5.0

#: A redis-py client. Its annotations mix bytes with text and plain with awaited results, so they prove nothing here.
Client = Any


class RunChanged(rex.RedisError):
    """A connection reached another Redis process than the ledger belongs to: it restarted, or was failed over."""


class Connections:
    """The clients of one process, all bound to one Redis process by its run id.

    Attributes:
        commands: for scripts and reads.
        blocking: for BLMOVE only.
        run: run id that every connection must meet; empty until the first connection.
    """

    def __init__(self, url: str) -> None:
        if url.startswith(("redis+sentinel://", "redis+cluster://")):
            raise ConfigError(
                "REDIS_URL: Sentinel and Cluster are not supported by this version",
                "use a redis://, rediss:// or unix:// address of the primary",
            )
        self.url = url
        self.run = ""
        self.commands = self._client(
            socket_timeout=_TIMEOUT_SECONDS, retry=Retry(ExponentialWithJitterBackoff(cap=0.5, base=0.02), 3)
        )
        self.blocking = self._client(
            socket_timeout=BLOCK_SECONDS + _TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
        )

    def _client(self, **options: Any) -> Client:
        return Redis.from_url(
            self.url,
            protocol=2,
            decode_responses=False,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            redis_connect_func=self._meet,
            **options,
        )

    async def _meet(self, connection: Any) -> None:
        """After every connect: is this still the same Redis process?"""
        await connection.on_connect()
        await connection.send_command("INFO", "server")
        info = await connection.read_response()
        run = next(
            (line[7:].strip().decode() for line in bytes(info).splitlines() if line.startswith(b"run_id:")),
            "",
        )
        if not self.run:
            self.run = run
        elif run != self.run:
            raise RunChanged(f"run id {run}, was {self.run}")

    async def connect(self) -> None:
        """Open a connection now, so that a wrong address is told at once.

        Raises:
            RedisUnreachable: nobody answers there, or wrong credentials.
            RunChanged: Redis restarted since the first connection.
        """
        async with redis_errors(self.url):
            await self.commands.ping()

    async def reconnect(self) -> None:
        """Drop all connections and accept whatever Redis process answers now."""
        await self.close()
        self.run = ""
        await self.connect()

    async def close(self) -> None:
        """Close every connection. Redis itself is left as it is."""
        await self.commands.aclose()
        await self.blocking.aclose()
        await self.commands.connection_pool.disconnect()
        await self.blocking.connection_pool.disconnect()


@asynccontextmanager
async def redis_errors(url: str) -> AsyncIterator[None]:
    """Turn redis-py's exceptions into ours, for commands that cannot go on without Redis.

    Raises:
        ConfigError: the password or user is wrong, or Redis refuses this client.
        RedisUnreachable: Redis does not answer or cannot serve.
        AutometaError: a key of the queue is of another type than it should be.
    """
    where = redact_url(url)
    try:
        yield
    except (rex.AuthenticationError, rex.AuthorizationError, rex.NoPermissionError) as error:
        raise ConfigError(
            f"Redis at {where} refuses this user: {_first_line(error)}",
            "check the user and password in REDIS_URL",
        ) from None
    except RunChanged:
        raise RedisUnreachable(f"Redis at {where} restarted meanwhile", "run the command again") from None
    except rex.BusyLoadingError:
        raise RedisUnreachable(
            f"Redis at {where} is still loading its data", "try again in a moment"
        ) from None
    except rex.ReadOnlyError:
        raise RedisUnreachable(
            f"Redis at {where} is a read-only replica", "let REDIS_URL name the primary"
        ) from None
    except rex.OutOfMemoryError:
        raise RedisUnreachable(f"Redis at {where} is full", "raise its maxmemory") from None
    except (rex.ConnectionError, rex.TimeoutError, OSError) as error:
        raise RedisUnreachable(
            f"Redis at {where} does not answer: {_first_line(error)}",
            "is it running? REDIS_URL sets where it is looked for",
        ) from None
    except rex.ResponseError as error:
        if "maxmemory" in str(error):  # how Redis 6 says it of a command in a script
            raise RedisUnreachable(f"Redis at {where} is full", "raise its maxmemory") from None
        if "WRONGTYPE" in str(error):
            raise AutometaError(
                f"a key of the queue in Redis at {where} holds something that no queue holds",
                "QUEUE_NAME must name a list; redis-cli TYPE tells what a key is",
            ) from None
        raise RedisUnreachable(f"Redis at {where} answered: {_first_line(error)}") from None
    except rex.InvalidResponse:
        raise RedisUnreachable(
            f"what answers at {where} does not speak the Redis protocol", "check host and port in REDIS_URL"
        ) from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
