"""Single transactions by a person's own key: grant a role, deposit, create a workflow, deploy.

The worker does not use this: its transactions are written into the ledger first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from autometa_cli.addresses import checksum
from autometa_cli.chain.blocks import Receipt
from autometa_cli.chain.faults import RpcFault, is_revert, quantity
from autometa_cli.chain.feemarket import quote
from autometa_cli.chain.fees import FeeQuote
from autometa_cli.chain.reverts import Revert, explain_fault
from autometa_cli.chain.sendanswers import AnswerClass, SendAnswer
from autometa_cli.chain.sent import Sent
from autometa_cli.errors import AutometaError, NotPermitted, Reverted, RpcUnreachable, StillPending
from autometa_cli.networks import explorer_tx
from autometa_cli.units import duration, from_wei, hex0x

if TYPE_CHECKING:
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.chain.view import View
    from autometa_cli.networks import Network
    from autometa_cli.secrets import SignedBytes, Signer

#: Seconds between offering the same bytes again, while they are not mined.
RESEND_AFTER = 15.0
#: Answers after which these very bytes may yet be mined: watch for them, offer them again.
_HOPEFUL = frozenset(
    {
        AnswerClass.ACCEPTED,
        AnswerClass.KNOWN,
        AnswerClass.AMBIGUOUS,
        AnswerClass.NONCE_HIGH,
        AnswerClass.POOL_FULL,
        AnswerClass.RATE,
    }
)


class Account:
    """A key on a chain. One transaction at a time; not for use by several tasks at once.

    Args:
        rpc: the chain.
        signer: the key.
        network: for fees, symbol and links.
        max_fee_wei: cap in wei per gas.
        timeout: seconds to wait for a receipt.
        on_signed: told the signed bytes before anything leaves, to write down or show their hash.
        clock, sleep: seconds; replaced in tests.
    """

    def __init__(
        self,
        rpc: Rpc,
        signer: Signer,
        network: Network,
        *,
        max_fee_wei: int | None = None,
        timeout: float = 120.0,
        on_signed: Callable[[SignedBytes], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.rpc = rpc
        self.signer = signer
        self.network = network
        self._max_fee_wei = max_fee_wei
        self._timeout = timeout
        self._on_signed = on_signed
        self._clock = clock
        self._sleep = sleep

    @property
    def address(self) -> str:
        """Checksummed."""
        return self.signer.address

    async def simulate(
        self, to: str | None, data: bytes, value: int = 0, *, contract: str | None = None
    ) -> int:
        """Gas that the transaction would need now. Nothing is sent.

        Args:
            to: None to create a contract.
            contract: name of the contract that is called, for messages.

        Raises:
            NotPermitted: it would revert since this account lacks a permission.
            Reverted: it would revert for another reason.
            AutometaError: the account cannot pay for it.
            RpcUnreachable: no endpoint answered.
        """
        return await self._estimate(await self.rpc.view(), to, data, value, contract)

    async def send(
        self,
        to: str | None,
        data: bytes,
        value: int = 0,
        *,
        gas: int | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - it ends in StillPending, not in a cancellation
        contract: str | None = None,
        nonce: int | None = None,
        on_signed: Callable[[SignedBytes], None] | None = None,
    ) -> Sent:
        """Simulate, sign once, send, and wait for the receipt. Never signs with another nonce.

        Args:
            to, contract: as in `simulate`.
            gas: gas limit; 1.2 times what the simulation needs where not given.
            nonce: the one to use; the account's pending count where not given.
            timeout, on_signed: instead of the account's own.

        Raises:
            NotPermitted, Reverted: it would revert (nothing was sent), or was mined and did.
            StillPending: not mined in time. It may be mined yet; its hash is in the message.
            AutometaError: the account cannot pay, the node refuses it, or the fee cap is reached.
            RpcUnreachable: no endpoint answered before it was sent, or the one that it is to be sent to did not.
        """
        view = await self.rpc.view()
        await self.rpc.check_private()
        needed_gas = await self._estimate(view, to, data, value, contract)
        gas = gas if gas is not None else min(-(-needed_gas * 6 // 5), view.block.gas_limit)
        fees = await quote(view, self.network, self._max_fee_wei)
        await self._can_pay(view, value, gas, fees)
        if nonce is None:
            # The pending count is fine here: the key is a person's own, and one transaction goes at a time.
            count = await self.rpc.request("eth_getTransactionCount", (self.address, "pending"))
            nonce = quantity(count, "the account's nonce")
        signed = self.signer.sign(self._transaction(to, data, value, gas, fees, nonce))
        tell = on_signed or self._on_signed
        if tell is not None:
            tell(signed)
        receipt = await self._deliver(signed, self._timeout if timeout is None else timeout)
        if receipt.status != 1:
            raise await self._reverted(to, data, value, gas, receipt, contract)
        return Sent(
            hash=signed.hash,
            block_number=receipt.block_number,
            gas_used=receipt.gas_used,
            fee_paid=receipt.fee_paid,
            receipt=receipt,
            contract_address=None if receipt.contract_address is None else checksum(receipt.contract_address),
            explorer=explorer_tx(self.network, signed.hash),
        )

    async def view_after(self, sent: Sent) -> View:
        """A view that shows what `sent` did; waits for endpoints that are a few blocks behind.

        Raises RpcUnreachable where none has its block within 20 s.
        """
        deadline = self._clock() + 20.0
        while True:
            try:
                return await self.rpc.view(sent.block_number)
            except RpcUnreachable:
                if self._clock() >= deadline:
                    raise
            await self._sleep(0.5)

    async def _estimate(
        self, view: View, to: str | None, data: bytes, value: int, contract: str | None
    ) -> int:
        try:
            return await view.estimate_gas(to, data, sender=self.address, value=value)
        except RpcFault as fault:
            if "insufficient funds" in fault.text.lower() or "outoffund" in fault.text.lower():
                balance = await view.balance(self.address)
                raise self._poor(balance, value, "and gas on top of it") from None
            if not is_revert(fault):
                raise
            failure = _refused(explain_fault(fault, contract))
        raise failure

    async def _can_pay(self, view: View, value: int, gas: int, fees: FeeQuote) -> None:
        balance = await view.balance(self.address)
        needed = value + gas * fees.max_fee
        if balance < needed:
            raise self._poor(balance, needed, "value and gas at the highest fee")

    def _transaction(
        self, to: str | None, data: bytes, value: int, gas: int, fees: FeeQuote, nonce: int
    ) -> dict[str, Any]:
        transaction: dict[str, Any] = {
            "type": 2,
            "chainId": self.signer.chain_id,
            "nonce": nonce,
            "gas": gas,
            "maxFeePerGas": fees.max_fee,
            "maxPriorityFeePerGas": fees.priority_fee,
            "value": value,
            "data": hex0x(data),
        }
        if to is not None:
            transaction["to"] = checksum(to)  # eth_account takes nothing else
        return transaction

    async def _deliver(self, signed: SignedBytes, patience: float) -> Receipt:
        deadline = self._clock() + patience
        pause = min(0.25, self.network.block_time / 4)
        answer = await self.rpc.send_raw(signed.raw)
        ever_hopeful = answer.answer_class in _HOPEFUL
        offered = self._clock()
        while True:
            receipt = await self._receipt(signed.hash)
            if receipt is not None:
                return receipt
            if not ever_hopeful:
                raise self._not_taken(answer, signed.hash)
            if self._clock() >= deadline:
                raise self._pending(signed.hash, patience, answer)
            if self._clock() - offered >= RESEND_AFTER:
                # The same bytes. A refusal now changes nothing: they may be in another node's pool.
                answer = await self.rpc.send_raw(signed.raw)
                offered = self._clock()
            await self._sleep(pause)
            pause = min(pause * 1.5, max(0.25, self.network.block_time / 2))

    async def _receipt(self, hash: str) -> Receipt | None:
        try:
            return (await self.rpc.receipts([hash]))[0]
        except (RpcUnreachable, RpcFault):
            return None  # it is out already: go on watching until the time is over

    async def _reverted(
        self, to: str | None, data: bytes, value: int, gas: int, receipt: Receipt, contract: str | None
    ) -> AutometaError:
        """Why a mined transaction reverted, as far as a repetition on the state after its block shows it."""
        where = f"transaction {receipt.hash} was mined in block {receipt.block_number} and reverted"
        revert = None
        if to is not None:
            try:
                view = await self.rpc.view(receipt.block_number)
                await view.call(to, data, sender=self.address, gas=gas, value=value)
            except RpcFault as fault:
                revert = explain_fault(fault, contract) if is_revert(fault) else None
            except RpcUnreachable:
                revert = None  # the reason stays unknown; that it reverted does not
        if revert is None:
            full = "; it used all of its gas" if receipt.gas_used >= gas else ""
            return Reverted(where + full, explorer_tx(self.network, receipt.hash) or "")
        return _refused(revert, where)

    def _poor(self, has: int, needs: int, what: str) -> AutometaError:
        symbol = self.network.symbol
        return AutometaError(
            f"{self.address} has {from_wei(has)} {symbol}, this needs {from_wei(needs)} {symbol} ({what})",
            self._funding(),
        )

    def _funding(self) -> str:
        symbol, faucet = self.network.symbol, self.network.faucet
        return f"test {symbol} come from {faucet}" if faucet else f"send {symbol} to {self.address}"

    def _not_taken(self, answer: SendAnswer, hash: str) -> AutometaError:
        text = f"{answer.endpoint} refused transaction {hash}: {answer.text} ({answer.answer_class.value})"
        if answer.answer_class is AnswerClass.FUNDS:
            return AutometaError(text, self._funding())
        if answer.answer_class in (AnswerClass.NONCE_LOW, AnswerClass.REPLACE_UNDERPRICED):
            return AutometaError(text, "another program uses this key at the same time; try again")
        return AutometaError(text)

    def _pending(self, hash: str, patience: float, answer: SendAnswer) -> StillPending:
        link = explorer_tx(self.network, hash)
        last = "" if answer.kind in ("accepted", "known") else f" (the last answer was: {answer.text})"
        return StillPending(
            f"transaction {hash} was not mined within {duration(patience)}; it may be yet{last}",
            f"look before you repeat it: {link}" if link else "look for its receipt before you repeat it",
        )


def _refused(revert: Revert, where: str = "this would revert") -> AutometaError:
    kind = NotPermitted if revert.forbidden else Reverted
    return kind(f"{where}: {revert.text}", revert.hint)
