"""Gives a checked record its one nonce, or says why it has to wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autometa_cli.executor.decision import Lost, Refusal
from autometa_cli.executor.ledger import Hold, Ledger

if TYPE_CHECKING:
    from autometa_cli.executor.head import Counts, Head, Heads
    from autometa_cli.executor.sender import Sender
    from autometa_cli.executor.tracker import Tracker
    from autometa_cli.jobs.queue import Claim, JobQueue

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

    async def bind(self, claim: Claim, head: Head) -> Refusal | Lost | None:
        """None when the record has its nonce."""
        earlier = await self._earlier(claim, head)
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
            case "ok" | "already":
                return None
            case "recheck":
                return Refusal("delayed", "recheck", "the chain moved on meanwhile", delay=1.0)
            case "wait:workflow":
                return Refusal("delayed", "workflow_busy", f"waits for {answer.rest[0]}", delay=2.0)
            case "reconcile":
                record = await self._queue.record(claim.key)
                if record:
                    self._tracker.add(record, Hold(claim.key, claim.worker, claim.fence), sent=True)
                return Lost("its nonce was consumed before it was signed; settled when that is final")
            case "recovery":
                return Refusal("queued", "ledger_in_doubt", "Redis restarted", trouble=True)
            case word if word in _BIND_TROUBLE:
                return Refusal("queued", word.removeprefix("wait:"), _BIND_TROUBLE[word], trouble=True)
            case word:
                return Lost(f"bind answered {word}")

    async def _earlier(self, claim: Claim, head: Head) -> tuple[str, int] | None:
        record = await self._queue.record(claim.key) if claim.bound else None
        if record is None or record.sender in ("", self._sender.address):
            return None
        counts: Counts = await self._heads.counts(head, record.sender)
        return record.sender, counts.latest
