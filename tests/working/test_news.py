"""What a worker's log tells again and again, and what not."""

from __future__ import annotations

from typing import Any, cast

from autometa_cli.executor.decision import Refusal
from autometa_cli.working import intake
from autometa_cli.working.intake import Intake


def _intake() -> Intake:
    nothing = cast(Any, None)
    return Intake(nothing, nothing, nothing, "ann")


def _low(balance: int) -> Refusal:
    return Refusal("delayed", "executor_low", f"the balance is {balance}", delay=30.0)


def test_of_a_job_that_waits_the_same_is_told_once() -> None:
    mine = _intake()
    assert [mine._is_news("a", _low(each)) for each in (1, 1, 1, 2, 2)] == [True, False, False, True, False]
    assert mine._is_news("b", _low(2)), "another job"
    assert mine._is_news("a", Refusal("dead", "max_hold", "the balance is 2"))
    assert mine._is_news("a", Refusal("dead", "max_hold", "the balance is 2")), "an end is always told"
    assert mine._is_news("a", _low(2)), "it waits again"


def test_what_was_said_does_not_pile_up(monkeypatch: Any) -> None:
    monkeypatch.setattr(intake, "_REMEMBERED", 10)
    mine = _intake()
    for number in range(50):
        assert mine._is_news(str(number), _low(1))
    assert len(mine._said) == 10
