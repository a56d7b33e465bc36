"""A second, small model: one workflow, whose due time N may come back, and a "now" job pushed by hand.

N comes back where the owner sets it back, where a "now" job writes the nextRun that it read earlier, where a reorg
swaps two transactions of different senders, or where an endpoint lags behind. That one occurrence is executed once is
taken for granted here (`explore`); the question is which occurrences there are: what `enqueue`, `adopt` and `bind` ask
of the generation, the watermark and the mutex of a workflow.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

N, NEXT = "N", "N+i"


class Job(NamedTuple):
    """A record: queued, signed, mined, closed. `new` is the nextRun that its call writes; `block` where it is mined."""

    st: str
    new: str = ""
    block: int = -1


class Mined(NamedTuple):
    """One transaction, in a block of its own."""

    kind: str
    number: int
    next_run: str


class State(NamedTuple):
    """One moment. `owner` and `reorgs`: how often that may still happen; `now` is "" before it is pushed."""

    due: bool = False
    chain: tuple[Mined, ...] = ()
    final: int = 0
    jobs: tuple[Job, ...] = ()
    now: Job = Job("")
    owner: int = 0
    reorgs: int = 0


@dataclass(frozen=True)
class Rules:
    """What is explored.

    Attributes:
        identity: when an occurrence that was closed may be opened again: `literal` (always), `block` (never),
            `generation` (when a finalized block, not before the one that closed it, shows its nextRun again).
        mutex: at most one record of a workflow holds a nonce.
        lag: endpoints may be one block behind.
        now: somebody pushes a "now" job.
        owner: how often the owner sets nextRun back.
        reorgs: how often the last block vanishes.
    """

    identity: str = "generation"
    mutex: bool = True
    lag: bool = False
    now: bool = False
    owner: int = 0
    reorgs: int = 0


def explore(rules: Rules) -> dict[str, list[str]]:
    """What can go wrong, each with the shortest way there: `double`, `lost`."""
    first = State(owner=rules.owner, reorgs=rules.reorgs)
    came: dict[State, tuple[State, str] | None] = {first: None}
    found: dict[str, list[str]] = {}
    todo = deque([first])
    while todo:
        s = todo.popleft()
        ran, resets = _history(s.chain)
        if ran > 1 + resets:
            found.setdefault("double", _path(came, s))
            continue
        steps = list(_steps(s, rules))
        asked = _next_run(s.chain) == N and len(s.jobs) < 3
        if _quiet(s) and asked and not any(label.startswith("scheduler") for label, _ in steps):
            found.setdefault("lost", _path(came, s))
        for label, following in steps:
            if following not in came:
                came[following] = (s, label)
                todo.append(following)
    return found


def _steps(s: State, rules: Rules) -> Iterator[tuple[str, State]]:
    real = _next_run(s.chain)
    views = {real} | ({_next_run(s.chain[:-1])} if rules.lag and s.chain else set())
    if not s.due:
        yield "N falls due", s._replace(due=True)
    if s.due and len(s.jobs) < 3 and _may_enqueue(s, rules, views):
        yield "scheduler: enqueues N", s._replace(jobs=(*s.jobs, Job("queued")))
    if rules.now and not s.now.st:
        yield "somebody pushes a now job", s._replace(now=Job("queued"))
    busy = any(job.st in ("signed", "mined") for job in (*s.jobs, s.now))
    for number, job in enumerate(s.jobs):
        for label, after, t in _job_steps(s, rules, job, views, "sched", number, busy):
            yield label, t._replace(jobs=(*t.jobs[:number], after, *t.jobs[number + 1 :]))
    for label, after, t in _job_steps(s, rules, s.now, views, "now", 0, busy):
        yield label, t._replace(now=after)
    if s.final < len(s.chain):
        yield "final", s._replace(final=len(s.chain))
        if s.reorgs:
            yield "the last block is gone", _without_last(s)
    if s.owner and real == NEXT:
        yield "the owner sets nextRun back to N", _mine(s, Mined("owner", 0, N))._replace(owner=s.owner - 1)


def _job_steps(
    s: State, rules: Rules, job: Job, views: set[str], kind: str, number: int, busy: bool
) -> Iterator[tuple[str, Job, State]]:
    if job.st == "queued" and not (rules.mutex and busy):
        for view in sorted(views):
            if kind == "now":
                # It leaves the schedule as it is, where that lies ahead.
                new = NEXT if view == N and s.due else view
                yield f"a worker signs the now job, newNextRun={new}", Job("signed", new), s
            elif view == N:
                yield "a worker finds N due, and signs", Job("signed", NEXT), s
            elif _next_run(s.chain[: s.final]) != N or rules.identity == "literal":
                yield "a worker finds that N has moved on, and skips it", Job("closed"), s
    if job.st == "signed":
        t = _mine(s, Mined(kind, number, job.new))
        yield f"mined: {'the now job' if kind == 'now' else 'N'}", Job("mined", job.new, len(t.chain)), t
    if job.st == "mined" and s.final >= job.block:
        yield f"settled: {'the now job' if kind == 'now' else 'N'}", job._replace(st="closed"), s


def _may_enqueue(s: State, rules: Rules, views: set[str]) -> bool:
    if any(job.st != "closed" for job in s.jobs):
        return False
    if rules.identity == "literal" or not s.jobs:
        return N in views
    if rules.identity == "block":
        return False
    return s.final >= max(job.block for job in s.jobs) and _next_run(s.chain[: s.final]) == N


def _mine(s: State, transaction: Mined) -> State:
    # The block before is final once the next one is there.
    return s._replace(chain=(*s.chain, transaction), final=len(s.chain))


def _without_last(s: State) -> State:
    last = s.chain[-1]
    t = s._replace(chain=s.chain[:-1], reorgs=s.reorgs - 1)
    again = Job("signed", last.next_run)
    if last.kind == "sched":
        return t._replace(jobs=(*s.jobs[: last.number], again, *s.jobs[last.number + 1 :]))
    return t._replace(now=again) if last.kind == "now" else t._replace(owner=s.owner + 1)


def _next_run(chain: tuple[Mined, ...]) -> str:
    return chain[-1].next_run if chain else N


def _history(chain: tuple[Mined, ...]) -> tuple[int, int]:
    """(runs of N, how often the owner asked for another one)."""
    ran = resets = 0
    for transaction in chain:
        ran += transaction.kind == "sched"
        resets += transaction.kind == "owner" and ran > resets
    return ran, resets


def _quiet(s: State) -> bool:
    waiting = any(job.st not in ("closed", "") for job in (*s.jobs, s.now))
    return s.due and s.final == len(s.chain) and not waiting


def _path(came: dict[State, tuple[State, str] | None], s: State) -> list[str]:
    path = []
    while (step := came[s]) is not None:
        s, label = step
        path.append(label)
    return path[::-1]


#: What may happen besides.
WEATHER = {
    "the owner resets": {"owner": 1},
    "a lagging endpoint": {"lag": True},
    "a now job": {"now": True},
    "a now job and a reorg": {"now": True, "reorgs": 1},
    "everything": {"lag": True, "now": True, "owner": 1, "reorgs": 1},
}


def table() -> Iterator[tuple[str, bool, str, dict[str, list[str]]]]:
    """Every combination: (identity, mutex, weather, what goes wrong)."""
    for identity, mutex in itertools.product(("literal", "block", "generation"), (False, True)):
        for name, weather in WEATHER.items():
            yield identity, mutex, name, explore(Rules(identity, mutex, **weather))  # type: ignore[arg-type]
