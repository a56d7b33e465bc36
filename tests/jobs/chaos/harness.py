"""Drains a queue while its workers are killed and stopped and Redis restarts in between; then counts."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import redis

from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.jobs.keys import Keys
from autometa_cli.jobs.queue import JobQueue
from tests.jobs.chaos.control import DONE
from tests.jobs.chaos.hand import NEXT_RUN, SEEN, occurrence

ROOT = Path(__file__).parents[3]
WORKERS = 4
#: Seconds without a beat after which a worker of these runs is dead.
DEAD_AFTER = 2.0
_PATIENCE_SECONDS = 45.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the jobs.

    Attributes:
        lost: jobs that nobody acknowledged and nobody will.
        twice: jobs that were acknowledged more than once.
        killed: workers that got SIGKILL.
        stopped: workers that got SIGTERM.
    """

    lost: frozenset[str]
    twice: frozenset[str]
    killed: int
    stopped: int


def payload(workflow: int) -> bytes:
    """A job."""
    return json.dumps({"workflowId": workflow, "nextRun": NEXT_RUN}).encode()


async def enqueue(url: str, jobs: int) -> set[str]:
    """Put so many occurrences on the list, once each; their record keys."""
    async with JobQueue(url) as queue:
        await queue.join()
        wanted = [occurrence(number + 1) for number in range(jobs)]
        answers = await asyncio.gather(
            *(queue.enqueue(each, payload(each.workflow), SEEN) for each in wanted)
        )
        assert all(answer.word == "ok" for answer in answers)
    return {each.key for each in wanted}


class Crew:
    """Worker processes of one kind."""

    def __init__(self, module: str, server: ValkeyProcess, directory: Path) -> None:
        self._command = [sys.executable, "-m", module, server.url, str(directory / "acks.log")]
        if module.endswith("hand"):
            self._command.append(str(DEAD_AFTER))
        self.log = directory / "acks.log"
        self._output = directory / "output.log"
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """One more."""
        with self._output.open("ab") as output:
            self.processes.append(
                subprocess.Popen(
                    self._command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output
                )
            )

    def end(self, process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        """Send one of them a signal, and take another on in its place."""
        process.send_signal(number)
        self.start()

    def dismiss(self) -> None:
        """SIGTERM to all that still run; every one has to go by itself."""
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        try:
            for process in self.processes:
                process.wait(20)
        finally:
            for process in self.processes:
                if process.poll() is None:
                    process.kill()
                    process.wait(5)

    def output(self) -> str:
        """What they printed: tracebacks, if anything."""
        return self._output.read_text(errors="replace")[-4000:]


def wait_until(condition: Callable[[], bool], why: Callable[[], str]) -> None:
    """Wait for a condition; a Redis that is away is no answer."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            if condition():
                return
        except redis.RedisError:
            time.sleep(0.05)
        assert time.monotonic() < deadline, why()
        time.sleep(0.02)


def drain(module: str, server: ValkeyProcess, directory: Path, *, jobs: int, seed: int) -> Outcome:
    """Let workers drain a queue through everything that happens to them, and count.

    Half of the first workers are killed and half are stopped, in an order that the seed decides, spread over the time
    in which the jobs are done; Redis restarts among that.
    """
    directory.mkdir(parents=True)
    control = module.endswith("control")
    keys = Keys()
    with redis.Redis.from_url(server.url, protocol=2) as client:
        client.flushall()
        if control:
            wanted = {payload(number + 1).decode() for number in range(jobs)}
            client.rpush(keys.pending, *sorted(wanted))
        else:
            wanted = asyncio.run(enqueue(server.url, jobs))
        crew = Crew(module, server, directory)
        for _ in range(WORKERS):
            crew.start()

        def done() -> int:
            return int(client.llen(DONE) if control else client.xlen(keys.history))

        def idle() -> bool:
            return done() >= jobs or (control and client.llen(keys.pending) == 0)

        def why() -> str:
            return f"seed {seed}: {done()} of {jobs} done; {crew.output()}"

        try:
            _trouble(crew, server, random.Random(seed), jobs, done, idle, why)
            wait_until(idle, why)
        finally:
            crew.dismiss()
        if control:
            acknowledged = Counter(text.decode() for text in client.lrange(DONE, 0, -1))
        else:
            acknowledged = Counter(fields[b"key"].decode() for _, fields in client.xrange(keys.history))
            logged = Counter(
                line.split()[1] for line in crew.log.read_text().splitlines() if line[:3] == "ok "
            )
            # The log lacks what was acknowledged in the moment of a kill; it never has anything twice.
            acknowledged = Counter({key: max(n, logged[key]) for key, n in acknowledged.items()})
            assert set(logged) <= set(acknowledged)
            assert not crew.output(), crew.output()
    return Outcome(
        frozenset(wanted - set(acknowledged)),
        frozenset(key for key, count in acknowledged.items() if count > 1),
        killed=WORKERS // 2,
        stopped=WORKERS - WORKERS // 2,
    )


def _trouble(
    crew: Crew, server: ValkeyProcess, dice: random.Random, jobs: int, done: Callable[[], int],
    idle: Callable[[], bool], why: Callable[[], str],
) -> None:  # fmt: skip
    first = list(crew.processes)
    events: list[tuple[subprocess.Popen[bytes], signal.Signals] | None] = [
        (process, signal.SIGKILL if number < WORKERS // 2 else signal.SIGTERM)
        for number, process in enumerate(first)
    ]
    dice.shuffle(events)
    events.insert(dice.randint(1, len(events) - 1), None)  # in between
    for number, event in enumerate(events):
        share = (number + 1) / (len(events) + 2)
        wait_until(lambda share=share: idle() or done() >= jobs * share, why)  # type: ignore[misc]
        if event is None:
            server.kill()
            server.start()
        else:
            crew.end(*event)
