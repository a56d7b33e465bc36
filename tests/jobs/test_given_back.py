"""A run that is not to be gives its transfer back, in the step that closes it, and at most once."""

from __future__ import annotations

import pytest

from tests.jobs.cases.events import cancelled, fired, later
from tests.jobs.desk import Desk

WAITED = "0xabc/0:2"


def test_a_skipped_run_gives_its_transfer_back_once(desk: Desk) -> None:
    claim = fired(desk)
    assert desk.waiting() == {7: "0xdef/1:1"}
    assert desk.release(claim, "skipped", gives_back=True).word == "ok"
    assert desk.waiting() == {1: WAITED, 7: "0xdef/1:1"}
    # The next occurrence takes it; the late repetition of the release brings it back for nobody.
    release = desk.scripts.asked[-1]
    assert desk.enqueue(200, block=20, event=(WAITED, "0xabc/0")).word == "ok"
    assert desk.call(*release).word == "already"
    assert desk.waiting() == {7: "0xdef/1:1"}


def test_a_transfer_that_came_meanwhile_names_the_run_of_both(desk: Desk) -> None:
    claim = fired(desk)
    later(desk)
    desk.release(claim, "skipped", gives_back=True)
    assert desk.waiting()[1] == "0xfed/0:5"


@pytest.mark.parametrize("to", ["skipped", "dead", "delayed", "queued"])
def test_nothing_is_given_back_unasked_or_while_the_run_may_still_be(desk: Desk, to: str) -> None:
    claim = fired(desk)
    assert desk.release(claim, to, gives_back=to != "skipped").word == "ok"
    assert 1 not in desk.waiting()


def test_a_cancelled_run_gives_its_transfer_back_once(desk: Desk) -> None:
    settle = cancelled(desk)
    assert 1 not in desk.waiting()
    settle()
    assert desk.answer.word == "ok"
    assert desk.waiting()[1] == WAITED
    assert desk.again().word == "already"
    assert desk.enqueue(200, block=20, event=(WAITED, "0xabc/0")).word == "ok"
    settle()
    assert desk.answer.word == "already"
    assert 1 not in desk.waiting()


def test_an_executed_run_gives_nothing_back(desk: Desk) -> None:
    claim = fired(desk)
    desk.bind(claim)
    desk.write(claim)
    desk.settle(claim.key, "executed", gives_back=True)
    assert 1 not in desk.waiting()


def test_a_dead_run_that_is_tried_again_can_still_give_back(desk: Desk) -> None:
    claim = fired(desk)
    desk.release(claim, "dead")
    assert desk.do(desk.letters.retry(desk.record(claim.key), by="ann")).word == "ok"
    again = desk.adopt("ann", desk.take("ann"), block=30)
    desk.release(again, "skipped", gives_back=True)  # type: ignore[arg-type]
    assert desk.waiting()[1] == WAITED


def test_what_somebody_wrote_among_the_waiting_ones_is_no_obstacle(desk: Desk) -> None:
    claim = fired(desk)
    desk.redis.hset(desk.keys.events(1287, "0x" + "ee" * 20), "1", "garbage")
    assert desk.release(claim, "skipped", gives_back=True).word == "ok"
    assert desk.state(claim.key) == "skipped"
    assert desk.waiting()[1] == WAITED
