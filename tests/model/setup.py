"""What a setup is, and what scripts are made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.model.state import SIGNED, Element, Key, Record, World, mined, put

#: What can be taken away from the protocol, to see what it is there for.
RULES = {
    "fence": "scripts check that the record still belongs to the caller",
    "run_fence": "scripts check that the ledger belongs to the Redis process that the caller knows",
    "write_ahead": "bytes are in the ledger before anybody sends them",
    "keep_signed": "only nonces that were never signed are given back",
    "catch_up": "the counter follows the finalized chain, and the job is checked again",
    "gap_fill": "a nonce that nobody holds below a signed one is used up by a self-transfer",
    "rebroadcast": "signed bytes are sent again while their nonce is not consumed",
    "ambiguous_sent": "a broadcast without a clear answer counts as sent",
    "check_chain": "before binding the chain is asked whether the occurrence was executed",
    "final_settle": "a record is settled by what is final (without: by what is mined)",
    "verify_own": "a consumed nonce is ours only if one of our transactions was mined",
    "mined_decides": "a cancelled record closes when its self-transfer is final (without: when it is written)",
    "forgotten": "where none of our attempts was mined, the workflow's events are read",
    "look_twice": "they are read, too, before a record is tried again after a revert or a cancel",
    "proof": "a restarted Redis is trusted only if every registered worker remembers nothing more",
    "barrier": "after a loss every nonce that forgotten bytes may have is used up first",
    "bury_now": "after a loss 'now' jobs without a signature are buried, not run",
    "doubt_bound": "after a loss a record that is bound counts as signed: nobody gives its nonce back",
    "window": "nonces are bound only up to a number past the finalized count",
}  # fmt: skip
#: What can go wrong, each once.
FAULTS = {
    "crash": "a worker is killed",
    "reap": "a live worker is taken for dead",
    "reply": "a script's answer is lost, and the caller gives up",
    "trouble": "a worker gives a bound job back",
    "drop": "the pool forgets, or a broadcast never arrives",
    "revert": "a call is mined and reverts",
    "reorg": "the last block is gone again",
    "foreign": "somebody else uses the key",
    "pause": "the owner pauses the workflow",
    "cancel": "a person cancels the transaction",
    "lift": "somebody takes an element off the list",
    "twin": "somebody pushes a job a second time",
    "loss": "Redis restarts without its last writes",
}


@dataclass(frozen=True)
class Setup:
    """What is explored.

    Attributes:
        jobs: occurrences.
        keys: 1: both workers share a key; 2: each has its own.
        faults: how many in all.
        kinds: of FAULTS.
        without: of RULES.
        now: occurrences that are "now" jobs, which leave no trace in the chain's schedule.
        dead_key: the only worker with this key never comes back after a crash.
        window: MAX_OPEN_NONCES.
        old_views: counts may be as old as the check when a worker binds.
    """

    jobs: int = 2
    keys: int = 1
    faults: int = 2
    kinds: frozenset[str] = frozenset(FAULTS) - {"loss", "lift", "twin"}
    without: frozenset[str] = field(default=frozenset())
    now: frozenset[int] = field(default=frozenset())
    dead_key: int | None = None
    window: int = 3
    old_views: bool = False


class Ground:
    """One setup, and the small changes of a world that scripts are made of."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self._rules = frozenset(RULES) - setup.without

    def on(self, rule: str) -> bool:
        """Is this rule in force?"""
        return rule in self._rules

    def counts(self, s: World, k: int) -> tuple[int, int, int]:
        """Transaction counts of a key: latest, final, pending."""
        latest = pending = mined(s.chain, k)
        while any(b[0] == k and b[1] == pending for b in s.pool):
            pending += 1
        return latest, mined(s.chain[: s.final], k), pending

    def _key(self, id: int) -> int:
        return id % self.setup.keys

    def _guard(self, s: World, run: int) -> bool:
        # A connection meets another process only to be told so (`jobs.connection`), and scripts compare as well.
        return (run == s.redis.run == s.run or not self.on("run_fence")) and not s.redis.recovering

    def _own(self, s: World, w: int) -> bool:
        me = s.workers[w]
        mine = s.redis.records[me.o].holder == w and me.fence and s.redis.alive[w]
        return mine or not self.on("fence")

    def _owned(self, s: World, k: int, n: int) -> bool:
        return any(
            r.sender == k and r.nonce == n and r.st in ("bound", *SIGNED) for r in s.redis.records
        ) or any(noop.sender == k and noop.nonce == n for noop in s.redis.noops)

    def _redis(self, s: World, **changes: object) -> World:
        moved = s.snap is not None
        return s._replace(redis=s.redis._replace(**changes), moved=moved)  # type: ignore[arg-type]

    def _record(self, s: World, o: int, record: Record) -> World:
        return self._redis(s, records=put(s.redis.records, o, record))

    def _set_key(self, s: World, k: int, key: Key) -> World:
        return self._redis(s, keys=put(s.redis.keys, k, key))

    def _worker(self, s: World, w: int, **changes: object) -> World:
        return s._replace(workers=put(s.workers, w, s.workers[w]._replace(**changes)))  # type: ignore[arg-type]

    def _fenced(self, s: World, o: int) -> World:
        """The record's fence is raised: nobody's is right any more."""
        workers = tuple(w._replace(fence=False) if w.o == o and w.fence else w for w in s.workers)
        return s._replace(workers=workers)

    def _move(self, s: World, old: Element | None, new: Element | None) -> World:
        elements = list(s.redis.elements)
        if old in elements:
            elements.remove(old)
        if new is not None:
            elements.append(new)
        return self._redis(s, elements=tuple(sorted(elements)))

    def _give_back(self, s: World, record: Record) -> World:
        key = s.redis.keys[record.sender]
        return self._set_key(s, record.sender, Key(key.next, tuple(sorted({*key.freed, record.nonce}))))

    def _close(self, s: World, o: int, record: Record, to: str) -> World:
        s = self._move(s, (record.holder, o, True), None)
        return self._fenced(self._record(s, o, Record(to)), o)
