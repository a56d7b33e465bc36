"""A worker on `jobs/` alone: takes, adopts and closes jobs that do nothing. `python -m tests.jobs.chaos.hand URL LOG`.

Each acknowledgement is a line in LOG, `<answer> <record key>`, written by one append. Recovery needs no chain here,
since nothing is ever signed: it is begun and ended.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import redis.exceptions as rex

from autometa_cli.errors import AutometaError
from autometa_cli.executor.ledger import Ledger
from autometa_cli.jobs.claim import Claim, Sighting
from autometa_cli.jobs.epoch import LedgerInDoubt
from autometa_cli.jobs.job import open_envelope, parse_job
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.jobs.workers import DEAD_AFTER_SECONDS, new_worker_id

CHAIN, EXECUTOR, NEXT_RUN = 1287, "0x" + "ee" * 20, 100
SEEN = Sighting(10, True, "d")
_TROUBLE = (rex.RedisError, OSError, AutometaError)


def occurrence(workflow: int) -> Occurrence:
    """The one run of a workflow that the harness enqueues."""
    return Occurrence(CHAIN, EXECUTOR, workflow, NEXT_RUN)


class _Over(Exception):
    """This life ended: buried, or the ledger forgot."""


class Hand:
    """Works until `stop`.

    Args:
        log: acknowledgements are appended to it.
        work: seconds that a job takes.
        dead_after: seconds without a beat after which another is dead; a quarter of it is between two beats.
        doubt: seconds of doubt about a restarted Redis before it recovers.
    """

    def __init__(
        self, url: str, log: Path, *, work: float = 0.03, dead_after: float = 2.0, doubt: float = 1.0,
        most: int = 4,
    ) -> None:  # fmt: skip
        self.queue = JobQueue(url)
        self.ledger = Ledger(self.queue, max_open_nonces=4, max_retries=3, retry_delay=0)
        self.id = ""
        self.stopping = False
        self._work, self._dead_after, self._doubt, self._most = work, dead_after, doubt, most
        self._log = os.open(log, os.O_APPEND | os.O_WRONLY | os.O_CREAT, 0o600)
        self._in_doubt = False
        self._busy: set[bytes] = set()

    async def run(self) -> None:
        """One life after the other."""
        try:
            while not self.stopping:
                self.id = new_worker_id()
                await self._born()
                loops = [asyncio.create_task(each) for each in (self._claim(), self._live())]
                try:
                    done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
                except _Over:
                    continue
                finally:
                    for task in loops:
                        task.cancel()
                    await asyncio.gather(*loops, return_exceptions=True)
        finally:
            await self.queue.connections.close()
            os.close(self._log)

    async def _born(self) -> None:
        while not self.stopping:
            try:
                await self.queue.reconnect()
                try:
                    await self._agree()
                except LedgerInDoubt:
                    await self._recover()
                    continue
                if (await self.queue.workers.register(self.id, {"host": "chaos"})).word == "ok":
                    return
            except _TROUBLE:  # Redis is away, or another recovers
                await asyncio.sleep(0.05)

    async def _agree(self, worker: str = "") -> None:
        """This Redis process lost nothing. Raises LedgerInDoubt once that is not so, or not to be proved."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._doubt
        while True:
            try:
                await self.queue.join(worker)
                self._in_doubt = False
                return
            except LedgerInDoubt as error:
                if error.lost or loop.time() > until:
                    raise
            await asyncio.sleep(0.05)

    async def _recover(self) -> None:
        k, scripts = self.queue.keys, self.queue.scripts
        await scripts.call("recovery_begin", [k.epoch], [])
        scripts.seen = (await scripts.call("recovery_end", [k.epoch, k.seen], [])).seq

    # -- loops ----------------------------------------------------------------------------------------

    async def _live(self) -> None:
        """Beat and reap, and find out what a restarted Redis remembers."""
        while True:
            try:
                if self._in_doubt:
                    await self.queue.reconnect()
                    await self._agree(self.id)
                word = (await self.queue.workers.beat(self.id, {"busy": str(len(self._busy))})).word
                if word == "gone":
                    raise _Over
                self._in_doubt = word == "recovery"
                await self.queue.workers.reap(self.id, self._dead_after)
                await self.queue.promote()  # a suspect runs apart from the others
            except LedgerInDoubt as error:
                raise _Over from error  # what it holds is void; the next life asks again, and recovers if it must
            except _TROUBLE:
                self._in_doubt = True
            await asyncio.sleep(0.05 if self._in_doubt else self._dead_after / 4)

    async def _claim(self) -> None:
        """Take, and look into our own list after every error and now and then."""
        audit = True
        while True:
            if self._in_doubt:
                await asyncio.sleep(0.02)
                audit = True
                continue
            try:
                if self.stopping and not self._busy and not await self.queue.held(self.id):
                    await self.queue.workers.leave(self.id)
                    return
                if audit or self.stopping:
                    elements = [each for each in await self.queue.held(self.id) if each not in self._busy]
                else:
                    elements = await self.queue.take(self.id, self._most)
                audit = not all(await asyncio.gather(*(self._handle(each) for each in elements)))
            except _TROUBLE:
                audit = True
                await asyncio.sleep(0.02)

    # -- one job --------------------------------------------------------------------------------------

    async def _handle(self, element: bytes) -> bool:
        """Whether this element needs no second look."""
        self._busy.add(element)
        try:
            claim = await self._resumed(element)
            if claim is None:
                return True
            await asyncio.sleep(self._work)
            word = (
                await self.ledger.release(claim, "skipped", "done", "", sender="0x" + "a1" * 20, block=10)
            ).word
        except _TROUBLE:
            return False
        finally:
            self._busy.discard(element)
        if word in ("ok", "already"):
            os.write(self._log, f"{word} {claim.key}\n".encode())
        return word != "recovery"

    async def _resumed(self, element: bytes) -> Claim | None:
        opened = open_envelope(element)
        if opened is None:
            job = parse_job(element)
            asked = occurrence(job.workflow)
            answer = await self.queue.adopt(self.id, job, asked, asked.key, SEEN)
            if isinstance(answer, Claim):
                return answer
            if answer.word in ("recovery", "stale", "unfinal"):
                raise rex.ConnectionError(answer.word)  # it stands where it was; looked at again
            return None
        id, key, raw = opened
        record = await self.queue.record(key)
        if record is None or record.holder != self.id:
            await self.queue.discard(self.id, element)
            return None
        return Claim(parse_job(raw), record.occurrence, id, self.id, record.fence, record.state == "bound")


async def _main(url: str, log: Path, *, dead_after: float) -> None:
    hand = Hand(url, log, dead_after=dead_after)

    def stop() -> None:
        hand.stopping = True

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    await hand.run()


if __name__ == "__main__":
    _default = str(DEAD_AFTER_SECONDS)
    asyncio.run(_main(sys.argv[1], Path(sys.argv[2]), dead_after=float((sys.argv[3:] or [_default])[0])))
