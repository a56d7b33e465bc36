"""Two workers, their zombies, a reaper and a chain that mines what it likes, in random order; watched step by step.

What must hold whatever happens: no two records own one nonce, no record gets a second nonce while bytes for the first
may be anywhere, one record of a workflow holds a nonce at a time, no occurrence succeeds twice, and nothing is lost.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from autometa_cli.jobs.claim import Claim
from autometa_cli.jobs.job import open_envelope, parse_job
from autometa_cli.jobs.record import Record
from tests.jobs.desk import ALICE, BOB, Desk

STEPS = 500
CLOSED = {"settled", "skipped", "dead"}


@dataclass
class World:
    """The queue and everything around it; each method is something that may happen next."""

    desk: Desk
    dice: random.Random
    #: The key that each worker signs with.
    keys: dict[str, str]
    block: int = 10
    lives: int = 0
    #: Worker id of each person, by name; a new one after each death.
    ids: dict[str, str] = field(default_factory=dict)
    owner_of: dict[str, str] = field(default_factory=dict)
    #: Every claim there ever was: the dead still try to use theirs.
    claims: list[Claim] = field(default_factory=list)
    pushed: int = 0
    dropped: set[int] = field(default_factory=set)
    #: (sender, nonce) to (record key, call or cancel) of all bytes that may be anywhere.
    pool: dict[tuple[str, int], list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    #: Transactions that each sender has had.
    used: dict[str, int] = field(default_factory=lambda: {ALICE: 0, BOB: 0})
    #: What was mined, as (record key, sender, nonce, verdict), and is not settled yet.
    proofs: list[tuple[str, str, int, str]] = field(default_factory=list)
    succeeded: list[str] = field(default_factory=list)

    # -- people ---------------------------------------------------------------------------------------

    def born(self, name: str) -> None:
        self.lives += 1
        self.ids[name] = self.desk.worker(f"{name}{self.lives}")
        self.owner_of[self.ids[name]] = self.keys[name]

    def somebody(self) -> str:
        return self.ids[self.dice.choice(sorted(self.ids))]

    def push(self) -> None:
        workflow, next_run = self.dice.randint(1, 4), self.dice.choice([0, 0, 100, 200])
        self.desk.push(self.desk.payload(next_run, workflow, n=self.pushed, force=self.dice.random() < 0.3))
        self.pushed += 1

    def enqueue(self) -> None:
        next_run, workflow = self.dice.choice([100, 200]), self.dice.randint(1, 3)
        self.desk.enqueue(next_run, workflow, block=self.block, digest=f"d{self.block}")

    def take(self) -> None:
        if self.desk.pending():
            self.desk.take(self.somebody())

    def adopt(self) -> None:
        worker = self.somebody()
        raws = [raw for raw in self.desk.inflight(worker) if open_envelope(raw) is None]
        if not raws:
            return
        raw = self.dice.choice(raws)
        answer = self.desk.adopt(worker, raw, block=self.block, digest=f"d{self.block}")
        if isinstance(answer, Claim):
            self.claims.append(answer)
        elif answer.word == "duplicate" and (number := parse_job(raw).fields.get("n")) is not None:
            assert self.desk.scripts.asked[-1][0] == "adopt"
            self.dropped.add(number)

    def leave(self) -> None:
        name = self.dice.choice(sorted(self.ids))
        if self.desk.do(self.desk.queue.workers.leave(self.ids[name])).word == "ok":
            self.born(name)

    def die(self) -> None:
        name = self.dice.choice(sorted(self.ids))
        self.desk.silence(self.ids[name])
        if self.dice.random() < 0.5:  # else the reaper comes later, or between two of its steps
            self.reap()
        self.born(name)

    def reap(self) -> None:
        self.desk.reap(self.somebody())

    # -- the ledger -----------------------------------------------------------------------------------

    def a_claim(self) -> Claim | None:
        """Mostly a recent one of the living, sometimes that of a worker long dead."""
        living = [claim for claim in self.claims if claim.worker in self.ids.values()]
        candidates = living[-5:] if living and self.dice.random() < 0.85 else self.claims
        return self.dice.choice(candidates) if candidates else None

    def may(self, claim: Claim) -> bool:
        """Whether this claim still counts: nobody buried its worker, took the record, or claimed it again."""
        record = self.desk.record(claim.key)
        alive = (self.desk.redis.zscore(self.desk.keys.workers, claim.worker) or 0) > 0
        return alive and (record.holder, record.fence) == (claim.worker, claim.fence)

    def bind(self) -> None:
        claim = self.a_claim()
        if claim is None:
            return
        may = self.may(claim)
        sender, record = self.owner_of[claim.worker], self.desk.record(claim.key)
        other = record.sender if claim.bound and record.sender not in ("", sender) else None
        answer = self.desk.bind(
            claim,
            sender,
            latest=self.used[sender],
            block=self.block - self.dice.choice([0, 0, 0, 3]),
            earlier=(other, self.used[other]) if other else None,
        )
        assert may or answer.word == "fenced"

    def write(self) -> None:
        claim = self.a_claim()
        if claim is None:
            return
        record = self.desk.record(claim.key)
        if record.nonce is None:
            return
        may = self.may(claim)
        what = self.dice.choice(["", "", "paused", "refused"])
        number = len(record.attempts_sent)
        if what and not number:
            return
        answer = self.desk.write(
            claim, b"%d" % number, f"{claim.key}/{number}", cancel=what, unwanted=what == "paused"
        )
        assert may or answer.word == "fenced"
        if answer.word == "ok":
            self.pool[record.sender, record.nonce].append((claim.key, what or "call"))

    def release(self) -> None:
        claim = self.a_claim()
        if claim is not None:
            to = self.dice.choice(["queued", "delayed", "delayed", "skipped", "dead"])
            may = self.may(claim)
            answer = self.desk.release(claim, to, sender=self.owner_of[claim.worker], block=self.block)
            assert may or answer.word in ("fenced", "already")

    def takeover(self) -> None:
        for key in self.desk.do(self.desk.ledger.open_keys()):
            worker, record = self.somebody(), self.desk.record(key)
            if record.sender == self.owner_of[worker] and self.dice.random() < 0.5:
                hold = self.desk.do(self.desk.ledger.takeover(record, worker))
                if hold is not None and record.attempts_sent:
                    claim = next(claim for claim in self.claims if claim.key == key)
                    self.claims.append(
                        Claim(claim.job, claim.occurrence, claim.id, worker, hold.fence, bound=True)
                    )

    def promote(self) -> None:
        for name in self.desk.redis.zrange(self.desk.keys.delayed, 0, -1):
            if self.dice.random() < 0.7:
                self.desk.mature(name.decode())
        self.desk.do(self.desk.queue.promote())

    def again(self) -> None:
        """The answer was lost, and the client asks again."""
        name, _, args = self.desk.scripts.asked[-1]
        before = self.desk.answer.word
        if name in (
            "adopt",
            "bind",
            "write_signed",
            "release",
            "settle",
            "takeover",
            "reap",
            "promote",
            "enqueue",
        ):
            assert (before, self.desk.again().word) != ("ok", "ok"), (name, args)

    def long_after(self) -> None:
        """A call that was answered `ok` once comes a second time, from a proxy's memory."""
        done = [
            asked
            for asked, answer in zip(self.desk.scripts.asked, self.desk.scripts.answered, strict=True)
            if answer.word == "ok" and asked[0] in ("bind", "write_signed", "release", "settle")
        ]
        if done:
            assert self.desk.call(*self.dice.choice(done)).word != "ok"

    # -- the chain ------------------------------------------------------------------------------------

    def mine(self) -> None:
        """The next nonce of a key is used up: by any bytes of ours for it, or by somebody else's."""
        sender = self.dice.choice([ALICE, BOB])
        nonce = self.used[sender]
        ours = self.pool[sender, nonce]
        owner = self.desk.owners(sender).get(nonce)
        if ours and self.dice.random() < 0.9:
            key, what = self.dice.choice(ours)
            if what == "call":
                verdict = self.dice.choice(["executed", "executed", "action_failed", "reverted"])
                if verdict != "reverted":
                    self.succeeded.append(key)
            else:
                verdict = "refused" if what == "refused" else "cancelled"
            self.proofs.append((key, sender, nonce, verdict))
        elif owner is not None and self.dice.random() < 0.3:
            self.proofs.append((owner, sender, nonce, "foreign"))
        elif owner is None and self.dice.random() < 0.02:
            pass  # somebody uses our key
        else:
            return
        self.used[sender] += 1
        self.block += 1

    def settle(self) -> None:
        if not self.proofs:
            return
        proof = self.dice.choice(self.proofs)
        key, sender, nonce, verdict = proof
        record = self.desk.record(key)
        if (record.sender, record.nonce) != (sender, nonce):
            self.proofs.remove(proof)
            assert self.desk.owners(sender).get(nonce) is None
            return
        if self.desk.settle(key, verdict, block=self.block, record=record).word == "ok":
            self.proofs.remove(proof)
            self.pool.pop((sender, nonce), None)

    # -- what must hold -------------------------------------------------------------------------------

    def records(self) -> dict[str, Record]:
        async def collect() -> dict[str, Record]:
            return {record.key: record async for record in self.desk.inspector.records()}

        return self.desk.do(collect())

    def check(self) -> None:
        records = self.records()
        self._check_nonces(records)
        self._check_nothing_lost(records)
        assert len(set(self.succeeded)) == len(self.succeeded), "an occurrence succeeded twice"

    def _check_nonces(self, records: dict[str, Record]) -> None:
        holding = {key: record for key, record in records.items() if record.nonce is not None}
        holding = {key: record for key, record in holding.items() if record.state not in CLOSED}
        for sender in (ALICE, BOB):
            owners = self.desk.owners(sender)
            mine = {record.nonce: key for key, record in holding.items() if record.sender == sender}
            assert owners == mine
            assert len(mine) == sum(record.sender == sender for record in holding.values())
            assert not set(self.desk.freed(sender)) & set(owners)
            assert all(nonce < max(self.desk.next_nonce(sender), 0) for nonce in owners)
            for nonce in self.desk.freed(sender):
                assert not self.pool.get((sender, nonce)), "a nonce was given back though it was signed"
        for (sender, nonce), sent in self.pool.items():
            for key in {key for key, _ in sent}:
                record = records[key]
                assert (record.sender, record.nonce) == (sender, nonce), "signed bytes without their record"
            assert len({key for key, _ in sent}) <= 1, "two records signed for one nonce"
        by_workflow = [(record.workflow) for record in holding.values()]
        assert len(set(by_workflow)) == len(by_workflow), "two records of a workflow hold a nonce"
        opened = {key for key, record in holding.items() if record.state in ("bound", "signed", "cancelling")}
        assert set(self.desk.do(self.desk.ledger.open_keys())) == opened

    def _check_nothing_lost(self, records: dict[str, Record]) -> None:
        lists = self.desk.pending()
        for name in self.desk.redis.keys(self.desk.keys.inflight("*").replace("{", "\\{")):
            lists += self.desk.redis.lrange(name, 0, -1)
        raws = [opened[2] if (opened := open_envelope(element)) else element for element in lists]
        jobs = [parse_job(raw).fields for raw in (*raws, *(record.job for record in records.values()))]
        numbers = {fields["n"] for fields in jobs if "n" in fields}
        assert numbers | self.dropped == set(range(self.pushed)), "a job is gone"
        listed = {opened[1] for element in lists if (opened := open_envelope(element))}
        listed |= {job.occurrence for raw in raws if (job := parse_job(raw)).occurrence}
        delayed = {name.decode() for name in self.desk.redis.zrange(self.desk.keys.delayed, 0, -1)}
        dead = {name.decode() for name in self.desk.redis.zrange(self.desk.keys.dead, 0, -1)}
        for key, record in records.items():
            match record.state:
                case "queued" | "claimed" | "bound":
                    assert key in listed, f"{record.label} is {record.state} and in no list"
                case "delayed":
                    assert key in delayed
                case "dead":
                    assert key in dead
                case "signed" | "cancelling" | "settled" | "skipped":
                    pass
                case state:
                    pytest.fail(f"{record.label} is {state!r}")

    # -- and then -------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Everybody does what is left; in the end every record is closed."""
        for name in sorted(self.ids):
            self.desk.silence(self.ids[name])
        worker = self.desk.worker("last")
        self.owner_of[worker] = ALICE
        self.desk.reap(worker)
        for _ in range(60):
            while self.proofs:
                self.settle()
            for sender in (ALICE, BOB):
                if owner := self.desk.owners(sender).get(self.used[sender]):
                    call = any(what == "call" for _, what in self.pool[sender, self.used[sender]])
                    if call:
                        self.succeeded.append(owner)
                    verdict = "executed" if call else "foreign"
                    self.proofs.append((owner, sender, self.used[sender], verdict))
                elif self.desk.owners(sender):
                    self.used[sender] += 1  # a gap, filled by a self-transfer
                self.used[sender] += owner is not None
            self.block += 1
            for name in self.desk.redis.zrange(self.desk.keys.delayed, 0, -1):
                self.desk.mature(name.decode())
            self.desk.do(self.desk.queue.promote())
            while self.desk.pending():
                self.desk.take(worker)
            for raw in self.desk.inflight(worker):
                if open_envelope(raw) is None:
                    claim = self.desk.adopt(worker, raw, block=self.block)
                    if isinstance(claim, Claim):
                        self.desk.release(claim, "skipped", sender=ALICE, block=self.block)
                    elif claim.word == "duplicate" and "n" in (fields := parse_job(raw).fields):
                        self.dropped.add(fields["n"])
            self.check()
        assert {record.state for record in self.records().values()} <= CLOSED
        assert (self.desk.inflight(worker), self.desk.pending(), self.desk.owners(), self.desk.owners(BOB)) == (
            [], [], {}, {},
        )  # fmt: skip


