"""A Redis that is full, or in which somebody put something else where the list should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis.exceptions as rex

from autometa_cli.executor.ledger import Hold
from autometa_cli.jobs.faults import WrongKey, wrong_type
from autometa_cli.jobs.server import memory
from tests.jobs.desk import Desk


@pytest.fixture
def full(desk: Desk) -> Iterator[Desk]:
    """`full.redis.config_set("maxmemory", 1)` makes it so; undone after the test."""
    yield desk
    desk.redis.config_set("maxmemory", 0)


def fill(desk: Desk) -> None:
    desk.redis.config_set("maxmemory", 1)


def test_what_is_on_its_way_comes_to_its_end(full: Desk) -> None:
    ann = full.worker("ann")
    settled, skipped = full.signed(ann, workflow=1), full.bound(ann, workflow=2)
    dead, delayed = full.claim(ann, workflow=3), full.claim(ann, workflow=4)
    fill(full)

    assert full.settle(settled.key).word == "ok"
    assert full.release(skipped, "skipped").word == "ok"
    assert full.release(dead, "dead").word == "ok"
    assert full.release(delayed, "delayed").word == "ok"
    assert full.do(full.queue.workers.leave(ann)).word == "ok"


def test_workers_stay_alive_and_dead_ones_are_buried(full: Desk) -> None:
    ann = full.worker("ann")
    full.worker("bob")
    full.claim(ann)
    full.silence(ann)
    fill(full)

    assert full.do(full.queue.workers.beat("bob", {"state": "busy"})).word == "ok"
    assert full.reap() == 1
    assert len(full.pending()) == 1


def test_the_operator_can_do_what_helps(full: Desk) -> None:
    ann = full.worker("ann")
    for workflow in (1, 2):
        full.release(full.claim(ann, workflow=workflow), "dead")
    retried, dropped = full.do(full.inspector.dead())
    fill(full)

    assert full.do(full.queue.pause("full", "ann", 3600)).reason == "full"
    assert full.do(full.queue.pausing()) == full.do(full.queue.resume())
    assert full.do(full.queue.paused()) == ""
    assert full.do(full.letters.retry(retried, "ann")).word == "ok"
    assert full.do(full.letters.drop(dropped, "ann")).word == "ok"
    assert full.do(memory(full.queue.redis)).full


def test_whether_it_works_again_is_asked_by_a_write_that_changes_nothing(full: Desk) -> None:
    full.worker("ann")
    fill(full)
    before = full.dump()
    with pytest.raises(rex.ResponseError, match="maxmemory"):
        full.do(full.queue.works())
    full.redis.config_set("maxmemory", 0)
    full.do(full.queue.works())
    assert full.dump() == before


def test_the_key_that_is_in_the_way_is_named(desk: Desk) -> None:
    desk.redis.set(desk.keys.delayed, "x")
    with pytest.raises(WrongKey) as caught:
        desk.do(desk.queue.works())
    assert (caught.value.key, caught.value.found, caught.value.wanted) == (
        desk.keys.delayed,
        "string",
        "zset",
    )
    assert wrong_type(caught.value)


def test_what_is_cleared_is_restored(full: Desk) -> None:
    full.enqueue(workflow=1)
    full.push(full.payload(workflow=2))
    full.enqueue(workflow=3)
    before = full.pending()
    fill(full)

    _, count = full.do(full.queue.clear())
    assert (count, full.pending()) == (3, [])
    assert full.do(full.queue.restore()) == 3
    assert full.pending() == before


def test_nothing_new_is_begun(full: Desk) -> None:
    ann = full.worker("ann")
    claim, bound = full.claim(ann, workflow=1), full.bound(ann, workflow=2)
    hold = Hold(bound.key, ann, bound.fence)
    fill(full)
    before = full.dump()

    attempts: tuple[Callable[[], object], ...] = (
        lambda: full.bind(claim),
        lambda: full.write(hold),
        lambda: full.enqueue(workflow=3),
        lambda: full.push(full.payload()),
    )
    for attempt in attempts:
        with pytest.raises(rex.ResponseError, match="maxmemory"):
            attempt()
    assert full.dump() == before


@pytest.mark.parametrize("what", ["enqueue", "release", "retreat", "reap", "promote", "sweep", "adopt"])
def test_a_list_that_is_none_costs_no_job(desk: Desk, what: str) -> None:
    """The script stops before its first write; when the key is mended, work goes on."""
    ann = desk.worker("ann")
    claim = desk.claim(ann, workflow=1)
    desk.release(desk.claim(ann, workflow=2), "delayed")
    desk.enqueue(workflow=3)
    desk.redis.zadd(desk.keys.queued, {desk.answer.rest[0]: 1})
    desk.redis.delete(desk.keys.pending)
    raw = desk.push(desk.payload(workflow=4))
    desk.take(ann)
    if what in ("reap", "adopt"):
        desk.silence(ann)
    if what == "adopt":
        desk.do(desk.queue.workers._reap(ann, None, 10.0))
    desk.redis.set(desk.keys.pending, "not a list")
    before = desk.dump()
    acts: dict[str, Callable[[], object]] = {
        "enqueue": lambda: desk.enqueue(workflow=5),
        "release": lambda: desk.release(claim),
        "retreat": lambda: desk.do(desk.queue.retreat(ann, raw)),
        "reap": desk.reap,
        "promote": lambda: desk.do(desk.queue.promote()),
        "sweep": lambda: desk.do(desk.queue.sweep()),
        "adopt": lambda: desk.adopt(ann, raw),
    }

    with pytest.raises(rex.ResponseError, match="WRONGTYPE"):
        acts[what]()

    after = desk.dump()
    if what == "reap":  # it is buried, and that is all
        for name in (desk.keys.workers, desk.keys.epoch):
            del before[name], after[name]
    assert after == before
    desk.redis.delete(desk.keys.pending)
    acts[what]()
    assert len(desk.pending()) == (2 if what == "reap" else 1)
