"""One at a time, across processes."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autometa_cli.errors import AutometaError

POLL_SECONDS = 0.05


@contextmanager
def locked(path: Path, *, wait: float, otherwise: str) -> Iterator[None]:
    """Hold the lock that a file stands for. The system gives it back when this process ends, however it ends.

    Args:
        path: the file; made if missing, and left behind.
        wait: seconds to wait for another process.
        otherwise: the message when that was too short.

    Raises:
        AutometaError: `otherwise`.
        OSError: the file cannot be made.
    """
    with path.open("a") as file:
        deadline = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise AutometaError(otherwise) from None
                time.sleep(POLL_SECONDS)
        yield
