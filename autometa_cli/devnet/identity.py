"""Which process is meant: a pid alone may belong to a stranger by now."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.02

# Kept so that a child of ours is reaped when it ends, also by way of an identity read from a file.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True, slots=True)
class Identity:
    """One process, told apart from a later one with the same pid by the moment of its start.

    Attributes:
        pid: process id.
        started: boot id and start time in clock ticks (Linux), or what `ps` gives as start time.
    """

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """The identity of a living process, None if there is none (a zombie does not live)."""
        started = _start_stamp(pid)
        return None if started is None else cls(pid, started)

    @classmethod
    def of_child(cls, child: subprocess.Popen[bytes]) -> Identity | None:
        """The same of a process that we just started; it will be reaped when it ends."""
        _children[child.pid] = child
        return cls.of(child.pid)

    def alive(self) -> bool:
        """Whether this very process still runs. Reaps it if it was a child of ours and has ended."""
        child = _children.get(self.pid)
        if child is not None and child.poll() is not None:
            del _children[self.pid]
        return _start_stamp(self.pid) == self.started

    def signal(self, number: int) -> bool:
        """Send a signal to this process only. False if it does not run any more."""
        if not hasattr(os, "pidfd_open"):
            if not self.alive():
                return False
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)
            return True
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return False
        try:
            # The handle was opened first: whoever has the pid now keeps it while we look and signal.
            if not self.alive():
                return False
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
            return True
        finally:
            os.close(handle)

    def frozen(self) -> bool:
        """Whether every thread has stopped after SIGSTOP. True as well where that cannot be seen."""
        try:
            threads = [path.read_text() for path in Path(f"/proc/{self.pid}/task").glob("*/stat")]
        except OSError:
            return False  # a thread ended while we looked
        return all(stat[stat.rindex(")") + 2] in "TtZX" for stat in threads)

    def wait(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for the end of the process. True if it has ended."""
        deadline = time.monotonic() + timeout
        while self.alive():
            if time.monotonic() >= deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True


def _start_stamp(pid: int) -> str | None:
    if not Path("/proc/self/stat").exists():
        return _start_stamp_of_ps(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    # The command's name, in brackets, may hold blanks and brackets itself.
    fields = stat[stat.rindex(")") + 2 :].split()
    # A zombie with threads left is still at it: they hold its ports.
    ended = fields[0] in "ZX" and int(fields[17]) <= 1
    return None if ended else f"{boot}:{fields[19]}"


def _start_stamp_of_ps(pid: int) -> str | None:
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.defpath, "LC_ALL": "C"},  # the date is compared as text
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return None if answer.returncode or not state or state[0] == "Z" else started.strip()
