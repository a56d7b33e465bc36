"""Random sequences of everything that people and workers do to a queue, beside a model in plain Python.

After each step every job is where the model says: pending (in which order), moved aside by `clear`, in the hands of a
worker, delayed, dead or done.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.jobs.claim import Claim
from autometa_cli.jobs.job import open_envelope, parse_job
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.jobs.workers import POISON_AFTER
from tests.jobs.desk import CHAIN, EXECUTOR, Desk

NAMES = ("ann", "bob", "cat")
_WHO = st.sampled_from(NAMES)


class QueueMachine(RuleBasedStateMachine):
    """Jobs are workflows here: each is pushed once, so its number is its name. All is seen at block 10, a final one."""

    desk: Desk

    def __init__(self) -> None:
        super().__init__()
        self.desk.redis.flushall()
        self.desk.scripts.seen = 0
        self.desk.do(self.desk.queue.join())
        self.lives = 0
        self.pushed = 0
        self.pending: list[int] = []
        self.aside: list[list[int]] = []
        self.taken: dict[str, list[int]] = {}
        self.claims: dict[str, list[Claim]] = {}
        self.ghosts: list[Claim] = []
        self.delayed: set[int] = set()
        self.dead: set[int] = set()
        self.done: set[int] = set()
        self.generation: Counter[int] = Counter()
        self.deaths: Counter[int] = Counter()
        self.told: list[tuple[int, str]] = []
        self.paused = False
        self.ids = {name: self._born(name) for name in NAMES}

    def _born(self, name: str) -> str:
        self.lives += 1
        id = self.desk.worker(f"{name}{self.lives}")
        self.taken[id], self.claims[id] = [], []
        return id

    # -- people ---------------------------------------------------------------------------------------

    @rule(once_only=st.booleans())
    def push(self, once_only: bool) -> None:
        self.pushed += 1
        if once_only:
            assert self.desk.enqueue(100, self.pushed).word == "ok"
        else:
            self.desk.push(self.desk.payload(100, self.pushed))
        self.pending.append(self.pushed)

    @precondition(lambda self: self.pushed)
    @rule(data=st.data())
    def push_again(self, data: st.DataObject) -> None:
        """A scheduler that sees the same occurrence once more. What was closed as not due may be due again."""
        workflow = data.draw(st.integers(1, self.pushed))
        if not self.desk.redis.exists(self.desk.keys.occurrence(self._key(workflow))):
            return  # pushed by hand, and nobody looked at it yet
        word = self.desk.enqueue(100, workflow).word
        if workflow in self.done:
            assert word == "ok"
            self.done.remove(workflow)
            self.generation[workflow] += 1
            self.deaths[workflow] = 0  # a record of its own
            self.pending.append(workflow)
        else:
            assert word == ("dead" if workflow in self.dead else "already")

    def _key(self, workflow: int) -> str:
        return Occurrence(CHAIN, EXECUTOR, workflow, 100, self.generation[workflow]).key

    @rule()
    def clear(self) -> None:
        stamp, count = self.desk.do(self.desk.queue.clear())
        if stamp in self._stamps():
            assert count == len(self.pending)
        if self.pending:
            self.aside.append(self.pending)
            self.pending = []

    def _stamps(self) -> list[str]:
        return [each.decode() for each in self.desk.redis.zrange(self.desk.keys.cleared, 0, -1)]

    @rule()
    def restore(self) -> None:
        moved = self.desk.do(self.desk.queue.restore())
        back = self.aside.pop() if self.aside else []
        assert moved == len(back)
        self.pending = back + self.pending

    @rule()
    def pause(self) -> None:
        self.desk.do(self.desk.queue.pause("tea", "ann"))
        self.paused = True

    @rule()
    def resume(self) -> None:
        self.desk.do(self.desk.queue.resume())
        self.paused = False

    # -- workers --------------------------------------------------------------------------------------

    @rule(name=_WHO)
    def take(self, name: str) -> None:
        """A worker that beats first, as all do, and takes nothing while the queue is paused."""
        worker = self.ids[name]
        answer = self.desk.do(self.desk.queue.workers.beat(worker, {}))
        assert bool(answer.rest[1]) is self.paused
        if self.pending and not self.paused:
            assert parse_job(self.desk.take(worker)).workflow == self.pending[0]
            self.taken[worker].append(self.pending.pop(0))

    @rule(name=_WHO)
    def claim(self, name: str) -> None:
        worker = self.ids[name]
        if not self.taken[worker]:
            return
        workflow = self.taken[worker].pop(0)
        raw = next(each for each in self.desk.inflight(worker) if open_envelope(each) is None)
        assert parse_job(raw).workflow == workflow
        claim = self.desk.adopt(worker, raw)
        assert isinstance(claim, Claim)
        self.claims[worker].append(claim)

    @rule(name=_WHO, to=st.sampled_from(["skipped", "dead", "delayed", "queued"]), lost=st.booleans())
    def close(self, name: str, to: str, lost: bool) -> None:
        """Acknowledge, bury, retry or give back; where the answer is lost, once more."""
        worker = self.ids[name]
        if not self.claims[worker]:
            return
        claim = self.claims[worker].pop()
        assert self.desk.release(claim, to, block=10, delay=3600).word == "ok"
        if lost:
            assert self.desk.again().word == "already"
        workflow = claim.occurrence.workflow
        if to == "queued":
            self.pending.insert(0, workflow)
        else:
            {"skipped": self.done, "dead": self.dead, "delayed": self.delayed}[to].add(workflow)
        if to in ("skipped", "dead"):
            self.told.append((workflow, to))
        self.ghosts.append(claim)

    @precondition(lambda self: self.ghosts)
    @rule(data=st.data(), to=st.sampled_from(["skipped", "dead", "delayed", "queued"]))
    def haunt(self, data: st.DataObject, to: str) -> None:
        """Somebody who does not know that the job is not his any more tries to close it."""
        ghost = data.draw(st.sampled_from(self.ghosts))
        assert self.desk.release(ghost, to, block=10).word in ("fenced", "already")

    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        """The pause of a delayed one is over."""
        if not self.delayed:
            return
        workflow = data.draw(st.sampled_from(sorted(self.delayed)))
        self.desk.mature(self._key(workflow))
        assert self.desk.do(self.desk.queue.promote()) == 1
        self.delayed.remove(workflow)
        self.pending.append(workflow)

    @rule(name=_WHO)
    def die_and_be_reaped(self, name: str) -> None:
        """What it held stands at the head again, what it took first in front; what several died of goes apart."""
        worker = self.ids[name]
        self.desk.kill(worker)
        held = []
        for workflow in [claim.occurrence.workflow for claim in self.claims[worker]]:
            self.deaths[workflow] += 1
            if self.deaths[workflow] == POISON_AFTER:
                self.dead.add(workflow)
                self.told.append((workflow, "dead"))
            elif self.deaths[workflow] == POISON_AFTER - 1:
                self.delayed.add(workflow)
            else:
                held.append(workflow)
        self.pending = held + self.taken[worker] + self.pending
        self.ghosts += self.claims.pop(worker)
        del self.taken[worker]
        self.ids[name] = self._born(name)

    @rule(name=_WHO)
    def leave(self, name: str) -> None:
        worker = self.ids[name]
        word = self.desk.do(self.desk.queue.workers.leave(worker)).word
        busy = bool(self.taken[worker] or self.claims[worker])
        assert word == ("busy" if busy else "ok")
        if not busy:
            self.ids[name] = self._born(name)

    # -- what must hold -------------------------------------------------------------------------------

    @invariant()
    def every_job_is_where_the_model_says(self) -> None:
        desk, keys = self.desk, self.desk.keys
        assert [parse_job(raw).workflow for raw in desk.pending()] == self.pending
        aside = [desk.redis.lrange(keys.cleared_list(stamp), 0, -1) for stamp in self._stamps()]
        assert [[parse_job(raw).workflow for raw in each] for each in aside] == self.aside
        for worker in self.ids.values():
            elements = desk.inflight(worker)
            opened = [found for each in elements if (found := open_envelope(each))]
            raws = [parse_job(each).workflow for each in elements if open_envelope(each) is None]
            assert raws == self.taken[worker]
            assert Counter(key for _, key, _ in opened) == Counter(c.key for c in self.claims[worker])
        for name, model in ((keys.delayed, self.delayed), (keys.dead, self.dead)):
            assert {int(key.split(b":")[2]) for key in desk.redis.zrange(name, 0, -1)} == model
        history = desk.redis.xrange(keys.history)
        told = [(int(fields[b"workflow"]), fields[b"st"].decode()) for _, fields in history]
        assert Counter(told) == Counter(self.told)
        self._nothing_is_lost()

    def _nothing_is_lost(self) -> None:
        places: Counter[int] = Counter(self.pending)
        for group in (*self.aside, *self.taken.values(), self.delayed, self.dead, self.done):
            places.update(group)
        for claims in self.claims.values():
            places.update(claim.occurrence.workflow for claim in claims)
        assert places == Counter(range(1, self.pushed + 1))


@contextmanager
def _machine(runner: asyncio.Runner, url: str) -> Iterator[type[QueueMachine]]:
    with Desk(runner, url) as desk:

        class Machine(QueueMachine):
            pass

        Machine.desk = desk
        yield Machine


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )


def test_the_model_agrees(redis_url: str, runner: asyncio.Runner) -> None:
    with _machine(runner, redis_url) as machine:
        run_state_machine_as_test(machine, settings=_settings(12, 40))


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_the_model_agrees_for_long(server: ValkeyProcess, runner: asyncio.Runner) -> None:
    with _machine(runner, server.url) as machine:
        run_state_machine_as_test(machine, settings=_settings(300, 80))
