"""The largest payload that is taken comes back from wherever the queue puts it."""

from __future__ import annotations

import pytest

from autometa_cli.chain.contracts import Workflow
from autometa_cli.jobs.claim import Claim
from autometa_cli.jobs.job import MAX_PAYLOAD_BYTES, BadJob, job_json, parse_job, with_fields
from tests.jobs.desk import Desk


def padded(raw: bytes, size: int = MAX_PAYLOAD_BYTES) -> bytes:
    """The same job with a note that makes it so large."""
    return raw[:-1] + b', "note": "' + b"x" * (size - len(raw) - 12) + b'"}'


@pytest.mark.parametrize("next_run", [0, 100])
def test_it_can_be_given_back(valkey_desk: Desk, next_run: int) -> None:
    desk, ann = valkey_desk, valkey_desk.worker("ann")
    raw = padded(desk.payload(next_run))
    assert len(raw) == MAX_PAYLOAD_BYTES
    desk.push(raw)
    claim = desk.adopt(ann, desk.take(ann))
    assert isinstance(claim, Claim)
    desk.release(claim, "queued")
    again = desk.adopt(ann, desk.take(ann))
    assert isinstance(again, Claim)
    desk.release(again, "delayed")
    desk.mature(claim.key)
    desk.do(desk.queue.promote())
    third = desk.adopt(ann, desk.take(ann))
    assert isinstance(third, Claim)
    desk.kill(ann)

    assert parse_job(desk.take(desk.worker("bob"))).occurrence == claim.key


def test_nobody_may_push_a_larger_one() -> None:
    raw = b'{"workflowId": 1, "nextRun": 0}'
    parse_job(padded(raw))
    with pytest.raises(BadJob, match="bytes"):
        parse_job(padded(raw, MAX_PAYLOAD_BYTES + 1))
    marked = with_fields(padded(raw), id="i" * 64, occurrence="o" * 300)
    assert parse_job(marked).id == "i" * 64
    with pytest.raises(BadJob, match="bytes"):
        parse_job(with_fields(padded(raw, MAX_PAYLOAD_BYTES + 1), id="i" * 64, occurrence="o" * 300))


def test_a_workflow_with_any_action_data_makes_a_readable_job() -> None:
    """Its owner pays for it, and no worker will run it; the letter shall say that, and not that it cannot be read."""
    huge = Workflow(
        id=1, owner="0x" + "0a" * 20, trigger_type=1, trigger_data=b"", action_type=1,
        action_data=b"\x01" * 200_000, next_run=100, interval=0, active=True, gas_budget=0,
    )  # fmt: skip

    assert parse_job(job_json(huge)).action_data is None
