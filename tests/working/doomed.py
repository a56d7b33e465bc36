"""A worker in a process of its own that dies at one of `executor.faultpoints`, by SIGKILL from itself.

Unlike the command it buries silent workers after half a second, and looks around all the time. Processes are forked
from one that has loaded everything (`multiprocessing`'s fork server): each would spend a second on that.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import eth_account  # noqa: F401  loaded before the fork
import redis.asyncio  # noqa: F401

from autometa_cli import config, worker
from autometa_cli.chain.rpc import Rpc
from autometa_cli.executor import faultpoints
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.scheduling.triggers import Triggers
from autometa_cli.telemetry import logs
from autometa_cli.worker import JobWorker
from autometa_cli.working import membership

_BEAT_SECONDS = 0.15
_DEAD_AFTER_SECONDS = 0.5


def start(environment: Mapping[str, str], log: Path, point: str = "") -> ForkServerProcess:
    """A worker that is configured like this, writes to `log`, and dies at `point` where that is not empty."""
    assert point in ("", *faultpoints.ALL), point
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=_live, args=(dict(environment), log, point), daemon=True)
    process.start()
    return process


def _live(environment: dict[str, str], log: Path, point: str) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)

    def reached(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    faultpoints.reached = reached
    membership.BEAT_SECONDS = _BEAT_SECONDS  # type: ignore[attr-defined]
    worker._TEND_SECONDS = _BEAT_SECONDS
    logs.configure("text", "INFO")
    asyncio.run(_main(environment))


async def _main(environment: dict[str, str]) -> None:
    settings = config.load(Path("/dev/null"), environ=environment)
    signer = settings.worker_key().load(chain_id=settings.chain_id)
    async with Rpc.of(settings) as rpc, JobQueue.of(settings) as queue:
        born = JobWorker(settings, queue, rpc, signer, Triggers.of(settings), dead_after=_DEAD_AFTER_SECONDS)
        await born.start()
