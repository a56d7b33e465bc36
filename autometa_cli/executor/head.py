"""What every decision of one moment shares: one endpoint, one block, one set of fees, one "now"."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autometa_cli.chain import roles
from autometa_cli.chain.blocks import Block
from autometa_cli.chain.faults import quantity
from autometa_cli.chain.feemarket import quote
from autometa_cli.chain.fees import FeeCapReached, FeeQuote, capped
from autometa_cli.chain.view import View, together
from autometa_cli.errors import RpcUnreachable
from autometa_cli.jobs.connection import Client

if TYPE_CHECKING:
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.networks import Network


@dataclass(frozen=True, slots=True)
class Counts:
    """Transactions that a sender has had: mined, finalized, and including the endpoint's pool."""

    latest: int
    final: int
    pending: int


@dataclass(frozen=True, slots=True)
class Head:
    """The chain at one pinned block, as one endpoint shows it.

    Attributes:
        view: reads at the head.
        final: reads at the last finalized block, same endpoint.
        now: the later of the head's timestamp and Redis TIME, seconds since 1970. Never this machine's clock.
        skew: Redis TIME minus the head's timestamp, seconds.
        counts: of the worker's key.
        sender_balance, executor_balance: wei.
        permitted: the worker's key has WORKER_ROLE on the executor.
        fees: what a transaction would offer now.
        too_dear: why that is more than MAX_FEE_GWEI allows, or "".
    """

    view: View
    final: View
    now: int
    skew: float
    counts: Counts
    sender_balance: int
    executor_balance: int
    permitted: bool
    fees: FeeQuote
    too_dear: str

    @property
    def number(self) -> int:
        """The head's height."""
        return self.view.block.number

    @property
    def final_number(self) -> int:
        """Height of the last finalized block."""
        return self.final.block.number


class Heads:
    """Follows the chain; everybody who decides something in the same moment shares one Head.

    Args:
        confirmations: None for the `finalized` tag, else how many blocks deep is final (1: the head itself).
        max_fee: the cap in wei per gas, or None.
    """

    def __init__(
        self,
        rpc: Rpc,
        redis: Client,
        network: Network,
        *,
        chain_id: int,
        sender: str,
        executor: str,
        confirmations: int | None,
        max_fee: int | None,
    ) -> None:
        self._rpc = rpc
        self._redis = redis
        self.network = network
        self.chain_id = chain_id
        self._sender = sender
        self._executor = executor
        self._confirmations = confirmations
        self._max_fee = max_fee
        self._current: Head | None = None
        self._read_at = 0.0
        self._reading: asyncio.Task[Head] | None = None
        #: How old a Head may be before it is read again, seconds. Longer where reading takes long: under a limit of
        #: requests most of them are for the jobs.
        self.patience = self._least = min(2.0, max(0.2, network.block_time / 4))

    async def current(self) -> Head:
        """The Head, at most `patience` old, or twice that while a busy endpoint is being asked for the next.

        Raises RpcUnreachable.
        """
        age = asyncio.get_running_loop().time() - self._read_at
        reading = self._reading is not None and not self._reading.done()
        if self._current is not None and age < self.patience * (2 if reading else 1):
            return self._current
        return await self.fresh()

    async def fresh(self) -> Head:
        """Read it now; callers at the same time share one reading. Raises RpcUnreachable."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
            # A reading that everybody stopped waiting for must not complain when it is collected.
            self._reading.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._reading)

    async def since(self, moment: float) -> Head:
        """A Head whose reading began at this time of the event loop's clock, or later. Raises RpcUnreachable."""
        while self._current is None or self._read_at < moment:
            await self.fresh()
        return self._current

    async def counts(self, head: Head, sender: str) -> Counts:
        """The counts of another sender, at the same blocks."""
        return await counts_of(head.view, head.final, sender)

    async def _read(self) -> Head:
        loop = asyncio.get_running_loop()
        started = loop.time()
        view = await self._rpc.view("latest")
        previous = self._current
        # An endpoint that lags behind what was seen already must not decide anything (REVIEW H30). A reorg to a
        # shorter chain passes within a block or two.
        recently = started - self._read_at < 20 * self.network.block_time
        if previous is not None and recently and view.block.number < previous.number:
            raise RpcUnreachable(
                f"{view.endpoint.name} shows block {view.block.number}, block {previous.number} was seen before"
            )
        # Where a limit of requests is kept, hundreds of jobs' reads may wait: without these they would look at a head
        # of minutes ago.
        ahead = view.ahead()
        final = view.pinned(await final_block(ahead, self._confirmations))
        (seconds, _), answers = await asyncio.gather(
            self._redis.time(),
            together(
                ahead.nonce(self._sender),
                final.ahead().nonce(self._sender),
                _pending(ahead, self._sender),
                ahead.balance(self._sender),
                ahead.balance(self._executor),
                roles.has_role(ahead, self._executor, "WORKER_ROLE", self._sender),
                quote(ahead, self.network, None),
            ),
        )
        latest, finalized, pending, balance, executor_balance, permitted, fees = answers
        timestamp, too_dear = view.block.timestamp, ""
        try:
            fees = capped(fees, self._max_fee)
        except FeeCapReached as error:
            too_dear = error.message
        self._current = Head(
            view=view,
            final=final,
            now=max(timestamp, int(seconds)),
            skew=int(seconds) - timestamp,
            counts=Counts(latest, finalized, max(pending, latest)),
            sender_balance=balance,
            executor_balance=executor_balance,
            permitted=permitted,
            fees=fees,
            too_dear=too_dear,
        )
        self._read_at = started
        took = loop.time() - started
        if not self.network.local:  # there it is our own calls that it waited behind, and nobody counts them
            self.patience = max(self._least, min(4 * took, self.network.block_time))
        return self._current


async def final_block(view: View, confirmations: int | None) -> Block:
    """The last final block, as the view's endpoint knows it: the `finalized` tag, or `confirmations` blocks deep."""
    if confirmations is None:
        tag = "finalized"
    else:
        number = max(0, view.block.number + 1 - confirmations)
        if number == view.block.number:
            return view.block
        tag = hex(number)
    block = Block.parse(await view.request("eth_getBlockByNumber", (tag, False)))
    # The finalized tag is read a moment later than the head and may have overtaken it.
    return block if block.number <= view.block.number else view.block


async def counts_of(view: View, final: View, sender: str) -> Counts:
    """A sender's counts at a block and at the final one, same endpoint. Raises RpcUnreachable, RpcFault."""
    latest, finalized, pending = await together(
        view.nonce(sender), final.nonce(sender), _pending(view, sender)
    )
    return Counts(latest, finalized, max(pending, latest))


async def _pending(view: View, address: str) -> int:
    return quantity(await view.request("eth_getTransactionCount", (address, "pending")), "a nonce")
