"""Everything that may happen next: what workers do between scripts, the chain, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator

from tests.model.scripts import Scripts
from tests.model.setup import FAULTS
from tests.model.state import (
    BARRIER,
    CALLS,
    CANCEL,
    CLOSED,
    FOREIGN,
    LONGEST_CHAIN,
    NOBODY,
    NOOP,
    PENDING,
    SIGNED,
    WORKERS,
    Bytes,
    Key,
    Record,
    Redis,
    Transaction,
    Worker,
    World,
    at,
    executed,
    mined,
    put,
)

#: (what happens, the world after it, it needs neither a fault nor luck)
Step = tuple[str, World, bool]
_KINDS = tuple(FAULTS)
_X = "XY"
_FREE = {"idle", "off"}


class Steps(Scripts):
    """The steps of a setup."""

    def start(self) -> World:
        """The world before anything happened: both jobs are pending."""
        jobs = range(self.setup.jobs)
        elements = tuple((PENDING, o, False) for o in jobs)
        redis = Redis((Record(),) * self.setup.jobs, elements, (Key(),) * self.setup.keys)
        return World(redis, (Worker(),) * WORKERS, used=(0,) * len(_KINDS))

    def steps(self, s: World) -> Iterator[Step]:
        """All that may happen next."""
        if s.snap is not None and not s.moved:
            # What is on disk matters only from the next write on; it might as well have been written just before.
            yield from (step for step in self._all(s) if step[1].moved)
        else:
            yield from self._all(s)

    def _all(self, s: World) -> Iterator[Step]:
        for w in range(WORKERS):
            yield from self._work(s, w)
        if not s.redis.recovering and s.run == s.redis.run:
            yield from self._tend(s)
        yield from self._chain(s)
        yield from self._outside(s)
        yield from self._restart(s)

    # -- workers --------------------------------------------------------------------------------------

    def _work(self, s: World, w: int) -> Iterator[Step]:
        me, name = s.workers[w], "AB"[w]
        dead = self.setup.dead_key == self._key(w) and s.used[0] > 0
        if me.pc == "off":
            if not dead and s.redis.run == s.run and not s.redis.recovering:
                s = self.register(s, w)[1]
                yield f"{name} starts again", self._become(s, w, "idle", run=s.run), True
            return
        holds = any(r.holder == w for r in s.redis.records) or any(e[0] == w for e in s.redis.elements)
        if (me.pc != "idle" or holds) and self._can(s, "crash"):
            yield f"{name} is killed ({me.pc})", self._spend(self._become(s, w, "off"), "crash"), False
        if not self._guard(s, me.run) and me.run != s.run and s.redis.run == s.run:
            yield f"{name} hears that its claims are void", self._become(s, w, "off"), True
        match me.pc:
            case "idle":
                yield from self._idle(s, w, name)
            case "taken":
                yield from self._claim(s, w, name)
            case "claimed":
                yield from self._check(s, w, name)
            case "checked":
                yield from self._bind(s, w, name)
            case "bound":
                yield from self._sign(s, w, name)
            case "written":
                yield from self._send(s, w, name)
            case "cancel":
                word, t = self.write_signed(s, w, "cancel")
                if word != "recovery":
                    t = self._become(self._told(s, t, w), w, "idle" if word == "ok" else self._lost(s, w))
                    yield f"{name}: cancel of {_X[me.o]}: {word}", t, True
        if me.pc in ("claimed", "checked", "bound"):
            yield from self._put_back(s, w, name)

    def _idle(self, s: World, w: int, name: str) -> Iterator[Step]:
        me, k = s.workers[w], self._key(w)
        if me.run != s.run:
            return
        for o in range(self.setup.jobs):
            if (PENDING, o, False) in s.redis.elements:
                t = self._move(s, (PENDING, o, False), (w, o, False))
                yield f"{name} takes {_X[o]}", self._become(t, w, "taken", o), True
                if self._can(s, "reply"):
                    yield f"{name} takes {_X[o]}, reply lost", self._spend(t, "reply"), False
            if (w, o, False) in s.redis.elements:
                yield f"{name} finds {_X[o]} in its list", self._become(s, w, "taken", o), True
            if (w, o, True) in s.redis.elements:
                yield from self._resume(s, w, o, name)
        if not self._guard(s, me.run):
            return
        if not s.redis.alive[w]:
            yield f"{name} hears that it was buried", self._become(s, w, "off"), True
            return
        for o, r in enumerate(s.redis.records):
            if r.st in SIGNED and r.sender == k and r.holder != w:
                word, t = self.takeover(s, w, o)
                if word == "ok":
                    yield f"{name} takes {_X[o]} over", self._told(s, t, w), True
            if r.st == "signed" and r.holder == w and r.nonce >= mined(s.chain, k):
                decided = self._become(s, w, "cancel", o, fence=True, nonce=r.nonce)
                if o in s.paused:
                    t = self._worker(decided, w, why="unwanted")
                    yield f"{name}: {_X[o]} is not wanted any more", t, True
                if self._can(s, "cancel"):
                    t = self._spend(self._worker(decided, w, why="operator"), "cancel")
                    yield f"{name} is asked to cancel {_X[o]}", t, False
        if self.on("gap_fill"):
            word, t = self.fill_gap(s, w)
            if word == "ok":
                yield f"{name} fills the gap at {'AB'[k]}{mined(s.chain, k)}", self._told(s, t, w), True
        for i, noop in enumerate(s.redis.noops):
            if noop.signed or noop.sender != k:
                continue
            if noop.holder == w:
                t = self._redis(s, noops=put(s.redis.noops, i, noop._replace(signed=True)))
                yield f"{name} signs the self-transfer at {'AB'[k]}{noop.nonce}", self._told(s, t, w), True
            elif not s.redis.alive[noop.holder]:
                t = self._redis(s, noops=put(s.redis.noops, i, noop._replace(holder=w)))
                yield (
                    f"{name} takes the self-transfer at {'AB'[k]}{noop.nonce} over",
                    self._told(s, t, w),
                    True,
                )

    def _resume(self, s: World, w: int, o: int, name: str) -> Iterator[Step]:
        record = s.redis.records[o]
        if record.holder != w:
            yield f"{name} drops {_X[o]}, it went on without it", self._move(s, (w, o, True), None), True
        elif record.st in ("claimed", "bound"):
            yield f"{name} resumes {_X[o]}", self._become(s, w, "claimed", o, fence=True), True

    def _claim(self, s: World, w: int, name: str) -> Iterator[Step]:
        o = s.workers[w].o
        word, t = self.adopt(s, w)
        t = self._told(s, t, w)
        if word == "ok":
            yield f"{name} adopts {_X[o]}", self._become(t, w, "claimed", o, fence=True), True
            if self._can(s, "reply"):
                t = self._become(self._untold(s, t), w, "idle")
                yield f"{name} adopts {_X[o]}, reply lost", self._spend(t, "reply"), False
        elif word == "recovery":
            yield f"{name} puts {_X[o]} back", self._become(self.retreat(s, w)[1], w, "idle"), True
        else:
            yield f"{name}: adopt of {_X[o]}: {word}", self._become(t, w, self._lost(s, w)), True

    def _check(self, s: World, w: int, name: str) -> Iterator[Step]:
        me, o = s.workers[w], s.workers[w].o
        final, latest = executed(s.chain[: s.final], o), executed(s.chain, o)
        if not self.on("check_chain") or o in self.setup.now:
            final = latest = 0
        if o in s.paused or final:
            word, t = self.release(s, w, "skipped")
            if word == "ok":
                yield f"{name} skips {_X[o]}", self._become(self._told(s, t, w), w, "idle"), True
            elif word != "recovery":
                yield f"{name}: release of {_X[o]}: {word}", self._become(s, w, self._lost(s, w)), True
        elif not latest:
            counts = self.counts(s, self._key(w)) if self.setup.old_views else None
            t = self._worker(s, w, pc="checked", counts=counts)
            yield f"{name} checks {_X[o]}: due", t, True
        assert me.pc == "claimed"

    def _bind(self, s: World, w: int, name: str) -> Iterator[Step]:
        o, k = s.workers[w].o, self._key(w)
        word, t = self.bind(s, w)
        t = self._told(s, t, w)
        if word in ("ok", "already"):
            n = t.workers[w].nonce
            verb = "binds" if word == "ok" else "keeps"
            yield f"{name} {verb} {_X[o]}@{'AB'[k]}{n}", self._worker(t, w, pc="bound", counts=None), True
            if word == "ok" and self._can(s, "reply"):
                t = self._become(self._untold(s, t), w, "idle")
                yield f"{name} binds {_X[o]}@{'AB'[k]}{n}, reply lost", self._spend(t, "reply"), False
        elif word == "recheck":
            t = self._worker(t, w, pc="claimed", counts=None)
            yield f"{name}: the chain overtook the counter of {'AB'[k]}; checks again", t, True
        elif word in ("fenced", "gone", "reconcile"):
            yield f"{name}: bind of {_X[o]}: {word}", self._become(t, w, self._lost(s, w)), True

    def _sign(self, s: World, w: int, name: str) -> Iterator[Step]:
        me, o = s.workers[w], s.workers[w].o
        at_nonce = f"{_X[o]}@{'AB'[self._key(w)]}{me.nonce}"
        if not self.on("write_ahead"):
            b = (self._key(w), me.nonce, o)
            t = self._out(s, b)
            word, written = self.write_signed(t, w, "call")
            if word != "recovery":
                yield (
                    f"{name} sends {at_nonce}, then writes it",
                    self._become(written, w, self._lost(s, w)),
                    True,
                )
            if self._can(s, "crash"):
                t = self._spend(self._become(t, w, "off"), "crash")
                yield f"{name} sends {at_nonce}, is killed before writing", t, False
            return
        word, t = self.write_signed(s, w, "call")
        t = self._told(s, t, w)
        if word == "ok":
            yield f"{name} signs and writes {at_nonce}", self._worker(t, w, pc="written"), True
            if self._can(s, "reply"):
                t = self._become(self._untold(s, t), w, "idle")
                yield f"{name} signs and writes {at_nonce}, reply lost", self._spend(t, "reply"), False
        elif word != "recovery":
            t = self._become(t, w, self._lost(s, w))
            yield f"{name}: writing {at_nonce}: {word}; throws its bytes away", t, True

    def _send(self, s: World, w: int, name: str) -> Iterator[Step]:
        me = s.workers[w]
        b, label = (self._key(w), me.nonce, me.o), f"{name} sends {_X[me.o]}@{'AB'[self._key(w)]}{me.nonce}"
        done = self._become(s, w, "idle")
        yield label, self._out(done, b), True
        if self._can(s, "drop"):
            yield f"{label}, it never arrives", self._spend(done._replace(out=s.out | {b}), "drop"), False
        if not self.on("ambiguous_sent") and self._can(s, "reply") and self._own(s, w):
            t = self._move(self._give_back(self._out(done, b), s.redis.records[me.o]), (w, me.o, True), None)
            t = self._record(t, me.o, Record("delayed"))
            yield f"{label}, time-out: taken as failed", self._spend(t, "reply"), False

    def _put_back(self, s: World, w: int, name: str) -> Iterator[Step]:
        me = s.workers[w]
        bound = s.redis.records[me.o].nonce >= 0
        if bound and not self._can(s, "trouble"):
            return
        word, t = self.release(s, w, "queued")
        if word == "ok":
            t = self._become(self._told(s, t, w), w, "idle")
            label = f"{name} puts {_X[me.o]} back" + (", gives its nonce back" if bound else "")
            yield label, self._spend(t, "trouble") if bound else t, not bound

    # -- what any process does now and then -------------------------------------------------------------

    def _tend(self, s: World) -> Iterator[Step]:
        redis = s.redis
        for id, alive in enumerate(redis.alive):
            robbed = id < WORKERS and s.workers[id].pc != "off"
            if alive and (not robbed or self._can(s, "reap")) and self._holds(s, id):
                t = self.reap(s, id, None)[1]
                label = f"{self._name(id)} is buried" + (" (alive!)" if robbed else "")
                yield label, self._spend(t, "reap") if robbed else t, not robbed
        for place, o, _ in redis.elements:
            if place != PENDING and not redis.alive[place]:
                word, t = self.reap(s, place, o)
                yield f"{_X[o]} of {self._name(place)} is handed on: {word}", t, True
        for o, r in enumerate(redis.records):
            if r.st == "delayed":
                yield f"{_X[o]} is due again", self.promote(s, o)[1], True
            if (
                r.st in ("queued", "bound")
                and r.holder == NOBODY
                and not any(e[1] == o for e in redis.elements)
            ):
                yield f"{_X[o]} is in no list, pushed again", self.requeue(s, o)[1], True
            seen = s.final if self.on("final_settle") else len(s.chain)
            if r.nonce >= 0 and r.nonce < mined(s.chain[:seen], r.sender):
                word, t = self.settle(s, o)
                yield f"{_X[o]} settled: {word}", t, True
            if r.st in SIGNED and self.on("rebroadcast"):
                b = (r.sender, r.nonce, CANCEL + o if r.st == "cancelling" else o)
                wanted = r.st == "cancelling" or (r.call and o not in s.paused)
                if wanted and b not in s.pool and r.nonce >= mined(s.chain, r.sender):
                    what = "its cancel" if r.st == "cancelling" else "it"
                    yield f"{_X[o]}@{'AB'[r.sender]}{r.nonce}: {what} is sent again", self._out(s, b), True
        for i, noop in enumerate(redis.noops):
            b = (noop.sender, noop.nonce, NOOP)
            if noop.nonce < mined(s.chain[: s.final], noop.sender):
                noops = (*redis.noops[:i], *redis.noops[i + 1 :])
                yield "a self-transfer is settled", self._redis(s, noops=noops), True
            elif noop.signed and b not in s.pool and noop.nonce >= mined(s.chain, noop.sender):
                yield f"the self-transfer at {'AB'[noop.sender]}{noop.nonce} is sent", self._out(s, b), True

    # -- the chain --------------------------------------------------------------------------------------

    def _chain(self, s: World) -> Iterator[Step]:
        for b in s.out:
            k, n, payload = b
            if len(s.chain) >= LONGEST_CHAIN or n != mined(s.chain, k):
                continue
            # One transaction a block; the block before is final once the next one is there.
            pool = frozenset(other for other in s.pool if other[:2] != (k, n))
            t = s._replace(chain=(*s.chain, Transaction(k, n, payload, True)), pool=pool, final=len(s.chain))
            yield f"mined: {self._what(b)}", t, b in s.pool and len(s.chain) == s.final
            if payload < CALLS and self._can(s, "revert"):
                t = t._replace(chain=(*s.chain, Transaction(k, n, payload, False)))
                yield f"mined, reverts: {self._what(b)}", self._spend(t, "revert"), False
        if s.final < len(s.chain):
            yield "final", s._replace(final=len(s.chain)), True
            if self._can(s, "reorg"):
                yield "the last block is gone", self._spend(s._replace(chain=s.chain[:-1]), "reorg"), False
        if self._can(s, "drop"):
            for b in s.pool:
                t = s._replace(pool=s.pool - {b})
                yield f"the pool forgets {self._what(b)}", self._spend(t, "drop"), False

    def _outside(self, s: World) -> Iterator[Step]:
        open_ = any(r.st not in CLOSED for r in s.redis.records)
        if self._can(s, "foreign") and open_ and len(s.chain) < LONGEST_CHAIN:
            n = mined(s.chain, 0)
            pool = frozenset(b for b in s.pool if b[:2] != (0, n))
            t = s._replace(chain=(*s.chain, Transaction(0, n, FOREIGN, True)), pool=pool, final=len(s.chain))
            yield f"a foreign transaction is mined at A{n}", self._spend(t, "foreign"), False
        for o, r in enumerate(s.redis.records):
            if o not in s.paused and r.st not in CLOSED and self._can(s, "pause"):
                t = s._replace(paused=s.paused | {o})
                yield f"the owner pauses {_X[o]}", self._spend(t, "pause"), False
            pending = (PENDING, o, False)
            if pending in s.redis.elements and self._can(s, "lift"):
                yield (
                    f"somebody takes {_X[o]} off the list",
                    self._spend(self._move(s, pending, None), "lift"),
                    False,
                )
            if o not in self.setup.now and self._can(s, "twin"):
                yield f"{_X[o]} is pushed again", self._spend(self._move(s, None, pending), "twin"), False

    # -- Redis restarts ---------------------------------------------------------------------------------

    def _restart(self, s: World) -> Iterator[Step]:
        if s.run != s.redis.run:
            yield from self._doubt(s)
        elif s.redis.recovering:
            yield from self._recover(s)
        elif "loss" in self.setup.kinds and s.used[_KINDS.index("loss")] == 0:
            if s.snap is None and any(r.st not in CLOSED for r in s.redis.records):
                workers = tuple(w._replace(aware=False, snap_fence=w.fence) for w in s.workers)
                yield (
                    "(Redis's disk is up to here)",
                    s._replace(snap=s.redis, workers=workers, moved=False),
                    False,
                )
            if s.snap is not None and s.moved and self._can(s, "loss"):
                workers = tuple(w._replace(fence=w.snap_fence, snap_fence=False) for w in s.workers)
                t = s._replace(redis=s.snap, snap=None, moved=False, run=s.run + 1, workers=workers)
                yield "Redis restarts without its last writes", self._spend(t, "loss"), False

    def _doubt(self, s: World) -> Iterator[Step]:
        registered = [id for id, alive in enumerate(s.redis.alive) if alive]
        heard = all(id < WORKERS and s.workers[id].pc != "off" for id in registered)
        known = any(w.aware for w in s.workers if w.pc != "off")
        if (heard and not known) or not self.on("proof"):
            workers = tuple(w if w.pc == "off" else w._replace(run=s.run, aware=False) for w in s.workers)
            yield "nobody misses a write; work goes on", self.renew(s)[1]._replace(workers=workers), True
        workers = tuple(w._replace(aware=False) for w in s.workers)
        yield "recovery begins", self.recovery_begin(s)[1]._replace(workers=workers), True

    def _recover(self, s: World) -> Iterator[Step]:
        redis = s.redis
        known = {self._key(id) for id, alive in enumerate(redis.alive) if alive}
        known |= {r.sender for r in redis.records if r.nonce >= 0} | {noop.sender for noop in redis.noops}
        known = known or {0}
        for k in known - redis.windows if self.on("barrier") else ():
            n, b = mined(s.chain, k), (k, mined(s.chain, k), BARRIER)
            if mined(s.chain[: s.final], k) >= s.ends[k]:
                yield f"the window of {'AB'[k]} is used up", self.recovery_window(s, k)[1], True
            elif n < s.ends[k] and b not in s.pool:
                yield f"recovery sends a self-transfer at {'AB'[k]}{n}", self._out(s, b), True
        doubtful = [o for o, record in enumerate(redis.records) if self._doubtful(record, o)]
        for o in doubtful:
            what = "counts as signed" if redis.records[o].st == "bound" else "is buried as uncertain"
            yield f"{_X[o]} {what}", self.recovery_bury(s, o)[1], True
        if not doubtful and (known <= redis.windows or not self.on("barrier")):
            yield "recovery ends", self.recovery_end(s)[1], True

    def _doubtful(self, record: Record, o: int) -> bool:
        if record.st == "bound":
            return self.on("doubt_bound")
        return o in self.setup.now and record.st in ("queued", "delayed", "claimed") and self.on("bury_now")

    # -- parts ------------------------------------------------------------------------------------------

    def _can(self, s: World, kind: str) -> bool:
        used = s.used[_KINDS.index(kind)]
        return kind in self.setup.kinds and not used and sum(s.used) < self.setup.faults

    def _spend(self, s: World, kind: str) -> World:
        return s._replace(used=put(s.used, _KINDS.index(kind), 1))

    def _become(
        self, s: World, w: int, pc: str, o: int = -1, *, fence: bool = False, **more: object
    ) -> World:
        me = s.workers[w]
        run = more.pop("run", me.run)
        fresh = Worker(pc, o, fence, run=run, aware=me.aware and pc != "off", **more)  # type: ignore[arg-type]
        return s._replace(workers=put(s.workers, w, fresh))

    def _lost(self, s: World, w: int) -> str:
        """What a worker becomes whose script was refused: it starts again where it finds that it was buried."""
        return "idle" if s.redis.alive[w] else "off"

    def _told(self, before: World, after: World, w: int) -> World:
        """The caller was answered: it knows of every write so far."""
        if after.snap is None or not after.moved or after.workers[w].aware:
            return after
        return self._worker(after, w, aware=True)

    def _untold(self, before: World, after: World) -> World:
        """The caller was not answered."""
        aware = (w.aware for w in before.workers)
        workers = tuple(w._replace(aware=known) for w, known in zip(after.workers, aware, strict=True))
        return after._replace(workers=workers)

    def _out(self, s: World, b: Bytes) -> World:
        taken = at(s.chain, b[0], b[1]) is not None
        return s._replace(out=s.out | {b}, pool=s.pool if taken else s.pool | {b})

    def _holds(self, s: World, id: int) -> bool:
        redis = s.redis
        return (
            any(r.holder == id for r in redis.records)
            or any(e[0] == id for e in redis.elements)
            or any(noop.holder == id for noop in redis.noops)
        )

    def _name(self, id: int) -> str:
        return "AB"[id] if id < WORKERS else f"{'AB'[id - WORKERS]}'s last life"

    def _what(self, b: Bytes) -> str:
        names = {NOOP: "self-transfer", FOREIGN: "foreign", BARRIER: "recovery's self-transfer"}
        name = names.get(b[2]) or (_X[b[2]] if b[2] < CALLS else f"cancel of {_X[b[2] - CANCEL]}")
        return f"{name}@{'AB'[b[0]]}{b[1]}"
