"""The ledger's scripts, each as one atomic step; same names, same guards, same answers as in `jobs/scripts`.

A script takes a world and whoever calls it, and gives its answer's word and the world after it.
"""

from __future__ import annotations

from tests.model.setup import Ground
from tests.model.state import (
    CANCEL,
    NOBODY,
    PENDING,
    SIGNED,
    WORKERS,
    Key,
    Noop,
    Record,
    Transaction,
    World,
    at,
    executed,
    mined,
    put,
)


class Scripts(Ground):
    """The scripts, and nothing else."""

    # -- claiming -------------------------------------------------------------------------------------

    def adopt(self, s: World, w: int) -> tuple[str, World]:
        redis, o = s.redis, s.workers[w].o
        raw = (w, o, False)
        if not redis.alive[w]:
            return "gone", self._move(s, raw, (PENDING, o, False)) if raw in redis.elements else s
        if not self._guard(s, s.workers[w].run):
            return "recovery", s
        if raw not in redis.elements:
            return "missing", s
        record = redis.records[o]
        if record.st not in ("queued", "bound") or record.holder != NOBODY:
            return "duplicate", self._move(s, raw, None)
        s = self._move(s, raw, (w, o, True))
        st = "bound" if record.st == "bound" else "claimed"
        s = self._fenced(self._record(s, o, record._replace(st=st, holder=w)), o)
        return "ok", self._worker(s, w, fence=True)

    def retreat(self, s: World, w: int) -> tuple[str, World]:
        o = s.workers[w].o
        raw = (w, o, False)
        return ("ok", self._move(s, raw, (PENDING, o, False))) if raw in s.redis.elements else ("already", s)

    def bind(self, s: World, w: int) -> tuple[str, World]:
        me, redis, k = s.workers[w], s.redis, self._key(w)
        record, o = redis.records[me.o], me.o
        if not self._guard(s, me.run):
            return "recovery", s
        if not self._own(s, w):
            return "fenced", s
        if record.st not in ("claimed", "bound") and self.on("fence"):
            return "gone", s
        latest, final, pending = me.counts or self.counts(s, k)
        key = redis.keys[k]
        if record.nonce >= 0:
            seen = latest if record.sender == k else mined(s.chain, record.sender)
            if record.nonce < seen:
                return "reconcile", s
            if record.sender == k:
                return "already", self._worker(s, w, nonce=record.nonce)
        if final > key.next:
            if not self.on("catch_up"):
                return "wait:foreign", s
            freed = tuple(n for n in key.freed if n >= final)
            return "recheck", self._set_key(s, k, Key(final, freed))
        free = [n for n in key.freed if n >= latest]
        nonce = free[0] if free else key.next
        if pending > nonce:
            return "wait:foreign", s
        if nonce >= final + self.setup.window and self.on("window"):
            return "wait:window", s
        if self._owned(s, k, nonce) and self.on("fence"):
            return "wait:owner", s
        if record.nonce >= 0:
            s = self._give_back(s, record)
            key = s.redis.keys[k]
        freed = tuple(n for n in key.freed if n != nonce)
        s = self._set_key(s, k, Key(key.next if free else nonce + 1, freed))
        s = self._record(s, o, record._replace(st="bound", sender=k, nonce=nonce, call=False, cancel=False))
        return "ok", self._worker(s, w, nonce=nonce)

    def write_signed(self, s: World, w: int, what: str) -> tuple[str, World]:
        me, record = s.workers[w], s.redis.records[s.workers[w].o]
        if not self._guard(s, me.run):
            return "recovery", s
        bound_here = record.sender == self._key(w) and record.nonce == me.nonce
        if self.on("fence") and not (self._own(s, w) and bound_here):
            return "fenced", s
        if record.st not in ("bound", "signed", "cancelling"):
            if self.on("fence") or record.st in ("settled", "skipped", "dead"):
                return "fenced", s
            record = record._replace(st="bound", holder=w)
        if what == "call":
            if record.st == "cancelling" or record.call:
                return "fenced", s
            record = record._replace(st="signed", call=True, sender=self._key(w), nonce=me.nonce)
        elif record.cancel:
            return "fenced", s
        else:
            record = record._replace(st="cancelling", cancel=True, why=me.why)
        if what == "cancel" and not self.on("mined_decides"):
            return "ok", self._close(s, me.o, record, "skipped" if me.why == "unwanted" else "dead")
        return "ok", self._record(s, me.o, record)

    def release(self, s: World, w: int, to: str) -> tuple[str, World]:
        me = s.workers[w]
        record = s.redis.records[me.o]
        if not self._guard(s, me.run):
            return "recovery", s
        if not self._own(s, w):
            return "fenced", s
        if record.st not in ("claimed", "bound"):
            return "signed", s
        if record.nonce >= 0:
            s = self._give_back(s, record)
        s = self._move(s, (w, me.o, True), (PENDING, me.o, False) if to == "queued" else None)
        return "ok", self._fenced(self._record(s, me.o, Record(to)), me.o)

    # -- handing on -----------------------------------------------------------------------------------

    def reap(self, s: World, id: int, o: int | None) -> tuple[str, World]:
        """Bury an id (`o` None), or hand on its element of an occurrence."""
        if not self._guard(s, s.run):
            return "recovery", s
        if o is None:
            alive = put(s.redis.alive, id, False)
            return "buried", self._redis(s, alive=alive)
        if (id, o, False) in s.redis.elements:
            return "queued", self._move(s, (id, o, False), (PENDING, o, False))
        record = s.redis.records[o]
        if record.holder != id:
            return "dropped", self._move(s, (id, o, True), None)
        keep = record.st not in ("claimed", "bound")
        s = self._move(s, (id, o, True), None if keep else (PENDING, o, False))
        if keep and not self.on("keep_signed"):
            s = self._move(self._give_back(s, record), None, (PENDING, o, False))
            record = Record("claimed")
        st = "queued" if record.st == "claimed" else record.st
        s = self._fenced(self._record(s, o, record._replace(st=st, holder=NOBODY)), o)
        return ("tracked" if keep else "queued"), s

    def takeover(self, s: World, w: int, o: int) -> tuple[str, World]:
        record = s.redis.records[o]
        if not self._guard(s, s.workers[w].run):
            return "recovery", s
        if record.st not in SIGNED:
            return "gone", s
        if record.holder != NOBODY and s.redis.alive[record.holder]:
            return "held", s
        return "ok", self._fenced(self._record(s, o, record._replace(holder=w)), o)

    def promote(self, s: World, o: int) -> tuple[str, World]:
        record = s.redis.records[o]
        if record.st != "delayed":
            return "already", s
        s = self._move(s, None, (PENDING, o, False))
        return "ok", self._record(s, o, record._replace(st="queued"))

    def requeue(self, s: World, o: int) -> tuple[str, World]:
        record = s.redis.records[o]
        if record.st not in ("queued", "bound") or record.holder != NOBODY:
            return "already", s
        return "ok", self._move(s, None, (PENDING, o, False))

    # -- the end --------------------------------------------------------------------------------------

    def settle(self, s: World, o: int) -> tuple[str, World]:
        """`executor.tracker` brings the verdict; here both are one step, since what is final stays."""
        record = s.redis.records[o]
        if not self._guard(s, s.run):
            return "recovery", s
        seen = s.chain[: s.final] if self.on("final_settle") else s.chain
        verdict = self._verdict(record, o, seen)
        if verdict in ("executed", "uncertain"):
            return verdict, self._close(s, o, record, "settled" if verdict == "executed" else "dead")
        if record.why == "operator":
            return verdict, self._close(s, o, record, "dead")
        if verdict == "cancelled" and record.why == "unwanted":
            return verdict, self._close(s, o, record, "skipped")
        return verdict, self._close(s, o, record, "delayed")

    def _verdict(self, record: Record, o: int, chain: tuple[Transaction, ...]) -> str:
        transaction = at(chain, record.sender, record.nonce)
        assert transaction is not None
        if transaction.payload == o and record.call:
            if transaction.ok:
                return "executed"
            verdict = "reverted"
        elif transaction.payload == CANCEL + o and record.cancel:
            verdict = "cancelled"
        else:
            if not self.on("verify_own"):
                return "executed"
            if self.on("forgotten") and executed(chain, o):
                return "executed" if transaction.payload == o and transaction.ok else "uncertain"
            return "foreign"
        return "uncertain" if self.on("look_twice") and executed(chain, o) else verdict

    def fill_gap(self, s: World, w: int) -> tuple[str, World]:
        k, key = self._key(w), s.redis.keys[self._key(w)]
        if not self._guard(s, s.workers[w].run):
            return "recovery", s
        if not s.redis.alive[w]:
            return "gone", s
        n, final, _ = self.counts(s, k)
        if n != final or self._owned(s, k, n) or not any(self._owned(s, k, m) for m in range(n + 1, n + 9)):
            return "none", s
        s = self._set_key(s, k, Key(max(key.next, n + 1), tuple(f for f in key.freed if f != n)))
        noops = (*s.redis.noops, Noop(k, n, w, signed=False))
        return "ok", self._redis(s, noops=tuple(sorted(noops)))

    # -- when Redis forgot ----------------------------------------------------------------------------

    def register(self, s: World, w: int) -> tuple[str, World]:
        """A new life under a new id; what the old one held goes by its old id from now on."""
        redis, old = s.redis, WORKERS + w
        records = tuple(r._replace(holder=old) if r.holder == w else r for r in redis.records)
        noops = tuple(n._replace(holder=old) if n.holder == w else n for n in redis.noops)
        elements = tuple(sorted((old if e[0] == w else e[0], e[1], e[2]) for e in redis.elements))
        alive = put(put(redis.alive, old, redis.alive[old] or redis.alive[w]), w, True)
        s = self._redis(s, records=records, noops=noops, elements=elements, alive=alive)
        # It waits until its registration is on disk, and so is everything before it.
        return "ok", s._replace(snap=None, moved=False)

    def renew(self, s: World) -> tuple[str, World]:
        return "ok", self._redis(s, run=s.run)

    def recovery_begin(self, s: World) -> tuple[str, World]:
        ends = tuple(mined(s.chain[: s.final], k) + self.setup.window for k in range(self.setup.keys))
        s = self._redis(s, run=s.run, recovering=True, windows=frozenset())
        return "ok", s._replace(ends=ends)

    def recovery_window(self, s: World, k: int) -> tuple[str, World]:
        return "ok", self._redis(s, windows=s.redis.windows | {k})

    def recovery_bury(self, s: World, o: int) -> tuple[str, World]:
        record = s.redis.records[o]
        if record.st == "bound":
            signed = record._replace(st="signed", holder=NOBODY)
            return "ok", self._fenced(self._record(s, o, signed), o)
        mine = tuple(element for element in s.redis.elements if element[1] != o)
        s = self._redis(s, elements=mine)
        return "ok", self._fenced(self._record(s, o, Record("dead")), o)

    def recovery_end(self, s: World) -> tuple[str, World]:
        return "ok", self._redis(s, recovering=False)._replace(ends=())
