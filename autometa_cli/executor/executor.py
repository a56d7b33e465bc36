"""EVMExecutor: from a claimed job to a transaction on its way, and from there to its settlement."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from autometa_cli.chain.contracts import Registry
from autometa_cli.errors import RpcUnreachable
from autometa_cli.executor import faultpoints
from autometa_cli.executor.binding import Binder
from autometa_cli.executor.budget import Budget
from autometa_cli.executor.charge import Charge
from autometa_cli.executor.check import Checker
from autometa_cli.executor.decision import Go, Lost, Refusal, Sent, Triggers
from autometa_cli.executor.funds import Funds
from autometa_cli.executor.head import Head, Heads
from autometa_cli.executor.identity import Identity, event_of
from autometa_cli.executor.ledger import Hold, Ledger
from autometa_cli.executor.policy import Policy
from autometa_cli.executor.recovery import Recovery
from autometa_cli.executor.sender import NotReplicated, Sender
from autometa_cli.executor.simulation import Simulator
from autometa_cli.executor.tracker import Tracker
from autometa_cli.executor.transfer import fate

if TYPE_CHECKING:
    from collections.abc import Callable

    from autometa_cli.chain.contracts import Workflow
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.config import Settings
    from autometa_cli.jobs.claim import Claim
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.record import Record
    from autometa_cli.secrets import Signer

#: Until a run whose transfer's fate cannot be read looks again, seconds.
_AGAIN_SECONDS = 30.0


class EVMExecutor:
    """Executes occurrences with one key, each at most once.

    Attributes:
        heads: the chain as of now.
        checker: decides whether to execute.
        tracker: the transactions on their way.
        registry: where workflows are read.
        recovery: what to do when Redis forgot.
        identity: which occurrence a payload means.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        queue: JobQueue,
        rpc: Rpc,
        signer: Signer,
        genesis: str,
        triggers: Triggers,
        closed: Callable[[str, str, str], None],
    ) -> None:
        settings.require("REGISTRY_ADDRESS", "ACTIONEXECUTOR_ADDRESS", "FEEESCROW_ADDRESS")
        registry = settings.registry_address or ""
        executor = settings.actionexecutor_address or ""
        escrow = settings.feeescrow_address or ""
        self._queue = queue
        self._max_hold = settings.max_hold
        self.registry = Registry(registry)
        self.heads = Heads(
            rpc,
            queue.redis,
            settings.network,
            chain_id=settings.chain_id,
            sender=signer.address,
            executor=executor,
            confirmations=settings.confirmations,
            max_fee=settings.max_fee_wei,
        )
        self.funds = Funds(escrow, executor, settings.network.symbol)
        self._closed = closed
        self.ledger = Ledger(
            queue,
            max_open_nonces=settings.max_open_nonces,
            max_retries=settings.max_retries,
            retry_delay=settings.retry_delay,
        )
        self._budget = Budget(
            settings.daily_gas_budget_wei,
            lambda: self.ledger.spent_today(settings.chain_id, signer.address),
            settings.network.symbol,
        )
        self.sender = Sender(
            rpc,
            signer,
            self.ledger,
            chain_id=settings.chain_id,
            executor=executor,
            max_fee=settings.max_fee_wei,
        )
        self.checker = Checker(
            registry=self.registry,
            executor=executor,
            network=settings.network,
            policy=Policy(
                registry=registry,
                executor=executor,
                escrow=escrow,
                allowed_targets=settings.allowed_targets,
                allowed_owners=settings.allowed_owners,
                max_value_wei=settings.max_value_wei,
            ),
            triggers=triggers,
            funds=self.funds,
            budget=self._budget,
            simulator=Simulator(
                executor=executor,
                sender=signer.address,
                gas_multiplier=settings.gas_multiplier,
                max_gas=settings.max_gas_per_tx,
            ),
            charge=Charge(by_cost=settings.charge == "cost"),
        )
        self.tracker = Tracker(
            queue,
            self.ledger,
            self.sender,
            self.heads,
            self.registry,
            self.funds,
            rebroadcast_after=max(5.0, 5 * settings.network.block_time),
            bump_after=settings.bump_after,
            closed=self._on_closed,
        )
        self._binder = Binder(queue, self.ledger, self.sender, self.heads, self.tracker, genesis)
        self.identity = Identity(queue, settings.chain_id, executor)
        self.recovery = Recovery(
            queue,
            rpc,
            self.heads,
            signer,
            window=settings.max_open_nonces,
            max_fee=settings.max_fee_wei,
            executor=executor,
        )

    @property
    def address(self) -> str:
        """The key's address, checksummed."""
        return self.sender.address

    def _free(self, key: str) -> None:
        self.funds.free(key)
        self._budget.free(key)

    def _on_closed(self, key: str, state: str, verdict: str) -> None:
        self._budget.free(key)
        self._closed(key, state, verdict)

    async def execute_workflow(
        self, claim: Claim, workflow: Workflow | None, head: Head
    ) -> Sent | Refusal | Lost:
        """Check, bind, sign, write down, broadcast (DESIGN 4.2). The caller gives a refused claim back.

        Args:
            workflow: as read at `head`.

        Raises:
            RpcUnreachable: before anything was signed.
            redis.exceptions.RedisError: the ledger is away; what was done is in it.
        """
        record = await self._queue.record(claim.key)
        if record is None or record.holder != claim.worker or record.fence != claim.fence:
            return Lost("another worker holds it")
        open_nonce = self.tracker.nonce(claim.key)
        if open_nonce is not None and record.nonce != open_nonce:
            # Its record was deleted or replaced behind our back, and another nonce would be another execution.
            text = f"its ledger record was replaced while its transaction with nonce {open_nonce} is open"
            return Refusal("delayed", "tampered", text, delay=60)
        decision = await self.checker.check(
            claim.occurrence,
            workflow,
            head,
            holds=record.holds,
            seen=record.seen,
            event=event_of(claim.job, record),
        )
        if isinstance(decision, Refusal):
            self._free(claim.key)
            if decision.hold and record.held_since and head.now - record.held_since // 1000 > self._max_hold:
                return replace(
                    decision, to="dead", block=head.final_number, text=f"{decision.text} (held for MAX_HOLD)"
                )
            return await self._ended(decision, record, head) if decision.to == "skipped" else decision
        try:
            result = await self._send(claim, record, decision, head)
        except BaseException:
            if claim.key not in self.tracker:
                self._free(claim.key)
            raise
        if not isinstance(result, Sent) and claim.key not in self.tracker:
            self._free(claim.key)
        return result

    async def _ended(self, refusal: Refusal, record: Record, head: Head) -> Refusal:
        """A skip, with what becomes of the transfer that the run took."""
        network = self.heads.network
        try:
            end = await fate(record, refusal.reason, head.view, head.final_number, network.log_range)
        except RpcUnreachable as error:  # one run's long history must not look like an endpoint that is gone
            text = f"{refusal.text}, but not what became of its transfer: {error.message}"
            return replace(refusal, to="delayed", reason="transfer", text=text, delay=_AGAIN_SECONDS)
        if end.unsure:
            return replace(refusal, to="delayed", text=end.text, delay=max(1.0, 2 * network.block_time))
        return replace(refusal, text=refusal.text + end.text, gives_back=end.back)

    async def _send(self, claim: Claim, record: Record, go: Go, head: Head) -> Sent | Refusal | Lost:
        bound = await self._binder.bind(claim, record, head)
        if isinstance(bound, Refusal | Lost):
            return bound
        faultpoints.reached(faultpoints.BOUND)
        hold = Hold(claim.key, claim.worker, claim.fence)
        written = await self.sender.sign_call(hold, bound, go, head.fees)
        if written is None:
            return Lost("fenced before the bytes were written; they were thrown away")
        self.tracker.add(written, hold, sent=True)
        try:
            answer = await self.sender.broadcast(written)
        except NotReplicated as error:
            self.tracker.pusher.withheld(written, error.message)
        else:
            await self.tracker.pusher.answered(written, answer.answer_class, answer.text, head)
        return Sent(claim.key, written.attempts_sent[-1].hash)
