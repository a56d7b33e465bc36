"""The ledger record: everything that is known of one occurrence, as one Redis hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from autometa_cli import foreignjson
from autometa_cli.jobs.job import BadJob, Job, envelope, parse_job
from autometa_cli.jobs.occurrence import Occurrence, label

#: States in which a record may still lead to a transaction.
OPEN_STATES = frozenset({"queued", "delayed", "claimed", "bound", "signed", "cancelling"})
#: States in which a record leads to nothing any more by itself.
CLOSED_STATES = frozenset({"settled", "skipped", "dead"})
#: States in which bytes for the record's nonce may be anywhere.
SIGNED_STATES = frozenset({"signed", "cancelling"})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed transaction of a record. `what` is `call` or `cancel`; fees are wei per gas.

    Attributes:
        answer: what an endpoint said to it, as JSON (`class`, `text`, `endpoint`), or "". Decides nothing.
    """

    raw: bytes
    hash: str
    what: str
    max_fee: int
    priority_fee: int
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A record as it was read. Times are milliseconds of Redis's clock; amounts wei.

    Attributes:
        block: finalized height that it was closed at.
        seen: height at which the chain was seen to ask for it.
        event: name of the transfer that it runs for (`scheduling.occasion`), or "".
        mined_tx, mined_block: seen in a block that is not final yet, or "" and 0.
        said: what came of the last `tx bump` or `tx cancel`.
        spent: nonces that it used up, as (sender, nonce).
    """

    key: str
    kind: str
    state: str
    chain: int
    executor: str
    workflow: int
    next_run: int
    generation: int
    id: str
    job: bytes
    holder: str
    fence: str
    attempts: int
    sender: str
    nonce: int | None
    bound_block: int
    attempts_sent: tuple[Attempt, ...]
    new_next_run: int
    unwanted: bool
    reason: str
    text: str
    outcome: str
    tx: str
    block: int
    seen: int
    held_since: int
    holds: int
    queued_at: int
    signed_at: int
    closed_at: int
    event: str = ""
    claimed_at: int = 0
    bound_at: int = 0
    fee_paid: int = 0
    mined_tx: str = ""
    mined_block: int = 0
    said: str = ""
    spent: tuple[tuple[str, int], ...] = ()

    @property
    def label(self) -> str:
        """For people."""
        return label(self.key)

    @property
    def occurrence(self) -> Occurrence:
        """What it is the record of; only for kinds `due` and `now`."""
        return Occurrence(
            self.chain,
            self.executor,
            self.workflow,
            self.next_run,
            self.generation,
            now_id=self.id if self.kind == "now" else None,
        )

    @property
    def claim(self) -> Job | None:
        """What the payload of a `raw` letter says of itself, where it is a job; nobody vouches for it."""
        if self.kind != "raw":
            return None
        try:
            return parse_job(self.job)
        except BadJob:
            return None

    @property
    def envelope(self) -> bytes:
        """Its element in an in-flight list."""
        return envelope(self.id, self.key, self.job)


def read_record(key: str, fields: Mapping[bytes, bytes]) -> Record | None:
    """A record from its hash; None where there is none.

    Only the ledger's scripts write these hashes; somebody who can write to Redis may have put anything there, so a
    number that is none reads as 0 and nothing here is believed before `executor.proof` has compared it with the bytes.
    """
    if not fields:
        return None

    def text(name: str) -> str:
        return fields.get(name.encode(), b"").decode("utf-8", "replace")

    def number(name: str) -> int:
        return _number(text(name))

    said = _said(key)
    return Record(
        key=key,
        kind=text("kind") or said.kind,
        state=text("st"),
        chain=number("chain") or said.chain,
        executor=text("executor") or said.executor,
        workflow=number("workflow") or said.workflow,
        next_run=number("nextRun") or said.next_run,
        generation=number("gen") or said.generation,
        id=text("id") or key,
        job=fields.get(b"job", b""),
        holder=text("holder"),
        fence=text("fence"),
        attempts=number("attempts"),
        sender=text("sender"),
        nonce=number("nonce") if text("nonce").isascii() and text("nonce").isdigit() else None,
        bound_block=number("bound_block"),
        attempts_sent=tuple(
            Attempt(
                raw=fields.get(b"raw:%d" % i, b""),
                hash=text(f"hash:{i}"),
                what=text(f"what:{i}"),
                answer=text(f"answer:{i}"),
                **_fees(fields.get(b"fee:%d" % i, b"")),
            )
            for i in range(min(number("n"), 1000))
        ),
        new_next_run=number("new_next_run"),
        unwanted=text("unwanted") == "1",
        reason=text("reason"),
        text=text("text"),
        outcome=text("outcome"),
        tx=text("tx"),
        block=number("block"),
        seen=number("seen"),
        held_since=number("held_since"),
        holds=number("holds"),
        queued_at=number("queued_at"),
        signed_at=number("signed_at"),
        closed_at=number("closed_at"),
        event=text("event"),
        claimed_at=number("claimed_at"),
        bound_at=number("bound_at"),
        fee_paid=number("fee_paid"),
        mined_tx=text("mined_tx"),
        mined_block=number("mined_block"),
        said=text("said"),
        spent=tuple(
            (sender, int(nonce))
            for sender, _, nonce in (each.rpartition(":") for each in text("spent").split())
            if nonce.isascii() and nonce.isdigit() and len(nonce) <= 78
        ),
    )


class _Said(NamedTuple):
    """What a record's key says of it, so that the record need not."""

    kind: str
    chain: int = 0
    executor: str = ""
    workflow: int = 0
    next_run: int = 0
    generation: int = 0


def _said(key: str) -> _Said:
    parts = key.split(":")
    if len(parts) != 5 or not (_number(parts[0]) and _number(parts[2])):
        return _Said("noop" if parts[0] == "noop" else "raw")
    chain, executor, workflow, when, last = parts
    if when == "now":
        return _Said("now", int(chain), executor, int(workflow))
    return _Said("due", int(chain), executor, int(workflow), _number(when), _number(last))


def _number(value: str) -> int:
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 78 else 0


def fees_json(max_fee: int, priority_fee: int) -> bytes:
    """The form in which an attempt's fees (wei per gas) are stored."""
    return json.dumps({"max": str(max_fee), "tip": str(priority_fee)}).encode()


def _fees(stored: bytes) -> dict[str, int]:
    try:
        value: dict[str, Any] = foreignjson.loads(stored)
        return {"max_fee": int(value["max"]), "priority_fee": int(value["tip"])}
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):  # JSON knows Infinity here
        return {"max_fee": 0, "priority_fee": 0}  # shrunk after settlement
