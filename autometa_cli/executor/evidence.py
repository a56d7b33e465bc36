"""What the chain shows of one record: who took its nonce, and where each of its transactions stands. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autometa_cli.chain import reverts
from autometa_cli.chain.blocks import Receipt
from autometa_cli.chain.contracts import executed_events
from autometa_cli.chain.faults import RpcFault
from autometa_cli.chain.view import together
from autometa_cli.errors import RpcUnreachable
from autometa_cli.executor.catalog import HOLDING
from autometa_cli.executor.head import Counts, counts_of, final_block
from autometa_cli.executor.proof import Tampered, verify_bytes
from autometa_cli.executor.ruling import Ruling
from autometa_cli.jobs.record import Attempt

if TYPE_CHECKING:
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.chain.view import View
    from autometa_cli.executor.judge import Judge
    from autometa_cli.jobs.record import Record


@dataclass(frozen=True, slots=True)
class Moment:
    """One endpoint at one moment: reads at its newest block, and at its last final one."""

    view: View
    final: View

    @classmethod
    async def of(cls, rpc: Rpc, confirmations: int | None) -> Moment:
        """Now. Raises RpcUnreachable, ConfigError (another chain)."""
        view = await rpc.view("latest")
        return cls(view, view.pinned(await final_block(view, confirmations)))


@dataclass(frozen=True, slots=True)
class Fate:
    """What an endpoint shows of one transaction.

    Attributes:
        block: that it was mined in, None while it was not. `canonical`: that block is the chain's own.
        status: of its receipt. `success`: of the action, as the event says; None without an event.
        why: of a failed action, decoded.
        fee: paid, wei.
        pooled: it lies in the endpoint's pool.
        tampered: why the bytes in the ledger are not the record's, or "".
    """

    hash: str
    block: int | None = None
    canonical: bool = True
    status: int | None = None
    success: bool | None = None
    why: str = ""
    fee: int = 0
    pooled: bool = False
    tampered: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """See the module's docstring.

    Attributes:
        head, final: heights.
        counts: transactions that the record's sender has had; None where it has no nonce.
        fates: of each attempt, in order, then of the transaction that decided, where that is none of them.
        ruling: what a final block decided, where it did and the record is not closed.
        trouble: why that cannot be told, or "".
    """

    endpoint: str
    head: int
    final: int
    counts: Counts | None
    fates: tuple[Fate, ...]
    ruling: Ruling | None = None
    trouble: str = ""

    @property
    def mined(self) -> Fate | None:
        """The transaction of ours that is in a block."""
        return next((fate for fate in self.fates if fate.block is not None and fate.canonical), None)


async def gather(record: Record, moment: Moment, judge: Judge) -> Evidence:
    """Look at a record's transactions. Raises RpcUnreachable: the endpoint failed."""
    view, counts, trouble = moment.view, None, ""
    if record.nonce is not None and record.sender:
        try:
            counts = await counts_of(view, moment.final, record.sender)
        except RpcFault as fault:  # no address, says the node: somebody changed it
            trouble = f"its sender {record.sender!r}: {fault.text}"
    hashes: list[tuple[str, Attempt | None]] = [(attempt.hash, attempt) for attempt in record.attempts_sent]
    if record.tx and record.tx not in {hash for hash, _ in hashes}:
        hashes.append((record.tx, None))
    fates = await together(*(_fate(record, hash, attempt, view) for hash, attempt in hashes))
    found = Evidence(
        view.endpoint.name,
        view.block.number,
        moment.final.block.number,
        counts,
        tuple(fates),
        trouble=trouble,
    )
    consumed = counts is not None and record.nonce is not None and record.nonce < counts.final
    if record.state not in HOLDING or not consumed:
        return found
    ruling = None
    try:
        ruling = await judge.rule(record, view, found.final)
    except Tampered as error:
        trouble = f"the ledger was tampered with: {error}"
    except RpcUnreachable as error:  # not shown yet; what the endpoint is asked next shows whether it is away
        trouble = error.message
    return Evidence(found.endpoint, found.head, found.final, counts, found.fates, ruling, trouble)


async def _fate(record: Record, hash: str, attempt: Attempt | None, view: View) -> Fate:
    tampered = _tampered(record, attempt)
    try:
        receipt = Receipt.parse(await view.request("eth_getTransactionReceipt", (hash,)))
        if receipt is None:
            known = await view.request("eth_getTransactionByHash", (hash,))
            return Fate(
                hash, pooled=isinstance(known, dict) and known.get("blockNumber") is None, tampered=tampered
            )
        block: Any = await view.request("eth_getBlockByNumber", (hex(receipt.block_number), False))
    except RpcFault as fault:  # no hash, says the node
        return Fate(hash, tampered=tampered or fault.text)
    events = [
        event for event in executed_events(receipt, record.executor) if event.workflow == record.workflow
    ]
    success = events[-1].success if events else None
    return Fate(
        hash,
        block=receipt.block_number,
        canonical=isinstance(block, dict) and str(block.get("hash", "")).lower() == receipt.block_hash,
        status=receipt.status,
        success=success,
        why=reverts.explain(events[-1].result or None, "no reason given").text if success is False else "",
        fee=receipt.fee_paid,
        tampered=tampered,
    )


def _tampered(record: Record, attempt: Attempt | None) -> str:
    if attempt is None or not attempt.raw:  # shrunk when it was settled
        return ""
    try:
        verify_bytes(record, attempt)
    except Tampered as error:
        return str(error)
    return ""
