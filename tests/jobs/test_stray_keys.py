"""What somebody put among the queue's keys, by mistake or on purpose, stands in nobody's way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis.exceptions as rex

from autometa_cli.jobs.script import Scripts
from tests.jobs.desk import Desk

STRAY = b"\xff\xfe"


def _names(desk: Desk) -> None:
    keys = desk.keys
    for index in (keys.delayed, keys.queued, keys.dead, keys.open, keys.workers, keys.cleared):
        desk.redis.zadd(index, {STRAY: 1, "no record": 2})
    desk.redis.hset(keys.occurrence("").encode() + STRAY, "st", "dead")


def _records(desk: Desk) -> None:
    keys = desk.keys
    for index in (keys.delayed, keys.queued, keys.dead, keys.open):
        desk.redis.zadd(index, {"stray": 1})
    desk.redis.set(keys.occurrence("stray"), "no hash")


def _workers(desk: Desk) -> None:
    desk.redis.zadd(desk.keys.workers, {"stray": 1})
    desk.redis.set(desk.keys.worker("stray"), "no hash")


def _scores(desk: Desk) -> None:
    keys = desk.keys
    for index in (keys.delayed, keys.queued, keys.dead, keys.open, keys.workers):
        desk.redis.zadd(index, {"late": float("inf"), "early": float("-inf")})
    for name in ("late", "early"):
        desk.redis.hset(keys.occurrence(name), "st", "dead")


def _history(desk: Desk) -> None:
    desk.redis.xadd(desk.keys.history, {STRAY: STRAY, "workflow": "9" * 100})


@pytest.mark.parametrize("spoil", [_names, _records, _workers, _scores, _history])
def test_services_and_views_go_on(
    valkey_desk: Desk, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[Desk], None]
) -> None:
    desk, inspector = valkey_desk, valkey_desk.inspector
    monkeypatch.setattr(type(desk.scripts), "call", Scripts.call)  # the recorder reads each record itself
    ann = desk.worker("ann")
    delayed, held = desk.claim(ann, workflow=1), desk.claim(ann, workflow=2)
    desk.release(delayed, "delayed")
    desk.mature(delayed.key)
    spoil(desk)
    desk.silence(ann)

    assert desk.do(desk.queue.promote()) == 1
    assert desk.reap() == 1
    assert desk.do(desk.queue.sweep()) == 0
    assert {desk.state(delayed.key), desk.state(held.key)} == {"queued"}
    assert len(desk.pending()) == 2
    for look in (inspector.counts, inspector.states, inspector.halted, inspector.inflight, inspector.delayed,
                 inspector.dead, inspector.open, inspector.history):  # fmt: skip
        desk.do(look())
    desk.do(desk.queue.restore())

    async def everything() -> list[Any]:
        return [record async for record in inspector.records()]

    assert {delayed.key, held.key} <= {record.key for record in desk.do(everything())}


def test_an_element_whose_record_was_replaced_is_handed_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And those beside it; the first time it was taken out of the list and put nowhere."""
    monkeypatch.setattr(type(desk.scripts), "call", Scripts.call)
    ann = desk.worker("ann")
    spoilt, other = desk.claim(ann, workflow=1), desk.claim(ann, workflow=2)
    name = desk.keys.occurrence(spoilt.key)
    desk.redis.delete(name)
    desk.redis.set(name, "no hash")
    desk.silence(ann)

    assert desk.reap() == 2

    assert desk.pending() == [spoilt.element, other.element]
    assert desk.inflight(ann) == []


@pytest.mark.parametrize("act", ["skip", "delay", "settle"])
def test_a_workflows_key_that_is_no_hash_leaves_nothing_half_done(valkey_desk: Desk, act: str) -> None:
    """The script stops before its first write; once the key is out of the way, it does the whole."""
    desk = valkey_desk
    ann = desk.worker("ann")
    claim = desk.signed(ann) if act == "settle" else desk.claim(ann)
    mark = desk.keys.workflow_of(claim.key)
    desk.redis.delete(mark)
    desk.redis.set(mark, "no hash")
    acts: dict[str, Callable[[], object]] = {
        "skip": lambda: desk.release(claim, "skipped"),
        "delay": lambda: desk.release(claim, "delayed"),
        "settle": lambda: desk.settle(claim.key),
    }
    before = desk.dump()

    with pytest.raises(rex.ResponseError, match="WRONGTYPE"):
        acts[act]()

    assert desk.dump() == before
    desk.redis.delete(mark)
    acts[act]()
    assert desk.state(claim.key) == {"skip": "skipped", "delay": "delayed", "settle": "settled"}[act]
