"""What became of a record's nonce, read from the chain: which transaction took it, and what that decided.

Only what is final counts. A receipt is not proof by itself: its block must be canonical, and it must be that of bytes
that are the record's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from autometa_cli.addresses import checksum
from autometa_cli.chain.blocks import Block, Log, Receipt
from autometa_cli.chain.contracts import executed
from autometa_cli.chain.faults import RpcFault
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.roles import has_role
from autometa_cli.chain.view import together
from autometa_cli.errors import ConfigError, RpcUnreachable
from autometa_cli.executor.executions import executions
from autometa_cli.executor.proof import rule, verify_bytes
from autometa_cli.executor.ruling import Ruling, Verdict
from autometa_cli.executor.sharedreads import SharedReads
from autometa_cli.executor.taker import Takers
from autometa_cli.executor.transfer import fate

if TYPE_CHECKING:
    from autometa_cli.chain.view import View
    from autometa_cli.jobs.record import Attempt, Record

#: Receipts that are kept from the block that has them until that block is final.
_MOST_SEEN = 20_000


class Judge:
    """Reads verdicts. Needs no key.

    Args:
        log_range: the most blocks that one `eth_getLogs` may ask for.
        verify: raises Tampered unless an attempt's bytes are its record's.
    """

    def __init__(self, log_range: int, verify: Callable[[Record, Attempt], None] = verify_bytes) -> None:
        self._log_range = log_range
        self._verify = verify
        self._takers = Takers()
        self._blocks = SharedReads()
        self._seen: dict[str, Receipt] = {}

    async def receipts(self, record: Record, view: View) -> list[Receipt | None]:
        """One for each attempt; None where it is not mined as far as the view's endpoint knows."""
        requests = (view.request("eth_getTransactionReceipt", (a.hash,)) for a in record.attempts_sent)
        found = [Receipt.parse(answer) for answer in await together(*requests)]
        for attempt, receipt in zip(record.attempts_sent, found, strict=True):
            if receipt is not None:
                if len(self._seen) >= _MOST_SEEN:
                    self._seen.clear()
                self._seen[attempt.hash] = receipt
        return found

    async def _canonical(self, record: Record, view: View) -> list[Receipt | None]:
        """The same; where one was read before and its block stands, nothing is asked again."""
        seen = [self._seen.pop(attempt.hash, None) for attempt in record.attempts_sent]
        for receipt in seen:
            if receipt is not None:
                block = await self._block(view, receipt.block_number)
                if block and block.get("hash", "").lower() == receipt.block_hash:
                    return seen
        return await self.receipts(record, view)

    async def rule(self, record: Record, view: View, final: int) -> Ruling:
        """What a finalized block decided.

        Args:
            view: at or past block `final`, at which the record's nonce is consumed.
            final: height of the last finalized block.

        Raises:
            RpcUnreachable: the endpoint does not show a canonical receipt or the logs yet.
            Tampered: the ledger's bytes, or a receipt, are not the record's.
        """
        own = await self._own(record, view, final)
        if own is None:
            return await self._forgotten(record, view, final) or await self._foreign(record, view, final)
        if (
            record.kind == "now"
            and own.verdict in ("reverted", "no_role", "refused", "cancelled")
            and not record.unwanted
        ):
            # It is about to be tried again, and nothing but events tells whether it ever ran: a ledger that forgot
            # may not know the nonce under which it did.
            return await self._forgotten(record, view, final) or own
        if own.verdict == "cancelled" and record.unwanted:
            end = await fate(record, record.reason, view, final, self._log_range)
            if end.unsure:
                raise RpcUnreachable(end.text)
            return replace(own, text=own.text + end.text, gives_back=end.back)
        return own

    async def _own(self, record: Record, view: View, final: int) -> Ruling | None:
        """What the mined one of our attempts decided; None when none of ours was mined at this nonce."""
        for attempt, receipt in zip(record.attempts_sent, await self._canonical(record, view), strict=True):
            if receipt is None:
                continue
            block = await self._block(view, receipt.block_number)
            # Frontier was seen to give receipts of blocks that were reorganised away (frontier #473).
            canonical = block and block.get("hash", "").lower() == receipt.block_hash
            if not canonical or receipt.block_number > final:
                raise RpcUnreachable(f"the receipt of {attempt.hash} is not in a canonical, final block yet")
            self._verify(record, attempt)
            ruling = rule(record, attempt, receipt)
            if ruling.verdict == "reverted" and await self._was_barred(record, view, Block.parse(block)):
                text = "it reverted: WORKER_ROLE was taken from its key before it was mined"
                return replace(ruling, verdict="no_role", text=text)
            return ruling
        return None

    async def _block(self, view: View, number: int) -> Any:
        """A block as the endpoint has it now. Asked for once by all who look in the same moment: it may be large."""
        request = partial(view.request, "eth_getBlockByNumber", (hex(number), False))
        return await self._blocks.get(view, number, request)

    async def _was_barred(self, record: Record, view: View, block: Block) -> bool:
        """Whether the record's key had no role right after the block that its call was mined in: then that is why it
        reverted, and the job is not to blame. Where that state is not kept any more, the newest one has to do.
        """
        try:
            return not await self._has_role(record, view.pinned(block))
        except RpcUnreachable:
            return not await self._has_role(record, view)

    async def _has_role(self, record: Record, view: View) -> bool:
        try:
            return await has_role(view, checksum(record.executor), "WORKER_ROLE", record.sender)
        except (ConfigError, RpcFault):
            return True  # no answer, no excuse

    async def _foreign(self, record: Record, view: View, final: int) -> Ruling:
        """Another transaction used its nonce: shown by that one, not by the absence of ours.

        Raises:
            RpcUnreachable: the endpoint does not show it, or it is ours and its receipt or event is not there yet.
        """
        taker = await self._takers.find(view, record.sender, record.nonce or 0, record.bound_block, final)
        if taker.hash in {attempt.hash.lower() for attempt in record.attempts_sent}:
            raise RpcUnreachable(f"the receipt of {taker.hash} is missing, though a final block has it")
        call = interface("ActionExecutor").functions["executeWorkflow"].selector
        call += record.workflow.to_bytes(32, "big")
        if record.kind != "noop" and taker.to == record.executor.lower() and taker.data[:36] == call:
            # An attempt that the ledger forgot. Its event was not found: then it must have reverted.
            receipt = Receipt.parse(await view.request("eth_getTransactionReceipt", (taker.hash,)))
            if receipt is None or receipt.status == 1:
                raise RpcUnreachable(f"the event of {taker.hash} is missing, though a final block has it")
        return Ruling("foreign", "", f"another transaction used its nonce: {taker.hash}", 0)

    async def _forgotten(self, record: Record, view: View, final: int) -> Ruling | None:
        """Was the workflow executed since the record was bound, by none of the attempts that we know, and by whom?

        A ledger that forgot its last second may not know the attempt that was mined: then the transaction bears the
        record's own sender and nonce, and its event is as good as any. Anybody else's leaves us uncertain.
        """
        uncertain = None
        for log in await self._executions(record, view, final):
            transaction = await view.request("eth_getTransactionByHash", (log.transaction_hash,)) or {}
            sender, nonce = str(transaction.get("from", "")).lower(), transaction.get("nonce", "0x0")
            if sender == record.sender.lower() and int(nonce, 16) == record.nonce:
                verdict: Verdict = "executed" if executed(log).success else "action_failed"
                return Ruling(verdict, log.transaction_hash, "by an attempt that the ledger had forgotten", 0)
            uncertain = Ruling(
                "uncertain", log.transaction_hash,
                "the workflow was executed meanwhile, by a transaction that this record does not know", 0,
            )  # fmt: skip
        return uncertain

    async def _executions(self, record: Record, view: View, final: int) -> list[Log]:
        """`WorkflowExecuted` of the record's workflow between its binding and the final block."""
        if record.kind == "noop":
            return []
        # Of a due run nextRun tells as well: a worker that takes it up again sees that it has moved on.
        return await executions(
            view, record.executor, (record.workflow,), record.bound_block + 1, final, self._log_range,
            confirmed=record.kind == "now",
        )  # fmt: skip
