"""A scheduler or a worker, as the process that an operator would start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from autometa_cli.devnet.identity import Identity
from autometa_cli.errors import AutometaError
from autometa_cli.interrupts import undisturbed
from autometa_cli.options import BY_NAME

TAIL_LINES = 12  # of the log, shown when a service died


class ServiceDied(AutometaError):
    """A service ended by itself. The message holds the last lines of its log."""


class Service:
    """`autometa NAME --env-file FILE`, with a log.

    Args:
        name: `scheduler` or `worker`.
        directory: where it runs and where its log goes.
        env_file: its settings. Nothing comes from this process's own ones.
    """

    def __init__(self, name: str, directory: Path, env_file: Path) -> None:
        self.name = name
        self.log = directory / f"{name}.log"
        self._directory = directory
        self._env_file = env_file
        self._child: subprocess.Popen[bytes] | None = None
        self._identity: Identity | None = None
        self._told = False

    @property
    def pid(self) -> int | None:
        """Of the process, None before it was started."""
        return None if self._child is None else self._child.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._identity is not None and self._identity.alive()

    def start(self) -> None:
        """Start the process; does not wait until it is ready. Raises AutometaError."""
        # The environment is stronger than a file: a REDIS_URL exported here must not reach the demo.
        environment = {name: value for name, value in os.environ.items() if name not in BY_NAME}
        command = [sys.executable, "-m", "autometa_cli", "--env-file", str(self._env_file), self.name]
        with self.log.open("ab") as log, undisturbed():
            try:
                self._child = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self._directory,
                    env=environment,
                    start_new_session=True,  # Ctrl-C is for the demo, which then ends the services
                )
            except OSError as fault:
                raise AutometaError(f"cannot start the {self.name}: {fault.strerror}") from fault
            self._identity = Identity.of_child(self._child)

    def check(self) -> None:
        """Raises ServiceDied where it has ended without being told to."""
        if self._child is None or self._told or self.running:
            return
        code = self._child.poll()
        end = f"exit code {code}" if code is None or code >= 0 else f"signal {-code}"
        raise ServiceDied(f"the {self.name} ended by itself ({end}); {self.tail()}")

    def tell(self) -> None:
        """Ask it to finish and leave, without waiting for it."""
        if self._identity is not None and not self._told:
            self._told = True
            self._identity.signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once (SIGKILL). No error if it does not run."""
        self._told = True
        if self._identity is not None:
            self._identity.signal(signal.SIGKILL)
            self._identity.wait(10.0)

    def tail(self) -> str:
        """The last lines of its log, for a message."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        except OSError:
            lines = []
        return "\n".join([f"the {self.name}'s last lines:", *lines]) if lines else "it wrote nothing"
