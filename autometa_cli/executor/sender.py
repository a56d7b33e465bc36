"""Signing and broadcasting: bytes are in the ledger before they leave, and only verified bytes leave (I3, I4)."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes

from autometa_cli.chain.fees import FeeQuote, bump
from autometa_cli.errors import AutometaError
from autometa_cli.executor import faultpoints
from autometa_cli.executor.ledger import Hold, Ledger, broadcast_note
from autometa_cli.executor.proof import Tampered, verify_bytes
from autometa_cli.jobs.record import Attempt, Record

if TYPE_CHECKING:
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.chain.sendanswers import SendAnswer
    from autometa_cli.executor.decision import Go
    from autometa_cli.secrets import Signer

_log = logging.getLogger(__name__)
#: A plain self-transfer costs exactly this.
_TRANSFER_GAS = 21_000


class NotReplicated(AutometaError):
    """Too few replicas of Redis have the bytes, so they must not be sent: a failover might forget them."""


class Sender:
    """Everything that is done with one key.

    Args:
        chain_id: of the chain that the bytes are for.
        executor: address of the ActionExecutor.
        max_fee: the cap in wei per gas, or None.
    """

    def __init__(
        self, rpc: Rpc, signer: Signer, ledger: Ledger, *, chain_id: int, executor: str, max_fee: int | None
    ) -> None:
        self._rpc = rpc
        self._signer = signer
        self._ledger = ledger
        self._chain_id = chain_id
        self._executor = executor
        self._max_fee = max_fee
        self._verified: dict[str, set[tuple[object, ...]]] = {}
        self._replicated: set[str] = set()

    @property
    def address(self) -> str:
        """Checksummed."""
        return self._signer.address

    async def sign_call(self, hold: Hold, record: Record, go: Go, fees: FeeQuote) -> Record | None:
        """Sign the call of a bound record and write it down; the record with it, or None when we were fenced."""
        self._check_own(record)
        fields = self._fields(record, self._executor, go.data, go.gas, fees)
        signed = self._signer.sign(fields)
        faultpoints.reached(faultpoints.SIGNED)
        answer = await self._ledger.write_call(hold, record, signed.raw, signed.hash, fees, go.new_next_run)
        faultpoints.reached(faultpoints.WRITTEN)
        written = self._written(answer.word, record, signed.raw, signed.hash, "call", fees)
        return replace(written, new_next_run=go.new_next_run) if written else None

    async def raise_fee(self, hold: Hold, record: Record, now: FeeQuote) -> Record | None:
        """The last attempt again with a higher fee, same nonce, everything else as it was.

        Raises:
            FeeCapReached: the higher fee would be above the cap.
            Tampered: the bytes to repeat are not the record's, or the record is not this key's.
        """
        self._check_own(record)
        last = record.attempts_sent[-1]
        self.verify(record, last)
        old: dict[str, Any] = TypedTransaction.from_bytes(HexBytes(last.raw)).as_dict()
        fees = bump(_fees(last, now), self._max_fee, now)
        target = record.sender if last.what == "cancel" else self._executor
        signed = self._signer.sign(self._fields(record, target, bytes(old["data"]), int(old["gas"]), fees))
        if last.what == "cancel":
            answer = await self._ledger.write_cancel(
                hold, record, signed.raw, signed.hash, fees, record.reason, unwanted=record.unwanted
            )
        else:
            answer = await self._ledger.write_call(
                hold, record, signed.raw, signed.hash, fees, record.new_next_run
            )
        return self._written(answer.word, record, signed.raw, signed.hash, last.what, fees)

    async def sign_cancel(
        self, hold: Hold, record: Record, now: FeeQuote, reason: str, *, unwanted: bool
    ) -> Record | None:
        """A self-transfer at the record's nonce; what is mined of the two decides.

        Raises FeeCapReached, or Tampered: the record is not this key's.
        """
        self._check_own(record)
        fees = now
        if record.attempts_sent:
            last = record.attempts_sent[-1]
            # What it outbids is what was signed. Where somebody wrote something else there, nobody knows that, and
            # the nonce is asked for at the chain's own price.
            with suppress(Tampered):
                self.verify(record, last)
                fees = bump(_fees(last, now), self._max_fee, now, must=True)
        signed = self._signer.sign(self._fields(record, record.sender, b"", _TRANSFER_GAS, fees))
        answer = await self._ledger.write_cancel(
            hold, record, signed.raw, signed.hash, fees, reason, unwanted=unwanted
        )
        written = self._written(answer.word, record, signed.raw, signed.hash, "cancel", fees)
        return replace(written, reason=reason, unwanted=unwanted) if written else None

    def verify(self, record: Record, attempt: Attempt) -> None:
        """Raises Tampered unless the bytes are the record's; remembers those that are."""
        facts, known = _facts(record, attempt), self._verified.setdefault(record.key, set())
        if facts not in known:
            verify_bytes(record, attempt)
            known.add(facts)

    def forget(self, record: Record) -> None:
        """Its attempts are history."""
        hashes = [attempt.hash for attempt in record.attempts_sent]
        self._verified.pop(record.key, None)
        self._replicated.difference_update(hashes)

    async def broadcast(self, record: Record) -> SendAnswer:
        """Offer the record's last attempt, once. Whatever comes back, it counts as sent.

        Raises:
            Tampered: the bytes are not the record's; nothing was sent.
            NotReplicated: REDIS_MIN_REPLICAS is not met; nothing was sent.
        """
        number = len(record.attempts_sent) - 1
        attempt = record.attempts_sent[number]
        self.verify(record, attempt)
        if attempt.hash not in self._replicated:
            if short := await self._ledger.short_of_replicas():
                raise NotReplicated(short)
            self._replicated.add(attempt.hash)
        answer = await self._rpc.send_raw(attempt.raw)
        faultpoints.reached(faultpoints.BROADCAST)
        level = logging.INFO if answer.kind in ("accepted", "known") else logging.WARNING
        _log.log(
            level, "%s: sent %s, nonce %s: %s%s", record.label, attempt.hash, record.nonce,
            answer.answer_class.value, "" if answer.kind == "accepted" else f" {answer.text}",
        )  # fmt: skip
        note = broadcast_note(answer.answer_class.value, answer.text, answer.endpoint)
        await self._ledger.note(record.key, **{f"answer:{number}": note})
        return answer

    def strange(self, record: Record) -> str:
        """Why its call is not ours to send again or to raise, or "": it was signed for contracts that are not
        configured here, so nobody here can tell whether it is still wanted."""
        if (
            record.kind == "noop"
            or record.state != "signed"
            or record.executor.lower() == self._executor.lower()
        ):
            return ""
        return (
            f"nonce {record.nonce} calls the executor contract {record.executor}, and ACTIONEXECUTOR_ADDRESS is "
            f"{self._executor}: start a worker with the other, or cancel it (tx cancel)"
        )

    def _check_own(self, record: Record) -> None:
        """Raises Tampered unless this key may sign for the record: another's bytes are true of another's record."""
        if record.sender.lower() != self.address.lower() or record.chain != self._chain_id:
            raise Tampered(f"it is bound to {record.sender!r} on chain {record.chain}, which is not this key")

    def _fields(self, record: Record, to: str, data: bytes, gas: int, fees: FeeQuote) -> dict[str, Any]:
        return {
            "type": 2,
            "chainId": self._chain_id,
            "nonce": record.nonce,
            "to": to,
            "value": 0,
            "data": data,
            "gas": gas,
            "maxFeePerGas": fees.max_fee,
            "maxPriorityFeePerGas": fees.priority_fee,
        }

    def _written(
        self, word: str, record: Record, raw: bytes, hash: str, what: str, fees: FeeQuote
    ) -> Record | None:
        if word not in ("ok", "already"):
            return None
        attempt = Attempt(raw, hash, what, fees.max_fee, fees.priority_fee)
        # Made here a moment ago, from the record itself.
        self._verified.setdefault(record.key, set()).add(_facts(record, attempt))
        state = "cancelling" if what == "cancel" else "signed"
        return replace(record, state=state, attempts_sent=(*record.attempts_sent, attempt))


def _facts(record: Record, attempt: Attempt) -> tuple[object, ...]:
    """All that a verification was about. The hash alone would not do: record and bytes are read from Redis again."""
    return (record.chain, record.executor, record.workflow, record.sender, record.nonce, attempt)


def _fees(attempt: Attempt, now: FeeQuote) -> FeeQuote:
    return FeeQuote(now.base_fee, attempt.priority_fee, attempt.max_fee)
