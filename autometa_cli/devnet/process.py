"""Server processes that outlive the command that started them, and are never mistaken for others."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path

from autometa_cli.devnet.identity import POLL_SECONDS, Identity
from autometa_cli.errors import AutometaError
from autometa_cli.interrupts import undisturbed

HOST = "127.0.0.1"
LOG_LINES = 12  # shown when a server dies at its start
#: What a server gets of our environment: never a key that happens to be exported here.
PASSED_ON = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH")


class StartFailed(AutometaError):
    """A server did not come up. The message holds the last lines of its log."""


class PortTaken(AutometaError):
    """Another program listens on the port."""


def port_free(port: int) -> bool:
    """Whether nobody listens on the port of the loopback interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port that is free now. Somebody may take it before it is used; `Server.start` then takes another."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Server(ABC):
    """A server on the loopback interface: start, stop, kill, pause; again after each.

    Args:
        directory: where its log and files go; made if missing.
        port: TCP port; 0 takes a free one at the first start and keeps it from then on.
    """

    #: For messages and file names.
    name: str
    #: The option that changes the port, for hints.
    port_option: str

    def __init__(self, directory: Path, *, port: int = 0) -> None:
        self.directory = directory.absolute()
        self.port = port
        self.identity: Identity | None = None
        #: Called as soon as the process exists, before it answers: to write down its identity.
        self.spawned: Callable[[], None] = lambda: None
        self._any_port = port == 0

    @property
    def log(self) -> Path:
        """The file that holds what the server prints."""
        return self.directory / f"{self.name}.log"

    @property
    def running(self) -> bool:
        """Whether the process lives; it may still not answer (`answers`)."""
        return self.identity is not None and self.identity.alive()

    @abstractmethod
    def command(self) -> list[str]:
        """The command line. Called at each start, with the port settled."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether a server answers on the port, and it is the one that we started."""

    @abstractmethod
    def says_port_taken(self, output: str) -> bool:
        """Whether what the server printed before it died means that its port was taken."""

    def start(self, timeout: float = 20.0) -> None:
        """Start the server and wait until it answers.

        Args:
            timeout: seconds.

        Raises:
            PortTaken: the port was asked for and another program has it.
            StartFailed: the server ended at once, or did not answer in time; it does not run then.
        """
        if self.running:
            raise StartFailed(f"{self.name} is running already (process {self._pid})")
        self.directory.mkdir(parents=True, exist_ok=True)
        for attempt in range(5):
            if self._any_port and self.port == 0:
                self.port = free_port()
            elif not port_free(self.port):
                raise self._port_taken()
            try:
                self._start_once(timeout)
            except PortTaken:
                if not self._any_port or attempt == 4:
                    raise
                self.port = 0  # somebody was quicker; take another
            else:
                return

    def _start_once(self, timeout: float) -> None:
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        command = self.command()
        deadline = time.monotonic() + timeout
        try:
            with self.log.open("ab") as log, undisturbed():
                offset = log.tell()
                try:
                    child = subprocess.Popen(
                        command,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        cwd=self.directory,
                        env=environment,
                        start_new_session=True,  # Ctrl-C in this terminal is not meant for the server
                    )
                except OSError as fault:
                    raise StartFailed(f"cannot run {command[0]}: {fault.strerror}") from fault
                self.identity = Identity.of_child(child)
            self.spawned()
            while not (self.running and self.answers()):
                if not self.running:
                    raise self._died(offset, child.poll())
                if time.monotonic() >= deadline:
                    raise StartFailed(
                        f"{self.name} did not answer within {timeout:g} s; {self._tail(offset)}"
                    )
                time.sleep(POLL_SECONDS)
        except BaseException:
            self.kill()
            raise

    def stop(self, timeout: float = 10.0) -> None:
        """End the server in good order, or by force after `timeout` seconds. No error if it does not run."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)  # a paused one gets the first signal only when it goes on
        if self.identity is not None and not self.identity.wait(timeout):
            self.kill()
        self.identity = None

    def kill(self) -> None:
        """End the server as a crash would (SIGKILL). No error if it does not run."""
        self._signal(signal.SIGKILL)
        if self.identity is not None and not self.identity.wait(10.0):
            raise AutometaError(f"{self.name} (process {self._pid}) does not end, not even by SIGKILL")
        self.identity = None

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): connections stay open and nothing is answered from now on."""
        self._signal(signal.SIGSTOP)
        deadline = time.monotonic() + 5.0
        while self.identity is not None and self.running and not self.identity.frozen():
            if time.monotonic() >= deadline:
                raise AutometaError(f"{self.name} (process {self._pid}) does not stop")
            time.sleep(POLL_SECONDS)

    def resume(self) -> None:
        """Let a paused server go on."""
        self._signal(signal.SIGCONT)

    @property
    def _pid(self) -> int | None:
        return None if self.identity is None else self.identity.pid

    def _signal(self, number: int) -> None:
        if self.identity is not None:
            self.identity.signal(number)

    def _port_taken(self) -> PortTaken:
        return PortTaken(
            f"port {self.port} on {HOST}, meant for {self.name}, is taken by another program",
            f"end that program, or choose another port with {self.port_option} (0 takes any free one)",
        )

    def _died(self, offset: int, code: int | None) -> AutometaError:
        output = self._tail(offset)
        if self.says_port_taken(output):
            return self._port_taken()
        end = f"exit code {code}" if code is None or code >= 0 else f"signal {-code}"
        return StartFailed(f"{self.name} ended at its start ({end}); {output}", f"its log is {self.log}")

    def _tail(self, offset: int) -> str:
        with self.log.open("rb") as log:
            log.seek(offset)
            lines = log.read().decode(errors="replace").splitlines()
        return "\n".join(["its last lines:", *lines[-LOG_LINES:]]) if lines else "it wrote nothing"


def adopt(server: Server, saved: Mapping[str, object] | None) -> None:
    """Take over a process that an earlier command started, if it is still that very process.

    Args:
        saved: what `saved_process` gave; its port is taken over too.
    """
    if not saved:
        return
    pid, started, port = saved.get("pid"), saved.get("started"), saved.get("port")
    if isinstance(port, int):
        server.port = port
    if isinstance(pid, int) and isinstance(started, str):
        identity = Identity(pid, started)
        server.identity = identity if identity.alive() else None


def saved_process(server: Server) -> dict[str, object]:
    """What the state file keeps of a server: pid, start stamp, port, log."""
    identity = server.identity
    return {
        "pid": identity.pid if identity else None,
        "started": identity.started if identity else None,
        "port": server.port,
        "log": str(server.log),
    }
