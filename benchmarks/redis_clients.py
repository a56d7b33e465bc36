"""How to talk to Redis: redis-py's RedisCluster against a plain client of the node, with and without hiredis.

    python benchmarks/redis_clients.py

Starts a Cluster of one Valkey of its own, on the same machine, and prints script calls per second: the script
`note`, many callers at once, and one after the other. Compare ratios, not machines.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from redis.asyncio.cluster import ClusterNode, RedisCluster

from autometa_cli.devnet.process import HOST
from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.jobs.together import text

_MANY, _FEW = 5000, 1000
#: RedisCluster refuses more connections to a node than this.
_AT_ONCE = 90
_SLOTS = 16384

Call = Callable[[int], Awaitable[Any]]


class OneNode(ValkeyProcess):
    """A Cluster of one."""

    def command(self) -> list[str]:
        """With Cluster mode switched on."""
        command = super().command()
        with (self.directory / command[1]).open("a") as file:
            file.write("cluster-enabled yes\n")
        return command


async def rates(call: Call, at_once: int) -> tuple[float, float]:
    """Calls per second: many at once, then one by one."""
    limit = asyncio.Semaphore(at_once)

    async def limited(number: int) -> None:
        async with limit:
            await call(number)

    started = time.perf_counter()
    await asyncio.gather(*(limited(number) for number in range(_MANY)))
    together = _MANY / (time.perf_counter() - started)
    started = time.perf_counter()
    for number in range(_FEW):
        await call(number)
    return together, _FEW / (time.perf_counter() - started)


async def measure(port: int) -> None:
    """Print both clients' rates."""
    async with JobQueue(f"redis+cluster://{HOST}:{port}") as queue:
        await queue.join()
        keys = [queue.keys.epoch, queue.keys.occurrence("bench")]
        ours = await rates(lambda n: queue.scripts.call("note", keys, ["mined_block", n]), _MANY)
        cluster = RedisCluster(startup_nodes=[ClusterNode(HOST, port)], protocol=2)
        try:
            sha = await cluster.script_load(text("note").source)
            run = queue.scripts.run
            theirs = await rates(lambda n: cluster.evalsha(sha, 2, *keys, run, "mined_block", n), _AT_ONCE)
        finally:
            await cluster.aclose()
    for name, (together, alone) in (("plain client of the node", ours), ("RedisCluster", theirs)):
        sys.stdout.write(f"{name:26} {together:8.0f}/s together {alone:8.0f}/s one by one\n")


def main() -> None:
    """Start, measure, stop."""
    sys.stdout.write(f"hiredis: {'yes' if find_spec('hiredis') else 'no'}\n")
    with tempfile.TemporaryDirectory() as directory:
        node = OneNode(Path(directory), port=17_321)
        node.start()
        try:
            asyncio.run(_form(node))
            asyncio.run(measure(node.port))
        finally:
            node.stop()


async def _form(node: ValkeyProcess) -> None:
    from redis.asyncio import Redis

    async with Redis(host=HOST, port=node.port, protocol=2) as client:
        await client.execute_command("CLUSTER", "ADDSLOTS", *range(_SLOTS))
        while True:
            if (await client.execute_command("CLUSTER INFO"))["cluster_state"] == "ok":
                return
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    main()
