"""What is done with transactions that are not mined yet: sent again, raised, cancelled."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from autometa_cli.chain.fees import FeeCapReached
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.sendanswers import AnswerClass
from autometa_cli.executor.proof import Tampered
from autometa_cli.executor.reasons import CHANGED, OPERATOR, REFUSED
from autometa_cli.executor.sender import NotReplicated
from autometa_cli.executor.wanted import unwanted

if TYPE_CHECKING:
    from autometa_cli.chain.contracts import Registry
    from autometa_cli.executor.head import Head
    from autometa_cli.executor.sender import Sender
    from autometa_cli.executor.watchlist import Watched, Watchlist
    from autometa_cli.jobs.record import Attempt, Record

_log = logging.getLogger(__name__)


class Pusher:
    """Brings open transactions into a block.

    Attributes:
        rebroadcast_after, bump_after: seconds of the event loop's clock, after which the same bytes are sent again,
            and after which they are replaced by better paying ones.
    """

    def __init__(
        self,
        watchlist: Watchlist,
        sender: Sender,
        registry: Registry,
        *,
        rebroadcast_after: float,
        bump_after: float,
    ) -> None:
        self._watchlist = watchlist
        self._sender = sender
        self._registry = registry
        self.rebroadcast_after = rebroadcast_after
        self.bump_after = bump_after

    def due(self, watched: Watched) -> bool:
        """Whether it was last sent long enough ago."""
        return asyncio.get_running_loop().time() - watched.sent_at >= self.rebroadcast_after

    async def push(self, watched: Watched, head: Head) -> None:
        """Whatever its time has come for: the same bytes again, better paying ones, or a cancel."""
        if not self.due(watched):
            return
        now = asyncio.get_running_loop().time()
        record = watched.record
        if strange := self._sender.strange(record):
            watched.blocked = f"{record.label}: {strange}"
            return
        why = await self._unwanted(record, head) if record.state == "signed" else None
        at_cap = ""
        if watched.hold and record.sender == self._sender.address:
            if why:
                await self._give_up(watched, head, why)
                return
            if now - watched.signed_at >= self.bump_after:
                try:
                    raised = await self._sender.raise_fee(watched.hold, record, head.fees)
                except FeeCapReached as error:
                    at_cap = f"{record.label}: {error.message}"
                else:
                    if raised is None:
                        self._watchlist.drop(watched)  # fenced: somebody else watches it now
                        return
                    watched.record, watched.signed_at = raised, now
        if why:
            return  # not ours to cancel, and not to be sent again either
        await self._send(watched, head)
        watched.blocked = watched.blocked or at_cap

    async def _send(self, watched: Watched, head: Head) -> None:
        watched.sent_at = asyncio.get_running_loop().time()
        try:
            answer = await self._sender.broadcast(watched.record)
        except NotReplicated as error:
            self.withheld(watched.record, error.message)
        else:
            await self.answered(watched.record, answer.answer_class, answer.text, head)

    def withheld(self, record: Record, why: str) -> None:
        """It was not sent, for a reason that is ours; it is tried again like anything else, but not dearer."""
        if watched := self._watchlist.get(record.key):
            watched.blocked = f"{record.label}: {why}"
            watched.signed_at = asyncio.get_running_loop().time()

    async def answered(self, record: Record, answer: AnswerClass, text: str, head: Head) -> None:
        """React to a broadcast's answer: what every node refuses for good is cancelled, an empty purse is told."""
        watched = self._watchlist.get(record.key)
        if watched is None:
            return
        watched.blocked = f"{record.label}: {text}" if answer is AnswerClass.FUNDS else ""
        watched.spoilt = ""  # its bytes were looked at before they were sent
        if answer is AnswerClass.PERMANENT and record.state == "signed" and watched.hold:
            await self.replace(watched, head, REFUSED, unwanted=False)

    async def replace(self, watched: Watched, head: Head, reason: str, *, unwanted: bool) -> None:
        """Send a self-transfer at its nonce; what is mined of the two decides.

        Args:
            unwanted: the run is not wanted any more, rather than to be made anew.
        """
        if watched.hold is None:
            return
        try:
            cancelled = await self._sender.sign_cancel(
                watched.hold, watched.record, head.fees, reason, unwanted=unwanted
            )
        except FeeCapReached as error:
            watched.blocked = f"{watched.record.label}: {error.message}"
            return
        if cancelled is None:
            self._watchlist.drop(watched)
            return
        _log.warning("%s: cancelling nonce %s: %s", cancelled.label, cancelled.nonce, reason)
        watched.record, watched.signed_at = cancelled, asyncio.get_running_loop().time()
        await self._send(watched, head)

    async def _give_up(self, watched: Watched, head: Head, why: str) -> None:
        # A due run is opened again by the scheduler; an extra one that is still wanted is only made anew.
        anew = watched.record.kind == "now" and why == CHANGED
        await self.replace(watched, head, why, unwanted=not anew)

    async def _unwanted(self, record: Record, head: Head) -> str | None:
        """Why a call that is not mined must not be sent again: the workflow is not what was signed any more."""
        workflow = await self._registry.get(head.view, record.workflow)
        why = unwanted(record.occurrence, workflow)
        if why or workflow is None:
            return why[0] if why else "gone"
        self._sender.verify(record, record.attempts_sent[-1])
        signed = _call_arguments(record.attempts_sent[-1])
        if signed[1] != workflow.action_data or signed[3].lower() != workflow.owner.lower():
            return CHANGED
        if signed[4] > workflow.gas_budget:
            return CHANGED  # its owner allows less than it would take (with CHARGE=cost it takes less than allowed)
        if record.kind == "now" and workflow.next_run > head.now and signed[2] != workflow.next_run:
            return CHANGED  # it would put the owner's new date back
        return None

    async def bump(self, watched: Watched, head: Head) -> str:
        """Raise the fee of a transaction that this worker holds, now; what came of it, for people.

        What is not wanted any more is cancelled instead, as before every other sending of it.
        """
        record = watched.record
        if await self._mined(record, head):
            return "it is mined already"
        if strange := self._sender.strange(record):
            return strange
        try:
            why = await self._unwanted(record, head) if record.state == "signed" else None
            if watched.hold and why:
                watched.blocked = ""
                await self._give_up(watched, head, why)
                if record.key not in self._watchlist:
                    return "another worker holds it now"
                instead = f"the self-transfer {watched.record.attempts_sent[-1].hash} is sent in its place"
                return watched.blocked or f"its workflow is not what was signed any more ({why}): {instead}"
            raised = (
                await self._sender.raise_fee(watched.hold, watched.record, head.fees)
                if watched.hold
                else None
            )
        except (FeeCapReached, Tampered) as error:
            return str(error)
        if raised is None:
            self._watchlist.drop(watched)
            return "another worker holds it now"
        watched.record, watched.signed_at = raised, asyncio.get_running_loop().time()
        await self._send(watched, head)
        return watched.blocked or f"sent again as {raised.attempts_sent[-1].hash}"

    async def cancel(self, watched: Watched, head: Head) -> str:
        """Send a self-transfer in the place of a call that this worker holds; what came of it, for people."""
        if watched.record.state != "signed" or await self._mined(watched.record, head):
            return (
                "it is mined already" if watched.record.state == "signed" else "it is being cancelled already"
            )
        watched.blocked = ""
        await self.replace(watched, head, OPERATOR, unwanted=False)
        if watched.record.key not in self._watchlist:
            return "another worker holds it now"
        return watched.blocked or f"the self-transfer {watched.record.attempts_sent[-1].hash} is sent"

    async def _mined(self, record: Record, head: Head) -> bool:
        return record.nonce is None or record.nonce < await head.view.nonce(record.sender)


def _call_arguments(attempt: Attempt) -> tuple[int, bytes, int, str, int]:
    from eth_account.typed_transactions.typed_transaction import TypedTransaction
    from hexbytes import HexBytes

    data = bytes(TypedTransaction.from_bytes(HexBytes(attempt.raw)).as_dict()["data"])
    workflow, action_data, new_next_run, owner, charge = (
        interface("ActionExecutor").functions["executeWorkflow"].decode_inputs(data)
    )
    return workflow, action_data, new_next_run, owner, charge