@pytest.mark.parametrize(("seed", "shared"), [(0, True), (1, False)], ids=["one key", "two keys"])
def test_interleavings(desk: Desk, seed: int, shared: bool) -> None:
    world = World(desk, random.Random(seed), {"ann": ALICE, "bob": ALICE if shared else BOB})
    for name in world.keys:
        world.born(name)
    chances: dict[Callable[[], None], int] = {
        world.push: 6, world.enqueue: 4, world.take: 12, world.adopt: 14, world.bind: 16, world.write: 14,
        world.release: 5, world.die: 2, world.reap: 2, world.leave: 1, world.takeover: 3, world.promote: 4,
        world.mine: 10, world.settle: 10, world.again: 6, world.long_after: 6,
    }  # fmt: skip
    for step in range(STEPS):
        act = world.dice.choices(list(chances), list(chances.values()))[0]
        act()
        if step % 20 == 0 or act.__name__ in ("die", "reap", "again"):
            world.check()
    world.finish()

    asked = (name for name, _, _ in desk.scripts.asked)
    happened = {f"{name} {answer.word}" for name, answer in zip(asked, desk.scripts.answered, strict=True)}
    assert happened >= {
        f"{name} ok" for name in ("adopt", "bind", "write_signed", "settle", "release", "reap")
    }
    assert happened >= {"bind wait:workflow", "bind fenced", "adopt duplicate"}
    assert world.succeeded
