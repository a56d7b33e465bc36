"""Deploying and wiring the three contracts. An interruption at any point costs time, never a second contract.

A contract's address follows from the deployer and the nonce. So the nonce is written down before anything is
signed, and the hash before anything is sent; a later run looks at the chain with them: code at the address
means done, a nonce that is not used up is used again by the same step, and only a nonce that went to
something else makes the step take a new one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from autometa_cli.chain.deploymentplan import CONTRACTS, GRANT_GAS, Plan, Planned, Step, created_address
from autometa_cli.chain.faults import quantity
from autometa_cli.chain.feemarket import quote
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.roles import REQUIRED, grant_data, has_role
from autometa_cli.errors import AutometaError, StillPending
from autometa_cli.units import amount, duration

if TYPE_CHECKING:
    from autometa_cli.chain.account import Account
    from autometa_cli.chain.journal import Journal
    from autometa_cli.chain.sent import Sent
    from autometa_cli.chain.view import View

#: How often a step is looked at before it counts as stuck: after its own transaction, and after others.
LOOKS = 4

Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Deployed:
    """The result.

    Attributes:
        registry, escrow, executor: checksummed addresses.
        sent: what this run had to send, by step; empty if everything was there.
    """

    registry: str
    escrow: str
    executor: str
    sent: Mapping[Step, Sent]

    @property
    def addresses(self) -> Mapping[str, str]:
        """The same, by the contracts' names."""
        return {
            "WorkflowRegistry": self.registry,
            "FeeEscrow": self.escrow,
            "ActionExecutor": self.executor,
        }


