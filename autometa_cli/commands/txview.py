"""How records of the ledger and their transactions are shown: JSON documents, and lines for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autometa_cli.commands.queueview import record_document
from autometa_cli.commands.workflowview import whole
from autometa_cli.networks import explorer_tx
from autometa_cli.units import duration, from_wei, gwei

if TYPE_CHECKING:
    from autometa_cli.executor.evidence import Evidence, Fate
    from autometa_cli.executor.standing import Crew, Standing
    from autometa_cli.jobs.record import Attempt, Record
    from autometa_cli.networks import Network

LIST_COLUMNS = ("JOB", "STATE", "SENDER", "NONCE", "AGE", "TXS", "TRIED", "FEE", "TRANSACTION", "WAITS FOR")


def list_document(record: Record, crew: Crew, now: int, waits: str) -> dict[str, Any]:
    """A record in `tx list --json`."""
    last = record.attempts_sent[-1] if record.attempts_sent else None
    return {
        **record_document(record),
        "age_seconds": _age(record, now),
        "transactions": len(record.attempts_sent),
        "max_fee": str(last.max_fee) if last and last.max_fee else None,
        "priority_fee": str(last.priority_fee) if last and last.max_fee else None,
        "fee_paid": str(record.fee_paid) if record.tx else None,
        "holder_alive": crew.alive(record.holder) if record.holder else None,
        "waits_for": waits or None,
    }


def list_cells(record: Record, now: int, waits: str, symbol: str) -> tuple[Any, ...]:
    """The same as a line for people, by LIST_COLUMNS."""
    last = record.attempts_sent[-1] if record.attempts_sent else None
    fee = f"{from_wei(record.fee_paid)} {symbol}" if record.fee_paid else gwei(last.max_fee) if last else ""
    age = _age(record, now)
    return (
        record.label,
        record.state if not record.outcome or record.state not in ("settled", "dead") else
        f"{record.state} {record.outcome}",
        record.sender,
        record.nonce,
        None if age is None else duration(age),
        len(record.attempts_sent) or None,
        record.attempts,
        fee,
        record.tx or (last.hash if last else None),
        waits,
    )  # fmt: skip


def show_document(
    standing: Standing,
    crew: Crew,
    now: int,
    network: Network | None,
    evidence: Evidence | None,
    trouble: str,
    earlier: list[dict[str, Any]],
) -> dict[str, Any]:
    """`tx show --json`.

    Args:
        network: of the record's chain; None where another one is configured.
        trouble: why the chain was not asked, or "".
        earlier: what became of its transactions under nonces that are used up, as of `queue history`.
    """
    record = standing.record
    member = crew.member(record.holder)
    return {
        **list_document(record, crew, now, standing.waits),
        "chain_id": record.chain,
        "executor": record.executor or None,
        "bound_block": record.bound_block or None,
        "new_next_run": whole(record.new_next_run) if record.new_next_run else None,
        "said": record.said or None,
        "event": record.event or None,
        "closed_block": record.block or None,
        "spent": [{"sender": sender, "nonce": nonce} for sender, nonce in record.spent],
        "attempts_sent": [
            _attempt_document(attempt, evidence.fates[at] if evidence else None, network)
            for at, attempt in enumerate(record.attempts_sent)
        ],
        "earlier": earlier,
        "holder_beat_seconds": None if member is None else round(member.beat_age, 3),
        "workers_with_key": crew.with_key(record.sender) if record.sender else [],
        "chain": None if evidence is None else evidence_document(evidence),
        "chain_trouble": trouble or None,
        "explorer": explorer_tx(network, record.tx) if network and record.tx else None,
        "summary": standing.summary,
        "story": list(standing.story),
        "next_steps": list(standing.steps),
    }


def show_rows(
    standing: Standing,
    network: Network | None,
    evidence: Evidence | None,
    earlier: list[dict[str, Any]],
    symbol: str,
) -> list[tuple[str, Any]]:
    """`tx show` for people. Arguments as of `show_document`."""
    record = standing.record
    rows: list[tuple[str, Any]] = [
        ("job", record.label),
        ("record", record.key),
        ("state", f"{record.state}: {standing.summary}"),
    ]
    if standing.waits:
        rows.append(("waits for", standing.waits))
    rows += [("" if at else "story", line) for at, line in enumerate(standing.story)]
    for at, attempt in enumerate(record.attempts_sent):
        rows += _attempt_rows(at, attempt, evidence.fates[at] if evidence else None, network)
    if record.tx and record.tx not in {attempt.hash for attempt in record.attempts_sent}:
        rows += [("decided by", record.tx), *_link(network, record.tx)]
    for each in earlier:
        rows.append(("before that", f"{each['at_utc']} {each['outcome']} in {each['tx']}"))
    if record.tx:
        rows.append(("fee paid", f"{from_wei(record.fee_paid)} {symbol}"))
    if evidence is not None:
        rows.append(("chain", f"block {evidence.head}, final {evidence.final}, by {evidence.endpoint}"))
        if evidence.counts is not None:
            rows.append(
                (
                    "key",
                    f"{evidence.counts.latest} transactions mined, {evidence.counts.final} final, "
                    f"{evidence.counts.pending - evidence.counts.latest} more ready in the pool",
                )
            )
        if evidence.trouble:
            rows.append(("", evidence.trouble))
    rows += [("" if at else "next", step) for at, step in enumerate(standing.steps)]
    return rows


def _attempt_document(attempt: Attempt, fate: Fate | None, network: Network | None) -> dict[str, Any]:
    from autometa_cli.executor.standing import offer_of

    offer = offer_of(attempt)
    return {
        "hash": attempt.hash,
        "what": attempt.what,
        "max_fee": str(attempt.max_fee) if attempt.max_fee else None,
        "priority_fee": str(attempt.priority_fee) if attempt.max_fee else None,
        "offered_to": offer.endpoint if offer else None,
        "answer": offer.answer if offer else None,
        "answer_text": offer.text if offer else None,
        "explorer": explorer_tx(network, attempt.hash) if network else None,
        "chain": None if fate is None else _fate_document(fate),
    }


def _fate_document(fate: Fate) -> dict[str, Any]:
    return {
        "block": fate.block,
        "canonical": fate.canonical if fate.block is not None else None,
        "status": fate.status,
        "success": fate.success,
        "why": fate.why or None,
        "fee_paid": str(fate.fee) if fate.block is not None else None,
        "in_pool": fate.pooled,
        "tampered": fate.tampered or None,
    }


def evidence_document(evidence: Evidence) -> dict[str, Any]:
    """What the chain shows, in JSON."""
    counts, ruling, mined = evidence.counts, evidence.ruling, evidence.mined
    return {
        "endpoint": evidence.endpoint,
        "block": evidence.head,
        "final_block": evidence.final,
        "nonces": None
        if counts is None
        else {"latest": counts.latest, "final": counts.final, "pending": counts.pending},
        "mined": None if mined is None else {"hash": mined.hash, **_fate_document(mined)},
        "blocks_to_final": None
        if mined is None or mined.block is None
        else max(0, mined.block - evidence.final),
        "verdict": ruling.verdict if ruling else None,
        "verdict_text": ruling.text or None if ruling else None,
        "trouble": evidence.trouble or None,
    }


def _attempt_rows(
    at: int, attempt: Attempt, fate: Fate | None, network: Network | None
) -> list[tuple[str, Any]]:
    from autometa_cli.executor.standing import gas_words, offer_of, outcome_words

    what = "call" if attempt.what == "call" else "self-transfer"
    words = [what, gas_words(attempt)]
    if (offer := offer_of(attempt)) is not None:
        text = f" ({offer.text})" if offer.text not in ("", offer.answer, attempt.hash) else ""
        words.append(f"offered to {offer.endpoint}: {offer.answer}{text}")
    elif attempt.raw:
        words.append("nothing is known of an offer")
    if fate is not None and fate.block is not None:
        orphan = "" if fate.canonical else ", which is not on the chain (any more)"
        words.append(f"in block {fate.block}{orphan}: {outcome_words(fate)}")
    elif fate is not None and fate.pooled:
        words.append("in the pool")
    if fate is not None and fate.tampered:
        words.append(f"TAMPERED: {fate.tampered}")
    return [
        (f"attempt {at + 1}", attempt.hash),
        ("", "; ".join(word for word in words if word)),
        *_link(network, attempt.hash),
    ]


def _link(network: Network | None, hash: str) -> list[tuple[str, Any]]:
    link = explorer_tx(network, hash) if network else None
    return [("", link)] if link else []


def _age(record: Record, now: int) -> int | None:
    since = record.bound_at if record.nonce is not None and record.bound_at else record.queued_at
    return max(0, now - since // 1000) if since else None
