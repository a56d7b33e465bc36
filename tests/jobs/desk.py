"""The ledger without `await`: every transition as one call, with defaults that work; and all that Redis holds."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, TypeVar

import redis

from autometa_cli.chain.fees import FeeQuote
from autometa_cli.executor.head import Counts
from autometa_cli.executor.ledger import Hold, Ledger
from autometa_cli.executor.requests import Wish, ask
from autometa_cli.jobs.claim import Claim, Sighting
from autometa_cli.jobs.deadletters import DeadLetters
from autometa_cli.jobs.inspector import Inspector
from autometa_cli.jobs.job import parse_job
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.jobs.record import Record
from autometa_cli.jobs.script import Answer, Scripts
from autometa_cli.jobs.states import TABLE
from autometa_cli.jobs.together import Argument
from autometa_cli.jobs.transfers import Transfers
from autometa_cli.jobs.workers import Workers

Result = TypeVar("Result")

CHAIN = 1287
EXECUTOR = "0x" + "ee" * 20
OWNER = "0x" + "0a" * 20
ALICE, BOB = "0x" + "a1" * 20, "0x" + "b0" * 20
WINDOW = 4
MOVES = frozenset(move for row in TABLE for move in row.moves)
FEES = FeeQuote(base_fee=100, priority_fee=1, max_fee=201)


#: Facts for people, and wishes: no transitions.
NOTES = ("note", "request")


class Recorder(Scripts):
    """Remembers what was asked and answered, to ask it again; watches what becomes of records.

    Attributes:
        moves: (from, script, to) of every change of a record that was seen; "" stands for no record. One that
            `jobs.states` does not know fails the test at once.
    """

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.asked: list[tuple[str, Sequence[str], Sequence[Argument]]] = []
        self.answered: list[Answer] = []
        self.moves: set[tuple[str, str, str]] = set()

    async def call(self, name: str, keys: Sequence[str], args: Sequence[Argument]) -> Answer:
        records = [key for key in dict.fromkeys(keys) if "}:occurrence:" in key]
        before = [await self._redis.hgetall(key) for key in records]
        answer = await super().call(name, keys, args)
        self.asked.append((name, keys, args))
        self.answered.append(answer)
        for key, was in zip(records, before, strict=True):
            self._watch(name, was, await self._redis.hgetall(key), answer.word)
        return answer

    def _watch(self, name: str, was: dict[bytes, bytes], now: dict[bytes, bytes], word: str) -> None:
        move = (was.get(b"st", b"").decode(), name, now.get(b"st", b"").decode())
        if name in NOTES:
            assert move[0] == move[2], f"{name} is no transition, and moved a record: {move}"
        elif was != now or (name, word) == ("requeue", "ok"):  # that one puts a second element on the list
            assert move in MOVES, f"no row of jobs.states allows {move}"
            self.moves.add(move)


class Desk:
    """A queue in an emptied Redis.

    Args:
        url: as REDIS_URL.
        plain: the address of the very server behind it, where that is another one.

    Attributes:
        redis: a plain client, to look and to tamper.
    """

    def __init__(self, runner: asyncio.Runner, url: str, plain: str = "") -> None:
        self.runner = runner
        self.redis: Any = redis.Redis.from_url(plain or url, protocol=2)
        self.redis.flushall()
        self.queue = JobQueue(url)
        self.scripts = Recorder(self.queue.redis)
        self.queue.scripts = self.scripts
        self.queue.workers = Workers(self.queue.redis, self.queue.keys, self.scripts)
        self.queue.transfers = Transfers(self.queue.keys, self.scripts)
        self.keys = self.queue.keys
        self.ledger = Ledger(self.queue, max_open_nonces=WINDOW, max_retries=3, retry_delay=0)
        self.inspector = Inspector(self.queue)
        self.letters = DeadLetters(self.queue)
        self._numbers = itertools.count()

    def __enter__(self) -> Desk:
        self.do(self.queue.__aenter__())
        self.do(self.queue.join())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.do(self.queue.__aexit__(kind, error, trace))
        self.redis.close()

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine to its end."""
        return self.runner.run(work)

    # -- scripts --------------------------------------------------------------------------------------

    @property
    def answer(self) -> Answer:
        """What the last script said."""
        return self.scripts.answered[-1]

    def call(self, name: str, keys: Sequence[str], args: Sequence[Argument]) -> Answer:
        """A script as it is."""
        return self.do(self.scripts.call(name, keys, args))

    def again(self) -> Answer:
        """The last script once more, with the same arguments: what a client does that lost the answer."""
        return self.call(*self.scripts.asked[-1])

    # -- the queue ------------------------------------------------------------------------------------

    def worker(self, name: str) -> str:
        """A registered worker's id."""
        assert self.do(self.queue.workers.register(name, {"host": "test"})).word == "ok"
        return name

    def payload(self, next_run: int = 100, workflow: int = 1, **more: Any) -> bytes:
        """A raw job."""
        return json.dumps({"workflowId": workflow, "nextRun": next_run, **more}).encode()

    def push(self, raw: bytes) -> bytes:
        """What `redis-cli RPUSH` does."""
        self.redis.rpush(self.keys.pending, raw)
        return raw

    def enqueue(
        self,
        next_run: int = 100,
        workflow: int = 1,
        *,
        block: int = 10,
        final: bool = True,
        digest: str = "d",
        event: tuple[str, str] | None = None,
        leader: str = "",
    ) -> Answer:
        """What the scheduler does."""
        occurrence = Occurrence(CHAIN, EXECUTOR, workflow, next_run)
        raw = self.payload(next_run, workflow)
        return self.do(self.queue.enqueue(occurrence, raw, Sighting(block, final, digest), leader, event))

    def lead(self, what: str, holder: str, milliseconds: int = 60_000) -> Answer:
        """A scheduler takes ("take") or gives up ("leave") the lease."""
        return self.call("lead", [self.keys.epoch, self.keys.leader], [what, holder, milliseconds])

    def take(self, worker: str) -> bytes:
        """Move the next element to the worker's own list, as BLMOVE does."""
        raw = self.redis.lmove(self.keys.pending, self.keys.inflight(worker), "LEFT", "RIGHT")
        assert isinstance(raw, bytes)
        return raw

    def occurrence(self, raw: bytes, id: str = "") -> tuple[Occurrence, str]:
        """What a raw job means, where the chain's own nextRun is not 0."""
        job = parse_job(raw)
        if job.next_run == 0:
            id = job.id or id or f"id{next(self._numbers)}"
            return Occurrence(CHAIN, EXECUTOR, job.workflow, 0, now_id=id), id
        named = Occurrence(CHAIN, EXECUTOR, job.workflow, job.next_run)
        named = named.at_generation(self.do(self.queue.generation(named)))
        return named, job.id or id or named.key

    def adopt(
        self,
        worker: str,
        raw: bytes,
        *,
        id: str = "",
        generation: int | None = None,
        block: int = 10,
        final: bool = True,
        digest: str = "d",
    ) -> Claim | Answer:
        """Claim a taken element."""
        occurrence, id = self.occurrence(raw, id)
        if generation is not None:
            occurrence = occurrence.at_generation(generation)
        seen = Sighting(block, final, digest)
        return self.do(self.queue.adopt(worker, parse_job(raw), occurrence, id, seen))

    def claim(self, worker: str, next_run: int = 100, workflow: int = 1, **more: Any) -> Claim:
        """Push a job, take and adopt it."""
        self.push(self.payload(next_run, workflow, **more))
        claim = self.adopt(worker, self.take(worker))
        assert isinstance(claim, Claim), claim
        return claim

    # -- the ledger -----------------------------------------------------------------------------------

    def bind(
        self,
        claim: Claim,
        sender: str = ALICE,
        *,
        latest: int = 0,
        final: int | None = None,
        pending: int | None = None,
        block: int = 10,
        genesis: str = "g",
        earlier: tuple[str, int] | None = None,
    ) -> Answer:
        """Ask for a nonce; the sender has had `latest` transactions, all final, none in the pool."""
        counts = Counts(latest, latest if final is None else final, latest if pending is None else pending)
        return self.do(
            self.ledger.bind(
                claim, sender, counts, block=block, final=block - 1, genesis=genesis, earlier=earlier
            )
        )

    def bound(
        self, worker: str, next_run: int = 100, workflow: int = 1, sender: str = ALICE, **more: Any
    ) -> Claim:
        """A claim with a nonce."""
        claim = self.claim(worker, next_run, workflow, **more)
        assert self.bind(claim, sender).word == "ok"
        return claim

    def write(
        self, claim: Claim | Hold, raw: bytes = b"\xf8\x00bytes", hash: str = "0xhash", *, cancel: str = "",
        unwanted: bool = False,
    ) -> Answer:  # fmt: skip
        """Write signed bytes down: a call, or with `cancel` (a reason) a self-transfer."""
        hold = Hold(claim.key, claim.worker, claim.fence)
        record = self.record(claim.key)
        if cancel:
            work = self.ledger.write_cancel(hold, record, raw, hash, FEES, cancel, unwanted=unwanted)
        else:
            work = self.ledger.write_call(hold, record, raw, hash, FEES, 200)
        return self.do(work)

    def signed(
        self, worker: str, next_run: int = 100, workflow: int = 1, sender: str = ALICE, **more: Any
    ) -> Claim:
        """A claim whose transaction may be anywhere."""
        claim = self.bound(worker, next_run, workflow, sender, **more)
        assert self.write(claim).word == "ok"
        return claim

    def ask(self, claim: Claim, wish: Wish = "cancel") -> Answer:
        """What `tx bump` and `tx cancel` do beside a living holder."""
        return self.do(ask(self.queue, self.record(claim.key), wish))

    def settle(
        self, key: str, verdict: str = "executed", *, block: int = 20, record: Record | None = None,
        gives_back: bool = False,
    ) -> Answer:  # fmt: skip
        """Bring what a final block says."""
        found = record or self.record(key)
        work = self.ledger.settle(
            found, verdict, block=block, tx="0xtx", text="why", fee=21000, gives_back=gives_back
        )
        return self.do(work)

    def release(
        self, claim: Claim, to: str = "queued", *, reason: str = "why", sender: str = ALICE, block: int = 20,
        delay: float = 0, hold: bool = False, gives_back: bool = False,
    ) -> Answer:  # fmt: skip
        """Give a claim back."""
        work = self.ledger.release(
            claim,
            to,
            reason,
            "text",
            sender=sender,
            block=block,
            delay=delay,
            hold=hold,
            gives_back=gives_back,
        )
        return self.do(work)

    def record(self, key: str) -> Record:
        """A record that must be there."""
        found = self.do(self.queue.record(key))
        assert found is not None, key
        return found

    def state(self, key: str) -> str:
        """Where a record stands."""
        return self.record(key).state

    # -- time and death -------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """Redis's clock."""
        seconds, micros = self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def silence(self, worker: str, seconds: int = 3600) -> None:
        """Let the worker's last beat be so long ago."""
        self.redis.zadd(self.keys.workers, {worker: self.now_ms() - seconds * 1000})

    def reap(self, me: str = "reaper") -> int:
        """What every worker does now and then."""
        return self.do(self.queue.workers.reap(me))

    def kill(self, worker: str) -> None:
        """The worker dies and is buried; its jobs are handed on."""
        self.silence(worker)
        self.reap()

    def mature(self, key: str) -> None:
        """Let a delayed record be due."""
        self.redis.zadd(self.keys.delayed, {key: 1}, xx=True)

    # -- looking --------------------------------------------------------------------------------------

    def pending(self) -> list[bytes]:
        """The public list."""
        return list(self.redis.lrange(self.keys.pending, 0, -1))

    def inflight(self, worker: str) -> list[bytes]:
        """What a worker holds."""
        return list(self.redis.lrange(self.keys.inflight(worker), 0, -1))

    def owners(self, sender: str = ALICE) -> dict[int, str]:
        """Who owns each nonce of a sender."""
        stored = self.redis.hgetall(self.keys.nonces(CHAIN, sender))
        return {int(nonce): key.decode() for nonce, key in stored.items()}

    def freed(self, sender: str = ALICE) -> list[int]:
        """Nonces that were given back."""
        return [int(nonce) for nonce in self.redis.zrange(self.keys.freed(CHAIN, sender), 0, -1)]

    def next_nonce(self, sender: str = ALICE) -> int:
        """The counter."""
        return int(self.redis.hget(self.keys.sender(CHAIN, sender), "next") or 0)

    def waiting(self) -> dict[int, str]:
        """Transfers that wait for a run of their workflow."""
        return self.do(self.queue.transfers.waiting(CHAIN, EXECUTOR))

    def watermark(self, workflow: int = 1) -> dict[str, str]:
        """What is known of a workflow."""
        stored = self.redis.hgetall(self.keys.workflow(CHAIN, EXECUTOR, workflow))
        return {name.decode(): value.decode() for name, value in stored.items()}

    def dump(self) -> dict[str, Any]:
        """Everything in Redis, times of its clock blurred; whether a key ends is part of it."""
        readers = {
            b"string": self.redis.get,
            b"list": lambda name: self.redis.lrange(name, 0, -1),
            b"hash": self.redis.hgetall,
            b"set": self.redis.smembers,
            b"zset": lambda name: self.redis.zrange(name, 0, -1, withscores=True),
            b"stream": lambda name: [fields for _, fields in self.redis.xrange(name)],
        }
        return {
            name.decode(): (_blurred(readers[self.redis.type(name)](name)), self.redis.ttl(name) > 0)
            for name in sorted(self.redis.keys("*"))
        }


def _blurred(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _blurred(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_blurred(entry) for entry in value]
    if isinstance(value, bytes) and re.fullmatch(rb"1[0-9]{12}", value):
        return b"<ms>"
    if isinstance(value, float) and abs(value) > 1e12:
        return "<ms>" if value > 0 else "<-ms>"
    return value
