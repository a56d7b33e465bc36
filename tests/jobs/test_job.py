"""Payloads: whatever anybody pushes is either a job or says why not, and no byte of it changes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autometa_cli.chain.contracts import Workflow
from autometa_cli.jobs.job import (
    MAX_PAYLOAD_BYTES,
    BadJob,
    Job,
    envelope,
    job_json,
    new_id,
    occurrence_of,
    open_envelope,
    parse_job,
    renamed,
    with_fields,
)
from autometa_cli.jobs.occurrence import Occurrence, label
from autometa_cli.jobs.record import read_record
from autometa_cli.jobs.workers import element_for_list

UINT256 = 2**256 - 1
EXECUTOR = "0x" + "ee" * 20
OWNER = "0x" + "0a" * 20

uints = st.integers(0, UINT256)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
known = (
    "workflowId", "nextRun", "owner", "actionData", "id", "occurrence", "force", "triggerType", "actionType",
    "gasBudget", "interval", "retryCount", "v",
)  # fmt: skip


@st.composite
def jobs(draw: st.DrawFn) -> bytes:
    """Payloads that are jobs, written in all the ways that JSON allows."""
    fields: dict[str, Any] = {"workflowId": draw(st.integers(1, UINT256)), "nextRun": draw(uints)}
    optional = {
        "owner": st.sampled_from([OWNER, "", None]),
        "actionData": st.binary(max_size=50).map(bytes.hex),
        "id": st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
        "occurrence": st.just("1:0x:2:3:0"),
        "force": anything,
        "gasBudget": uints,
        "note": anything,
    }
    for name in draw(st.sets(st.sampled_from(sorted(optional)))):
        fields[name] = draw(optional[name])
    order = draw(st.permutations(sorted(fields)))
    text = json.dumps(
        {name: fields[name] for name in order},
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 1])),
        separators=draw(st.sampled_from([(",", ":"), (" , ", " : ")])),
    )
    blank = st.text(" \t\r\n", max_size=3)
    return (draw(blank) + text + draw(blank)).encode("utf-8", "replace")


def reason(raw: bytes) -> str | None:
    """Why the bytes are no job, or None."""
    try:
        assert parse_job(raw).raw == raw
    except BadJob as error:
        return error.message
    return None


# -- reading ----------------------------------------------------------------------------------------


@given(st.binary(max_size=300))
@example(b"\xef\xbb\xbf{}")
@example(b'{"workflowId":1,"nextRun":1,"a":"\\ud800"}')
def test_arbitrary_bytes_raise_nothing_else(raw: bytes) -> None:
    assert reason(raw) != ""


@given(st.dictionaries(st.sampled_from(known) | st.text(), anything))
def test_arbitrary_objects_raise_nothing_else(fields: dict[str, Any]) -> None:
    raw = json.dumps({"workflowId": 1, "nextRun": 5, **fields}).encode()
    why_not = reason(raw)

    assert why_not is None or 0 < len(why_not) < 300


@given(jobs())
def test_jobs_are_read(raw: bytes) -> None:
    job, fields = parse_job(raw), json.loads(raw)

    assert (job.workflow, job.next_run) == (fields["workflowId"], fields["nextRun"])
    assert job.owner == (fields.get("owner") or "")
    assert job.id == fields.get("id")
    assert job.force is (fields.get("force") is True)
    assert (job.action_data or b"").hex() == fields.get("actionData", "")


def deep(recursion_limit: int) -> Iterator[bytes]:
    for depth in (100, 900, 970, 980, 990, 1000, 5000, 60_000):
        for inner in ("[" * depth + "]" * depth, '{"a":' * (depth // 5) + "1" + "}" * (depth // 5)):
            for name in ("owner", "workflowId", "note"):
                rest = {"workflowId": 1, "nextRun": 1}
                rest.pop(name, None)
                yield b'{"%s":%s,%s' % (name.encode(), inner.encode(), json.dumps(rest).encode()[1:])
    assert sys.getrecursionlimit() == recursion_limit


@pytest.mark.parametrize("limit", [1000, 100_000])
def test_deep_nesting_raises_nothing_else(limit: int) -> None:
    """Libraries raise Python's recursion limit; neither with nor without that may a payload end the process."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        for raw in deep(limit):
            assert len(reason(raw) or "") < 300
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not JSON"),
        (b"\xff", "not UTF-8 (byte 0)"),
        (b"null", "a JSON NoneType"),
        (b"[1]", "a JSON list"),
        (b'{"workflowId":1,"nextRun":1}x', "not JSON"),
        (b'{"workflowId":true,"nextRun":1}', "workflowId is not a whole number: 'True'"),
        (b'{"workflowId":0,"nextRun":1}', "workflowId is not between 1 and"),
        (b'{"workflowId":"0x1","nextRun":1}', "workflowId is not a whole number: '0x1'"),
        (b'{"workflowId":"\xd9\xa1","nextRun":1}', "workflowId is not a whole number"),
        (b'{"workflowId":1,"nextRun":-1}', "nextRun is not between 0 and"),
        (b'{"workflowId":1,"nextRun":1e3}', "nextRun is not a whole number: '1000.0'"),
        (b'{"workflowId":1,"nextRun":null}', "nextRun is not a whole number: 'None'"),
        (b'{"workflowId":1,"nextRun":[[1]]}', "nextRun is not a whole number: a JSON list"),
        (b'{"workflowId":1,"nextRun":1,"owner":false}', "owner is not an address: 'False'"),
        (b'{"workflowId":1,"nextRun":1,"owner":{}}', "owner is not an address: a JSON dict"),
        (b'{"workflowId":1,"nextRun":1,"id":null}', "id is not a text"),
        (b'{"workflowId":1,"nextRun":1,"id":""}', "id is not a text"),
        (b'{"workflowId":1,"nextRun":1,"id":"a|b"}', "id is not a text"),
        (b'{"workflowId":1,"nextRun":1,"id":7}', "id is not a text"),
        (b'{"workflowId":1,"nextRun":1,"occurrence":null}', "occurrence is not a text"),
        (b'{"workflowId":1,"nextRun":1,"occurrence":"\\ud800"}', "occurrence is not a text"),
        (b'{"workflowId":1,"nextRun":1,"actionData":"0x0"}', "actionData: not hexadecimal"),
        (b'{"workflowId":1,"nextRun":1,"actionData":7}', "actionData is not hexadecimal text"),
        (b'{"workflowId":1,"nextRun":1,"gasBudget":-1}', "gasBudget is not between"),
        (b'{"workflowId":1,"nextRun":1,"retryCount":"many"}', "retryCount is not a whole number: 'many'"),
        (b'{"workflowId":1,"nextRun":1,"a":{"b":1,"b":2}}', "a field stands twice"),
        (b'{"workflowId":1,"nextRun":' + b"9" * 5000 + b"}", "not JSON"),
        (b"x" * (MAX_PAYLOAD_BYTES + 1000), "132072 bytes, more than 131072"),
    ],
)
def test_what_is_no_job_says_why(raw: bytes, message: str) -> None:
    with pytest.raises(BadJob) as caught:
        parse_job(raw)
    assert message in caught.value.message


