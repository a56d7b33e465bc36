"""The job: one JSON object in a Redis list, read without ever being rewritten.

Anyone may push one (`redis-cli RPUSH workflow_jobs '{…}'`), so nothing in it is trusted: it names a workflow, and
the chain says the rest. docs/payload.md is the schema for people.
"""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from typing import Any

from autometa_cli import foreignjson
from autometa_cli.errors import AutometaError
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.units import UINT256_MAX, from_hex

#: A payload larger than this is not read, its id and record key left out: the ledger writes those (`Job.for_list`), and
#: what was taken once must be readable when it comes back.
MAX_PAYLOAD_BYTES = 128 * 1024
_MARKS = ("id", "occurrence")
_MARKS_BYTES = 512
#: Action data that is written into a payload. More than this is not executed, so whoever sees the chain's will say so.
_ACTION_BYTES = 24 * 1024
ENVELOPE_VERSION = b"v1"
#: The newest `v` of a payload that is understood here; a payload without one has this.
PAYLOAD_VERSION = 1
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEY = re.compile(r"[ !#-\[\]-~]{1,300}")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


class BadJob(AutometaError):
    """An element of the list is not a job. `text` says what is wrong, and where."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a payload asks for. `workflow`, `next_run`, `id` and `occurrence` steer; the rest is compared.

    Attributes:
        raw: the element, byte for byte.
        workflow: workflow id.
        next_run: Unix seconds; 0 means "now" where the chain's own nextRun is not 0.
        owner: address, or "" when the payload has none.
        action_data: bytes, or None when the payload has none.
        id: the pusher's id, or None.
        occurrence: record key that the scheduler gave, or None.
        force: a second "now" job of the workflow may be open.
        fields: everything, unknown fields included.
    """

    raw: bytes
    workflow: int
    next_run: int
    owner: str
    action_data: bytes | None
    id: str | None
    occurrence: str | None
    force: bool
    fields: dict[str, Any]

    def for_list(self, id: str, occurrence: str) -> bytes:
        """The element with its identity written in front, all other bytes untouched: how it goes back on the list."""
        lead = ""
        if "id" not in self.fields and id != occurrence:
            lead += _lead("id", id)
        if "occurrence" not in self.fields:
            lead += _lead("occurrence", occurrence)
        return b"{" + lead.encode() + self.raw.lstrip()[1:] if lead else self.raw


def _lead(name: str, value: str) -> str:
    """A field as it is written in front of others."""
    return f'"{name}":{json.dumps(value)},'


def parse_job(raw: bytes) -> Job:
    """Read one element of the list.

    Raises:
        BadJob: not JSON, not an object, or a field of the wrong type or size.
    """
    fields = _object(raw)
    if fields.get("v") is not None and (version := _uint(fields, "v", least=1)) > PAYLOAD_VERSION:
        raise BadJob(
            f"v is {version}: a newer version of autometa wrote it, this one reads payloads up to {PAYLOAD_VERSION}"
        )
    owner = fields.get("owner")
    owner = "" if owner is None else owner
    if not isinstance(owner, str) or (owner and not _ADDRESS.fullmatch(owner)):
        raise BadJob(f"owner is not an address: {_shown(owner)}")
    # These two are written into a payload that has none (`for_list`), and a field must not stand there twice. A "now"
    # job is told from its twin by its id alone, so one that cannot be used, null included, is not replaced.
    given = fields.get("id")
    if "id" in fields and (not isinstance(given, str) or not _ID.fullmatch(given)):
        raise BadJob("id is not a text of 1 to 64 letters, digits, _ or -")
    occurrence = fields.get("occurrence")
    if "occurrence" in fields and (not isinstance(occurrence, str) or not _KEY.fullmatch(occurrence)):
        raise BadJob("occurrence is not a text of 1 to 300 plain characters")
    for name in ("triggerType", "actionType", "gasBudget", "interval", "retryCount"):
        if fields.get(name) is not None:
            _uint(fields, name)
    return Job(
        raw=raw,
        workflow=_uint(fields, "workflowId", least=1),
        next_run=_uint(fields, "nextRun"),
        owner=owner,
        action_data=_action_data(fields),
        id=given,
        occurrence=occurrence,
        force=fields.get("force") is True,
        fields=fields,
    )


