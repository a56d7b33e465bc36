"""No-op jobs a second and worker process: RQ, arq and dramatiq, each in its own burst mode.

    python3 -m venv peers && peers/bin/pip install -r benchmarks/requirements.txt
    peers/bin/python benchmarks/peers.py redis://localhost:6379/0 2000

In an environment of their own: arq wants another redis-py than we do. Prints JSON; a queue that is not installed is
given with the reason. Compare with `autometa bench queue --redis-url` on the same server.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Any

_QUIET = "autometa_bench_peers"


def noop() -> None:
    """The job."""


async def _arq_noop(_: dict[Any, Any]) -> None:
    """arq's job."""


def rq(url: str, jobs: int) -> float:
    """RQ's SimpleWorker, which does not fork."""
    import redis
    from rq import Queue, SimpleWorker

    connection = redis.Redis.from_url(url)
    queue = Queue(_QUIET, connection=connection)
    for _ in range(jobs):
        queue.enqueue("peers.noop", result_ttl=0)  # RQ takes nothing from __main__
    started = time.perf_counter()
    SimpleWorker([queue], connection=connection).work(burst=True, logging_level="ERROR")
    return jobs / (time.perf_counter() - started)


def arq(url: str, jobs: int) -> float:
    """arq with its default of ten jobs at a time."""
    from arq import create_pool
    from arq.connections import RedisSettings
    from arq.worker import Worker, func

    async def run() -> float:
        pool = await create_pool(RedisSettings.from_dsn(url))
        for _ in range(jobs):
            await pool.enqueue_job("noop")
        worker = Worker(
            [func(_arq_noop, name="noop", keep_result=0)],  # type: ignore[arg-type, unused-ignore]
            redis_pool=pool,
            burst=True,
            handle_signals=False,
            poll_delay=0.01,
        )
        started = time.perf_counter()
        await worker.async_run()
        took = time.perf_counter() - started
        await worker.close()
        return jobs / took

    return asyncio.run(run())


def dramatiq(url: str, jobs: int) -> float:
    """One dramatiq worker with its default of eight threads."""
    import dramatiq as library
    from dramatiq.brokers.redis import RedisBroker

    broker = RedisBroker(url=url)
    library.set_broker(broker)
    actor = library.actor(noop, queue_name=_QUIET)
    for _ in range(jobs):
        actor.send()
    worker = library.Worker(broker, worker_timeout=100)
    started = time.perf_counter()
    worker.start()
    broker.join(_QUIET)
    worker.join()
    took = time.perf_counter() - started
    worker.stop()
    return jobs / took


PEERS: dict[str, Callable[[str, int], float]] = {"rq": rq, "arq": arq, "dramatiq": dramatiq}


def main() -> None:
    """All that are installed."""
    url, jobs = sys.argv[1], int(sys.argv[2])
    found: dict[str, object] = {}
    for name, rate in PEERS.items():
        try:
            found[name] = round(rate(url, jobs))
        except ImportError as error:
            found[name] = f"not installed: {error}"
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
