"""How jobs and records are shown: JSON documents, and tables for people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autometa_cli.commands.workflowview import whole
from autometa_cli.times import relative, utc
from autometa_cli.units import duration

if TYPE_CHECKING:
    from rich.console import RenderableType

    from autometa_cli.commands.context import State
    from autometa_cli.jobs.inspector import Held
    from autometa_cli.jobs.pause import Pause
    from autometa_cli.jobs.record import Record

_KEY = re.compile(r"\b[0-9]+:0x[0-9a-f]{40}:[0-9]+:(now:[\w-]+|[0-9]+:[0-9]+)")
_LONGEST = 2000  # characters of a payload that is shown by itself
_CELL = 60  # characters of a payload in a table


def as_text(raw: bytes) -> str:
    """Bytes as text; those that are no UTF-8 as `\\xff`."""
    return raw.decode("utf-8", "backslashreplace")


def job_document(raw: bytes, position: int | None = None) -> dict[str, Any]:
    """A raw element in JSON: `raw` as it stands in the list, and what it says where it is a job."""
    from autometa_cli.jobs.job import BadJob, parse_job

    document: dict[str, Any] = {} if position is None else {"position": position}
    document |= {"raw": as_text(raw), "bytes": len(raw)}
    try:
        job = parse_job(raw)
    except BadJob as error:
        return {**document, "valid": False, "error": error.message}
    return {
        **document,
        "valid": True,
        "workflow": whole(job.workflow),
        "next_run": whole(job.next_run),
        "next_run_utc": utc(job.next_run) if job.next_run else None,
        "owner": job.owner or None,
        "id": job.id,
        "occurrence": job.occurrence,
        "force": job.force,
    }


def one_line(raw: bytes) -> str:
    """A payload as one line: also its line breaks, which JSON allows between its parts, as `\\x0a`."""
    return as_text(raw).replace("\n", "\\x0a")


def job_table(
    state: State, documents: Sequence[dict[str, Any]], empty: str = "no pending jobs"
) -> RenderableType:
    """Elements of the list, one a line; what is no job says why."""
    rows: list[tuple[Any, ...]] = []
    columns = ["#", "WORKFLOW", "NEXT RUN", "ID", "OWNER"]
    spoilt = any(not document["valid"] for document in documents)
    for document in documents:
        position = document["position"]
        if not document["valid"]:
            wrong = f"no job: {document['error']}; {_cut(document['raw'])}"
            rows.append((position, None, None, None, None, wrong))
            continue
        row = (position, str(document["workflow"]), _when(document), document["id"], document["owner"], None)
        rows.append(row if spoilt else row[:-1])
    return state.console.table(columns + ["WRONG"] * spoilt, rows, empty=empty, beneath=spoilt)


def record_document(record: Record) -> dict[str, Any]:
    """A ledger record in JSON. Times are seconds since 1970, amounts wei as text."""
    return {
        "key": record.key,
        "label": record.label,
        "kind": record.kind,
        "state": record.state,
        "id": record.id,
        "workflow": whole(record.workflow) if record.workflow else None,
        "claims": _claims(record),
        "next_run": whole(record.next_run),
        "generation": record.generation,
        "reason": record.reason or None,
        "text": record.text or None,
        "outcome": record.outcome or None,
        "attempts": record.attempts,
        "holds": record.holds,
        "holder": record.holder or None,
        "sender": record.sender or None,
        "nonce": record.nonce,
        "tx": record.tx or (record.attempts_sent[-1].hash if record.attempts_sent else None),
        "queued_at": _seconds(record.queued_at),
        "closed_at": _seconds(record.closed_at),
        "raw": as_text(record.job),
    }


def record_rows(record: Record, now: int) -> list[tuple[str, Any]]:
    """A record for people."""
    rows: list[tuple[str, Any]] = [
        ("record", record.key),
        ("job", record.label),
        ("state", record.state),
        ("reason", record.reason or None),
        ("", record.text or None),
        ("workflow", record.workflow or _claimed(record)),
        ("attempts", record.attempts),
        ("queued", _ago(record.queued_at, now)),
        ("closed", _ago(record.closed_at, now)),
    ]
    if record.nonce is not None:
        rows += [("sender", record.sender), ("nonce", record.nonce)]
    rows += [(f"sent {number}", attempt.hash) for number, attempt in enumerate(record.attempts_sent, 1)]
    payload = as_text(record.job)
    if len(payload) > _LONGEST:
        payload = f"{payload[:_LONGEST]}… (of {len(payload)} characters; --json has all of it)"
    return [*rows, ("payload", payload)]


def held_document(held: Held) -> dict[str, Any]:
    """One element of an in-flight list in JSON; without a record it was taken, but not looked at yet."""
    record = record_document(held.record) if held.record else None
    document = {"worker": held.worker, "worker_gone": held.gone, "record": record}
    return document if held.record else {**document, **job_document(held.element)}


def held_table(state: State, held: Sequence[Held], empty: str = "nothing in flight") -> RenderableType:
    """What workers hold, one a line."""
    rows = []
    for one in held:
        worker = f"{one.worker} (gone)" if one.gone else one.worker
        if one.record is None:
            rows.append((worker, _cut(as_text(one.element)), "taken", "-", "-"))
            continue
        sent = one.record.attempts_sent
        rows.append((
            worker, one.record.label, one.record.state,
            "-" if one.record.nonce is None else str(one.record.nonce), sent[-1].hash if sent else "-",
        ))  # fmt: skip
    return state.console.table(("WORKER", "JOB", "STATE", "NONCE", "TRANSACTION"), rows, empty=empty)


def delayed_document(record: Record, due_ms: int) -> dict[str, Any]:
    """A delayed record in JSON; `due` is when it goes back to the list."""
    due = due_ms // 1000
    return {**record_document(record), "due": due, "due_utc": utc(due)}


def delayed_table(
    state: State, rows: Sequence[tuple[Record, int]], now: int, empty: str = "nothing waits"
) -> RenderableType:
    """What waits, one a line, the next due first."""
    return state.console.table(
        ("JOB", "AGAIN", "REASON", "TRIED", "HELD", "WHY"),
        [
            (
                record.label,
                "now" if due <= now * 1000 else f"in {duration((due - now * 1000) // 1000)}",
                record.reason,
                record.attempts,
                record.holds,
                in_labels(record.text),
            )
            for record, due in rows
        ],
        empty=empty,
        beneath=True,
    )


def dead_table(
    state: State, records: Sequence[Record], now: int, empty: str = "no dead letters"
) -> RenderableType:
    """Dead letters, one a line, the latest first."""
    return state.console.table(
        ("JOB", "BURIED", "REASON", "TRIED", "WHY"),
        [(_named(r), _ago(r.closed_at, now), r.reason, r.attempts, in_labels(r.text)) for r in records],
        empty=empty,
        beneath=True,
    )


def pause_document(pause: Pause) -> dict[str, Any]:
    """A pause in JSON; times are seconds since 1970."""
    return {
        "reason": pause.reason or None,
        "by": pause.by or None,
        "since": pause.since or None,
        "until": pause.until,
    }


def pause_words(pause: Pause) -> str:
    """Who paused, when, until when, and why."""
    words = [f"by {pause.by}"] if pause.by else []
    if pause.since:
        words.append(f"since {utc(pause.since)}")
    words.append(f"until {utc(pause.until)}" if pause.until else "until autometa queue resume")
    return ", ".join(words) + (f": {pause.reason}" if pause.reason else "")


def _when(document: dict[str, Any]) -> str:
    if document["next_run"] == 0:
        return "now, by force" if document["force"] else "now"
    return document["next_run_utc"] or str(document["next_run"])


def _claims(record: Record) -> dict[str, Any] | None:
    """Workflow, next run and id that the payload of a letter without a record names; nobody vouches for them."""
    job = record.claim
    if job is None:
        return None
    return {"workflow": whole(job.workflow), "next_run": whole(job.next_run), "id": job.id}


def _claimed(record: Record) -> str | None:
    return f"{record.claim.workflow}, as its payload claims" if record.claim else None


def _named(record: Record) -> str:
    """A dead letter's name, with what a payload without a record claims to be."""
    from autometa_cli.jobs.inspector import claimed_label

    return f"{record.label} (claims {claimed_label(record.claim)})" if record.claim else record.label


def in_labels(text: str) -> str:
    """Words with the record keys in them as they stand in the lists."""
    from autometa_cli.jobs.occurrence import label

    return _KEY.sub(lambda found: label(found[0]), text)


def _cut(text: str) -> str:
    return text if len(text) <= _CELL else text[: _CELL - 1] + "…"


def _seconds(milliseconds: int) -> int | None:
    return milliseconds // 1000 or None


def _ago(milliseconds: int, now: int) -> str | None:
    return relative(min(milliseconds // 1000, now), now) if milliseconds else None
