"""The loop that most people write: BLPOP, work, done. `python -m tests.jobs.chaos.control URL LOG`.

The control of the chaos harness: what it loses shows that the harness finds losses.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from types import FrameType
from typing import Any

import redis

DONE = "done"
_WORK_SECONDS = 0.03


def main(url: str, log: str) -> None:
    """Until SIGTERM, which lets it finish its job."""
    stopping = False

    def stop(_: int, __: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    file = os.open(log, os.O_APPEND | os.O_WRONLY | os.O_CREAT, 0o600)
    client: Any = redis.Redis.from_url(url, protocol=2)
    while not stopping:
        try:
            popped = client.blpop(["workflow_jobs"], 1)
            if popped is None:
                continue
            time.sleep(_WORK_SECONDS)
            client.rpush(DONE, popped[1])
            os.write(file, b"ok " + popped[1] + b"\n")
        except redis.RedisError:
            time.sleep(0.05)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
