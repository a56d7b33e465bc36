"""Many calls of one script as one: each is answered, refused and repeated as if it had come alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest
import redis.exceptions as rex

from autometa_cli.executor.head import Counts
from autometa_cli.executor.ledger import Hold
from autometa_cli.jobs import together
from autometa_cli.jobs.claim import Claim, Sighting
from autometa_cli.jobs.connection import RunChanged
from autometa_cli.jobs.faults import in_script
from autometa_cli.jobs.job import open_envelope, parse_job
from autometa_cli.jobs.script import Answer, Scripts
from tests.jobs import cases
from tests.jobs.desk import ALICE, FEES, Desk
from tests.jobs.test_answers import check

SEEN = Sighting(10, True, "d")
MANY = 30


@pytest.mark.parametrize(
    ("script", "word", "note"),
    sorted(case for case in cases.CASES if case[0] in together.TOGETHER),
    ids=lambda part: part or "-",
)
def test_the_common_form_answers_as_the_single_one(
    valkey_desk: Desk, monkeypatch: pytest.MonkeyPatch, script: str, word: str, note: str
) -> None:
    """Every case there is of these scripts, each call in the form that takes many."""
    alone = together.alone
    monkeypatch.setattr(
        together,
        "alone",
        lambda call: together.joined([call]) if call.script in together.TOGETHER else alone(call),
    )
    check(valkey_desk, script, word, note)


class Bench:
    """A desk whose calls of one moment travel together, and what was sent for them."""

    def __init__(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        self.desk = desk
        self.sent: list[int] = []
        send = desk.scripts._pipeline

        async def counted(waiting: Sequence[together.Bundle], *, known: bool) -> list[Any]:
            self.sent += [len(bundle.calls) for bundle in waiting]
            return await send(waiting, known=known)

        monkeypatch.setattr(desk.scripts, "_pipeline", counted)
        # The recorder looks at Redis before each call; these shall be made in one moment.
        monkeypatch.setattr(type(desk.scripts), "call", Scripts.call)

    def at_once(self, *work: Awaitable[Any]) -> list[Any]:
        """Answers, and exceptions; all asked in one moment, in one command."""
        self.sent.clear()

        async def all_of_it() -> list[Any]:
            return list(await asyncio.gather(*work, return_exceptions=True))

        answers = self.desk.do(all_of_it())
        assert set(self.sent) == {len(work)}, "they did not travel together"
        return answers

    def taken(self, count: int = MANY, worker: str = "ann", next_run: int = 100) -> list[bytes]:
        """So many jobs, each of a workflow of its own, in the worker's list."""
        self.desk.redis.rpush(
            self.desk.keys.pending, *(self.desk.payload(next_run, n) for n in range(1, count + 1))
        )
        return [self.desk.take(worker) for _ in range(count)]

    def adopting(self, raws: Sequence[bytes], worker: str = "ann") -> list[Awaitable[Any]]:
        """The calls that claim them."""
        calls: list[Awaitable[Any]] = []
        for raw in raws:
            occurrence, id = self.desk.occurrence(raw)
            calls.append(self.desk.queue.adopt(worker, parse_job(raw), occurrence, id, SEEN))
        return calls

    def claimed(self, count: int = MANY) -> list[Claim]:
        """Claims of ann."""
        self.desk.worker("ann")
        return self.at_once(*self.adopting(self.taken(count)))

    def releasing(self, claims: Sequence[Claim], to: str = "skipped") -> list[Awaitable[Any]]:
        """The calls that give them back."""
        return [self.desk.ledger.release(claim, to, "why", "", sender=ALICE, block=20) for claim in claims]

    def binding(self, claims: Sequence[Claim]) -> list[Awaitable[Any]]:
        """The calls that ask for nonces."""
        counts = Counts(0, 0, 0)
        return [
            self.desk.ledger.bind(claim, ALICE, counts, block=10, final=9, genesis="g") for claim in claims
        ]


