"""A process is told apart from a stranger that has its pid now."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from autometa_cli.devnet import identity
from autometa_cli.devnet.identity import Identity


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for a condition; fail when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as child:
        yield child
        child.kill()


def test_a_living_process_is_known_again(sleeper: subprocess.Popen[bytes]) -> None:
    known = Identity.of(sleeper.pid)
    assert known is not None
    assert known.alive()
    assert Identity(known.pid, known.started).alive()


def test_a_stranger_with_the_same_pid_is_not_signalled(sleeper: subprocess.Popen[bytes]) -> None:
    stranger = Identity(sleeper.pid, "started long ago")
    assert not stranger.alive()
    assert not stranger.signal(signal.SIGKILL)
    assert stranger.wait(0)
    assert sleeper.poll() is None


def test_an_unreaped_process_counts_as_ended(sleeper: subprocess.Popen[bytes]) -> None:
    known = Identity.of(sleeper.pid)
    assert known is not None
    os.kill(sleeper.pid, signal.SIGKILL)
    until(lambda: not known.alive())  # nobody has waited for it: it is a zombie
    assert Identity.of(sleeper.pid) is None
    assert not known.signal(signal.SIGTERM)


@pytest.mark.skipif(shutil.which("ps") is None, reason="no ps here")
def test_the_start_is_known_without_proc(sleeper: subprocess.Popen[bytes]) -> None:
    started = identity._start_stamp_of_ps(sleeper.pid)
    assert started
    assert identity._start_stamp_of_ps(sleeper.pid) == started
    assert identity._start_stamp_of_ps(2**22 + 1) is None


def test_a_pid_that_nobody_has() -> None:
    assert Identity.of(2**22 + 1) is None
    assert not Identity(2**22 + 1, "x").signal(signal.SIGTERM)


def test_waiting_ends_with_the_time_or_with_the_process(sleeper: subprocess.Popen[bytes]) -> None:
    known = Identity.of_child(sleeper)
    assert known is not None
    assert not known.wait(0.05)
    assert known.signal(signal.SIGTERM)
    assert known.wait(10)
    assert sleeper.returncode == -signal.SIGTERM  # reaped on the way
