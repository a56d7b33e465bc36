"""The judge of the demo: it agrees with what went well, and with nothing else, to the wei."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from autometa_cli.demo.facts import Execution
from tests.demo.stories import ETHER, NOW, Story, good_story, record, tx

Bend = Callable[[Story], object]


def test_what_went_well_holds() -> None:
    verdict = good_story().verdict()

    assert verdict.failures == []
    assert len(verdict.checks) > 35
    outcomes = {each.part.name: each.outcome for each in verdict.workflows}
    assert outcomes == {
        "recurring": "executed 2 times",
        "token": "executed once",
        "call": "executed once",
        "failing": 'held: it reverted: "target is not healthy"',
        "forbidden": "buried as forbidden_target",
        "paused": "paused, never queued",
    }


def test_a_third_run_of_the_recurring_one_is_fine() -> None:
    story = good_story()
    third = replace(story.after.executions[-1], tx=tx(5), block=22, timestamp=NOW + 13, new_next_run=NOW + 18)
    payee = story.cast.members[0][1].action.to  # type: ignore[union-attr]
    milli = ETHER // 1000
    story.records.append(record(1, NOW + 12, "settled", outcome="executed", tx=tx(5)))
    one = story.after.workflows[1]
    assert one is not None
    story.change(
        executions=(*story.after.executions, third),
        workflows={**story.after.workflows, 1: replace(one, next_run=NOW + 18)},
        balances={**story.after.balances, payee: 3 * ETHER // 4},
        executor_balance=story.after.executor_balance - ETHER // 4 + milli,
        deposit=story.after.deposit - milli,
        escrow_balance=story.after.escrow_balance - milli,
        worker_transactions=5,
    )

    assert story.verdict().failures == []


def _execution(index: int, **changes: object) -> Bend:
    def bend(story: Story) -> None:
        executions = list(story.after.executions)
        executions[index] = replace(executions[index], **changes)  # type: ignore[arg-type]
        story.change(executions=tuple(executions))

    return bend


def _again(index: int) -> Bend:
    """The same occurrence once more, in another transaction: what must never happen."""

    def bend(story: Story) -> None:
        first = story.after.executions[index]
        story.change(
            executions=(*story.after.executions, replace(first, tx=tx(99), block=19, timestamp=NOW + 9))
        )

    return bend


def _workflow(id: int, **changes: object) -> Bend:
    def bend(story: Story) -> None:
        old = story.after.workflows[id]
        assert old is not None
        story.change(workflows={**story.after.workflows, id: replace(old, **changes)})  # type: ignore[arg-type]

    return bend


def _wei(field: str, by: int, index: int | None = None) -> Bend:
    def bend(story: Story) -> None:
        found = getattr(story.after, field)
        if index is None:
            story.change(**{field: found + by})
        else:
            who = list(found)[index]
            story.change(**{field: {**found, who: found[who] + by}})

    return bend


BENT: dict[str, tuple[Bend, str]] = {
    "the one-shot twice": (_again(1), "workflow 2 (send 120 TEST once): executions: expected 1, found 2"),
    "the recurring one twice for one date": (_again(0), "each due date once: expected yes"),
    "executed too early": (_execution(3, timestamp=NOW + 5), "came before the due date"),
    "a date that had passed": (_execution(3, new_next_run=NOW + 7), "wrote a date that had passed"),
    "a date outside the interval": (_execution(3, new_next_run=NOW + 13), "outside the interval"),
    "an action that failed": (_execution(1, success=False), "executions that succeeded: expected 1, found 0"),
    "a charge one wei too high": (_execution(2, charged=3 * ETHER // 1000 + 1), "charged to the escrow, wei"),
    "a payee with a wei less": (_wei("balances", -1, 0), "received, wei: expected 500000000000000000, found 49"),
    "a payee with a token more": (_wei("tokens", 1, 1), "received, smallest units"),
    "a call counted twice": (_wei("calls", 1, 0), "calls that the contract counted: expected 1, found 2"),
    "a call of the one that is held": (_wei("calls", 1, 1), "workflow 4 (call a contract that refuses): calls"),
    "money for the paused one": (_wei("balances", 1, 5), "workflow 6 (pay 5 DEV, but paused in time): received"),
    "an executor that paid a wei more": (_wei("executor_balance", -1), "the executor contract's balance, wei"),
    "tokens gone": (_wei("executor_tokens", -1), "the executor contract's tokens"),
    "a deposit that lost a wei": (_wei("deposit", -1), "the owner's deposit, wei"),
    "an escrow that was robbed": (_wei("escrow_balance", -ETHER), "the escrow's balance, wei"),
    "a transaction too many": (_wei("worker_transactions", 1), "transactions of the worker: expected 4, found 5"),
    "a next run that was moved": (_workflow(1, next_run=NOW + 18), "next run: expected"),
    "a held one that was moved": (_workflow(4, next_run=NOW + 1), "(call a contract that refuses): next run"),
    "a paused one that is active again": (_workflow(6, active=True), "active: expected no, found yes"),
    "a workflow that is gone": (lambda s: s.change(workflows={**s.after.workflows, 5: None}), "found gone"),
    "a clock that stands still": (lambda s: s.change(timestamp=NOW), "past its due date: expected yes, found no"),
    "a stranger's workflow": (
        lambda s: s.change(executions=(*s.after.executions, Execution(7, tx(7), 19, NOW, True, 0, NOW, ""))),
        "executions of other workflows: expected 0, found 1",
    ),
    "a ledger that knows less": (lambda s: s.records.pop(0), "transactions in the ledger"),
    "a held job that vanished": (lambda s: s.records.pop(4), "held: expected delayed as would_fail: target"),
    "another reason": (
        lambda s: s.records.__setitem__(4, record(4, NOW, "delayed", reason="would_fail", text="no money", holds=1)),
        "found delayed as would_fail: no money",
    ),
    "a forbidden one that waits": (
        lambda s: s.records.__setitem__(5, record(5, NOW, "queued")),
        "buried: expected dead as forbidden_target, found queued",
    ),
    "a job of the paused one": (lambda s: s.records.append(record(6, NOW, "skipped")), "jobs: expected 0, found 1"),
}  # fmt: skip


@pytest.mark.parametrize("what", BENT)
def test_anything_else_does_not_hold_and_says_which(what: str) -> None:
    story = good_story()
    bend, said = BENT[what]
    bend(story)

    failures = story.verdict().failures

    assert any(said in failure for failure in failures), failures


def test_nothing_that_ran_at_all() -> None:
    story = good_story()
    story.after = replace(story.before, workflows=story.after.workflows)
    story.records = []

    failures = story.verdict().failures

    assert "workflow 1 (pay 0.25 DEV every 6 s): executions: expected 2, found 0" in failures
    assert "workflow 2 (send 120 TEST once): executions: expected 1, found 0" in failures
