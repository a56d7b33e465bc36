"""Which scheduler leads."""

from __future__ import annotations

from tests.jobs.cases import CASES, Act, case
from tests.jobs.desk import Desk


def _take(desk: Desk) -> Act:
    return lambda: desk.lead("take", "ann")


CASES["lead", "ok", ""] = _take


@case("lead", "ok", "lapsed")
def _(desk: Desk) -> Act:
    desk.lead("take", "bob")
    desk.redis.hset(desk.keys.leader, "until", 1)
    return _take(desk)


@case("lead", "ok", "the clock went back")
def _(desk: Desk) -> Act:
    desk.lead("take", "bob")
    desk.redis.hset(desk.keys.leader, "until", desk.now_ms() + 3_600_000)
    return _take(desk)


@case("lead", "already", "nothing to leave")
def _(desk: Desk) -> Act:
    desk.lead("take", "bob")
    return lambda: desk.lead("leave", "ann")


@case("lead", "ok", "left")
def _(desk: Desk) -> Act:
    desk.lead("take", "ann")
    return lambda: desk.lead("leave", "ann")


@case("lead", "held")
def _(desk: Desk) -> Act:
    desk.lead("take", "bob")
    return _take(desk)
