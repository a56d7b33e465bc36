"""What goes wrong between us and Redis, in words for people, and whose fault it is."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import redis.exceptions as rex

from autometa_cli.errors import AutometaError, ConfigError, RedisUnreachable
from autometa_cli.secrets import redact_url

#: How redis-py and asyncio say that the other side hung up.
_CLOSED = ("Connection lost", "Connection closed by server")
#: How Redis says that a script's user may not do what the script does; it differs by version.
_DENIED_IN_SCRIPT = ("can't run this command", "ACL failure in script", "no permissions to run")
_ACL_HINT = "docs/redis.md has the ACL line with everything that is needed"


class RunChanged(rex.RedisError):
    """A connection reached another Redis process than the ledger belongs to: it restarted, or was failed over."""


class NotOurPrimary(rex.ConnectionError):
    """Sentinel or Cluster sent us to a server that is not the primary (any more). Retried."""


class Misconfigured(rex.RedisError):
    """What answers is not what REDIS_URL says. Trying again does not help."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class WrongKey(rex.ResponseError):
    """A key that all jobs share holds something else than it should: WRONGTYPE, with the key's name.

    Attributes:
        key, found, wanted: its name, its type, and the type that it should have.
    """

    def __init__(self, key: str, found: str, wanted: str) -> None:
        super().__init__(f"WRONGTYPE {key} is a {found}, not a {wanted}")
        self.key, self.found, self.wanted = key, found, wanted

    @property
    def hint(self) -> str:
        """What to do."""
        if self.wanted == "list":  # the new name stays in the slot of a Cluster
            to = f"{{{self.key}}}:old"
            return f"let QUEUE_NAME name another key, or rename that one: redis-cli RENAME {self.key} {to}"
        return f"rename it, and the queue makes its own: redis-cli RENAME {self.key} {self.key}:old"


@asynccontextmanager
async def redis_errors(url: str) -> AsyncIterator[None]:
    """Turn redis-py's exceptions into ours, for commands that cannot go on without Redis.

    Raises:
        ConfigError: the password or user is wrong, Redis refuses this client, or is not what REDIS_URL says.
        RedisUnreachable: Redis does not answer or cannot serve.
        AutometaError: a key of the queue is of another type than it should be.
    """
    try:
        yield
    except (rex.RedisError, OSError) as error:
        raise explain(error, url) from None


def explain(error: BaseException, url: str) -> AutometaError:
    """What an exception of redis-py means, as `redis_errors` raises it."""
    where = f"Redis at {redact_url(url)}"
    first = (str(error).splitlines() or [type(error).__name__])[0][:200]
    tls = url.lower().startswith("rediss:") or bool(re.search(r"[?&]ssl=(true|1|yes)\b", url, re.IGNORECASE))
    for found in (
        _settings(error, where, first),
        _state(error, where),
        _connection(error, where, first, tls=tls),
    ):
        if found is not None:
            return found
    if isinstance(error, WrongKey):
        return AutometaError(
            f"the queue's key {error.key} in {where} is a {error.found}; it must be a {error.wanted}",
            error.hint,
        )
    if wrong_type(error):
        return AutometaError(
            f"a key of the queue in {where} holds something that no queue holds",
            "QUEUE_NAME must name a list; redis-cli TYPE tells what a key is",
        )
    return RedisUnreachable(f"{where} answered: {first}")


def in_script(error: BaseException, code: str) -> bool:
    """Whether a command inside a script failed with this code: Redis 6 wraps it into an error of its own."""
    return isinstance(error, rex.ResponseError) and f"-{code} " in str(error)


def wrong_type(error: BaseException) -> bool:
    """Whether somebody made a key something else than it should be."""
    return isinstance(error, rex.ResponseError) and "WRONGTYPE" in str(error)


def readable(answers: Sequence[Any]) -> list[Any]:
    """The answers of a pipeline, None for each key that somebody made something else.

    Raises redis.exceptions.RedisError: the first other error among them.
    """
    for answer in answers:
        if isinstance(answer, Exception) and not wrong_type(answer):
            raise answer
    return [None if isinstance(answer, Exception) else answer for answer in answers]


