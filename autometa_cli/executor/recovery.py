"""When Redis forgot: make sure that no forgotten transaction can ever be mined, then go on (REVIEW H1).

Bytes that the ledger does not remember may sit in any pool, waiting for a lower nonce. `bind` never hands out a nonce
more than MAX_OPEN_NONCES past the finalized count, so once every nonce up to there is consumed in a finalized block,
by a self-transfer or by the forgotten transaction itself, nothing unknown is left. What was executed meanwhile the
chain tells: `nextRun` has moved, and the tracker finds forgotten attempts of records that it still knows by their
event. Only "now" jobs leave no such trace; unsigned ones are buried as `uncertain`. A record that is bound counts as
signed from then on, so that its nonce is judged, too, and not given back. Transfers up to the block at which this ends
may have been served: the scheduler looks each of them up before it fires (`scheduling.doubts`).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from autometa_cli.chain.fees import CEILING, FeeQuote
from autometa_cli.errors import AutometaError
from autometa_cli.jobs.job import BadJob, open_envelope, parse_job

if TYPE_CHECKING:
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.executor.head import Head, Heads
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.secrets import Signer

_log = logging.getLogger(__name__)

_TRANSFER_GAS = 21_000
#: Seconds between two rounds of self-transfers that were not mined, each round with a higher fee.
_ROUND_SECONDS = 15.0


class Recovery:
    """Brings one key, and then the queue, past a loss of writes.

    Args:
        window: MAX_OPEN_NONCES.
        max_fee: the cap in wei per gas, or None.
        executor: address of the contract.
    """

    def __init__(
        self,
        queue: JobQueue,
        rpc: Rpc,
        heads: Heads,
        signer: Signer,
        *,
        window: int,
        max_fee: int | None,
        executor: str,
    ) -> None:
        self._queue = queue
        self._rpc = rpc
        self._heads = heads
        self._signer = signer
        self._window = window
        self._max_fee = max_fee
        self._executor = executor

    async def run(self) -> None:
        """Use up this key's window, then end the recovery if no other key's is left.

        Raises:
            RpcUnreachable, redis.exceptions.RedisError: repeat it from the start; every step may be repeated.
            AutometaError: another key's window is still open; its worker has to do that. Names the address.
        """
        k, scripts = self._queue.keys, self._queue.scripts
        await scripts.call("recovery_begin", [k.epoch], [])
        if await self._queue.redis.hget(k.epoch, f"window:{self._signer.address}") is None:
            head = await self._use_up()
            await scripts.call(
                "recovery_window",
                [k.epoch, k.cursor(self._heads.chain_id, self._executor)],
                [self._signer.address, str(head.counts.final), head.final_number],
            )
        await self._doubt_bound()
        await self._bury_now_jobs()
        senders = sorted({self._signer.address, *await self._known_senders()})
        answer = await scripts.call("recovery_end", [k.epoch, k.seen], senders)
        if answer.word == "open":
            raise AutometaError(
                f"Redis lost writes; key {answer.rest[0]} may have transactions that the ledger forgot",
                f"start a worker with the key of {answer.rest[0]}; it uses up that key's open nonces, then all go on",
            )
        scripts.seen = answer.seq
        _log.warning("recovered: no forgotten transaction of %s can be mined any more", self._signer.address)

    async def _use_up(self) -> Head:
        """Self-transfers at every nonce of the open window; a head that shows all of them consumed."""
        head = await self._heads.fresh()
        first, end = head.counts.latest, head.counts.final + self._window
        _log.warning(
            "Redis lost writes: using up nonces %d to %d of %s, so that nothing forgotten can be mined",
            first, end - 1, self._signer.address,
        )  # fmt: skip
        loop, fees, due = asyncio.get_running_loop(), _generous(head.fees, head.fees), 0.0
        while head.counts.final < end:
            if loop.time() >= due:
                await self._offer(range(head.counts.latest, end), fees)
                fees, due = _generous(fees, head.fees), loop.time() + _ROUND_SECONDS
            await asyncio.sleep(self._heads.patience)
            head = await self._heads.fresh()
        return head

    async def _offer(self, nonces: range, fees: FeeQuote) -> None:
        max_fee = min(fees.max_fee, self._max_fee) if self._max_fee else fees.max_fee
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": self._heads.chain_id,
            "to": self._signer.address,
            "value": 0,
            "data": b"",
            "gas": _TRANSFER_GAS,
            "maxFeePerGas": max_fee,
            "maxPriorityFeePerGas": min(fees.priority_fee, max_fee),
        }
        # Self-transfers need no ledger: whatever is mined at these nonces, its purpose is to be the last.
        answers = await asyncio.gather(
            *(self._rpc.send_raw(self._signer.sign({**fields, "nonce": nonce}).raw) for nonce in nonces)
        )
        refused = {answer.text for answer in answers if answer.kind == "rejected"}
        if refused:
            _log.info("self-transfers: %s", "; ".join(sorted(refused)[:3]))

    async def _known_senders(self) -> set[str]:
        """Keys that held a nonce, or whose worker was registered, as far as the ledger remembers."""
        queue = self._queue
        senders = set()
        for name in await queue.redis.zrange(queue.keys.open, 0, -1):
            record = await queue.record(name.decode("utf-8", "replace"))
            if record and record.sender:
                senders.add(record.sender)
        for member in await queue.workers.members():
            if not member.buried and member.fields.get("address"):
                senders.add(member.fields["address"])
        return senders

    async def _doubt_bound(self) -> None:
        for name in await self._queue.redis.zrange(self._queue.keys.open, 0, -1):
            record = await self._queue.record(name.decode("utf-8", "replace"))
            if record and record.state == "bound" and record.kind != "noop":
                await self._bury(self._queue.keys.pending, b"", record.job, record.key)

    async def _bury_now_jobs(self) -> None:
        k = self._queue.keys
        aside = [
            k.cleared_list(stamp.decode("utf-8", "replace"))
            for stamp in await self._queue.redis.zrange(k.cleared, 0, -1)
        ]
        lists = [k.pending, *aside, *(k.inflight(m.id) for m in await self._queue.workers.members())]
        twins: Counter[bytes] = Counter()
        for name in lists:
            for element in await self._queue.redis.lrange(name, 0, -1):
                opened = open_envelope(element)
                raw = opened[2] if opened else element
                if _is_now(raw):
                    twins[raw] += 1
                    await self._bury(name, element, raw, opened[1] if opened else _raw_key(raw, twins[raw]))
        for name in await self._queue.redis.zrange(k.delayed, 0, -1):
            record = await self._queue.record(name.decode("utf-8", "replace"))
            if record and record.kind == "now":
                await self._bury(k.pending, b"", record.job, record.key)

    async def _bury(self, where: str, element: bytes, raw: bytes, key: str) -> None:
        k = self._queue.keys
        record = await self._queue.record(key)
        workflow = k.workflow(record.chain, record.executor, record.workflow) if record else k.epoch
        await self._queue.scripts.call(
            "recovery_bury",
            [k.epoch, k.occurrence(key), workflow, k.dead, where, k.delayed, k.queued],
            [key, element, raw, key],
        )


def _is_now(raw: bytes) -> bool:
    try:
        job = parse_job(raw)
    except BadJob:
        return False
    return job.next_run == 0 and (job.occurrence is None or ":now:" in job.occurrence)


def _raw_key(raw: bytes, number: int) -> str:
    """Where the n-th such element is buried: the record that it had when it stood on the list before, or its own."""
    return parse_job(raw).occurrence or f"raw:{hashlib.sha256(raw).hexdigest()[:16]}:{number}"


def _generous(fees: FeeQuote, now: FeeQuote) -> FeeQuote:
    """Twice the offer: it has to beat what was forgotten, at a price that nobody remembers.

    But at most twice what anything is ever raised to (`CEILING`): what pays more than that is mined by itself, and
    uses the nonce up as well; and a chain that stands still takes nothing at any price.
    """
    most = 2 * CEILING * now.max_fee
    max_fee = max(min(2 * fees.max_fee, most), now.max_fee)
    return FeeQuote(now.base_fee, min(max(2 * fees.priority_fee, now.priority_fee), max_fee), max_fee)
