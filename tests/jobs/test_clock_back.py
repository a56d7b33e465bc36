"""Redis's clock goes back (a virtual machine that was restored, a time server that was wrong): nobody waits for it."""

from __future__ import annotations

from autometa_cli.jobs.deadletters import ANY
from tests.jobs.desk import Desk

HOUR_MS = 3_600_000


def test_a_worker_that_died_with_a_beat_from_the_future_is_buried(valkey_desk: Desk) -> None:
    desk, ann = valkey_desk, valkey_desk.worker("ann")
    claim = desk.claim(ann)
    desk.redis.zadd(desk.keys.workers, {ann: desk.now_ms() + HOUR_MS})

    assert desk.reap() == 0
    assert desk.do(desk.queue.workers.beat(ann, {})).word == "ok"  # one that lives goes on
    desk.redis.zadd(desk.keys.workers, {ann: desk.now_ms() + HOUR_MS})
    assert desk.reap() == 0
    score = desk.redis.zscore(desk.keys.workers, ann)
    assert score <= desk.now_ms()
    desk.redis.zadd(desk.keys.workers, {ann: score - 11_000})  # ten seconds later

    assert desk.reap() == 1
    assert desk.pending() == [claim.element]


def test_a_tombstone_stays_one(valkey_desk: Desk) -> None:
    desk, ann = valkey_desk, valkey_desk.worker("ann")
    desk.redis.zadd(desk.keys.workers, {ann: -(desk.now_ms() + HOUR_MS)})
    desk.reap()

    assert desk.redis.zscore(desk.keys.workers, ann) < 0


def test_letters_that_were_buried_before_are_selected(valkey_desk: Desk) -> None:
    desk, ann = valkey_desk, valkey_desk.worker("ann")
    claim = desk.claim(ann)
    desk.release(claim, "dead")
    desk.redis.zadd(desk.keys.dead, {claim.key: desk.now_ms() + HOUR_MS})

    async def selected() -> list[str]:
        return [record.key async for page in desk.letters.select(ANY) for record in page]

    assert desk.do(selected()) == [claim.key]
