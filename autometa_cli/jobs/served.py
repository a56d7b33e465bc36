"""Which contracts a queue's jobs are for: one queue serves one executor on one chain."""

from __future__ import annotations

import logging

from autometa_cli.errors import ConfigError
from autometa_cli.jobs.access import Access
from autometa_cli.jobs.epoch import LedgerInDoubt

_log = logging.getLogger(__name__)


class Served(Access):
    """A job in the list names no contracts, so whoever takes it executes it at its own."""

    async def serve(self, chain: int, executor: str) -> None:
        """Say that this process works for the executor at this address. The first who says it decides.

        Raises:
            ConfigError: the queue is another executor's, and has work or workers of it.
            LedgerInDoubt: Redis is not to be asked before it is known whether it lost writes.
        """
        k, ours = self.keys, contracts(chain, executor)
        answer = await self.scripts.call(
            "serve", [k.epoch, k.workers, k.pending, k.queued, k.delayed, k.open], [ours]
        )
        if answer.word == "recovery":
            raise LedgerInDoubt(
                "Redis restarted; it is asked which contracts its queue serves once it is whole"
            )
        if answer.word == "other":
            raise elsewhere(k.queue, answer.rest[0], ours)
        if answer.rest[0]:
            _log.warning("the queue %s served %s, and nothing of that is left; it serves %s now", k.queue,
                         _words(answer.rest[0]), _words(ours))  # fmt: skip

    async def serves(self) -> str:
        """`<chain>:<executor>`, in lower case; "" where nobody said so yet."""
        value = await self.redis.hget(self.keys.epoch, "serves")
        return value.decode("utf-8", "replace") if value else ""


def contracts(chain: int, executor: str) -> str:
    """How the ledger names an executor."""
    return f"{chain}:{executor.lower()}"


def elsewhere(queue: str, theirs: str, ours: str) -> ConfigError:
    """Our configuration names other contracts than those that this queue is for."""
    return ConfigError(
        f"the queue {queue} is for {_words(theirs)}; configured is {_words(ours)}",
        "give each set of contracts a queue: set QUEUE_NAME to another name. Where the old contracts are given up: "
        "docs/operations.md, 'Other contracts'",
    )


def _words(contracts: str) -> str:
    chain, _, executor = contracts.partition(":")
    return f"the executor {executor} on chain {chain}"
