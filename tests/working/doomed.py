"""A worker that dies at one of `executor.faultpoints`: `python doomed.py POINT` kills itself there by SIGKILL.

`POINT` may be `none`. It loads everything first, says so, and begins when its standard input is closed. Unlike the
command it buries silent workers after half a second, and looks around all the time.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import autometa_cli.worker as living
from autometa_cli import config
from autometa_cli.chain.rpc import Rpc
from autometa_cli.executor import faultpoints
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.scheduling.triggers import Triggers
from autometa_cli.telemetry import logs
from autometa_cli.worker import JobWorker

READY = "loaded"
_BEAT_SECONDS = 0.15
_DEAD_AFTER_SECONDS = 0.5


def _die_at(point: str) -> None:
    def reached(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    faultpoints.reached = reached


async def _main() -> None:
    settings = config.load(Path("/dev/null"))
    signer = settings.worker_key().load(chain_id=settings.chain_id)
    async with Rpc.of(settings) as rpc, JobQueue.of(settings) as queue:
        worker = JobWorker(
            settings, queue, rpc, signer, Triggers.of(settings), dead_after=_DEAD_AFTER_SECONDS
        )
        await worker.start()


if __name__ == "__main__":
    if sys.argv[1] != "none":
        assert sys.argv[1] in faultpoints.ALL, sys.argv[1]
        _die_at(sys.argv[1])
    living.BEAT_SECONDS = _BEAT_SECONDS  # type: ignore[attr-defined]
    living._TEND_SECONDS = _BEAT_SECONDS
    logs.configure("text", "INFO")
    sys.stdout.write(READY + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    asyncio.run(_main())
