"""redis-py's connections, with one TLS context for all of them, and an end for those that lead to the wrong server."""

from __future__ import annotations

import asyncio
import builtins
import ssl
from collections.abc import Callable, Iterable
from typing import Any

import redis.exceptions as rex
from hiredis import pack_command
from redis.asyncio.connection import AbstractConnection, Connection, UnixDomainSocketConnection

from autometa_cli.jobs.address import Place
from autometa_cli.jobs.faults import in_script


class _Cancellable(AbstractConnection):
    """Whoever cancels a task that sends, ends it.

    redis-py sends in `asyncio.wait_for`, which before Python 3.12 forgets a cancellation that comes when the bytes
    have just left; measured, every fifth one was lost: Ctrl-C, or a worker that was to leave.
    """

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send within the socket's timeout. Raises redis.exceptions.TimeoutError, ConnectionError."""
        seconds, self.socket_timeout = self.socket_timeout, None
        try:
            async with asyncio.timeout(seconds):
                await super().send_packed_command(command, check_health)
        except builtins.TimeoutError:
            raise rex.TimeoutError("Timeout writing to socket") from None
        finally:
            self.socket_timeout = seconds


class _Packing(AbstractConnection):
    """Writes commands as hiredis does. redis-py's own way took 40 % of a worker's time on jobs that do nothing."""

    def pack_command(self, *args: Any) -> list[bytes]:
        """One command in the Redis protocol; its name may be of two words."""
        if isinstance(args[0], str) and " " in args[0]:
            args = (*args[0].split(), *args[1:])
        return [pack_command(args)]

    def pack_commands(self, commands: Iterable[Iterable[Any]]) -> list[bytes]:
        """Several, as one piece."""
        return [b"".join(piece for command in commands for piece in self.pack_command(*command))]


class TcpConnection(_Cancellable, _Packing, Connection):
    """TCP, with TLS where there is a context. redis-py's own TLS connections each read all certificates again."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._tls = tls

    def _connection_arguments(self) -> dict[str, Any]:
        arguments = dict(super()._connection_arguments())
        return arguments if self._tls is None else {**arguments, "ssl": self._tls}


class ServerConnection(TcpConnection):
    """A connection to the primary.

    Args:
        find: where to connect; asked before each attempt, so that a retry goes where the primary is by then. None
            connects to `host` and `port`.
        moved: told where a server sent us.
    """

    def __init__(
        self,
        *,
        find: Callable[[], Any] | None = None,
        moved: Callable[[Place], None] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._find = find
        self._moved = moved

    async def connect_check_health(
        self, check_health: bool = True, retry_socket_connect: bool = True
    ) -> None:
        """Connect unless connected; one attempt, where the place has to be found anew for the next."""
        if self._find is not None and not self.is_connected:
            self.host, self.port = await self._find()
            retry_socket_connect = False
        await super().connect_check_health(check_health, retry_socket_connect)

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """An answer; one that says that this server is not the primary any more ends the connection behind it."""
        try:
            return await super().read_response(*args, **options)
        except rex.ResponseError as error:
            _leave(self, error)
            if self._moved is not None and isinstance(error, rex.MovedError):
                self._moved((error.host or self.host, error.port))
            raise


class SocketConnection(_Cancellable, _Packing, UnixDomainSocketConnection):
    """The same over a Unix socket."""

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """See `ServerConnection.read_response`."""
        try:
            return await super().read_response(*args, **options)
        except rex.ResponseError as error:
            _leave(self, error)
            raise


def _leave(connection: Any, error: rex.ResponseError) -> None:
    """Let the pool drop a connection to a server that is not the primary any more, once its answers are read."""
    if isinstance(error, rex.ReadOnlyError | rex.MovedError) or in_script(error, "READONLY"):
        connection.mark_for_reconnect()
