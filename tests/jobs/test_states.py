"""The state machine as it is written down is the one that runs: no script makes a move that no row has (`Recorder`
fails every test that sees one), every row is seen, and docs/state-machine.md says the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from autometa_cli.executor.ruling import Verdict
from autometa_cli.jobs import states
from autometa_cli.jobs.claim import Claim
from autometa_cli.jobs.record import OPEN_STATES, SIGNED_STATES
from autometa_cli.jobs.script import Answer
from tests.jobs import cases
from tests.jobs.desk import MOVES, Desk

PAGE = (Path(__file__).parents[2] / "docs" / "state-machine.md").read_text(encoding="utf-8")
CLOSED = {"settled", "skipped", "dead"}


def test_every_row_is_what_the_scripts_do(valkey_desk: Desk) -> None:
    """All cases of all scripts, and what they leave out. A row that nothing was seen to do is not true."""
    desk = valkey_desk
    for prepare in [case for (_, word, _), case in sorted(cases.CASES.items()) if word in ("ok", "twin")]:
        _empty(desk)
        prepare(desk)()
    for scenario in SCENARIOS:
        _empty(desk)
        scenario(desk)
    assert MOVES - desk.scripts.moves == set()


def _empty(desk: Desk) -> None:
    desk.redis.flushall()
    desk.scripts.seen = 0
    desk.do(desk.queue.join())


def _cancelled(desk: Desk, verdict: str, *, reason: str = "stuck") -> None:
    claim = desk.signed(desk.worker("ann"))
    desk.write(claim, b"cancel", "0xcancel", cancel=reason)
    desk.write(claim, b"dearer", "0xdearer", cancel=reason)
    desk.kill("ann")
    desk.do(desk.ledger.takeover(desk.record(claim.key), desk.worker("bob")))
    desk.settle(claim.key, verdict)


def _bound(desk: Desk, verdict: str) -> None:
    desk.settle(desk.bound(desk.worker("ann")).key, verdict)


def _bumped(desk: Desk) -> None:
    claim = desk.signed(desk.worker("ann"))
    assert desk.write(claim, b"dearer", "0xdearer").word == "ok"
    desk.kill("ann")


def _inherited(desk: Desk) -> None:
    claim = desk.bound(desk.worker("ann"))
    desk.kill("ann")
    again = desk.adopt(desk.worker("bob"), desk.take("bob"))
    assert isinstance(again, Claim)
    assert (again.key, again.bound) == (claim.key, True)


def _overlooked(desk: Desk) -> None:
    desk.bound(desk.worker("ann"))
    desk.kill("ann")
    desk.redis.delete(desk.keys.pending)
    for name in desk.redis.zrange(desk.keys.queued, 0, -1):
        desk.redis.zadd(desk.keys.queued, {name: 1})
    assert desk.do(desk.queue.sweep()) == 1


def _queued_and_adopted(desk: Desk) -> None:
    desk.enqueue()
    assert isinstance(desk.adopt(desk.worker("ann"), desk.take("ann")), Claim)


def _forgotten(desk: Desk, prepare: Callable[[Desk], str]) -> None:
    key = prepare(desk)
    k = desk.keys
    assert desk.call("recovery_begin", [k.epoch], []).word == "ok"
    answer: Answer = desk.call(
        "recovery_bury",
        [k.epoch, k.occurrence(key), k.workflow_of(key), k.dead, k.pending, k.delayed, k.queued],
        [key, b"", b"", key],
    )
    assert answer.word == "ok"


def _delayed_now(desk: Desk) -> str:
    claim = desk.claim(desk.worker("ann"), 0)
    desk.release(claim, "delayed", delay=60)
    return claim.key


SCENARIOS: tuple[Callable[[Desk], None], ...] = (
    *(
        lambda desk, verdict=verdict: _cancelled(desk, verdict)
        for verdict in ("executed", "cancelled", "uncertain")
    ),
    *(
        lambda desk, verdict=verdict: _bound(desk, verdict)
        for verdict in ("executed", "foreign", "uncertain")
    ),
    _bumped,
    _inherited,
    _overlooked,
    _queued_and_adopted,
    lambda desk: _forgotten(desk, _delayed_now),
    lambda desk: _forgotten(desk, lambda desk: desk.claim(desk.worker("ann"), 0).key),
)


def test_a_move_that_no_row_has_is_found(valkey_desk: Desk) -> None:
    """Nobody buries what is signed: were a script to do it, any test that sees it would fail."""
    desk = valkey_desk
    with pytest.raises(AssertionError, match="no row of jobs"):
        desk.scripts._watch("release", {b"st": b"signed"}, {b"st": b"dead"}, "ok")
    with pytest.raises(AssertionError, match="is no transition"):
        desk.scripts._watch("note", {b"st": b"signed"}, {b"st": b"dead"}, "ok")


def test_what_may_never_happen_is_in_no_row() -> None:
    for source, script, target in MOVES:
        if source in SIGNED_STATES and target not in SIGNED_STATES:
            assert script == "settle", "only a final block ends what is signed"
        if target == "signed" and source == "cancelling":
            pytest.fail("a call after a cancellation")
        if source in ("settled", "skipped"):
            pytest.fail("what is settled or skipped never moves again")
        if source == "dead":
            assert script in ("dead_retry", "dead_drop"), "only a person moves a dead letter"


def test_the_states_and_verdicts_are_those_of_the_code() -> None:
    assert set(states.STATES) == OPEN_STATES | CLOSED
    assert set(states.VERDICTS) == set(get_args(Verdict))
    named = {state for source, _, target in MOVES for state in (source, target)}
    assert named - {""} == set(states.STATES)


def test_the_page_says_the_same() -> None:
    """Row by row, as `jobs.states` writes them."""
    for head, rows in (
        ("| state | it is | who may move it |", states.states_page()),
        ("| from | script | guard | to | effects |", states.table_page()),
        ("| verdict | what was mined at the nonce | the record becomes |", states.verdicts_page()),
    ):
        found = re.search(rf"^{re.escape(head)}\n\|[-|]+\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
        assert found, head
        assert found[1].splitlines() == rows


def test_every_arrow_of_the_drawing_is_a_script_of_the_table() -> None:
    drawing = PAGE.split("```")[1]
    scripts = {row.script for row in states.TABLE}
    drawn = set(re.findall(r"[a-z_]+", drawing)) & scripts
    assert drawn >= {
        "enqueue",
        "adopt",
        "bind",
        "write_signed",
        "settle",
        "release",
        "reap",
        "promote",
        "requeue",
    }