def _settings(error: BaseException, where: str, first: str) -> AutometaError | None:
    """What the operator has to change."""
    if isinstance(error, Misconfigured):
        return ConfigError(f"{where}: {first}", error.hint)
    if isinstance(error, rex.NoPermissionError) or any(words in first for words in _DENIED_IN_SCRIPT):
        return ConfigError(f"{where} does not permit this user what is needed: {first}", _ACL_HINT)
    if isinstance(
        error, rex.AuthenticationError | rex.AuthorizationError | rex.AuthenticationWrongNumberOfArgsError
    ):
        return ConfigError(f"{where} refuses this user: {first}", "check the user and password in REDIS_URL")
    if isinstance(error, rex.ResponseError) and "DB index is out of range" in first:
        hint = "the number at the end of REDIS_URL; a server has 16 databases, 0 to 15, unless it is told otherwise"
        return ConfigError(f"{where} has no database of that number", hint)
    if isinstance(error, rex.MovedError):
        return ConfigError(
            f"{where} is a node of a Redis Cluster, and the queue is on another one",
            "write redis+cluster://host:port,host:port as REDIS_URL",
        )
    return None


def _state(error: BaseException, where: str) -> AutometaError | None:
    """Redis answers, but cannot serve now."""
    if isinstance(error, RunChanged):
        return RedisUnreachable(f"{where} restarted meanwhile", "run the command again")
    if isinstance(error, rex.BusyLoadingError):
        return RedisUnreachable(f"{where} is still loading its data", "try again in a moment")
    if isinstance(error, rex.ReadOnlyError) or in_script(error, "READONLY"):
        return RedisUnreachable(f"{where} is a read-only replica", "let REDIS_URL name the primary")
    if isinstance(error, rex.OutOfMemoryError) or "maxmemory" in str(error):
        return RedisUnreachable(
            f"{where} is full",
            "raise its maxmemory; docs/operations.md, 'Redis is full', says what works meanwhile",
        )
    if isinstance(error, rex.ClusterDownError):
        return RedisUnreachable(
            f"{where}: the Cluster is down, or does not serve the queue's part of it",
            "redis-cli CLUSTER INFO and CLUSTER NODES show what is missing",
        )
    if isinstance(error, rex.AskError | rex.TryAgainError):
        return RedisUnreachable(
            f"{where}: the Cluster is moving the queue to another node", "try again when that is done"
        )
    text = str(error)
    if text.startswith("NOREPLICAS"):
        return RedisUnreachable(
            f"{where} takes no writes: too few of its replicas keep up (its setting min-replicas-to-write)"
        )
    if text.startswith("MISCONF"):
        return RedisUnreachable(
            f"{where} takes no writes because it cannot save them to disk", "its own log says why"
        )
    return None


def _connection(error: BaseException, where: str, first: str, *, tls: bool) -> AutometaError | None:
    """Redis does not answer, or what answers is something else."""
    if isinstance(error, rex.InvalidResponse):
        return RedisUnreachable(
            f"what answers at {where.removeprefix('Redis at ')} does not speak the Redis protocol",
            "check host and port in REDIS_URL; a server that wants TLS needs rediss://",
        )
    if not isinstance(error, rex.ConnectionError | rex.TimeoutError | OSError):
        return None
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ConfigError(
                f"{where} shows a certificate that is not trusted: {cause.verify_message}",
                "ssl_ca_certs in REDIS_URL names the file of the CA that signed it",
            )
        if isinstance(cause, ssl.SSLError):
            return _tls(cause, where)
        if isinstance(cause, socket.gaierror):
            return RedisUnreachable(f"{where}: that host name is not known", "check REDIS_URL")
    if isinstance(error, NotOurPrimary):
        return RedisUnreachable(f"{where}: {first}", "a failover may be under way; try again in a moment")
    hint = "is it running? REDIS_URL sets where it is looked for"
    if isinstance(error, rex.TimeoutError):
        hint += "; does that port speak TLS?" if tls else ""
    elif any(isinstance(cause, ConnectionResetError | BrokenPipeError) for cause in _causes(error)) or any(
        words in first for words in _CLOSED
    ):
        first = "it closed the connection"
        hint += (
            "; it may want another certificate of ours (ssl_certfile, ssl_keyfile)"
            if tls
            else "; a port that wants TLS needs rediss://"
        )
    return RedisUnreachable(f"{where} does not answer: {first}", hint)


def _tls(error: ssl.SSLError, where: str) -> AutometaError:
    reason = error.reason or str(error)
    if "CERTIFICATE_REQUIRED" in reason:
        return ConfigError(
            f"{where} wants to see a certificate of ours",
            "ssl_certfile and ssl_keyfile in REDIS_URL name the files",
        )
    if any(
        each in reason for each in ("UNKNOWN_CA", "BAD_CERTIFICATE", "CERTIFICATE_UNKNOWN", "DECRYPT_ERROR")
    ):
        return ConfigError(
            f"{where} does not accept our certificate ({reason})", "ssl_certfile in REDIS_URL is another CA's"
        )
    if any(each in reason for each in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_EOF")):
        return ConfigError(f"{where} does not speak TLS there", "try redis:// instead, or its TLS port")
    return RedisUnreachable(f"{where}: no TLS connection: {reason}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
