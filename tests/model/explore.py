"""Breadth first through all states; what is wrong comes with the shortest way there.

S1  an occurrence was executed twice
S2  a record is closed as executed or skipped, and that is not so
S3  a record is closed while its call may still be mined
L1  a state from which nothing but a fault or luck could close all records
"""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.model.setup import Setup
from tests.model.state import CALLS, CLOSED, LONGEST_CHAIN, World, executed, mined
from tests.model.steps import Steps


@dataclass
class Found:
    """What an exploration found.

    Attributes:
        states: how many were seen.
        complete: all of them; else nothing can be said of L1.
        wrong: property to (sentence, steps that lead there).
    """

    states: int
    complete: bool
    seconds: float
    wrong: dict[str, tuple[str, list[str]]] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """`OK`, or what is wrong."""
        return ", ".join(sorted(self.wrong)) or "OK"

    def __str__(self) -> str:
        end = "complete" if self.complete else "stopped"
        lines = [f"{self.verdict}: {self.states} states, {end}, {self.seconds:.1f} s"]
        for sentence, path in self.wrong.values():
            lines += [f"  {sentence}", *(f"    {n:2}. {step}" for n, step in enumerate(path, 1))]
        return "\n".join(lines)


def explore(setup: Setup, *, limit: int = 1_000_000, stop: bool = True) -> Found:
    """Look at every state within the setup's faults.

    Args:
        limit: of states; more are not looked at.
        stop: at the first double execution or false record.
    """
    gc.disable()  # millions of tuples without a cycle; looking for one takes a third of the time
    try:
        return _explore(setup, limit, stop)
    finally:
        gc.enable()


def _explore(setup: Setup, limit: int, stop: bool) -> Found:
    model, began = Steps(setup), time.monotonic()
    first = model.start()
    index: dict[World, int] = {first: 0}
    states, parents, back = [first], [(-1, "")], [[]]  # type: ignore[var-annotated]
    goals: list[int] = []
    found = Found(1, True, 0.0)
    todo = deque([0])

    def path(i: int) -> list[str]:
        way = []
        while i > 0:
            i, label = parents[i]
            way.append(label)
        return way[::-1]

    while todo:
        i = todo.popleft()
        s = states[i]
        if done(s):
            goals.append(i)
        for name, sentence in broken(s):
            found.wrong.setdefault(name, (sentence, path(i)))
        if found.wrong:
            if stop:
                found.complete = False
                break
            if twice(s):
                continue
        for label, following, progress in model.steps(s):
            j = index.get(following)
            if j is None:
                if len(states) >= limit:
                    found.complete = False
                    continue
                j = index[following] = len(states)
                states.append(following)
                parents.append((i, label))
                back.append([])
                todo.append(j)
            if progress:
                back[j].append(i)
    if found.complete:
        stuck = _stuck(states, back, goals)
        if stuck is not None:
            found.wrong["L1"] = ("L1: from here nothing but luck closes all records", path(stuck))
    found.states, found.seconds = len(states), time.monotonic() - began
    return found


def done(s: World) -> bool:
    """Everything is closed."""
    return all(r.st in CLOSED for r in s.redis.records) and s.run == s.redis.run and not s.redis.recovering


def twice(s: World) -> int | None:
    """An occurrence that was executed twice."""
    return next((o for o in range(len(s.redis.records)) if executed(s.chain, o) > 1), None)


def broken(s: World) -> Iterator[tuple[str, str]]:
    """What must never be so."""
    if (o := twice(s)) is not None:
        yield "S1", f"S1: {'XY'[o]} was executed twice"
    for o, r in enumerate(s.redis.records):
        ran = executed(s.chain, o)
        if r.st == "settled" and s.final == len(s.chain) and not ran and not _may_run(s, o):
            yield "S2", f"S2: {'XY'[o]} is settled as executed, and never was"
        if r.st == "skipped" and o not in s.paused and not ran:
            yield "S2", f"S2: {'XY'[o]} is skipped, though it was due and did not run"
        if r.st in CLOSED and not ran and s.final == len(s.chain) and done(s) and r.st == "settled":
            yield "S2", f"S2: {'XY'[o]} is settled as executed, and the chain does not have it"

    if s.run == s.redis.run and not s.redis.recovering:
        for k, n, o in s.out:
            if o < CALLS and s.redis.records[o].st in CLOSED and n >= mined(s.chain[: s.final], k):
                yield "S3", f"S3: {'XY'[o]} is closed, and its call at {'AB'[k]}{n} may still be mined"


def _may_run(s: World, o: int) -> bool:
    counts = [sum(1 for t in s.chain if t.sender == k) for k in range(2)]
    return any(b[2] == o and b[1] >= counts[b[0]] for b in s.out)


def _stuck(states: list[World], back: list[list[int]], goals: list[int]) -> int | None:
    can = bytearray(len(states))
    stack = list(goals)
    for goal in goals:
        can[goal] = 1
    while stack:
        for i in back[stack.pop()]:
            if not can[i]:
                can[i] = 1
                stack.append(i)
    for i, s in enumerate(states):
        # States whose next steps are not all explored say nothing.
        if s.snap is not None and not s.moved:
            continue
        if not can[i] and twice(s) is None and len(s.chain) < LONGEST_CHAIN - 1:
            return i
    return None
