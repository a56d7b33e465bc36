"""The FeeEscrow: what owners have put in for their executions, and moving it in and out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from autometa_cli.addresses import checksum
from autometa_cli.chain.faults import RpcFault, is_revert
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.words import BadEncoding
from autometa_cli.errors import AutometaError, ConfigError
from autometa_cli.units import from_wei

if TYPE_CHECKING:
    from autometa_cli.chain.account import Account
    from autometa_cli.chain.sent import Sent
    from autometa_cli.chain.view import View

CONTRACT = "FeeEscrow"


@dataclass(frozen=True, slots=True)
class Movement:
    """A deposit or withdrawal.

    Attributes:
        owner: checksummed.
        amount: wei.
        balance: wei in the escrow afterwards; of a dry run, what it would be.
        sent: None in a dry run.
        gas: what the transaction would need, in a dry run.
    """

    owner: str
    amount: int
    balance: int
    sent: Sent | None = None
    gas: int | None = None


class Escrow:
    """The contract at `address` (checksummed)."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._functions = interface(CONTRACT).functions

    async def balance(self, view: View, owner: str) -> int:
        """What `owner` has in it, wei.

        Raises:
            ConfigError: no escrow stands at this address.
            RpcUnreachable: the endpoint failed.
        """
        function = self._functions["balances"]
        try:
            return int(function.decode(await view.call(self.address, function.encode(owner)))[0])
        except (BadEncoding, RpcFault) as fault:
            if isinstance(fault, RpcFault) and not is_revert(fault):
                raise
            raise ConfigError(
                f"there is no FeeEscrow at {self.address}",
                "check FEEESCROW_ADDRESS, and that NETWORK or CHAIN_ID is the chain it was deployed on",
            ) from None

    async def deposit(self, account: Account, amount: int, *, dry_run: bool = False) -> Movement:
        """Put `amount` wei of the account in.

        Raises:
            ConfigError: no escrow stands at this address; nothing was sent there.
            AutometaError: mined without the event; and all that `Account.send` raises.
        """
        # Looked at first: money sent to an address without a contract is gone.
        before = await self.balance(await account.rpc.view(), account.address)
        data = self._functions["depositGas"].encode()
        if dry_run:
            gas = await account.simulate(self.address, data, amount, contract=CONTRACT)
            return Movement(account.address, amount, before + amount, gas=gas)
        sent = await account.send(self.address, data, amount, contract=CONTRACT)
        return await self._seen(account, sent, "GasDeposited", amount)

    async def withdraw(self, account: Account, amount: int | None, *, dry_run: bool = False) -> Movement:
        """Take `amount` wei out, to the account; None takes all there is.

        Raises:
            AutometaError: there is not that much in it, or mined without the event; and all that
                `Account.send` raises.
            ConfigError: no escrow stands at this address.
        """
        before = await self.balance(await account.rpc.view(), account.address)
        amount = before if amount is None else amount
        if not 0 < amount <= before:
            symbol = account.network.symbol
            raise AutometaError(
                f"{account.address} has {from_wei(before)} {symbol} in the escrow"
                + (f", not {from_wei(amount)} {symbol}" if amount else ", there is nothing to take out"),
                "`autometa escrow withdraw all` takes out what is there" if before else "",
            )
        data = self._functions["withdrawGas"].encode(amount)
        if dry_run:
            gas = await account.simulate(self.address, data, contract=CONTRACT)
            return Movement(account.address, amount, before - amount, gas=gas)
        sent = await account.send(self.address, data, contract=CONTRACT)
        return await self._seen(account, sent, "GasWithdrawn", amount)

    async def _seen(self, account: Account, sent: Sent, event: str, amount: int) -> Movement:
        """The movement as the receipt's event and the chain after it show it."""
        kind = interface(CONTRACT).events[event]
        logs = [
            log
            for log in sent.receipt.logs
            if log.address == self.address.lower() and log.topics[:1] == (kind.topic,)
        ]
        found = [kind.decode(log) for log in logs]
        if [(checksum(each["user"]), each["amount"]) for each in found] != [(account.address, amount)]:
            raise AutometaError(
                f"transaction {sent.hash} was mined, but the escrow shows no {event} of {amount} wei "
                f"by {account.address}",
                "`autometa escrow balance` tells what is there now",
            )
        balance = await self.balance(await account.view_after(sent), account.address)
        return Movement(account.address, amount, balance, sent)
