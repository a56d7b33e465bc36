"""Follows every open transaction to its end: re-broadcast, raise, cancel, settle. Together, once a block.

Nothing here trusts what a broadcast answered. A nonce below the sender's finalized transaction count is consumed in a
finalized block; which transaction consumed it is read from the receipts of all our attempts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import redis.exceptions as rex

from autometa_cli.chain.contracts import interface
from autometa_cli.chain.faults import RpcFault
from autometa_cli.chain.fees import FeeCapReached
from autometa_cli.chain.sendanswers import AnswerClass
from autometa_cli.errors import RpcUnreachable
from autometa_cli.executor import faultpoints
from autometa_cli.executor.check import unwanted
from autometa_cli.executor.head import Counts, Head, Heads
from autometa_cli.executor.judge import Judge
from autometa_cli.executor.ledger import Hold, Ledger
from autometa_cli.executor.proof import Tampered
from autometa_cli.executor.requests import OPERATOR
from autometa_cli.executor.sender import NotReplicated, Sender
from autometa_cli.jobs.record import SIGNED_STATES, Attempt, Record

if TYPE_CHECKING:
    from autometa_cli.chain.contracts import Registry
    from autometa_cli.executor.funds import Funds
    from autometa_cli.jobs.queue import JobQueue

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Tracked:
    record: Record
    hold: Hold | None
    sent_at: float
    signed_at: float
    since: float
    mined: bool = False
    blocked: str = ""


class Tracker:
    """The open transactions that this process watches.

    Attributes:
        rebroadcast_after, bump_after: seconds of the event loop's clock, after which the same bytes are sent again,
            and after which they are replaced by better paying ones.

    Args:
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
        self._registry = registry
        self._funds = funds
        self.rebroadcast_after = rebroadcast_after
        self.bump_after = bump_after
        self._closed = closed
        self._judge = Judge(heads.network.log_range, sender.verify)
        self._tracked: dict[str, _Tracked] = {}

    def __len__(self) -> int:
        return len(self._tracked)

    def __contains__(self, key: str) -> bool:
        return key in self._tracked

    def held(self) -> int:
        """How many of them this worker holds."""
        return sum(1 for tracked in self._tracked.values() if tracked.hold)

    def oldest(self) -> float:
        """Seconds since the oldest of this worker's unmined transactions was first signed; 0 when there is none."""
        now = asyncio.get_running_loop().time()
        waiting = [t.since for t in self._tracked.values() if t.hold and not t.mined]
        return now - min(waiting) if waiting else 0.0

    def clear(self) -> None:
        """This worker was buried: what it watched is found again by `discover`, by whoever may."""
        for key in list(self._tracked):
            self._funds.free(key)
            self._closed(key, "", "")
        self._tracked.clear()

    @property
    def trouble(self) -> str:
        """Why some transaction cannot go on by itself, or ""."""
        return next((t.blocked for t in self._tracked.values() if t.blocked), "")

    def add(self, record: Record, hold: Hold | None, *, sent: bool) -> None:
        """Watch a record. `sent`: its last attempt has just been broadcast; else it will be at the next tick."""
        now = asyncio.get_running_loop().time()
        long_ago = now - 10 * self.rebroadcast_after
        self._tracked[record.key] = _Tracked(
            record, hold, sent_at=now if sent else long_ago, signed_at=now, since=now
        )

    def nonce(self, key: str) -> int | None:
        """The nonce of the open transaction of this record that is watched here; None where there is none."""
        tracked = self._tracked.get(key)
        return tracked.record.nonce if tracked else None

    def holds(self, key: str) -> bool:
        """Whether this worker may write to that record."""
        tracked = self._tracked.get(key)
        return (
            tracked is not None and tracked.hold is not None and tracked.record.sender == self._sender.address
        )

    def place(self, key: str) -> tuple[str, str]:
        """(sender, nonce) of a record that is watched here, as texts."""
        record = self._tracked[key].record
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
        held = {key for key, t in self._tracked.items() if t.hold or t.record.sender != own_key}
        keys = [key for key in await self._ledger.open_keys() if key not in held and key not in at_work]
        for key, record in zip(keys, await asyncio.gather(*map(self._queue.record, keys)), strict=True):
            if record is None or record.nonce is None or (record.holder in alive and record.holder != me):
                continue
            if record.state not in SIGNED_STATES and record.kind != "noop":
                continue
            if record.holder == me:
                self.add(record, Hold(key, me, record.fence), sent=False)
            elif record.sender != own_key:
                _log.info("%s: watching a transaction of %s", record.label, record.sender)
                self.add(record, None, sent=False)
            else:
                await self._take_over(record, me)

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
        counts = {self._sender.address: head.counts}
        for sender in {t.record.sender for t in self._tracked.values()} - set(counts):
            try:
                counts[sender] = await self._heads.counts(head, sender)
            except RpcFault as fault:  # no address, says the node: somebody changed it
                for tracked in [t for t in self._tracked.values() if t.record.sender == sender]:
                    self._block(tracked, f"its sender {sender!r}: {fault.text}")
        results = await asyncio.gather(
            *(
                self._look(tracked, head, counts[tracked.record.sender])
                for tracked in list(self._tracked.values())
                if tracked.record.sender in counts
            ),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _look(self, tracked: _Tracked, head: Head, counts: Counts) -> None:
        """One record's turn. What is wrong with one must not stop the others."""
        try:
            await self._advance(tracked, head, counts)
        except (RpcUnreachable, rex.RedisError):
            raise
        except Tampered as error:
            self._block(tracked, f"the ledger was tampered with: {error}")
        except Exception as error:
            self._block(tracked, f"it cannot be followed: {error!r}", traceback=True)

    def _block(self, tracked: _Tracked, why: str, *, traceback: bool = False) -> None:
        text = f"{tracked.record.label}: {why}"
        if text != tracked.blocked:
            _log.error("%s", text, exc_info=traceback)
        tracked.blocked = text

    async def _advance(self, tracked: _Tracked, head: Head, counts: Counts) -> None:
        nonce = tracked.record.nonce
        if nonce is None:
            self._drop(tracked)
        elif nonce < counts.final:
            await self._settle(tracked, head)
        elif tracked.record.kind == "noop" and tracked.record.state == "bound":
            await self._cancel(tracked, head, "gap", unwanted=True)
        elif tracked.record.state not in SIGNED_STATES or not tracked.record.attempts_sent:
            await self._refresh(tracked)
        elif nonce < counts.latest:
            await self._note_mined(tracked, head)
        else:
            if tracked.mined:
                tracked.mined = False  # the block that had it is gone
                self._funds.waits(tracked.record.key)
            await self._push(tracked, head)

    # -- not mined ------------------------------------------------------------------------------------

    async def _push(self, tracked: _Tracked, head: Head) -> None:
        now = asyncio.get_running_loop().time()
        if now - tracked.sent_at < self.rebroadcast_after:
            return
        record = tracked.record
        why = await self._unwanted(record, head) if record.state == "signed" else None
        at_cap = ""
        if tracked.hold and record.sender == self._sender.address:
            if why:
                # A due run is opened again by the scheduler; an extra one that is still wanted is only made anew.
                anew = record.kind == "now" and why == "changed"
                await self._cancel(tracked, head, why, unwanted=not anew)
                return
            if now - tracked.signed_at >= self.bump_after:
                try:
                    raised = await self._sender.raise_fee(tracked.hold, record, head.fees)
                except FeeCapReached as error:
                    at_cap = f"{record.label}: {error.message}"
                else:
                    if raised is None:
                        self._drop(tracked)  # fenced: somebody else watches it now
                        return
                    tracked.record, tracked.signed_at = raised, now
        if why:
            return  # not ours to cancel, and not to be sent again either
        await self._send(tracked, head)
        tracked.blocked = tracked.blocked or at_cap

    async def _send(self, tracked: _Tracked, head: Head) -> None:
        tracked.sent_at = asyncio.get_running_loop().time()
        try:
            answer = await self._sender.broadcast(tracked.record)
        except NotReplicated as error:
            self.withheld(tracked.record, error.message)
        else:
            await self.answered(tracked.record, answer.answer_class, answer.text, head)

    def withheld(self, record: Record, why: str) -> None:
        """It was not sent, for a reason that is ours; it is tried again like anything else, but not dearer."""
        if tracked := self._tracked.get(record.key):
            tracked.blocked = f"{record.label}: {why}"
            tracked.signed_at = asyncio.get_running_loop().time()

    async def answered(self, record: Record, answer: AnswerClass, text: str, head: Head) -> None:
        """React to a broadcast's answer: what every node refuses for good is cancelled, an empty purse is told."""
        tracked = self._tracked.get(record.key)
        if tracked is None:
            return
        tracked.blocked = f"{record.label}: {text}" if answer is AnswerClass.FUNDS else ""
        if answer is AnswerClass.PERMANENT and record.state == "signed" and tracked.hold:
            await self._cancel(tracked, head, "refused", unwanted=False)

    async def _cancel(self, tracked: _Tracked, head: Head, reason: str, *, unwanted: bool) -> None:
        if tracked.hold is None:
            return
        try:
            cancelled = await self._sender.sign_cancel(
                tracked.hold, tracked.record, head.fees, reason, unwanted=unwanted
            )
        except FeeCapReached as error:
            tracked.blocked = f"{tracked.record.label}: {error.message}"
            return
        if cancelled is None:
            self._drop(tracked)
            return
        _log.warning("%s: cancelling nonce %s: %s", cancelled.label, cancelled.nonce, reason)
        tracked.record, tracked.signed_at = cancelled, asyncio.get_running_loop().time()
        await self._send(tracked, head)

    async def _unwanted(self, record: Record, head: Head) -> str | None:
        """Why a call that is not mined must not be sent again: the workflow is not what was signed any more."""
        workflow = await self._registry.get(head.view, record.workflow)
        why = unwanted(record.occurrence, workflow)
        if why or workflow is None:
            return why[0] if why else "gone"
        self._sender.verify(record, record.attempts_sent[-1])
        signed = _call_arguments(record.attempts_sent[-1])
        if signed[1] != workflow.action_data or signed[3].lower() != workflow.owner.lower():
            return "changed"
        if signed[4] != workflow.gas_budget:
            return "changed"
        if record.kind == "now" and workflow.next_run > head.now and signed[2] != workflow.next_run:
            return "changed"  # it would put the owner's new date back
        return None

    # -- what people ask for --------------------------------------------------------------------------

    async def bump(self, key: str, head: Head) -> str:
        """Raise the fee of a transaction that this worker holds, now; what came of it, for people."""
        tracked = self._tracked[key]
        if await self._mined(tracked.record, head):
            return "it is mined already"
        try:
            raised = (
                await self._sender.raise_fee(tracked.hold, tracked.record, head.fees)
                if tracked.hold
                else None
            )
        except (FeeCapReached, Tampered) as error:
            return str(error)
        if raised is None:
            self._drop(tracked)
            return "another worker holds it now"
        tracked.record, tracked.signed_at = raised, asyncio.get_running_loop().time()
        await self._send(tracked, head)
        return tracked.blocked or f"sent again as {raised.attempts_sent[-1].hash}"

    async def cancel(self, key: str, head: Head) -> str:
        """Send a self-transfer in the place of a call that this worker holds; what came of it, for people."""
        tracked = self._tracked[key]
        if tracked.record.state != "signed" or await self._mined(tracked.record, head):
            return (
                "it is mined already" if tracked.record.state == "signed" else "it is being cancelled already"
            )
        tracked.blocked = ""
        await self._cancel(tracked, head, OPERATOR, unwanted=False)
        if key not in self._tracked:
            return "another worker holds it now"
        return tracked.blocked or f"the self-transfer {tracked.record.attempts_sent[-1].hash} is sent"

    async def _mined(self, record: Record, head: Head) -> bool:
        return record.nonce is None or record.nonce < await head.view.nonce(record.sender)

    # -- mined, not final -----------------------------------------------------------------------------

    async def _note_mined(self, tracked: _Tracked, head: Head) -> None:
        if tracked.mined:
            return
        for receipt in await self._judge.receipts(tracked.record, head.view):
            if receipt is not None:
                tracked.mined, tracked.blocked = True, ""
                faultpoints.reached(faultpoints.MINED)
                self._funds.spent(tracked.record.key, receipt.block_number)
                await self._ledger.note(
                    tracked.record.key, mined_tx=receipt.hash, mined_block=receipt.block_number
                )

    # -- final ----------------------------------------------------------------------------------------

    async def _settle(self, tracked: _Tracked, head: Head) -> None:
        record = tracked.record
        ruling = await self._judge.rule(record, head.view, head.final_number)
        verdict, tx, text, fee = ruling.verdict, ruling.tx, ruling.text, ruling.fee
        faultpoints.reached(faultpoints.DECIDED)
        answer = await self._ledger.settle(
            record, verdict, block=head.final_number, tx=tx, text=text, fee=fee, gives_back=ruling.gives_back
        )
        if answer.word == "recovery":
            raise RpcUnreachable("the ledger is in doubt")
        if answer.word == "moved":
            await self._refresh(tracked)
            return
        if verdict in ("executed", "action_failed"):
            self._funds.spent(record.key, head.number)
        else:
            self._funds.free(record.key)
        if answer.word != "ok":  # another worker brought the proof first
            self._drop(tracked)
            return
        state = answer.rest[0] if answer.rest else ""
        level = logging.INFO if verdict == "executed" else logging.WARNING
        _log.log(
            level,
            "%s: %s in %s, final in block %s %s",
            record.label,
            verdict,
            tx or "?",
            head.final_number,
            text,
        )
        self._drop(tracked, state, verdict)

    async def _refresh(self, tracked: _Tracked) -> None:
        """The record changed hands, or is not signed yet: read it again."""
        record = await self._queue.record(tracked.record.key)
        if record is None or record.nonce is None or record.state not in (*SIGNED_STATES, "bound"):
            self._drop(tracked)
        else:
            tracked.record = record

    def _drop(self, tracked: _Tracked, state: str = "", verdict: str = "") -> None:
        self._tracked.pop(tracked.record.key, None)
        if not verdict:
            self._funds.free(tracked.record.key)
        self._sender.forget(tracked.record)
        self._closed(tracked.record.key, state, verdict)


def _call_arguments(attempt: Attempt) -> tuple[int, bytes, int, str, int]:
    from eth_account.typed_transactions.typed_transaction import TypedTransaction
    from hexbytes import HexBytes

    data = bytes(TypedTransaction.from_bytes(HexBytes(attempt.raw)).as_dict()["data"])
    workflow, action_data, new_next_run, owner, charge = (
        interface("ActionExecutor").functions["executeWorkflow"].decode_inputs(data)
    )
    return workflow, action_data, new_next_run, owner, charge