class Deployment:
    """Deploys and wires the contracts with one account, which becomes their admin.

    Args:
        account: the deployer and admin.
        journal: where it is written down how far it got.
        workers: addresses that get WORKER_ROLE on the executor, checksummed.
        notify: told of each step, in a sentence.
        wait: seconds for each transaction to be mined.
    """

    def __init__(
        self,
        account: Account,
        journal: Journal,
        *,
        workers: Sequence[str] = (),
        notify: Notify = lambda _: None,
        wait: float = 180.0,
    ) -> None:
        self.account = account
        self.journal = journal
        self.workers = tuple(dict.fromkeys(workers))
        self._rpc = account.rpc
        self._notify = notify
        self._wait = wait

    async def plan(self) -> Plan:
        """What is there and what is left, with estimates. Sends nothing, writes nothing.

        Raises:
            AutometaError: something else stands where a contract of ours should.
            RpcUnreachable: no endpoint answered.
        """
        view = await self._rpc.view()
        offer = await quote(view, self.account.network)
        used = nonce = await view.nonce(self.account.address)
        steps: list[Planned] = []
        addresses: dict[str, str] = {}
        for contract in CONTRACTS:
            address = self._address(contract)
            if address is not None and await self._stands(view, contract):
                addresses[contract] = address
                steps.append(Planned(Step(contract), True, address, 0))
                continue
            attempt = self.journal.attempt(contract)
            if attempt is not None and attempt.nonce >= used:
                nonce = attempt.nonce
            addresses[contract] = created_address(self.account.address, nonce)
            nonce += 1
            data = self._creation(contract, addresses)
            gas = await view.estimate_gas(None, data, sender=self.account.address)
            steps.append(Planned(Step(contract), False, addresses[contract], gas))
        there = {planned.step.contract for planned in steps if planned.done}
        for step in self._grants(addresses):
            address = addresses[step.contract]
            done = step.contract in there and await self._granted(view, step, address)
            steps.append(Planned(step, done, address, 0 if done else GRANT_GAS))
        balance = await view.balance(self.account.address)
        return Plan(tuple(steps), offer.base_fee + offer.priority_fee, balance)

    def check_funds(self, plan: Plan) -> None:
        """Raise AutometaError if the account cannot pay for what is left."""
        network = self.account.network
        if plan.cost <= plan.balance:
            return
        raise AutometaError(
            f"{self.account.address} has {amount(plan.balance, network.symbol)}, "
            f"the deployment needs about {amount(plan.cost, network.symbol)}",
            f"test {network.symbol} come from {network.faucet}" if network.faucet else "fund that address",
        )

    async def run(self) -> Deployed:
        """Do what is left. Interrupted, it goes on from there when it is called again with the same journal.

        Raises:
            AutometaError: not enough money, or something else stands where a contract of ours should.
            Reverted: the chain refuses a step.
            StillPending: a transaction was not mined in time; run it again later.
            RpcUnreachable: no endpoint answered.
        """
        plan = await self.plan()
        self.check_funds(plan)
        sent: dict[Step, Sent] = {}
        addresses: dict[str, str] = {}
        for contract in CONTRACTS:
            done = partial(self._stands, contract=contract)
            await self._ensure(Step(contract), done, None, self._creation(contract, addresses), sent)
            addresses[contract] = self._address(contract) or ""
        for step in self._grants(addresses):
            address = addresses[step.contract]
            done = partial(self._granted, step=step, address=address)
            await self._ensure(step, done, address, grant_data(step.contract, step.role, step.holder), sent)
        return Deployed(
            registry=addresses["WorkflowRegistry"],
            escrow=addresses["FeeEscrow"],
            executor=addresses["ActionExecutor"],
            sent=sent,
        )

    async def _ensure(
        self,
        step: Step,
        done: Callable[[View], Awaitable[bool]],
        to: str | None,
        data: bytes,
        sent: dict[Step, Sent],
    ) -> None:
        """Bring the chain to where the step is done: look, act, look again."""
        for _ in range(LOOKS):
            view = await self._rpc.view()
            if await done(view):
                return
            nonce = await self._nonce(view, step)
            if nonce is None:
                continue
            self._notify(step.title)
            sent[step] = await self.account.send(
                to,
                data,
                nonce=nonce,
                contract=step.contract,
                timeout=self._wait,
                on_signed=lambda signed: self.journal.signed(step.key, signed.hash),
            )
            await self._used(nonce)
        raise AutometaError(
            f"{step.key}: its transaction was mined, but the chain does not show what it did",
            "an endpoint may be behind; run it again",
        )

    async def _nonce(self, view: View, step: Step) -> int | None:
        """The nonce to send a step with, noted in the journal; None after waiting for what was under way."""
        used = await view.nonce(self.account.address)
        attempt = self.journal.attempt(step.key)
        if attempt is not None and attempt.nonce >= used:
            if any([await self._known(each) for each in attempt.hashes]):
                self._notify(f"{step.key}: waiting for the transaction that was sent before")
                await self._used(attempt.nonce)
                return None
            if attempt.nonce > used:
                raise AutometaError(
                    f"{self.journal.path} expects {step.key} at nonce {attempt.nonce}, "
                    f"but {self.account.address} is only at {used}",
                    "if the endpoint may be behind, run it again; if the chain began anew, give another --state",
                )
            return attempt.nonce  # never sent, or dropped: only this nonce rules out a second contract
        count = await view.request("eth_getTransactionCount", (self.account.address, "pending"))
        pending = quantity(count, "a nonce")
        if pending > used:
            self._notify(f"Waiting for {pending - used} other transaction(s) of {self.account.address}")
            await self._used(pending - 1)
            return None
        address = None if step.role else created_address(self.account.address, used)
        self.journal.begin(step.key, used, address)
        return used

    async def _used(self, nonce: int) -> None:
        """Wait until a nonce is used up."""
        deadline = time.monotonic() + self._wait
        while await (await self._rpc.view()).nonce(self.account.address) <= nonce:
            if time.monotonic() >= deadline:
                raise StillPending(
                    f"the transaction of {self.account.address} with nonce {nonce} was not mined "
                    f"within {duration(self._wait)}",
                    "run the same command again later; it goes on from here",
                )
            await asyncio.sleep(min(0.25, self.account.network.block_time / 4))

    async def _known(self, hash: str) -> bool:
        return await self._rpc.request("eth_getTransactionByHash", (hash,)) is not None

    async def _stands(self, view: View, contract: str) -> bool:
        address = self._address(contract)
        code = b"" if address is None else await view.code(address)
        # The selector of every function is somewhere in the code of a contract that has it.
        functions = interface(contract).functions.values()
        if code and not all(each.selector.lstrip(b"\0") in code for each in functions):
            raise AutometaError(
                f"at {address}, where {self.journal.path} expects {contract}, stands something else",
                "the key was used for another deployment meanwhile; give another file with --state",
            )
        return bool(code)

    async def _granted(self, view: View, step: Step, address: str) -> bool:
        return await has_role(view, address, step.role, step.holder)

    def _address(self, contract: str) -> str | None:
        attempt = self.journal.attempt(contract)
        return None if attempt is None else attempt.address

    def _grants(self, addresses: Mapping[str, str]) -> list[Step]:
        steps = []
        for need in REQUIRED:
            holders = self.workers if need.holder == "worker" else (addresses[need.holder],)
            steps += [Step(need.contract, need.role, holder) for holder in holders]
        return steps

    def _creation(self, contract: str, addresses: Mapping[str, str]) -> bytes:
        arguments = [self.account.address]
        if contract == "ActionExecutor":
            arguments += [addresses["WorkflowRegistry"], addresses["FeeEscrow"]]
        return interface(contract).deploy_data(*arguments)
