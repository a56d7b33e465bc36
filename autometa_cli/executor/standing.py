"""Where a record stands, in words: what happened, what it waits for, who can do what about it.

The ledger tells most of it; what the chain shows (`executor.evidence`) is told where it was asked.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autometa_cli import foreignjson
from autometa_cli.executor.catalog import HOLDING
from autometa_cli.executor.reasons import OPERATOR
from autometa_cli.jobs.record import SIGNED_STATES
from autometa_cli.jobs.states import STATES, VERDICTS
from autometa_cli.jobs.workers import DEAD_AFTER_SECONDS
from autometa_cli.times import relative, utc
from autometa_cli.units import duration, gwei

if TYPE_CHECKING:
    from autometa_cli.executor.evidence import Evidence, Fate
    from autometa_cli.jobs.record import Attempt, Record
    from autometa_cli.jobs.workers import Member


@dataclass(frozen=True, slots=True)
class Crew:
    """The workers, as their registry has them."""

    members: Sequence[Member]

    def member(self, id: str) -> Member | None:
        """The one with this id."""
        return next((member for member in self.members if member.id == id), None) if id else None

    def alive(self, id: str) -> bool:
        """Whether it beats. One that is silent for long is as good as buried: the next reaper does it."""
        member = self.member(id)
        return member is not None and _beats(member)

    def with_key(self, address: str) -> list[str]:
        """Ids of the living workers that sign for this address."""
        wanted = address.lower()
        return [m.id for m in self.members if _beats(m) and m.fields.get("address", "").lower() == wanted]

    @property
    def living(self) -> int:
        """How many beat."""
        return sum(_beats(member) for member in self.members)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a node said to an attempt when it was offered; decides nothing."""

    answer: str
    text: str
    endpoint: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A record in words.

    Attributes:
        summary: its state in one sentence.
        waits: what it waits for, "" where it waits for nothing.
        story: what happened, in order, one sentence each.
        steps: what a person may do now, one each; empty where there is nothing to do.
    """

    record: Record
    summary: str
    waits: str
    story: tuple[str, ...]
    steps: tuple[str, ...]


def stand(
    record: Record, crew: Crew, now: int, evidence: Evidence | None = None, below: int | None = None
) -> Standing:
    """Put it into words.

    Args:
        now: Redis's clock, seconds since 1970.
        below: the lowest open nonce of its sender, where that is known.
    """
    return Standing(
        record,
        plain(STATES[record.state].means)
        if record.state in STATES
        else f"in a state that nobody knows: {record.state}",
        waits_for(record, crew, below, evidence),
        tuple(_story(record, crew, now, evidence)),
        tuple(_steps(record, crew, evidence)),
    )


def offer_of(attempt: Attempt) -> Offer | None:
    """What was answered to it; None where nothing is known of an offer."""
    try:
        stored = foreignjson.loads(attempt.answer.encode())
        return Offer(str(stored["class"]), str(stored["text"]), str(stored["endpoint"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def waits_for(record: Record, crew: Crew, below: int | None = None, evidence: Evidence | None = None) -> str:
    """What it waits for, in one line; "" where it waits for nothing. Arguments as of `stand`."""
    match record.state:
        case "queued":
            return "a worker to take it" if crew.living else "a worker to take it; none is alive"
        case "delayed":
            return f"its time ({record.reason})" if record.reason else "its time"
        case "claimed":
            return (
                "its worker's check"
                if crew.alive(record.holder)
                else "a worker: the one that checked it is gone"
            )
        case "bound" if record.kind == "noop":
            return f"a worker with the key of {record.sender} to use its nonce up"
        case "bound":
            return (
                "its worker to sign it"
                if crew.alive(record.holder)
                else "a worker: the one that bound it is gone"
            )
        case "signed" | "cancelling":
            return _waits_on_chain(record, crew, below, evidence)
    return ""


def orphaned(record: Record, crew: Crew) -> bool:
    """Signed, and no living worker can raise or cancel it (REVIEW H15)."""
    return (
        record.state in SIGNED_STATES and not crew.alive(record.holder) and not crew.with_key(record.sender)
    )


def final_words(record: Record, evidence: Evidence) -> str:
    """How many blocks its transaction is from final, or "" where it is not mined."""
    mined = evidence.mined
    if mined is None or mined.block is None:
        return ""
    left = mined.block - evidence.final
    return "final" if left <= 0 else f"{left} block{'s' if left > 1 else ''} from final"


def plain(text: str) -> str:
    """Words without the backticks of a page."""
    return text.replace("`", "")


def _beats(member: Member) -> bool:
    return not member.buried and member.beat_age < DEAD_AFTER_SECONDS


def _waits_on_chain(record: Record, crew: Crew, below: int | None, evidence: Evidence | None) -> str:
    nobody = "" if crew.living else "; no worker is alive"
    if evidence is not None and evidence.counts is not None and record.nonce is not None:
        if record.nonce < evidence.counts.final:
            return f"a worker to settle it: a final block has decided{nobody}"
        if record.nonce < evidence.counts.latest:
            return "the block to be final"
    elif record.mined_block:
        return f"block {record.mined_block} to be final{nobody}"
    if orphaned(record, crew):
        return f"to be mined; nobody alive has the key of {record.sender} to raise or cancel it"
    if below is not None and record.nonce is not None and below < record.nonce:
        return f"nonce {below} of the same key to be mined first"
    return "its self-transfer or the call to be mined" if record.state == "cancelling" else "to be mined"


def _story(record: Record, crew: Crew, now: int, evidence: Evidence | None) -> list[str]:
    def at(milliseconds: int) -> str:
        seconds = milliseconds // 1000
        return f"{utc(seconds)} ({relative(min(seconds, now), now)})"

    lines = []
    if record.queued_at:
        lines.append(f"made {at(record.queued_at)}")
    if record.claimed_at:
        lines.append(f"last claimed {at(record.claimed_at)}")
    if record.nonce is not None and record.sender:
        bound = f" {at(record.bound_at)}" if record.bound_at else ""
        lines.append(f"bound to nonce {record.nonce} of {record.sender}{bound}")
    if record.attempts_sent and record.signed_at:
        count = len(record.attempts_sent)
        lines.append(f"signed {count} time{'s' if count > 1 else ''}, last {at(record.signed_at)}")
    if record.state == "cancelling":
        who = "a person (tx cancel)" if record.reason == OPERATOR else record.reason or "unknown"
        lines.append(f"being cancelled since: {who}")
    lines += _on_chain(record, evidence)
    if record.said:
        lines.append(f"to the last tx bump or tx cancel was said: {record.said}")
    if record.outcome in VERDICTS and record.state not in HOLDING:
        mined = plain(VERDICTS[record.outcome].mined)
        lines.append(f"verdict {record.outcome}: nonce {_spent(record)} was used by {mined}")
    if record.closed_at and record.state not in HOLDING:
        lines.append(f"{record.state} {at(record.closed_at)}, at final block {record.block}")
    if record.text:
        lines.append(record.text)
    if record.state in HOLDING or record.state == "claimed":
        lines.append(_holder(record, crew))
    return lines


def _on_chain(record: Record, evidence: Evidence | None) -> list[str]:
    if evidence is None:
        if record.mined_tx and record.state in HOLDING:
            return [f"{record.mined_tx} was seen in block {record.mined_block}, which was not final yet"]
        return []
    lines = []
    if (mined := evidence.mined) is not None:
        lines.append(f"mined in block {mined.block}: {outcome_words(mined)}; {final_words(record, evidence)}")
    counts, nonce = evidence.counts, record.nonce
    if record.state not in HOLDING or counts is None or nonce is None:
        return lines
    if mined is None and nonce < counts.latest:
        final = "final" if nonce < counts.final else "not final yet"
        lines.append(f"another transaction used nonce {nonce}, as far as the endpoint shows ({final})")
    elif mined is None:
        pooled = [fate.hash for fate in evidence.fates if fate.pooled]
        where = (
            f"in the pool of {evidence.endpoint}: {pooled[-1]}"
            if pooled
            else f"not in the pool of {evidence.endpoint}"
        )
        lines.append(f"not mined; {where}")
        if counts.latest < nonce:
            lines.append(f"the chain waits for nonce {counts.latest} of this key first")
    if evidence.ruling is not None:
        becomes = plain(VERDICTS[evidence.ruling.verdict].becomes)
        lines.append(f"decided in a final block: {evidence.ruling.verdict}; it becomes {becomes}")
    return lines


def outcome_words(fate: Fate) -> str:
    """What became of a mined transaction."""
    if fate.status != 1:
        return "it reverted"
    if fate.success is None:
        return "status 1"
    return "the action succeeded" if fate.success else f"the action failed: {fate.why}"


def _spent(record: Record) -> str:
    if record.nonce is not None:
        return str(record.nonce)
    return str(record.spent[-1][1]) if record.spent else "?"


def _holder(record: Record, crew: Crew) -> str:
    member = crew.member(record.holder)
    if not record.holder:
        return "nobody holds it; any worker watches it, one with its key may raise or cancel it"
    if member is None:
        return f"held by {record.holder}, which the registry does not know any more"
    if crew.alive(record.holder):
        return f"held by {record.holder}, which is alive (beat {duration(member.beat_age)} ago)"
    gone = "left" if member.left else "was buried" if member.buried else "is silent"
    return f"held by {record.holder}, which {gone} (last beat {duration(member.beat_age)} ago)"


def _steps(record: Record, crew: Crew, evidence: Evidence | None) -> list[str]:
    key, label, state = shlex.quote(record.key), shlex.quote(record.label), record.state
    if state in HOLDING and evidence is not None and any(fate.tampered for fate in evidence.fates):
        return [
            "its bytes in the ledger are not what its record says: somebody wrote to Redis; see docs/operations.md"
        ]
    if state == "dead":
        return [
            f"autometa queue dead retry {label}   tries it again",
            f"autometa queue dead drop {label}    gives it up",
        ]
    if state not in SIGNED_STATES:
        return [] if crew.living or state in ("settled", "skipped") else ["start a worker: autometa worker"]
    counts = evidence.counts if evidence else None
    if counts is not None and record.nonce is not None and record.nonce < counts.latest:
        if record.nonce < counts.final and not crew.living:
            return [f"autometa tx reconcile {key}   settles it; no worker and no key is needed"]
        return []
    if orphaned(record, crew):
        return [
            f"start a worker with the key of {record.sender}; any worker sends its bytes again, no other can raise it",
            f"autometa tx cancel {key}   with that key as WORKER_PRIVATE_KEY (or its other forms) ends it",
        ]
    steps = [f"autometa tx bump {key}     raises its fee now"]
    if state == "signed":
        steps.append(f"autometa tx cancel {key}   puts a self-transfer in its place")
    return steps


def gas_words(attempt: Attempt) -> str:
    """What an attempt offers for gas; "" where that is not kept any more."""
    return f"up to {gwei(attempt.max_fee)}, tip {gwei(attempt.priority_fee)}" if attempt.max_fee else ""