def test_clients_without_big_integers_write_digits() -> None:
    raw = json.dumps({"workflowId": str(UINT256), "nextRun": "0", "gasBudget": "5", "owner": None}).encode()

    assert (parse_job(raw).workflow, parse_job(raw).next_run) == (UINT256, 0)


def test_null_is_absent() -> None:
    fields = dict.fromkeys(known, None) | {"workflowId": 1, "nextRun": 1}
    del fields["id"], fields["occurrence"]
    job = parse_job(json.dumps(fields).encode())

    assert (job.owner, job.action_data, job.force) == ("", None, False)


@pytest.mark.parametrize("prefix", ["", "0x", "0X"])
def test_action_data(prefix: str) -> None:
    raw = json.dumps({"workflowId": 1, "nextRun": 1, "actionData": prefix + "01FFab"}).encode()

    assert parse_job(raw).action_data == b"\x01\xff\xab"


# -- writing ----------------------------------------------------------------------------------------


@given(jobs())
def test_what_goes_back_is_what_came(raw: bytes) -> None:
    """With its identity in front, every other byte as it was; once only."""
    job = parse_job(raw)
    id, key = job.id or "id7", "1:0x:2:now:id7"
    element = job.for_list(id, key)

    assert element.endswith(raw.lstrip()[1:])
    again = parse_job(element)
    assert again.id == id
    assert again.occurrence == job.occurrence or key
    assert again.fields == {"id": id, "occurrence": key, **job.fields}
    assert again.for_list(id, key) == element
    assert element_for_list(id, key, raw) == element


def test_the_occurrence_alone_is_identity_enough() -> None:
    job = parse_job(b'{"workflowId":1,"nextRun":5}')

    assert job.for_list("1:0x:1:5:0", "1:0x:1:5:0") == (
        b'{"occurrence":"1:0x:1:5:0","workflowId":1,"nextRun":5}'
    )


@given(st.binary(max_size=100))
def test_what_is_no_job_goes_back_as_it_is(raw: bytes) -> None:
    try:
        parse_job(raw)
    except BadJob:
        assert element_for_list("id", "key", raw) == raw
    assert element_for_list("", "", raw) == raw


@given(jobs())
def test_fields_written_in_front(raw: bytes) -> None:
    written = with_fields(raw, first='ü"\\', second=True)

    assert json.loads(written) == {"first": 'ü"\\', "second": True, **json.loads(raw)}
    assert written.endswith(raw.lstrip()[1:])


@pytest.mark.parametrize("raw", [b"{}", b" { } ", b"{\n}"])
def test_fields_written_into_nothing(raw: bytes) -> None:
    assert json.loads(with_fields(raw, id="a")) == {"id": "a"}


