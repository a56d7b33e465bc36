"""EVMExecutor: from a claimed job to a transaction on its way, and from there to its settlement."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from autometa_cli.chain.contracts import Registry, Workflow
from autometa_cli.executor import faultpoints
from autometa_cli.executor.budget import Budget
from autometa_cli.executor.check import Checker, Go, Refusal, Triggers
from autometa_cli.executor.funds import Funds
from autometa_cli.executor.head import Counts, Head, Heads
from autometa_cli.executor.ledger import Hold, Ledger
from autometa_cli.executor.policy import Policy
from autometa_cli.executor.recovery import Recovery
from autometa_cli.executor.sender import NotReplicated, Sender
from autometa_cli.executor.tracker import Tracker
from autometa_cli.executor.transfer import fate
from autometa_cli.jobs.job import Job, new_id, occurrence_of
from autometa_cli.jobs.occurrence import Occurrence

if TYPE_CHECKING:
    from collections.abc import Callable

    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.config import Settings
    from autometa_cli.jobs.queue import Claim, JobQueue
    from autometa_cli.jobs.record import Record
    from autometa_cli.secrets import Signer

#: What bind answers while our house is not in order, and how to say it.
_BIND_TROUBLE = {
    "wait:foreign": "somebody else uses this worker's key: its pending transactions run ahead of the ledger",
    "wait:blocked": "this worker's key is blocked in the ledger",
    "wait:window": "too many open transactions (MAX_OPEN_NONCES); waiting for the oldest to become final",
    "wait:chain": "the ledger knows this key from another chain with the same id (another genesis block)",
    "wait:owner": "the ledger's nonce counter and its owners disagree",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """The transaction is on its way; the tracker follows it."""

    key: str
    tx: str


@dataclass(frozen=True, slots=True)
class Lost:
    """The record is not ours any more (or never became bindable); nothing was sent and nothing is owed."""

    why: str


class EVMExecutor:
    """Executes occurrences with one key, each at most once.

    Attributes:
        heads: the chain as of now.
        checker: decides whether to execute.
        tracker: the transactions on their way.
        registry: where workflows are read.
        recovery: what to do when Redis forgot.
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
        self._chain_id = settings.chain_id
        self._executor = executor
        self._genesis = genesis
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
        self.funds = Funds(escrow, executor)
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
            escrow=escrow,
            sender=signer.address,
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
            gas_multiplier=settings.gas_multiplier,
            max_gas=settings.max_gas_per_tx,
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
        self.recovery = Recovery(
            queue,
            rpc,
            self.heads,
            signer,
            window=settings.max_open_nonces,
            max_fee=settings.max_fee_wei,
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

    async def identify(self, job: Job, workflow: Workflow | None) -> tuple[Occurrence, str]:
        """Which occurrence a payload means, and the id it goes by."""
        id = job.id or new_id()
        chain_next_run = workflow.next_run if workflow else job.next_run
        named = self._known(job) or occurrence_of(
            job, self._chain_id, self._executor.lower(), chain_next_run, id
        )
        if named.now_id is not None:
            return named, id
        given = _generation_of(job, named)
        generation = given if given is not None else await self._queue.generation(named)
        occurrence = named.at_generation(generation)
        return occurrence, job.id or occurrence.key

    def _known(self, job: Job) -> Occurrence | None:
        """What a payload with nextRun 0 meant when its record was made, whatever the chain's nextRun is by now."""
        if job.next_run or job.occurrence is None:
            return None
        due = Occurrence(self._chain_id, self._executor.lower(), job.workflow, 0)
        extra = replace(due, now_id=job.id)
        if job.id is not None and job.occurrence == extra.key:
            return extra
        return due if _generation_of(job, due) is not None else None

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
            event=_event_of(claim.job, record),
        )
        if isinstance(decision, Refusal):
            self._free(claim.key)
            if decision.hold and record.held_since and head.now - record.held_since // 1000 > self._max_hold:
                return replace(
                    decision, to="dead", block=head.final_number, text=f"{decision.text} (held for MAX_HOLD)"
                )
            return await self._ended(decision, record, head) if decision.to == "skipped" else decision
        try:
            result = await self._send(claim, decision, head)
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
        end = await fate(record, refusal.reason, head.view, head.final_number, network.log_range)
        if end.unsure:
            return replace(refusal, to="delayed", text=end.text, delay=max(1.0, 2 * network.block_time))
        return replace(refusal, text=refusal.text + end.text, gives_back=end.back)

    async def _send(self, claim: Claim, go: Go, head: Head) -> Sent | Refusal | Lost:
        refusal = await self._bind(claim, head)
        if refusal is not None:
            return refusal
        faultpoints.reached(faultpoints.BOUND)
        record = await self._queue.record(claim.key)
        if record is None or record.nonce is None:
            return Lost("the record vanished")
        hold = Hold(claim.key, claim.worker, claim.fence)
        written = await self.sender.sign_call(hold, record, go, head.fees)
        if written is None:
            return Lost("fenced before the bytes were written; they were thrown away")
        self.tracker.add(written, hold, sent=True)
        try:
            answer = await self.sender.broadcast(written)
        except NotReplicated as error:
            self.tracker.withheld(written, error.message)
        else:
            await self.tracker.answered(written, answer.answer_class, answer.text, head)
        return Sent(claim.key, written.attempts_sent[-1].hash)

    async def _bind(self, claim: Claim, head: Head) -> Refusal | Lost | None:
        """None when the record has its nonce."""
        earlier = await self._earlier(claim, head)
        answer = await self.ledger.bind(
            claim,
            self.address,
            head.counts,
            block=head.number,
            final=head.final_number,
            genesis=self._genesis,
            earlier=earlier,
        )
        match answer.word:
            case "ok" | "already":
                return None
            case "recheck":
                return Refusal("delayed", "recheck", "the chain moved on meanwhile", delay=1.0)
            case "wait:workflow":
                return Refusal("delayed", "workflow_busy", f"waits for {answer.rest[0]}", delay=2.0)
            case "reconcile":
                record = await self._queue.record(claim.key)
                if record:
                    self.tracker.add(record, Hold(claim.key, claim.worker, claim.fence), sent=True)
                return Lost("its nonce was consumed before it was signed; settled when that is final")
            case "recovery":
                return Refusal("queued", "ledger_in_doubt", "Redis restarted", trouble=True)
            case word if word in _BIND_TROUBLE:
                return Refusal("queued", word.removeprefix("wait:"), _BIND_TROUBLE[word], trouble=True)
            case word:
                return Lost(f"bind answered {word}")

    async def _earlier(self, claim: Claim, head: Head) -> tuple[str, int] | None:
        record = await self._queue.record(claim.key) if claim.bound else None
        if record is None or record.sender in ("", self.address):
            return None
        counts: Counts = await self.heads.counts(head, record.sender)
        return record.sender, counts.latest


def _event_of(job: Job, record: Record) -> Any:
    """The transfer that a run is for: the record took it when it was queued, and a copy pushed by hand names none."""
    given = job.fields.get("event")
    tx, _, place = record.event.rpartition(":")
    if not tx:
        return given
    ordinal = int(place) if place.isascii() and place.isdigit() and len(place) <= 6 else place
    if isinstance(given, dict) and (given.get("tx"), given.get("ordinal")) == (tx, ordinal):
        return given
    return {"tx": tx, "ordinal": ordinal, "block": 0}


def _generation_of(job: Job, named: Occurrence) -> int | None:
    """The generation that the scheduler wrote into a payload, where the rest of its key is what the job says."""
    prefix = named.key.rpartition(":")[0]
    if job.occurrence is None or not job.occurrence.startswith(prefix + ":"):
        return None
    text = job.occurrence[len(prefix) + 1 :]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None
