"""Follows every open transaction to its end: re-broadcast, raise, cancel, settle. Together, once a block.

Nothing here trusts what a broadcast answered. A nonce below the sender's finalized transaction count is consumed in a
finalized block; which transaction consumed it is read from the receipts of all our attempts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING

import redis.exceptions as rex

from autometa_cli.chain.faults import RpcFault
from autometa_cli.errors import RpcUnreachable
from autometa_cli.executor.judge import Judge
from autometa_cli.executor.ledger import Hold
from autometa_cli.executor.proof import Tampered
from autometa_cli.executor.pusher import Pusher
from autometa_cli.executor.reasons import GAP
from autometa_cli.executor.settler import Settler
from autometa_cli.executor.watchlist import Watched, Watchlist
from autometa_cli.jobs.record import SIGNED_STATES
from autometa_cli.units import duration

if TYPE_CHECKING:
    from autometa_cli.chain.contracts import Registry
    from autometa_cli.executor.funds import Funds
    from autometa_cli.executor.head import Counts, Head, Heads
    from autometa_cli.executor.ledger import Ledger
    from autometa_cli.executor.sender import Sender
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.record import Record

_log = logging.getLogger(__name__)


class Tracker:
    """The open transactions that this process watches.

    Attributes:
        pusher: what brings them into a block.

    Args:
        rebroadcast_after, bump_after: as in `Pusher`.
        closed: called with (record key, new state, verdict) when a record left the tracker.
    """

    def __init__(
        self,
        queue: JobQueue,
        ledger: Ledger,
        sender: Sender,
        heads: Heads,
        registry: Registry,
        funds: Funds,
        *,
        rebroadcast_after: float,
        bump_after: float,
        closed: Callable[[str, str, str], None],
    ) -> None:
        self._queue = queue
        self._ledger = ledger
        self._sender = sender
        self._heads = heads
        self._funds = funds
        self._next = 0
        self._elsewhere: list[str] = []
        self._watchlist = Watchlist(queue, sender, funds, closed)
        self._settler = Settler(self._watchlist, ledger, funds, Judge(heads.network.log_range, sender.verify))
        self.pusher = Pusher(
            self._watchlist, sender, registry, rebroadcast_after=rebroadcast_after, bump_after=bump_after
        )

    def __len__(self) -> int:
        return len(self._watchlist)

    def __contains__(self, key: str) -> bool:
        return key in self._watchlist

    def held(self) -> int:
        """How many of them this worker holds."""
        return sum(1 for watched in self._watchlist if watched.hold)

    def oldest(self) -> float:
        """Seconds since the oldest of this worker's unmined transactions was first signed; 0 when there is none."""
        now = asyncio.get_running_loop().time()
        waiting = [
            t.since for t in self._watchlist if t.hold and not t.mined and (not t.spoilt or self._stops_us(t))
        ]
        return now - min(waiting) if waiting else 0.0

    def clear(self) -> None:
        """This worker was buried: what it watched is found again by `discover`, by whoever may."""
        self._watchlist.clear()

    @property
    def trouble(self) -> str:
        """Why our key cannot go on by itself, or "". What is signed above that could not be mined."""
        return next((t.complaint for t in self._watchlist if t.complaint and self._stops_us(t)), "")

    def concerns(self, patience: float) -> list[str]:
        """What waits for a person, and stops nobody but its own workflow, or another key.

        Args:
            patience: how long another key's transaction may stay unmined, seconds.
        """
        now, found = asyncio.get_running_loop().time(), list(self._elsewhere)
        for watched in self._watchlist:
            record = watched.record
            if watched.complaint and not self._stops_us(watched):
                found.append(watched.complaint)
            elif (
                record.sender != self._sender.address and not watched.mined and now - watched.since > patience
            ):
                found.append(
                    f"{record.label}: nonce {record.nonce} is not mined for {duration(now - watched.since)}; "
                    f"start a worker with the key of {record.sender}"
                )
        return found

    def _stops_us(self, watched: Watched) -> bool:
        """A spoilt record stops its key where its nonce is the next one. Any other is mined already, or has its turn
        later."""
        if watched.record.sender != self._sender.address:
            return False
        return not watched.spoilt or watched.record.nonce == self._next

    def add(self, record: Record, hold: Hold | None, *, sent: bool) -> None:
        """Watch a record. `sent`: its last attempt has just been broadcast; else it will be at the next tick."""
        now = asyncio.get_running_loop().time()
        long_ago = now - 10 * self.pusher.rebroadcast_after
        self._watchlist.add(record, hold, sent_at=now if sent else long_ago)

    def nonce(self, key: str) -> int | None:
        """The nonce of the open transaction of this record that is watched here; None where there is none."""
        watched = self._watchlist.get(key)
        return watched.record.nonce if watched else None

    def holds(self, key: str) -> bool:
        """Whether this worker may write to that record."""
        watched = self._watchlist.get(key)
        return (
            watched is not None and watched.hold is not None and watched.record.sender == self._sender.address
        )

    def place(self, key: str) -> tuple[str, str]:
        """(sender, nonce) of a record that is watched here, as texts."""
        record = self._watchlist[key].record
        return record.sender, str(record.nonce)

    async def discover(self, me: str, living: Iterable[str], at_work: Container[str]) -> None:
        """Watch open records that nobody alive watches; hold those of our key whose holder is gone.

        Args:
            me: this worker.
            living: workers that beat.
            at_work: records that this worker is just executing.

        Raises redis.exceptions.RedisError.
        """
        alive, own_key = set(living), self._sender.address
        held = {t.record.key for t in self._watchlist if t.hold or t.record.sender != own_key}
        keys = [key for key in await self._ledger.open_keys() if key not in held and key not in at_work]
        elsewhere = []
        for key, record in zip(keys, await asyncio.gather(*map(self._queue.record, keys)), strict=True):
            if record is None or record.nonce is None or (record.holder in alive and record.holder != me):
                continue
            if record.state not in SIGNED_STATES and record.kind != "noop":
                continue
            if record.chain != self._heads.chain_id:
                # What this chain shows of that nonce says nothing of a transaction on the other one.
                elsewhere.append(
                    f"{record.label}: nonce {record.nonce} of {record.sender} is open on chain {record.chain}, and "
                    f"this worker is on chain {self._heads.chain_id}: start one there (a queue is for one chain)"
                )
            elif record.holder == me:
                self.add(record, Hold(key, me, record.fence), sent=False)
            elif record.sender != own_key:
                _log.info("%s: watching a transaction of %s", record.label, record.sender)
                self.add(record, None, sent=False)
            else:
                await self._take_over(record, me)
        for text in elsewhere:
            if text not in self._elsewhere:
                _log.warning("%s", text)
        self._elsewhere = elsewhere

    async def _take_over(self, record: Record, me: str) -> None:
        hold = await self._ledger.takeover(record, me)
        fresh = await self._queue.record(record.key)
        if hold is None or fresh is None or fresh.state not in (*SIGNED_STATES, "bound"):
            return  # somebody was quicker
        _log.info("%s: taking over a transaction of %s", fresh.label, fresh.sender)
        self.add(fresh, hold, sent=False)

    async def fill_gap(self, worker: str, head: Head) -> None:
        """Use up a nonce of our key that nobody holds while signed ones above it wait (REVIEW H12)."""
        found = await self._ledger.fill_gap(
            worker, self._heads.chain_id, self._sender.address, head.counts, final=head.final_number
        )
        if found is None:
            return
        record, hold = found
        _log.warning(
            "nonce %s of %s was given back and is waited for: filling it", record.nonce, record.sender
        )
        self.add(record, hold, sent=False)

    async def tick(self, head: Head) -> None:
        """Look at all of them at one block. Raises RpcUnreachable, redis.exceptions.RedisError."""
        counts, self._next = {self._sender.address: head.counts}, head.counts.latest
        for sender in {t.record.sender for t in self._watchlist} - set(counts):
            try:
                counts[sender] = await self._heads.counts(head, sender)
            except RpcFault as fault:  # no address, says the node: somebody changed it
                for watched in [t for t in self._watchlist if t.record.sender == sender]:
                    watched.spoil(f"its sender {sender!r}: {fault.text}")
        results = await asyncio.gather(
            *(
                self._look(watched, head, counts[watched.record.sender])
                for watched in self._watchlist
                if watched.record.sender in counts and self._due(watched, counts[watched.record.sender])
            ),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def _due(self, watched: Watched, counts: Counts) -> bool:
        """False for the many of which `_advance` would only find that there is nothing to do yet."""
        record = watched.record
        if record.nonce is None or record.state not in SIGNED_STATES or not record.attempts_sent:
            return True
        if watched.mined:
            return not counts.final <= record.nonce < counts.latest
        return record.nonce < counts.latest or self.pusher.due(watched)

    async def _look(self, watched: Watched, head: Head, counts: Counts) -> None:
        """One record's turn. What is wrong with one must not stop the others."""
        try:
            await self._advance(watched, head, counts)
        except (RpcUnreachable, rex.RedisError):
            raise
        except Tampered as error:
            watched.spoil(f"the ledger was tampered with: {error}")
        except Exception as error:
            watched.spoil(f"it cannot be followed: {error!r}", traceback=True)

    async def _advance(self, watched: Watched, head: Head, counts: Counts) -> None:
        nonce = watched.record.nonce
        if nonce is None:
            self._watchlist.drop(watched)
        elif nonce < counts.final:
            await self._settler.settle(watched, head)
        elif watched.record.kind == "noop" and watched.record.state == "bound":
            await self.pusher.replace(watched, head, GAP, unwanted=True)
        elif watched.record.state not in SIGNED_STATES or not watched.record.attempts_sent:
            await self._watchlist.refresh(watched)
            if watched.record.state in SIGNED_STATES and not watched.record.attempts_sent:
                watched.spoil("its signed bytes are gone from the ledger")
        elif nonce < counts.latest:
            await self._settler.note_mined(watched, head)
        else:
            if watched.mined:
                watched.mined = False  # the block that had it is gone
                self._funds.waits(watched.record.key)
            await self.pusher.push(watched, head)

    async def bump(self, key: str, head: Head) -> str:
        """`Pusher.bump` for a record that is watched here."""
        return await self.pusher.bump(self._watchlist[key], head)

    async def cancel(self, key: str, head: Head) -> str:
        """`Pusher.cancel` for a record that is watched here."""
        return await self.pusher.cancel(self._watchlist[key], head)
