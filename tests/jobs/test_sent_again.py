"""A script that is sent again, because its answer was lost, while another element of the same bytes is there."""

from __future__ import annotations

from collections import Counter

from autometa_cli.jobs.claim import Claim
from tests.jobs.desk import Desk


def test_a_twin_is_buried_and_the_next_one_stays(valkey_desk: Desk) -> None:
    """Three equal "now" jobs: the repetition of the second one's burial must not take the third one's element."""
    desk, ann = valkey_desk, valkey_desk.worker("ann")
    raw = desk.payload(0)
    for _ in range(3):
        desk.push(raw)
        desk.take(ann)
    assert isinstance(desk.adopt(ann, raw), Claim)
    desk.adopt(ann, raw)
    assert desk.answer.word == "twin"
    before = desk.dump()

    assert desk.again().word == "twin"

    assert desk.dump() == before
    desk.adopt(ann, raw)
    assert [letter.reason for letter in desk.do(desk.inspector.dead())] == ["duplicate"] * 2
    assert len(desk.inflight(ann)) == 1


def test_a_claim_that_is_over_takes_no_second_element(valkey_desk: Desk) -> None:
    """The call comes once more from a buffer, after its job was done; an equal job waits in the same list."""
    desk, ann = valkey_desk, valkey_desk.worker("ann")
    raw = desk.payload(0)
    for _ in range(2):
        desk.push(raw)
        desk.take(ann)
    claim = desk.adopt(ann, raw)
    assert isinstance(claim, Claim)
    asked = desk.scripts.asked[-1]
    desk.release(claim, "skipped")

    assert desk.call(*asked).word == "duplicate"

    second = desk.adopt(ann, raw)
    assert isinstance(second, Claim)
    assert second.key != claim.key


def test_two_equal_elements_that_are_no_jobs_are_two_letters(valkey_desk: Desk) -> None:
    desk, ann = valkey_desk, valkey_desk.worker("ann")
    for _ in range(2):
        desk.push(b"no job")
        desk.take(ann)
    desk.do(desk.queue.entomb(ann, b"no job", "unreadable", "why"))

    assert desk.again().word == "already"
    assert desk.inflight(ann) == [b"no job"]
    desk.do(desk.queue.entomb(ann, b"no job", "unreadable", "why"))

    assert Counter(letter.job for letter in desk.do(desk.inspector.dead())) == {b"no job": 2}