def _object(raw: bytes) -> dict[str, Any]:
    too_large = BadJob(f"the payload has {len(raw)} bytes, more than {MAX_PAYLOAD_BYTES}")
    if len(raw) > MAX_PAYLOAD_BYTES + _MARKS_BYTES:
        raise too_large
    try:
        value = foreignjson.guarded(_DECODER.decode, raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise BadJob(f"the payload is not UTF-8 (byte {error.start})") from None
    except RecursionError:
        raise BadJob("the payload is nested too deeply") from None
    except ValueError as error:
        raise BadJob(f"the payload is not JSON: {_why_no_json(error)}") from None
    if not isinstance(value, dict):
        raise BadJob(f"the payload is a JSON {type(value).__name__}, not an object")
    if len(raw) > MAX_PAYLOAD_BYTES:
        marks = [_lead(name, value[name]) for name in _MARKS if isinstance(value.get(name), str)]
        if len(raw) - len("".join(marks)) > MAX_PAYLOAD_BYTES:
            raise too_large
    return value


def _why_no_json(error: ValueError) -> str:
    """In our words, with one place: Python's talk of lines and of its own settings."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg[:1].lower()}{error.msg[1:]} at character {error.pos + 1}"
    return "a number with too many digits" if "digits" in str(error) else str(error)[:120]


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Two fields of one name mean different things to different readers.
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field stands twice in one object")
    return fields


#: One for all: `json.loads` makes another for each text that it reads with a hook.
_DECODER = json.JSONDecoder(object_pairs_hook=_no_twins)


def _uint(fields: dict[str, Any], name: str, least: int = 0) -> int:
    """A uint256, written as a number or, as clients without big integers do, as decimal digits."""
    if name not in fields:
        raise BadJob(f"{name} is missing")
    value = fields[name]
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,78}", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadJob(f"{name} is not a whole number: {_shown(value)}")
    if not least <= value <= UINT256_MAX:
        raise BadJob(f"{name} is not between {least} and 2^256 - 1")
    return value


def _shown(value: Any) -> str:
    """A value for a message; what is nested is not walked through."""
    if isinstance(value, list | dict):
        return f"a JSON {type(value).__name__}"
    return repr(value if isinstance(value, str) else str(value))[:50]


def _action_data(fields: dict[str, Any]) -> bytes | None:
    text = fields.get("actionData")
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise BadJob("actionData is not hexadecimal text")
    try:
        return from_hex(text)
    except ValueError as error:
        raise BadJob(f"actionData: {error}") from None


def new_id() -> str:
    """Twelve random hex digits: the id of a pushed job."""
    return secrets.token_hex(6)


def job_json(
    workflow: Any, *, id: str | None = None, now: bool = False, event: dict[str, Any] | None = None
) -> bytes:
    """The payload for a workflow as the chain shows it (a `chain.contracts.Workflow`).

    Args:
        id: the pusher's id.
        now: run it whatever its schedule (`nextRun` 0).
        event: the transfer that it is run for (`scheduling.occasion.Event.document`).
    """
    fields: dict[str, Any] = {
        "workflowId": workflow.id,
        "owner": workflow.owner,
        "triggerType": workflow.trigger_type,
        "actionType": workflow.action_type,
        "actionData": workflow.action_data.hex() if len(workflow.action_data) <= _ACTION_BYTES else None,
        "nextRun": 0 if now else workflow.next_run,
        "gasBudget": workflow.gas_budget,
        "interval": workflow.interval,
        "retryCount": 0,
    }
    if id:
        fields["id"] = id
    if event:
        fields["event"] = event
    return json.dumps(fields, separators=(",", ":")).encode()


def with_fields(raw: bytes, **fields: str | bool) -> bytes:
    """A JSON object with fields written in front, its other bytes untouched."""
    lead = ",".join([f"{_quoted(name)}:{_quoted(value)}" for name, value in fields.items()])
    rest = raw.lstrip()[1:]
    return b"".join((b"{", lead.encode(), b"," if rest.strip() != b"}" else b"", rest))


def _quoted(value: str | bool) -> str:
    return encode_basestring_ascii(value) if isinstance(value, str) else json.dumps(value)


def renamed(raw: bytes, old: str, new: str) -> bytes:
    """A payload that the ledger wrote a record key into (`for_list`, `with_fields`), with another; else as it is."""
    field = b'"occurrence":%s', b'"occurrence": %s'
    for form in field:
        changed = raw.replace(form % json.dumps(old).encode(), form % json.dumps(new).encode(), 1)
        try:
            if changed != raw and parse_job(changed).occurrence == new:
                return changed
        except BadJob:
            continue
    return raw


def envelope(id: str, key: str, raw: bytes) -> bytes:
    """What an adopted element looks like in an in-flight list: `v1|<id>|<record key>|<raw bytes>`."""
    return b"|".join((ENVELOPE_VERSION, id.encode(), key.encode(), raw))


def open_envelope(element: bytes) -> tuple[str, str, bytes] | None:
    """(id, record key, raw) of an envelope; None for a raw element (a JSON object never starts with `v1|`)."""
    parts = element.split(b"|", 3)
    if len(parts) != 4 or parts[0] != ENVELOPE_VERSION or not (parts[1] + parts[2]).isascii():
        return None
    return parts[1].decode(), parts[2].decode(), parts[3]


def occurrence_of(job: Job, chain: int, executor: str, chain_next_run: int, id: str) -> Occurrence:
    """Which occurrence a payload means, given what the chain says of its workflow (DESIGN 2.3).

    A payload with nextRun 0 is a "now" job unless the chain's own nextRun is 0 too.
    """
    if job.next_run == 0 and chain_next_run != 0:
        return Occurrence(chain, executor, job.workflow, 0, now_id=id)
    return Occurrence(chain, executor, job.workflow, job.next_run)
