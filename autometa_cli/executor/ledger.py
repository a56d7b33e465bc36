"""The ledger: which record owns which nonce, and every byte that was ever signed. One fenced script per transition.

docs/state-machine.md draws the states; the scripts in `jobs/scripts` are their only writers.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autometa_cli.jobs.record import Record, fees_json
from autometa_cli.jobs.retention import CEASED_KEPT_SECONDS, HISTORY_LENGTH, SETTLED_KEPT_SECONDS
from autometa_cli.jobs.script import Answer

if TYPE_CHECKING:
    from autometa_cli.chain.fees import FeeQuote
    from autometa_cli.executor.head import Counts
    from autometa_cli.executor.ruling import Ruling
    from autometa_cli.jobs.claim import Claim
    from autometa_cli.jobs.queue import JobQueue


@dataclass(frozen=True, slots=True)
class Hold:
    """The right to write to one record: who holds it, under which fence."""

    key: str
    worker: str
    fence: str


class Ledger:
    """Every transition of a record, on the keys of one queue."""

    def __init__(
        self, queue: JobQueue, *, max_open_nonces: int, max_retries: int, retry_delay: float
    ) -> None:
        self._queue = queue
        self._keys = queue.keys
        self._scripts = queue.scripts
        self._window = max_open_nonces
        self._max_retries = max_retries
        self._retry_delay = retry_delay

    async def bind(
        self,
        claim: Claim,
        sender: str,
        counts: Counts,
        *,
        block: int,
        final: int,
        genesis: str,
        earlier: tuple[str, int] | None = None,
    ) -> Answer:
        """Give the record its one nonce of `sender`; `ok` and `already` carry it (see `bind.lua`).

        Args:
            counts: the sender's transaction counts at `block` and `final`.
            block: height that the check was made at.
            final: height of the last finalized block.
            earlier: the sender that the record is bound to already, and that sender's count at `block`.
        """
        o, k = claim.occurrence, self._keys
        old, old_latest = earlier or (sender, counts.latest)
        return await self._scripts.call(
            "bind",
            [k.epoch, k.workers, k.occurrence(claim.key), k.workflow(o.chain, o.executor, o.workflow),
             k.sender(o.chain, sender), k.freed(o.chain, sender), k.nonces(o.chain, sender), k.open,
             k.freed(o.chain, old), k.nonces(o.chain, old)],
            [claim.worker, claim.fence, claim.key, sender, counts.latest, counts.final, counts.pending, block,
             final, self._window, genesis, old_latest],
        )  # fmt: skip

    async def write_call(
        self, hold: Hold, record: Record, raw: bytes, hash: str, fees: FeeQuote, new_next_run: int
    ) -> Answer:
        """Append a signed `executeWorkflow` to the record, before anybody sends it."""
        return await self._write(hold, record, raw, hash, fees, "call", str(new_next_run), "", False)

    async def write_cancel(
        self,
        hold: Hold,
        record: Record,
        raw: bytes,
        hash: str,
        fees: FeeQuote,
        reason: str,
        *,
        unwanted: bool,
    ) -> Answer:
        """Append a self-transfer at the record's nonce; from then on no call is ever signed for it."""
        return await self._write(hold, record, raw, hash, fees, "cancel", "", reason, unwanted)

    async def _write(
        self, hold: Hold, record: Record, raw: bytes, hash: str, fees: FeeQuote, what: str, new_next_run: str,
        reason: str, unwanted: bool,
    ) -> Answer:  # fmt: skip
        k = self._keys
        return await self._scripts.call(
            "write_signed",
            [k.epoch, k.workers, k.occurrence(hold.key), k.nonces(record.chain, record.sender)],
            [hold.worker, hold.fence, hold.key, record.sender, str(record.nonce), len(record.attempts_sent), raw,
             hash, fees_json(fees.max_fee, fees.priority_fee), what, new_next_run, reason, int(unwanted)],
        )  # fmt: skip

    async def release(
        self, claim: Claim, to: str, reason: str, text: str, *, sender: str, block: int = 0, delay: float = 0,
        hold: bool = False, gives_back: bool = False,
    ) -> Answer:  # fmt: skip
        """Give back a record that was never signed.

        Args:
            to: `queued` (head of the list), `delayed`, `skipped` or `dead`.
            sender: whose nonce it may be bound to.
            block: the finalized height that a `skipped` or `dead` was decided at.
            delay: seconds until a `delayed` one is pushed again.
            hold: count this pause against MAX_HOLD; it is cut short at random (`_spread`).
            gives_back: the transfer that a `skipped` one took waits for the next run (`executor.transfer`).
        """
        o, k = claim.occurrence, self._keys
        if claim.bound:
            record = await self._queue.record(claim.key)
            sender = record.sender if record and record.sender else sender
        kept = CEASED_KEPT_SECONDS if reason == "condition" else SETTLED_KEPT_SECONDS
        return await self._scripts.call(
            "release",
            [k.epoch, k.workers, k.occurrence(claim.key), k.workflow(o.chain, o.executor, o.workflow),
             k.freed(o.chain, sender), k.nonces(o.chain, sender), k.open, k.inflight(claim.worker), k.pending,
             k.delayed, k.dead, k.queued, k.history, k.events(o.chain, o.executor)],
            [claim.worker, claim.fence, claim.key, claim.envelope, to, reason, text,
             int((_spread(delay) if hold else delay) * 1000), block,
             claim.element if to == "queued" else b"", kept, int(hold), HISTORY_LENGTH, int(gives_back)],
        )  # fmt: skip

    async def settle(
        self,
        record: Record,
        verdict: str,
        *,
        block: int,
        tx: str,
        text: str,
        fee: int,
        gives_back: bool = False,
    ) -> Answer:
        """Close what a finalized block decided. `moved`: somebody else took the record, read it again.

        Args:
            gives_back: the transfer that it took waits for the next run, should it be skipped.
        """
        k = self._keys
        retried = verdict in ("reverted", "refused")
        delay = _spread(self._retry_delay * (record.attempts + 1)) if retried else 0
        return await self._scripts.call(
            "settle",
            [k.epoch, k.occurrence(record.key), k.workflow(record.chain, record.executor, record.workflow),
             k.nonces(record.chain, record.sender), k.open, k.inflight(record.holder), k.history, k.delayed,
             k.dead, k.sender(record.chain, record.sender), k.events(record.chain, record.executor)],
            [record.key, record.sender, str(record.nonce), verdict, block, tx, record.holder, record.envelope,
             self._max_retries, int(delay * 1000), text, SETTLED_KEPT_SECONDS, HISTORY_LENGTH, str(fee),
             int(gives_back)],
        )  # fmt: skip

    async def decide(self, record: Record, ruling: Ruling, *, block: int) -> Answer:
        """Settle by what the Judge found at this final block."""
        return await self.settle(
            record, ruling.verdict, block=block, tx=ruling.tx, text=ruling.text, fee=ruling.fee,
            gives_back=ruling.gives_back,
        )  # fmt: skip

    async def spent_today(self, chain: int, sender: str) -> int:
        """wei that a key's settled transactions cost today (UTC, by Redis's clock), rounded up to gwei."""
        seconds, _ = await self._queue.redis.time()
        day = int(seconds) // 86400
        spent = await self._scripts.command("HGET", self._keys.sender(chain, sender), f"gas:{day}")
        return int(spent or 0) * 10**9

    async def takeover(self, record: Record, worker: str) -> Hold | None:
        """Hold a signed record whose holder is gone; None while somebody alive holds it."""
        k = self._keys
        answer = await self._scripts.call(
            "takeover", [k.epoch, k.workers, k.occurrence(record.key)], [worker, record.key]
        )
        return Hold(record.key, worker, answer.rest[0]) if answer.word in ("ok", "already") else None

    async def fill_gap(
        self, worker: str, chain: int, sender: str, counts: Counts, *, final: int
    ) -> tuple[Record, Hold] | None:
        """A record for the sender's next nonce, where nobody holds it and signed ones above wait for it."""
        k, nonce = self._keys, counts.latest
        key = f"noop:{chain}:{sender.lower()}:{nonce}"
        answer = await self._scripts.call(
            "fill_gap",
            [k.epoch, k.workers, k.occurrence(key), k.sender(chain, sender), k.freed(chain, sender),
             k.nonces(chain, sender), k.open],
            [worker, key, sender, nonce, counts.latest, counts.final, chain, final],
        )  # fmt: skip
        record = await self._queue.record(key) if answer.word == "ok" else None
        return (record, Hold(key, worker, answer.rest[0])) if record else None

    async def note(self, key: str, **facts: str | int) -> None:
        """Facts for people (broadcast answers, mined blocks). They decide nothing, so this is not fenced."""
        pairs = [part for name, value in facts.items() for part in (name, str(value))]
        await self._scripts.call("note", [self._keys.epoch, self._keys.occurrence(key)], pairs)

    async def short_of_replicas(self) -> str:
        """Why what was written must not be relied on yet, or "" (REDIS_MIN_REPLICAS; REVIEW H34)."""
        barrier = self._queue.barrier
        have = await barrier.replicas()
        if have >= barrier.needed:
            return ""
        return f"held back: {have} of {barrier.needed} replicas of Redis keep up (REDIS_MIN_REPLICAS)"

    async def open_keys(self) -> list[str]:
        """Keys of all records that hold a nonce, whoever holds them."""
        names = await self._queue.redis.zrange(self._keys.open, 0, -1)
        return [name.decode("utf-8", "replace") for name in names]


def _spread(delay: float) -> float:
    """A pause (s), up to a fifth shorter: what failed together does not come back together."""
    return delay * random.uniform(0.8, 1.0)  # noqa: S311  not for secrets


def broadcast_note(answer_class: str, text: str, endpoint: str) -> str:
    """How an answer to a broadcast is stored in a record."""
    return json.dumps({"class": answer_class, "text": text, "endpoint": endpoint})
