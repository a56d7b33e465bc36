"""Calls that travel as one leave behind and answer what the same calls do one by one, whatever state they meet."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Iterator, Sequence
from typing import Any

import pytest
import redis.exceptions as rex

from autometa_cli.executor.head import Counts
from autometa_cli.executor.ledger import Hold
from autometa_cli.jobs import script, together
from autometa_cli.jobs.claim import Claim, Sighting
from autometa_cli.jobs.job import open_envelope, parse_job
from autometa_cli.jobs.script import Scripts
from autometa_cli.jobs.together import Bundle, Call
from tests.jobs.desk import ALICE, BOB, FEES, Desk

ROUNDS = 60
KEY_OF = {"ann": ALICE, "bob": BOB}


def one_by_one(calls: Sequence[Call]) -> Iterator[Bundle]:
    """In the same order, each as it is."""
    for bundle in together.bundles(calls):
        if bundle.each:
            yield from (together.alone(call) for call in bundle.calls)
        else:
            yield bundle


class Play:
    """Two workers at work in rounds of many equal steps, and all that was answered."""

    def __init__(self, desk: Desk, seed: int) -> None:
        self.desk, self.dice = desk, random.Random(seed)
        self.claims: list[Claim] = []
        self.told: list[Any] = []
        self.block = 10

    def round(self) -> None:
        """One moment."""
        step = self.dice.choice(
            [self.push, self.push, self.adopt, self.adopt, self.bind, self.bind, self.write, self.write,
             self.release, self.settle, self.promote, self.spoil]
        )  # fmt: skip
        step()
        self.block += 1

    def at_once(self, work: Sequence[Awaitable[Any]]) -> list[Any]:
        async def all_of_it() -> list[Any]:
            return list(await asyncio.gather(*work, return_exceptions=True))

        answers = self.desk.do(all_of_it())
        self.told += [
            "error" if isinstance(answer, Exception) else answer[:1] + answer[2:3]
            if not isinstance(answer, Claim) else (answer.key, answer.fence, answer.bound) for answer in answers
        ]  # fmt: skip
        return answers

    def some(self, most: int = 12) -> list[Claim]:
        """Claims, of which some may be long gone."""
        latest = self.claims[-16:]
        return self.dice.sample(latest, min(len(latest), self.dice.randint(1, most)))

    def push(self) -> None:
        for _ in range(self.dice.randint(1, 8)):
            raw = self.desk.payload(
                self.dice.choice([0, 100, 200]), self.dice.randint(1, 5), force=self.dice.random() < 0.3
            )
            self.desk.redis.rpush(self.desk.keys.inflight(self.dice.choice(["ann", "bob"])), raw)

    def adopt(self) -> None:
        work = []
        for worker in KEY_OF:
            for raw in self.desk.inflight(worker):
                if open_envelope(raw) is None:
                    try:
                        occurrence, id = self.desk.occurrence(raw)
                    except rex.ResponseError:  # spoilt
                        continue
                    seen = Sighting(self.block - self.dice.choice([0, 0, 20]), True, f"d{self.block}")
                    work.append(self.desk.queue.adopt(worker, parse_job(raw), occurrence, id, seen))
        self.claims += [answer for answer in self.at_once(work) if isinstance(answer, Claim)]

    def bind(self) -> None:
        counts = Counts(0, 0, self.dice.choice([0, 0, 1]))
        self.at_once(
            [
                self.desk.ledger.bind(
                    claim, KEY_OF[claim.worker], counts, block=self.block, final=self.block - 1, genesis="g"
                )
                for claim in self.some()
            ]
        )

    def write(self) -> None:
        work = []
        for claim in self.some():
            record = self.desk.do(self.desk.queue.record(claim.key))
            if record is not None and record.nonce is not None:
                hold = Hold(claim.key, claim.worker, claim.fence)
                n = len(record.attempts_sent)
                work.append(
                    self.desk.ledger.write_call(hold, record, b"%d" % n, f"{claim.key}/{n}", FEES, 200)
                )
        self.at_once(work)

    def release(self) -> None:
        to = self.dice.choice(["queued", "delayed", "skipped", "dead"])
        self.at_once(
            [
                self.desk.ledger.release(
                    claim,
                    to,
                    f"why {n}",
                    f"text {n}",
                    sender=KEY_OF[claim.worker],
                    block=self.block,
                    delay=n,
                )
                for n, claim in enumerate(self.some())
            ]
        )

    def settle(self) -> None:
        verdict = self.dice.choice(["executed", "reverted", "foreign", "uncertain"])
        records = [self.desk.do(self.desk.queue.record(claim.key)) for claim in self.some()]
        self.at_once(
            [
                self.desk.ledger.settle(
                    record, verdict, block=self.block + n, tx=f"0x{n}", text=f"text {n}", fee=n * 10**12
                )
                for n, record in enumerate(records)
                if record is not None and record.nonce is not None
            ]
        )

    def promote(self) -> None:
        for name in self.desk.redis.zrange(self.desk.keys.delayed, 0, -1):
            self.desk.mature(name.decode())
        self.told.append(self.desk.do(self.desk.queue.promote()))
        while self.desk.pending():
            self.desk.take(self.dice.choice(["ann", "bob"]))

    def spoil(self) -> None:
        """Sometimes a worker is buried for a moment, or a record is no record."""
        if self.dice.random() < 0.5:
            score = -1 if (self.desk.redis.zscore(self.desk.keys.workers, "bob") or 0) > 0 else 10**13
            self.desk.redis.zadd(self.desk.keys.workers, {"bob": score})
        elif self.claims and self.dice.random() < 0.3:
            name = self.desk.keys.occurrence(self.dice.choice(self.claims[-5:]).key)
            self.desk.redis.delete(name)
            if self.dice.random() < 0.5:
                self.desk.redis.set(name, "spoilt")


def _picture(desk: Desk) -> dict[str, Any]:
    """All that Redis holds; not how much was counted, nor the order of what came in the same moment."""
    picture = desk.dump()
    del picture[desk.keys.epoch]
    for index in (desk.keys.dead, desk.keys.queued, desk.keys.open, desk.keys.delayed):
        if index in picture:
            picture[index] = sorted(name for name, _ in picture[index][0])
    return picture


def test_in_company_as_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(desk.scripts), "call", Scripts.call)
    monkeypatch.setattr("autometa_cli.executor.ledger._spread", lambda delay: delay)
    seen = []
    for bundles in (together.bundles, one_by_one):
        numbers = itertools.count()
        monkeypatch.setattr("secrets.token_hex", lambda _=8, numbers=numbers: f"{next(numbers):016x}")
        monkeypatch.setattr(script, "bundles", bundles)
        desk.redis.flushall()
        desk.scripts.seen = 0
        desk._numbers = itertools.count()
        desk.do(desk.queue.join())
        desk.worker("ann"), desk.worker("bob")
        play, pictures = Play(desk, seed=0), []
        for _ in range(ROUNDS):
            play.round()
            pictures.append(_picture(desk))
        seen.append((play.told, pictures))
    for told, alone in zip(seen[0][0], seen[1][0], strict=True):
        assert told == alone
    for told, alone in zip(seen[0][1], seen[1][1], strict=True):
        assert told == alone
    words = {word for told in seen[0][0] if isinstance(told, tuple) for word in told[:1]}
    assert words >= {"ok", "fenced"}
