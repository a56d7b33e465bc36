"""A ledger in a real Redis, one worker registered in it, and a chain that is only a table."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from autometa_cli.chain.contracts import Workflow
from autometa_cli.chain.interfaces import interface
from autometa_cli.executor.decision import Go
from autometa_cli.executor.funds import Funds
from autometa_cli.executor.head import Counts
from autometa_cli.executor.ledger import Hold, Ledger
from autometa_cli.executor.sender import Sender
from autometa_cli.executor.tracker import Tracker
from autometa_cli.jobs.claim import Claim, Sighting
from autometa_cli.jobs.job import parse_job
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.jobs.record import Record
from autometa_cli.networks import network
from tests.executor.fakes import CHAIN, EXECUTOR, FEES, KEY, FakeRpc

ME = "ann"
OWNER = "0x" + "0a" * 20
ACTION = b"\x01\x02\x03"


class Heads:
    """What the tracker needs of `executor.head.Heads`."""

    def __init__(self) -> None:
        self.network = network("local")
        self.chain_id = CHAIN
        self.others = Counts(0, 0, 0)

    async def counts(self, head: object, sender: str) -> Counts:
        return self.others


class Registry:
    """Workflows as a test sets them."""

    def __init__(self) -> None:
        self.workflows: dict[int, Workflow | None] = {}

    async def get(self, view: object, id: int) -> Workflow | None:
        return self.workflows[id]


@dataclass
class Bench:
    """See the module's docstring."""

    queue: JobQueue
    max_fee: int | None = None
    rpc: FakeRpc = field(default_factory=FakeRpc)
    heads: Heads = field(default_factory=Heads)
    registry: Registry = field(default_factory=Registry)
    closed: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.queue, max_open_nonces=8, max_retries=2, retry_delay=0)
        rpc: Any = self.rpc
        self.sender = Sender(
            rpc,
            KEY,
            self.ledger,
            chain_id=CHAIN,
            executor=EXECUTOR,
            max_fee=self.max_fee,
        )
        self.funds = Funds("0x" + "e5" * 20, EXECUTOR)
        self.tracker = Tracker(
            self.queue, self.ledger, self.sender, self.heads, self.registry, self.funds,  # type: ignore[arg-type]
            rebroadcast_after=0, bump_after=1000, closed=lambda *told: self.closed.append(told),
        )  # fmt: skip
        self._numbers = itertools.count(1)

    async def claimed(self, workflow: int = 0, worker: str = ME) -> Claim:
        """A job that this worker has just claimed."""
        workflow = workflow or next(self._numbers)
        raw = json.dumps({"workflowId": workflow, "nextRun": 100}).encode()
        self.registry.workflows[workflow] = Workflow(workflow, OWNER, 1, b"", 1, ACTION, 100, 60, True, 5)
        await self.queue.push([raw])
        (taken,) = await self.queue.take(worker, 1)
        occurrence = Occurrence(CHAIN, EXECUTOR.lower(), workflow, 100)
        claim = await self.queue.adopt(
            worker, parse_job(taken), occurrence, occurrence.key, Sighting(5, False, "d")
        )
        assert isinstance(claim, Claim), claim
        return claim

    async def bound(
        self, workflow: int = 0, worker: str = ME, sender: str = KEY.address
    ) -> tuple[Claim, Record]:
        """And bound to the next nonce."""
        claim = await self.claimed(workflow, worker)
        answer = await self.ledger.bind(claim, sender, Counts(0, 0, 0), block=10, final=8, genesis="0x00")
        assert answer.word == "ok", answer
        return claim, await self.record(claim.key)

    async def signed(self, workflow: int = 0, worker: str = ME) -> tuple[Hold, Record]:
        """And signed and written down, but not sent."""
        claim, record = await self.bound(workflow, worker)
        hold = hold_of(claim)
        written = await self.sender.sign_call(hold, record, go(record.workflow), FEES)
        assert written is not None
        return hold, written

    async def record(self, key: str) -> Record:
        """As Redis has it now."""
        found = await self.queue.record(key)
        assert found is not None
        return found


def hold_of(claim: Claim) -> Hold:
    """The claim's right to write."""
    return Hold(claim.key, claim.worker, claim.fence)


def go(workflow: int) -> Go:
    """The decision to execute it."""
    data = interface("ActionExecutor").functions["executeWorkflow"].encode(workflow, ACTION, 160, OWNER, 5)
    unused: Any = None
    return Go(unused, data, 100_000, 160, ())


@asynccontextmanager
async def bench(redis_url: str, max_fee: int | None = None) -> AsyncIterator[Bench]:
    """One, with the worker `ann` registered."""
    async with JobQueue(redis_url) as queue:
        await queue.join()
        for name in (ME, "bob"):
            assert (await queue.workers.register(name, {})).word == "ok"
        yield Bench(queue, max_fee)
