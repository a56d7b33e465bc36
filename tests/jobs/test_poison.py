"""A job that kills its workers is found out; those that only died with it are not."""

from __future__ import annotations

import itertools

from autometa_cli.executor.ledger import _spread
from autometa_cli.jobs.claim import Claim
from autometa_cli.jobs.workers import SUSPECT_APART_SECONDS
from tests.jobs.desk import ALICE, CHAIN, EXECUTOR, Desk

_names = (f"worker{number}" for number in itertools.count())


def died_of(desk: Desk) -> None:
    """A worker takes everything that is due, begins to check it, and dies."""
    worker = desk.worker(next(_names))
    while desk.pending():
        assert isinstance(desk.adopt(worker, desk.take(worker)), Claim)
    desk.kill(worker)


def fields(desk: Desk, key: str) -> dict[bytes, bytes]:
    """A record as it stands."""
    stored: dict[bytes, bytes] = desk.redis.hgetall(desk.keys.occurrence(key))
    return stored


def test_the_third_death_buries(desk: Desk) -> None:
    desk.enqueue()
    died_of(desk)
    [element] = desk.pending()
    key = desk.occurrence(element)[0].key
    died_of(desk)

    assert (desk.pending(), desk.state(key), desk.record(key).reason) == ([], "delayed", "suspect")
    desk.mature(key)
    desk.do(desk.queue.promote())
    died_of(desk)

    assert (desk.pending(), desk.state(key), desk.record(key).reason) == ([], "dead", "poison")
    assert desk.redis.zscore(desk.keys.dead, key)
    assert [entry["outcome"] for _, entry in desk.do(desk.inspector.history())] == ["poison"]
    assert desk.enqueue(block=30).word == "dead"
    assert desk.do(desk.letters.retry(desk.record(key), "ann")).word == "ok"
    died_of(desk)
    assert len(desk.pending()) == 1  # it counts from the beginning again


def test_it_is_buried_also_where_its_workflows_key_was_replaced(desk: Desk) -> None:
    """It was a dead letter in no list of them, and what its worker held beside it waited for another round."""
    desk.enqueue()
    died_of(desk)
    [element] = desk.pending()
    key = desk.occurrence(element)[0].key
    died_of(desk)
    desk.mature(key)
    desk.do(desk.queue.promote())
    ann = desk.worker("ann")
    assert isinstance(desk.adopt(ann, desk.take(ann)), Claim)
    beside = desk.claim(ann, workflow=2)
    name = desk.keys.workflow(CHAIN, EXECUTOR, 1)
    desk.redis.delete(name)
    desk.redis.set(name, "no hash")

    desk.kill(ann)

    assert (desk.state(key), desk.record(key).reason) == ("dead", "poison")
    assert desk.redis.zscore(desk.keys.dead, key)
    assert desk.pending() == [beside.element]


def test_suspects_get_their_last_chance_one_at_a_time(desk: Desk) -> None:
    for workflow in (1, 2, 3):
        desk.enqueue(workflow=workflow)
    died_of(desk)
    died_of(desk)

    due = sorted(score for _, score in desk.redis.zrange(desk.keys.delayed, 0, -1, withscores=True))
    assert len(due) == 3
    for earlier, later in itertools.pairwise(due):
        assert later - earlier >= SUSPECT_APART_SECONDS * 900


def test_what_is_given_back_or_bound_is_not_being_checked(desk: Desk) -> None:
    ann = desk.worker("ann")
    first, second, third = (desk.claim(ann, workflow=workflow) for workflow in (1, 2, 3))
    assert desk.state(first.key) == "claimed"
    desk.release(first, "delayed", delay=60)
    desk.bind(second)
    desk.bind(third)
    desk.write(third)

    desk.kill(ann)

    assert all(b"recoveries" not in fields(desk, claim.key) for claim in (first, second, third))
    assert (desk.state(second.key), desk.state(third.key)) == ("bound", "signed")


def test_deaths_of_another_week_do_not_count(desk: Desk) -> None:
    desk.enqueue()
    died_of(desk)
    [element] = desk.pending()
    key = desk.occurrence(element)[0].key
    long_ago = desk.now_ms() - 73 * 3_600_000
    desk.redis.hset(desk.keys.occurrence(key), "recoveries", f"{long_ago} {long_ago}")
    died_of(desk)

    assert len(desk.pending()) == 1
    assert len(fields(desk, key)[b"recoveries"].split()) == 1


def test_pauses_are_spread() -> None:
    found = [_spread(10.0) for _ in range(200)]

    assert all(8.0 <= pause <= 10.0 for pause in found)
    assert max(found) - min(found) > 1.0


def test_of_the_gas_spent_only_two_days_are_kept(desk: Desk) -> None:
    sender = desk.keys.sender(CHAIN, ALICE)
    today = desk.now_ms() // 86_400_000
    claim = desk.signed(desk.worker("ann"))
    desk.redis.hset(sender, mapping={f"gas:{day}": "7" for day in (today - 40, today - 2, today - 1)})
    desk.settle(claim.key)

    kept = {name for name in desk.redis.hkeys(sender) if name.startswith(b"gas:")}
    assert kept == {b"gas:%d" % (today - 1), b"gas:%d" % today}
