"""The protocol holds in every state within reach; each of its rules is needed; and it is the one that was built."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources

import pytest

from tests.model.explore import Found, explore
from tests.model.schedule import WEATHER, table
from tests.model.scripts import Scripts
from tests.model.setup import FAULTS, RULES, Setup

#: Scripts that the model does without, and why.
ELSEWHERE = {
    "prelude": "part of all others",
    "enqueue": "in schedule.py: which occurrences there are",
    "enqueue_many": "enqueue, for many at once",
    "note_events": "what fires a workflow, before there is an occurrence",
    "bury_event": "the same, after a loss",
    "lead": "which scheduler enqueues; enqueue itself is once-only",
    "epoch": "compares run ids: `_guard`",
    "beat": "time; in the model anybody may be taken for dead at any moment",
    "leave": "a crash with nothing in flight",
    "note": "facts for people, which decide nothing",
    "request": "a person's wish; in the model anybody may wish to cancel at any moment",
    "take": "BLMOVE for many at once; whose a job is, adopt decides",
    "entomb": "elements that are no jobs",
    "dead_retry": "a person's decision: a new occurrence",
    "dead_drop": "a person's decision about a record that is closed",
    "serve": "which contracts; the model has one executor",
    "pause": "whether anybody claims; in the model nobody has to",
    "clear": "moves the list aside; what is lost from it is `lift`",
    "postpone": "when the sweep looks for an element again; in the model it may at any moment",
    "restore": "brings it back; what came twice by then is `twin`",
}


def setup(
    kinds: str, *, now: bool = False, without: str = "", faults: int | None = None, **more: int
) -> Setup:
    """Every one of these faults may happen (or so many of them)."""
    names = frozenset(kinds.split())
    return Setup(
        kinds=names,
        faults=len(names) if faults is None else faults,
        now=frozenset({0} if now else ()),
        without=frozenset(without.split()),
        **more,  # type: ignore[arg-type]
    )


#: All but what a restart of Redis takes.
ORDINARY = " ".join(sorted(set(FAULTS) - {"loss", "lift", "twin"}))

HOLDS = {
    "two jobs, one key, any fault": setup(ORDINARY, faults=1),
    "two jobs, two keys, any fault": setup(ORDINARY, faults=1, keys=2),
    "one job, two keys, any two faults": setup(ORDINARY, faults=2, keys=2, jobs=1),
    "one job, elements lost and doubled": setup("lift twin crash", jobs=1),
    "a loss": setup("loss", jobs=1, keys=2, window=1),
    "a loss and a lost reply": setup("loss reply", jobs=1),
    "a loss and a cancel, now": setup("loss cancel", jobs=1, now=True, window=2),
    "a loss and a revert, now": setup("loss revert", jobs=1, now=True, window=1),
    "a loss and trouble, now": setup("loss trouble", jobs=1, now=True, window=1),
}

#: Without each rule: what goes wrong, and where it is seen soonest.
NEEDED = {
    "fence": ("S1", setup("reap", jobs=1, keys=2)),
    "write_ahead": ("S1", setup("crash", jobs=1, keys=2)),
    "keep_signed": ("S1", setup("crash", jobs=1)),
    "ambiguous_sent": ("S1", setup("reply", jobs=1)),
    "final_settle": ("S3", setup("reorg", jobs=1)),
    "mined_decides": ("S3", setup("cancel", jobs=1)),
    "verify_own": ("S2", setup("foreign", jobs=1)),
    "rebroadcast": ("L1", setup("drop", jobs=1)),
    "catch_up": ("L1", setup("foreign", jobs=1)),
    "gap_fill": ("L1", setup("trouble pause")),
    "barrier": ("S1", setup("loss", jobs=1, keys=2, window=1)),
    "proof": ("S1", setup("loss", jobs=1, keys=2, window=1)),
    "run_fence": ("S1", setup("loss reap", jobs=1, keys=2, window=1)),
    "bury_now": ("S1", setup("loss", jobs=1, now=True, window=1)),
    "doubt_bound": ("S1", setup("loss trouble", jobs=1, now=True, window=1)),
    "look_twice": ("S1", setup("loss revert", jobs=1, now=True, window=1)),
    "forgotten": ("S1", setup("loss foreign", jobs=1, now=True, window=1)),
}
#: Needed only by what takes minutes to see.
NEEDED_LATE = {"window": ("S1", setup("loss", window=1))}
#: The ledger alone keeps an occurrence from running twice; the look at the chain is there for owners and losses.
NOT_NEEDED = {"check_chain"}


def without(rule: str, given: Setup, limit: int = 1_000_000) -> Found:
    return explore(replace(given, without=frozenset({rule})), limit=limit)


@pytest.mark.parametrize("name", HOLDS)
def test_it_holds(name: str) -> None:
    found = explore(HOLDS[name])

    assert found.complete
    assert found.verdict == "OK", str(found)


@pytest.mark.parametrize("rule", NEEDED)
def test_every_rule_is_needed(rule: str) -> None:
    wrong, given = NEEDED[rule]

    found = without(rule, given)

    assert wrong in found.wrong, str(found)


def test_there_is_a_verdict_on_every_rule() -> None:
    assert {*NEEDED, *NEEDED_LATE, *NOT_NEEDED} == set(RULES)


def test_the_look_at_the_chain_is_not_what_keeps_us_from_executing_twice() -> None:
    assert without("check_chain", setup(ORDINARY, faults=1, jobs=1, keys=2)).verdict == "OK"


def test_a_key_that_is_gone_for_good_is_beyond_help() -> None:
    """Nobody else can fill a gap of its nonces: that is told, and waits for a person (I9)."""
    found = explore(setup("crash reap", keys=2, dead_key=0))

    assert found.verdict == "L1", str(found)


def test_the_model_is_of_what_was_built() -> None:
    folder = resources.files("autometa_cli.jobs") / "scripts"
    built = {entry.name.removesuffix(".lua") for entry in folder.iterdir() if entry.name.endswith(".lua")}
    modelled = {name for name in vars(Scripts) if not name.startswith("_")}

    assert modelled & set(ELSEWHERE) == set()
    assert modelled | set(ELSEWHERE) == built


@pytest.mark.parametrize("weather", WEATHER)
def test_a_due_time_that_comes_back_runs_as_often_as_it_was_asked_for(weather: str) -> None:
    found = {(identity, mutex): wrong for identity, mutex, name, wrong in table() if name == weather}

    assert found["generation", True] == {}


def test_neither_generations_nor_the_mutex_alone_are_enough() -> None:
    found = {(identity, mutex, name): set(wrong) for identity, mutex, name, wrong in table()}

    assert found["generation", False, "a now job"] == {"double"}
    assert found["literal", True, "a lagging endpoint"] == {"double"}
    assert found["block", True, "the owner resets"] == {"lost"}


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "given",
    [
        setup(ORDINARY, faults=2),
        setup(ORDINARY, faults=2, keys=2),
        setup(ORDINARY, faults=3, jobs=1, keys=2),
        setup("lift twin crash reap", faults=2),
        setup("loss", window=2),
        setup("loss reap", jobs=1, keys=2),
        setup("loss crash reap", jobs=1, now=True, window=2),
        setup("loss crash revert trouble", jobs=1, now=True, window=2),
    ],
    ids=lambda given: (
        f"{given.jobs} jobs, {given.keys} keys, {given.faults} of {' '.join(sorted(given.kinds))}"
    ),
)
def test_it_holds_for_long(given: Setup) -> None:
    found = explore(given, limit=8_000_000)

    assert found.complete
    assert found.verdict == "OK", str(found)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("rule", NEEDED_LATE)
def test_what_takes_long_to_see(rule: str) -> None:
    wrong, given = NEEDED_LATE[rule]

    assert wrong in without(rule, given, 8_000_000).wrong