@given(
    st.from_regex(r"[a-z0-9]{1,12}", fullmatch=True),
    st.from_regex(r"[0-9]:[a-z]", fullmatch=True),
    st.binary(),
)
def test_envelopes(id: str, key: str, raw: bytes) -> None:
    assert open_envelope(envelope(id, key, raw)) == (id, key, raw)


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: b"v1|" + tail))
def test_any_bytes_may_be_looked_at_as_an_envelope(raw: bytes) -> None:
    opened = open_envelope(raw)

    assert opened is None or envelope(*opened) == raw


@given(jobs())
def test_a_job_is_never_taken_for_an_envelope(raw: bytes) -> None:
    assert open_envelope(raw) is None


def workflow(next_run: int = 100) -> Workflow:
    return Workflow(7, OWNER, 1, b"", 2, b"\x01\x02", next_run, 60, True, 10**18)


@pytest.mark.parametrize("now", [False, True])
def test_the_payload_of_a_workflow(now: bool) -> None:
    job = parse_job(job_json(workflow(UINT256), id="a", now=now))

    assert (job.workflow, job.next_run, job.owner) == (7, 0 if now else UINT256, OWNER)
    assert (job.action_data, job.id) == (b"\x01\x02", "a")
    assert job.fields["gasBudget"] == 10**18


def test_ids_are_random() -> None:
    assert len({new_id() for _ in range(1000)}) == 1000


# -- identity ---------------------------------------------------------------------------------------


def job(next_run: int) -> Job:
    return parse_job(json.dumps({"workflowId": 7, "nextRun": next_run}).encode())


def test_which_occurrence_a_payload_means() -> None:
    assert occurrence_of(job(100), 1, EXECUTOR, 100, "x").key == f"1:{EXECUTOR}:7:100:0"
    assert occurrence_of(job(100), 1, EXECUTOR, 200, "x").key == f"1:{EXECUTOR}:7:100:0"
    assert occurrence_of(job(0), 1, EXECUTOR, 200, "x").key == f"1:{EXECUTOR}:7:now:x"
    assert occurrence_of(job(0), 1, EXECUTOR, 0, "x").key == f"1:{EXECUTOR}:7:0:0"  # its ordinary occurrence


def test_labels() -> None:
    assert label(Occurrence(1, EXECUTOR, 7, 100).key) == "7@100"
    assert label(Occurrence(1, EXECUTOR, 7, 100, 2).key) == "7@100+2"
    assert label(Occurrence(1, EXECUTOR, 7, 0, now_id="x").key) == "7!x"
    assert label("raw:12") == "raw:12"


# -- records ----------------------------------------------------------------------------------------

record_fields = st.sampled_from(
    [
        b"st",
        b"kind",
        b"nonce",
        b"n",
        b"workflow",
        b"nextRun",
        b"raw:0",
        b"hash:0",
        b"fee:0",
        b"attempts",
        b"x",
    ]
)


@given(st.dictionaries(record_fields, st.binary(max_size=40) | st.integers().map(lambda n: b"%d" % n)))
@example({b"nonce": "²".encode(), b"n": b"9" * 70, b"fee:0": b"[" * 5000})
@example({b"n": b"1", b"fee:0": b'{"max":[],"tip":null}'})
def test_arbitrary_records_are_read(fields: dict[bytes, bytes]) -> None:
    """Whoever can write to Redis may have put anything there."""
    record = read_record("key", fields)

    assert (record is None) == (not fields)
    if record is not None:
        assert record.nonce is None or record.nonce >= 0
        assert record.label == "key"


# -- versions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["", '"v": 1, ', '"v": "1", ', '"v": null, '])
def test_a_payload_of_this_version_or_without_one(version: str) -> None:
    raw = b'{%s"workflowId": 7, "nextRun": 5, "news": {"v": 9}}' % version.encode()

    assert (parse_job(raw).workflow, parse_job(raw).raw) == (7, raw)


def test_a_payload_of_a_newer_version_says_so() -> None:
    with pytest.raises(BadJob, match="v is 2: a newer version of autometa wrote it"):
        parse_job(b'{"v": 2, "workflowId": 7, "nextRun": 5}')


@pytest.mark.parametrize("version", ["0", "-1", "1.5", "true", '"one"', "[1]"])
def test_a_version_that_is_none(version: str) -> None:
    with pytest.raises(BadJob, match=r"^v is not "):
        parse_job(b'{"v": %s, "workflowId": 7, "nextRun": 5}' % version.encode())


def test_a_payload_gets_the_name_of_another_generation() -> None:
    raw = with_fields(b'{"workflowId":7, "nextRun":5 ,"note":"1:0x:7:5:0"}', occurrence="1:0x:7:5:0")

    assert renamed(raw, "1:0x:7:5:0", "1:0x:7:5:1") == raw.replace(b"5:0", b"5:1", 1)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"workflowId":7,"nextRun":5}',
        b"no job",
        b'{"note":{"occurrence":"1:0x:7:5:0"},"workflowId":7,"nextRun":5}',
    ],
)
def test_what_bears_no_name_stays_as_it_is(raw: bytes) -> None:
    assert renamed(raw, "1:0x:7:5:0", "1:0x:7:5:1") == raw
