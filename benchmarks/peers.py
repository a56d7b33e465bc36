"""No-op jobs a second and worker process: ours, RQ, arq and dramatiq, in turn on one server.

    python3 -m venv peers && peers/bin/pip install -r benchmarks/requirements.txt
    peers/bin/python benchmarks/peers.py redis://localhost:6379/0 .venv/bin/autometa --rounds 5

In an environment of their own: arq wants another redis-py than we do. The others run in their burst modes. Prints JSON:
the median of each, and how many times as fast ours was in each round; a queue that is not installed is given with the
reason.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
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


def arq(url: str, jobs: int, **options: Any) -> float:
    """arq, as it comes or with options of its worker."""
    from arq import create_pool
    from arq.connections import RedisSettings
    from arq.worker import Worker, func

    async def run() -> float:
        pool = await create_pool(RedisSettings.from_dsn(url))
        for _ in range(jobs):
            await pool.enqueue_job("noop")
        function = func(_arq_noop, name="noop")  # type: ignore[arg-type, unused-ignore]
        worker = Worker([function], redis_pool=pool, burst=True, handle_signals=False, **options)
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


#: arq looks for jobs twice a second and keeps results for an hour, unless told otherwise; ours keeps its record always.
PEERS: dict[str, Callable[[str, int], float]] = {
    "rq": rq,
    "arq": arq,
    "arq, polling each 10 ms": partial(arq, poll_delay=0.01),
    "arq, polling each 10 ms, no results": partial(arq, poll_delay=0.01, keep_result=0),
    "dramatiq": dramatiq,
}


def ours(program: str, url: str) -> float:
    """Claimed and acknowledged, by `autometa bench queue`."""
    command = [program, "bench", "queue", "--redis-url", url, "--rounds", "1", "--json"]
    output = subprocess.run(command, capture_output=True, check=True).stdout
    return float(json.loads(output)["work"])


def main() -> None:
    """All that are installed, in turn."""
    asked = argparse.ArgumentParser(
        description="No-op jobs a second and worker process, beside other queues."
    )
    asked.add_argument("url", help="of a Redis that may be filled")
    asked.add_argument("autometa", help="the program, in its own environment")
    asked.add_argument("--jobs", type=int, default=1000, help="for each of the others")
    asked.add_argument("--rounds", type=int, default=3)
    options = asked.parse_args()
    rates: dict[str, list[float]] = {"ours": []}
    missing: dict[str, str] = {}
    for _ in range(options.rounds):
        rates["ours"].append(ours(options.autometa, options.url))
        for name, rate in PEERS.items():
            try:
                rates.setdefault(name, []).append(rate(options.url, options.jobs))
            except ImportError as error:
                missing[name] = str(error)
    found: dict[str, Any] = {}
    for name, measured in rates.items():
        if not measured:
            found[name] = f"not installed: {missing[name]}"
            continue
        ratios = [mine / theirs for mine, theirs in zip(rates["ours"], measured, strict=True)]
        found[name] = {
            "jobs_a_second": round(statistics.median(measured)),
            "ours_times_as_fast": round(statistics.median(ratios), 2),
            "in_each_round": [round(ratio, 2) for ratio in ratios],
        }
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
