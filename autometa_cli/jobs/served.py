"""Which contracts a queue's jobs are for: one queue serves one executor on one chain."""

from __future__ import annotations

import logging

from autometa_cli.errors import ConfigError
from autometa_cli.jobs.access import Access
from autometa_cli.jobs.epoch import LedgerInDoubt
from autometa_cli.jobs.workers import DEAD_AFTER_SECONDS, Workers

_log = logging.getLogger(__name__)


class OtherContracts(ConfigError):
    """The queue is for other contracts than ours: whoever runs on would stand in the way of theirs."""


class Served(Access):
    """A job in the list names no contracts, so whoever takes it executes it at its own."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(url, name)
        self.workers = Workers(self.redis, self.keys, self.scripts)

    async def serve(self, chain: int, executor: str) -> None:
        """Say that this process works for the executor at this address. The first who says it decides.

        Raises:
            OtherContracts: the queue is another executor's, and has work, workers or a scheduler of it.
            LedgerInDoubt: Redis is not to be asked before it is known whether it lost writes.
        """
        k, ours = self.keys, contracts(chain, executor)
        served = await self.serves()
        if served == ours:
            return
        if served:
            # Where all of theirs were killed, nobody else buries them. What they held goes back on the list.
            await self.workers.reap("")
        answer = await self.scripts.call(
            "serve",
            [k.epoch, k.workers, k.pending, k.queued, k.delayed, k.open, k.leader,
             *(k.inflight(member.id) for member in await self.workers.members())],
            [ours],
        )  # fmt: skip
        if answer.word == "recovery":
            raise LedgerInDoubt(
                "Redis restarted; it is asked which contracts its queue serves once it is whole"
            )
        if answer.word == "other":
            raise elsewhere(k.queue, answer.rest[0], ours)
        if answer.rest[0]:
            _log.warning("the queue %s served %s, and nothing of that is left; it serves %s now", k.queue,
                         words(answer.rest[0]), words(ours))  # fmt: skip

    async def serves(self) -> str:
        """`<chain>:<executor>`, in lower case; "" where nobody said so yet."""
        value = await self.redis.hget(self.keys.epoch, "serves")
        return value.decode("utf-8", "replace") if value else ""

    async def left(self) -> bool:
        """Whether anything is left of those that it serves, as `serve` asks. Reads only."""
        k, redis = self.keys, self.redis
        members = await self.workers.members()
        counts = [await redis.zcard(name) for name in (k.queued, k.delayed, k.open)]
        counts += [await redis.llen(name) for name in (k.pending, *(k.inflight(each.id) for each in members))]
        leads, until = await redis.hmget(k.leader, "holder", "until")
        seconds, micros = await redis.time()
        running = (
            until is not None and until.isdigit() and int(until) > int(seconds) * 1000 + int(micros) // 1000
        )
        return (
            any(counts)
            or any(not each.buried and each.beat_age < DEAD_AFTER_SECONDS for each in members)
            or (leads is not None and running)
        )


def contracts(chain: int, executor: str) -> str:
    """How the ledger names an executor."""
    return f"{chain}:{executor.lower()}"


def elsewhere(queue: str, theirs: str, ours: str) -> OtherContracts:
    """Our configuration names other contracts than those that this queue is for."""
    return OtherContracts(
        f"the queue {queue} is for {words(theirs)}; configured is {words(ours)}",
        "give each set of contracts a queue: set QUEUE_NAME to another name. Where the old contracts are given up: "
        "docs/operations.md, 'Other contracts'",
    )


def words(contracts: str) -> str:
    """`<chain>:<executor>` for people."""
    chain, _, executor = contracts.partition(":")
    return f"the executor {executor} on chain {chain}"
