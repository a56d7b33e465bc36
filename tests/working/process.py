"""A worker as a process of its own: `python -m autometa_cli worker`, to be signalled and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autometa_cli.devnet.process import PASSED_ON
from tests.network import LiveNetwork
from tests.working.stage import DEFAULTS

_READY = " ready: "
_START_SECONDS = 25.0


class WorkerProcess:
    """One process; everything that it prints goes to `output`."""

    def __init__(
        self, network: LiveNetwork, directory: Path, *arguments: str, key: str = "worker", **settings: str
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._log = directory / f"worker-{len(list(directory.iterdir()))}.log"
        self._started = time.monotonic()
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        variables = {**DEFAULTS, "WORKER_PRIVATE_KEY": network.accounts[key].private_key, **settings}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "autometa_cli", "worker", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=directory,
                env={**environment, **network.environment(**variables)},
            )

    @property
    def output(self) -> str:
        """stdout and stderr so far."""
        return self._log.read_text(errors="replace")

    def ready(self) -> bool:
        """It has registered and takes jobs. Fails where it does not come to that."""
        if _READY in self.output:
            return True
        assert self.process.poll() is None, self.output
        assert time.monotonic() < self._started + _START_SECONDS, self.output
        return False

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait(10)

    def wait(self, seconds: float = 30) -> int:
        """Its exit code. Fails where it does not end."""
        deadline = time.monotonic() + seconds
        while (code := self.process.poll()) is None:
            assert time.monotonic() < deadline, f"it did not end within {seconds} s:\n{self.output[-4000:]}"
            time.sleep(0.02)
        return code


@contextmanager
def worker_process(
    network: LiveNetwork, directory: Path, *arguments: str, key: str = "worker", **settings: str
) -> Iterator[WorkerProcess]:
    """Started here, and killed at the end where it still runs."""
    started = WorkerProcess(network, directory, *arguments, key=key, **settings)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.kill()
