"""Compares the ledger with the chain, record by record, and settles what a final block has decided. Needs no key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from autometa_cli.chain.view import together
from autometa_cli.errors import AutometaError
from autometa_cli.executor.catalog import HOLDING
from autometa_cli.executor.evidence import Evidence, Moment, gather
from autometa_cli.executor.judge import Judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autometa_cli.executor.head import Counts
    from autometa_cli.executor.ledger import Ledger
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.record import Record

#: settled: by us, now · would_settle: with a dry run · open: undecided yet · closed: it was before · trouble: needs a
#: person, or another look.
Action = Literal["settled", "would_settle", "open", "closed", "trouble"]
#: Records that are looked at together.
_TOGETHER = 50


@dataclass(frozen=True, slots=True)
class Finding:
    """One record, compared.

    Attributes:
        record: as it is now.
        verdict: of the final block, or "".
        text: why, where there is something to say.
    """

    record: Record
    evidence: Evidence
    action: Action
    verdict: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class KeyFinding:
    """The ledger's counter of one key beside the chain's counts.

    Attributes:
        next: the nonce that the ledger gives out next, None where it never gave any.
        open: how many nonces have an owner.
        text: what that means.
        trouble: a worker or a person has to do something about it.
    """

    sender: str
    next: int | None
    open: int
    counts: Counts
    text: str
    trouble: bool


class Reconciler:
    """Works at one moment of one endpoint, with the Judge and the script that workers settle with."""

    def __init__(self, queue: JobQueue, ledger: Ledger, moment: Moment, log_range: int) -> None:
        self._queue = queue
        self._ledger = ledger
        self._moment = moment
        self._judge = Judge(log_range)

    async def each(self, records: Sequence[Record], *, dry_run: bool) -> list[Finding]:
        """Compare them, and settle what is decided. Raises RpcUnreachable, redis.exceptions.RedisError."""
        found: list[Finding] = []
        for start in range(0, len(records), _TOGETHER):
            part = records[start : start + _TOGETHER]
            found += await together(*(self._one(record, dry_run=dry_run) for record in part))
        return found

    async def keys(self, findings: Sequence[Finding]) -> list[KeyFinding]:
        """The counters of the keys that these records are bound to. Raises redis.exceptions.RedisError."""
        senders: dict[str, tuple[int, Counts]] = {}
        for each in findings:
            if each.evidence.counts is not None and each.record.sender:
                senders.setdefault(each.record.sender, (each.record.chain, each.evidence.counts))
        return [await self._key(sender, chain, counts) for sender, (chain, counts) in sorted(senders.items())]

    async def _one(self, record: Record, *, dry_run: bool) -> Finding:
        evidence = await gather(record, self._moment, self._judge)
        if record.state not in HOLDING:
            return Finding(record, evidence, "closed", record.outcome, record.text)
        if bad := next((fate.tampered for fate in evidence.fates if fate.tampered), ""):
            return Finding(record, evidence, "trouble", "", f"the ledger was tampered with: {bad}")
        ruling = evidence.ruling
        if ruling is None:
            if evidence.trouble:
                return Finding(record, evidence, "trouble", "", evidence.trouble)
            return Finding(record, evidence, "open")
        if dry_run:
            return Finding(record, evidence, "would_settle", ruling.verdict, ruling.text)
        answer = await self._ledger.decide(record, ruling, block=evidence.final)
        if answer.word == "recovery":
            raise AutometaError(
                "the ledger is in doubt: Redis restarted, or lost writes",
                "workers put that right; see docs/operations.md, 'Redis restarted'",
            )
        fresh = await self._queue.record(record.key) or record
        if answer.word == "moved":  # another worker took it over; what it holds it settles
            return Finding(
                fresh, evidence, "trouble", ruling.verdict, "it changed hands meanwhile; run this again"
            )
        action: Action = "settled" if answer.word == "ok" else "closed"
        return Finding(fresh, evidence, action, ruling.verdict, ruling.text)

    async def _key(self, sender: str, chain: int, counts: Counts) -> KeyFinding:
        k, command = self._queue.keys, self._queue.scripts.command
        stored, consumed = await command("HMGET", k.sender(chain, sender), "next", "consumed")
        owners = sorted(
            int(name) for name in await command("HKEYS", k.nonces(chain, sender)) if name.isdigit()
        )
        following = int(stored) if stored is not None and stored.isdigit() else None
        text, trouble = "the ledger and the chain agree", False
        above = [nonce for nonce in owners if nonce >= counts.latest]
        if above and above[0] > counts.latest >= int(consumed or 0):
            trouble = True
            text = f"nonce {counts.latest} has no owner, and {above[0]} waits for it: a worker with this key fills it"
        elif following is not None and counts.pending > following:
            trouble = True
            text = f"somebody else uses this key: it has {counts.pending} transactions, the ledger gave out {following}"
        return KeyFinding(sender, following, len(owners), counts, text, trouble)
