"""Gives a checked record its one nonce, or says why it has to wait."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from autometa_cli.executor.decision import Lost, Refusal
from autometa_cli.executor.ledger import Hold, Ledger

if TYPE_CHECKING:
    from autometa_cli.executor.head import Counts, Head, Heads
    from autometa_cli.executor.sender import Sender
    from autometa_cli.executor.tracker import Tracker
    from autometa_cli.jobs.claim import Claim
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.record import Record

#: What bind answers while our house is not in order, and how to say it.
_BIND_TROUBLE = {
    "wait:foreign": "somebody else uses this worker's key: its pending transactions run ahead of the ledger",
    "wait:blocked": "this worker's key is blocked in the ledger",
    "wait:window": "too many open transactions (MAX_OPEN_NONCES); waiting for the oldest to become final",
    "wait:chain": "the ledger knows this key from another chain with the same id (another genesis block)",
    "wait:owner": "the ledger's nonce counter and its owners disagree",
}


class Binder:
    """Binds records to nonces of one key. `genesis`: hash of the chain's first block."""

    def __init__(
        self, queue: JobQueue, ledger: Ledger, sender: Sender, heads: Heads, tracker: Tracker, genesis: str
    ) -> None:
        self._queue = queue
        self._ledger = ledger
        self._sender = sender
        self._heads = heads
        self._tracker = tracker
        self._genesis = genesis

    async def bind(self, claim: Claim, record: Record, head: Head) -> Record | Refusal | Lost:
        """The record with its nonce, or why it has none.

        Args:
            record: as read under the claim's fence.
        """
        earlier = await self._earlier(claim, record, head)
        answer = await self._ledger.bind(
            claim,
            self._sender.address,
            head.counts,
            block=head.number,
            final=head.final_number,
            genesis=self._genesis,
            earlier=earlier,
        )
        match answer.word:
            case "ok":  # nobody but us writes to it, so what we read holds
                return replace(
                    record,
                    state="bound",
                    sender=self._sender.address,
                    nonce=int(answer.rest[0]),
                    bound_block=head.final_number,
                    attempts_sent=(),
                )
            case "already":
                fresh = await self._queue.record(claim.key)
                return Lost("the record vanished") if fresh is None or fresh.nonce is None else fresh
            case "recheck":
                return Refusal("delayed", "recheck", "the chain moved on meanwhile", delay=1.0)
            case "wait:workflow":
                return Refusal("delayed", "workflow_busy", f"waits for {answer.rest[0]}", delay=2.0)
            case "reconcile":
                consumed = await self._queue.record(claim.key)
                if consumed:
                    self._tracker.add(consumed, Hold(claim.key, claim.worker, claim.fence), sent=True)
                return Lost("its nonce was consumed before it was signed; settled when that is final")
            case "recovery":
                return Refusal("queued", "ledger_in_doubt", "Redis restarted", trouble=True)
            case word if word in _BIND_TROUBLE:
                return Refusal("queued", word.removeprefix("wait:"), _BIND_TROUBLE[word], trouble=True)
            case word:
                return Lost(f"bind answered {word}")

    async def _earlier(self, claim: Claim, record: Record, head: Head) -> tuple[str, int] | None:
        if not claim.bound or record.sender in ("", self._sender.address):
            return None
        counts: Counts = await self._heads.counts(head, record.sender)
        return record.sender, counts.latest