@pytest.fixture
def bench(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(desk, monkeypatch)


def words(answers: Sequence[Any]) -> list[str]:
    return ["claim" if isinstance(answer, Claim) else answer.word for answer in answers]


def test_from_the_list_to_the_end(bench: Bench) -> None:
    desk = bench.desk
    claims = bench.claimed()
    assert words(claims) == ["claim"] * MANY
    assert [claim.fence for claim in claims] == ["1"] * MANY
    assert [open_envelope(each) for each in desk.inflight("ann")] == [
        (c.id, c.key, c.job.raw) for c in claims
    ]

    assert words(bench.at_once(*bench.releasing(claims))) == ["ok"] * MANY
    assert desk.inflight("ann") == []
    assert {desk.state(claim.key) for claim in claims} == {"skipped"}
    assert desk.redis.xlen(desk.keys.history) == MANY
    assert all(desk.watermark(n) == {"last": "100", "gen": "0", "block": "20"} for n in range(1, MANY + 1))


def test_transactions(bench: Bench) -> None:
    """Nonces are given out one by one; the window holds for those that come together, too."""
    desk = bench.desk
    claims = bench.claimed(6)
    answers = bench.at_once(*bench.binding(claims))
    assert [(a.word, a.rest[0]) for a in answers] == [("ok", str(n)) for n in range(4)] + [
        ("wait:window", "4")
    ] * 2
    assert desk.owners() == {number: claim.key for number, claim in enumerate(claims[:4])}

    records = [desk.record(claim.key) for claim in claims[:4]]
    signed = bench.at_once(
        *(
            desk.ledger.write_call(Hold(r.key, "ann", r.fence), r, b"raw %d" % r.workflow, "0x", FEES, 200)
            for r in records
        )
    )
    assert words(signed) == ["ok"] * 4
    records = [desk.record(claim.key) for claim in claims[:4]]
    assert [r.attempts_sent[0].raw for r in records] == [b"raw %d" % r.workflow for r in records]
    settling = [desk.ledger.settle(r, "executed", block=20, tx="0x", text="", fee=1) for r in records]
    assert words(bench.at_once(*settling)) == ["ok"] * 4
    assert (desk.owners(), desk.next_nonce(), len(desk.inflight("ann"))) == ({}, 4, 2)


def test_what_is_sent_again_is_answered_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reply was lost, and the client repeats the whole command."""
    desk = bench.desk
    desk.worker("ann")
    calls: list[tuple[Any, ...]] = []
    put = desk.scripts._put

    async def noted(*call: Any) -> Any:
        calls.append(call)
        return await put(*call)

    monkeypatch.setattr(desk.scripts, "_put", noted)
    raws = bench.taken()
    claims = bench.at_once(*bench.adopting(raws))
    before, adopts = desk.dump(), [call for call in calls if call[0] == "adopt"]
    again = bench.at_once(*(put(*call) for call in adopts))
    assert [answer[0] for answer in again] == [b"already"] * MANY
    assert [answer[2].decode() for answer in again] == [claim.fence for claim in claims]
    assert desk.dump() == before

    calls.clear()
    assert words(bench.at_once(*bench.releasing(claims, "delayed"))) == ["ok"] * MANY
    before = desk.dump()
    again = bench.at_once(*(put(*call) for call in list(calls)))
    assert [answer[0] for answer in again] == [b"already"] * MANY
    assert desk.dump() == before


def test_one_bad_member_is_its_own_trouble(bench: Bench) -> None:
    """Somebody made one record's key something else: the others are claimed, and that one's element stays."""
    desk = bench.desk
    desk.worker("ann")
    raws = bench.taken(5)
    bad = desk.keys.occurrence(desk.occurrence(raws[2])[0].key)
    calls = bench.adopting(raws)
    desk.redis.set(bad, "no hash")

    answers = bench.at_once(*calls)

    assert isinstance(answers[2], rex.ResponseError)
    assert "WRONGTYPE" in str(answers[2])
    assert words(answers[:2] + answers[3:]) == ["claim"] * 4
    assert [raw for raw in desk.inflight("ann") if open_envelope(raw) is None] == [raws[2]]


def test_the_same_twice_in_one_moment(bench: Bench) -> None:
    desk = bench.desk
    desk.worker("ann")
    due, now = desk.payload(100, 1), desk.payload(0, 2)
    for raw in (due, due, now, now):
        desk.push(raw)
        desk.take("ann")

    assert words(bench.at_once(*bench.adopting([due, due, now, now]))) == [
        "claim",
        "duplicate",
        "claim",
        "twin",
    ]
    assert len(desk.inflight("ann")) == 2
    assert len(desk.do(desk.inspector.dead())) == 1


def test_a_claim_that_was_lost_is_fenced_among_others(bench: Bench) -> None:
    desk = bench.desk
    claims = bench.claimed(5)
    [again] = bench.at_once(*bench.releasing([claims[3]], "queued"))
    assert again.word == "ok"
    newer = desk.adopt("ann", desk.take("ann"))
    assert isinstance(newer, Claim)

    assert words(bench.at_once(*bench.releasing(claims))) == ["ok", "ok", "ok", "fenced", "ok"]
    assert desk.state(claims[3].key) == "claimed"
    assert desk.inflight("ann") == [newer.envelope]


def test_a_buried_worker_claims_nothing(bench: Bench) -> None:
    desk = bench.desk
    desk.kill(desk.worker("ann"))
    raws = bench.taken(5)

    assert words(bench.at_once(*bench.adopting(raws))) == ["gone"] * 5
    assert (sorted(desk.pending()), desk.inflight("ann")) == (sorted(raws), [])


@pytest.mark.parametrize("how", ["another run", "being rebuilt"])
def test_nothing_moves_while_the_ledger_is_in_doubt(bench: Bench, how: str) -> None:
    desk = bench.desk
    claims = bench.claimed(5)
    raws = bench.taken(5, next_run=200)
    adopting = bench.adopting(raws)
    if how == "another run":
        cases.doubted(desk)
    else:
        desk.redis.hset(desk.keys.epoch, "recovering", "1")
    before = desk.dump()

    for work in (adopting, bench.binding(claims), bench.releasing(claims)):
        assert words(bench.at_once(*work)) == ["recovery"] * 5
    assert desk.dump() == before


def test_a_full_redis(bench: Bench) -> None:
    """What ends a job goes on, what begins one is refused, one by one."""
    desk = bench.desk
    claims = bench.claimed(4)
    desk.redis.config_set("maxmemory", 1)
    try:
        refused = bench.at_once(*bench.binding(claims))
        released = bench.at_once(*bench.releasing(claims, "dead"))
    finally:
        desk.redis.config_set("maxmemory", 0)

    assert all(isinstance(error, rex.ResponseError) and "maxmemory" in str(error) for error in refused)
    assert words(released) == ["ok"] * 4
    assert (desk.owners(), desk.next_nonce(), desk.inflight("ann")) == ({}, 0, [])


def test_a_primary_that_was_demoted_is_left(bench: Bench) -> None:
    """It is no job's own trouble: all are told, and the connection does not lead there any more."""
    desk = bench.desk
    claims = bench.claimed(4)
    desk.redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        refused = bench.at_once(*bench.releasing(claims))
    finally:
        desk.redis.execute_command("REPLICAOF", "NO", "ONE")

    for error in refused:
        assert isinstance(error, rex.ReadOnlyError) or in_script(error, "READONLY"), str(error)
    # Were it the old connection, it would be told nothing of the other replication history.
    assert all(isinstance(error, RunChanged) for error in bench.at_once(*bench.releasing(claims)))


def test_what_differs_elsewhere_goes_by_itself(bench: Bench) -> None:
    """Two workers of one process, or two fates: a call never runs under another's arguments."""
    desk = bench.desk
    claims = bench.claimed(4)

    async def scenario() -> list[Answer]:
        return list(
            await asyncio.gather(*bench.releasing(claims[:2], "dead"), *bench.releasing(claims[2:], "queued"))
        )

    bench.sent.clear()
    assert words(desk.do(scenario())) == ["ok"] * 4
    assert bench.sent == [2, 2]
    assert [desk.state(claim.key) for claim in claims] == ["dead", "dead", "queued", "queued"]


def test_one_write_is_counted_for_all(bench: Bench) -> None:
    """They come true together, or not at all; the number still grows with each command."""
    desk = bench.desk
    claims = bench.claimed(5)
    before = desk.scripts.seen

    answers = bench.at_once(*bench.releasing(claims))

    assert [answer.seq for answer in answers] == [before + 1] * 5
    assert desk.redis.hget(desk.keys.epoch, "seq") == b"%d" % (before + 1)
