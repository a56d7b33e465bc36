"""The cast: six workflows, and what must become of each."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from autometa_cli.addresses import checksum
from autometa_cli.chain.account import Account
from autometa_cli.chain.actions import Action, ContractCall, NativeTransfer, TokenTransfer, encode_action
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.trigger_abi import encode_trigger
from autometa_cli.chain.triggers import TimeTrigger, TriggerType
from autometa_cli.errors import AutometaError
from autometa_cli.units import WEI_PER_ETHER

if TYPE_CHECKING:
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.config import Settings
    from autometa_cli.devnet.info import DevnetInfo

Destiny = Literal["executed", "held", "forbidden", "paused"]

INTERVAL = 6  # seconds between two runs of the recurring workflow
PAUSED_DUE_IN = 10  # seconds until the paused one would be due
ETHER = WEI_PER_ETHER


@dataclass(frozen=True, slots=True)
class Part:
    """One workflow of the demo.

    Attributes:
        name: one word, for JSON.
        title: what it does, for people.
        destiny: what must become of it.
        interval: seconds; 0: once.
        due_in: seconds from its creation until it is due.
        gas_budget: wei that its owner is charged for an execution.
        runs: the fewest executions to wait for.
        reason: what the held or buried job must say.
    """

    name: str
    title: str
    action: Action
    destiny: Destiny
    gas_budget: int
    interval: int = 0
    due_in: int = 0
    runs: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Cast:
    """The workflows on the chain.

    Attributes:
        members: id and part, by id.
        created_at: the block's timestamp, seconds since 1970.
        next_runs: what each was created with, by id.
    """

    members: tuple[tuple[int, Part], ...]
    created_at: int
    next_runs: dict[int, int]

    @property
    def ids(self) -> list[int]:
        """Of the workflows."""
        return [id for id, _ in self.members]


def script(info: DevnetInfo) -> tuple[Part, ...]:
    """Who plays. Every payee is a fresh address, so that what it has in the end is what it was paid."""
    mark = interface("Recorder").functions["mark"].encode(secrets.token_bytes(32))
    act = interface("RevertingTarget").functions["act"].encode()
    owner = info.accounts["owner"].address
    take = interface("FeeEscrow").functions["chargeGas"].encode(owner, ETHER)
    tests = info.test_contracts
    return (
        Part(
            "recurring",
            f"pay 0.25 DEV every {INTERVAL} s",
            NativeTransfer(_nobody(), ETHER // 4),
            "executed",
            gas_budget=ETHER // 1000,
            interval=INTERVAL,
            runs=2,
        ),
        Part(
            "token",
            "send 120 TEST once",
            TokenTransfer(tests["TestToken"], _nobody(), 120 * ETHER),
            "executed",
            gas_budget=2 * ETHER // 1000,
            runs=1,
        ),
        Part(
            "call",
            "call a contract, with 0.01 DEV",
            ContractCall(tests["Recorder"], ETHER // 100, mark),
            "executed",
            gas_budget=3 * ETHER // 1000,
            runs=1,
        ),
        Part(
            "failing",
            "call a contract that refuses",
            ContractCall(tests["RevertingTarget"], 0, act),
            "held",
            gas_budget=4 * ETHER // 1000,
            reason="target is not healthy",
        ),
        Part(
            "forbidden",
            "take 1 DEV out of the escrow",
            ContractCall(info.escrow, 0, take),
            "forbidden",
            gas_budget=5 * ETHER // 1000,
            reason="forbidden_target",
        ),
        Part(
            "paused",
            "pay 5 DEV, but paused in time",
            NativeTransfer(_nobody(), 5 * ETHER),
            "paused",
            gas_budget=6 * ETHER // 1000,
            due_in=PAUSED_DUE_IN,
        ),
    )


def owner_account(settings: Settings, rpc: Rpc) -> Account:
    """The owner of all of them."""
    return Account(rpc, settings.owner_key().load(chain_id=settings.chain_id), settings.network)


async def create(account: Account, registry: str, parts: Sequence[Part]) -> Cast:
    """Put the workflows on the chain, in this order, in one block or few. Raises as `Account.send`."""
    view = await account.rpc.view()
    nonce = await view.nonce(account.address)
    now = view.block.timestamp
    next_runs = [now + part.due_in for part in parts]
    sent = await asyncio.gather(
        *(
            account.send(
                registry, _creation(part, next_run), nonce=nonce + index, contract="WorkflowRegistry"
            )
            for index, (part, next_run) in enumerate(zip(parts, next_runs, strict=True))
        )
    )
    created = interface("WorkflowRegistry").events["WorkflowCreated"]
    ids = [
        int(created.decode(log)["workflowId"])
        for each in sent
        for log in each.receipt.logs
        if log.address == registry.lower() and log.topics[:1] == (created.topic,)
    ]
    if len(ids) != len(parts):
        raise AutometaError(f"{len(parts)} workflows were created, the registry shows {len(ids)}")
    return Cast(tuple(zip(ids, parts, strict=True)), now, dict(zip(ids, next_runs, strict=True)))


def _creation(part: Part, next_run: int) -> bytes:
    data = encode_action(part.action)
    trigger = encode_trigger(TimeTrigger(next_run, part.interval))
    return (
        interface("WorkflowRegistry")
        .functions["createWorkflow"]
        .encode(TriggerType.TIME, trigger, data[0], data, next_run, part.interval, part.gas_budget)
    )


def _nobody() -> str:
    """An address of which nobody has the key."""
    return checksum("0x" + secrets.token_hex(20))
