"""Roles on our three contracts: who has which, who needs which, and changing that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from autometa_cli.chain.contracts import ROLE_IDS
from autometa_cli.chain.faults import RpcFault, is_revert
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.view import together
from autometa_cli.chain.words import BadEncoding
from autometa_cli.errors import AutometaError, ConfigError, UsageProblem

if TYPE_CHECKING:
    from autometa_cli.chain.account import Account
    from autometa_cli.chain.sent import Sent
    from autometa_cli.chain.view import View

#: The roles that each contract knows.
CONTRACTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "WorkflowRegistry": ("DEFAULT_ADMIN_ROLE", "PROJECT_ADMIN"),
        "ActionExecutor": ("DEFAULT_ADMIN_ROLE", "ADMIN_ROLE", "WORKER_ROLE"),
        "FeeEscrow": ("DEFAULT_ADMIN_ROLE", "ADMIN_ROLE", "WORKER_ROLE"),
    }
)

Holder = Literal["worker", "ActionExecutor"]


@dataclass(frozen=True, slots=True)
class Need:
    """A role without which nothing is executed.

    Attributes:
        contract: where it must be held.
        role: its name.
        holder: who must hold it: "worker" (each worker's address) or the contract "ActionExecutor".
        why: what fails without it.
    """

    contract: str
    role: str
    holder: Holder
    why: str


#: The wiring of a working system.
REQUIRED: tuple[Need, ...] = (
    Need("ActionExecutor", "WORKER_ROLE", "worker", "the worker cannot execute workflows"),
    Need(
        "FeeEscrow", "WORKER_ROLE", "ActionExecutor", "owners cannot be charged, so every execution reverts"
    ),
    Need(
        "WorkflowRegistry",
        "PROJECT_ADMIN",
        "ActionExecutor",
        "nextRun cannot be set, so every execution reverts",
    ),
)


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a grant or a revocation.

    Attributes:
        changed: False where it was so already and nothing was sent.
        holds: whether the account has the role now, as read from the chain afterwards.
        sent: the transaction, None where nothing was sent.
        gas: what the transaction would need, in a dry run.
    """

    contract: str
    role: str
    account: str
    changed: bool
    holds: bool
    sent: Sent | None = None
    gas: int | None = None


def role_id(contract: str, role: str) -> bytes:
    """The id of a role by name.

    Raises:
        UsageProblem: no such contract, or the contract does not know the role.
    """
    known = CONTRACTS.get(contract)
    if known is None:
        raise UsageProblem(f"there is no contract {contract!r}", f"one of {', '.join(CONTRACTS)}")
    if role not in known:
        raise UsageProblem(f"{contract} knows no role {role!r}", f"one of {', '.join(known)}")
    return ROLE_IDS[role]


async def has_role(view: View, address: str, role: str, account: str) -> bool:
    """Whether `account` has `role` on the contract at `address`.

    Args:
        view: which block to look at.
        address: of one of the three contracts, checksummed.
        role: the role's name.
        account: checksummed.

    Raises:
        UsageProblem: there is no such role.
        ConfigError: no contract with roles stands at `address`.
        RpcUnreachable: the endpoint failed.
    """
    if role not in ROLE_IDS:
        raise UsageProblem(f"there is no role {role!r}", f"one of {', '.join(ROLE_IDS)}")
    function = interface("ActionExecutor").functions["hasRole"]  # the same on all three
    try:
        return bool(function.decode(await view.call(address, function.encode(ROLE_IDS[role], account)))[0])
    except (BadEncoding, RpcFault) as fault:
        if isinstance(fault, RpcFault) and not is_revert(fault):
            raise
        raise ConfigError(
            f"there is no contract with roles at {address}",
            "check the address, and the chain that it was deployed on",
        ) from None


@dataclass(frozen=True, slots=True)
class Wire:
    """A need, and whether it is met.

    Attributes:
        address: of the contract that gives the role, checksummed.
        account: who should have it, checksummed.
    """

    need: Need
    address: str
    account: str
    held: bool


async def wiring(view: View, addresses: Mapping[str, str], workers: Sequence[str]) -> list[Wire]:
    """All of `REQUIRED`, as the view's block has it.

    Args:
        addresses: of the three contracts by name, checksummed.
        workers: addresses, checksummed; each one needs what workers need.

    Raises:
        ConfigError, RpcUnreachable: as `has_role`.
    """
    holders = {"worker": tuple(dict.fromkeys(workers)), "ActionExecutor": (addresses["ActionExecutor"],)}
    wanted = [
        (need, addresses[need.contract], account) for need in REQUIRED for account in holders[need.holder]
    ]
    held = await together(*(has_role(view, address, need.role, who) for need, address, who in wanted))
    return [Wire(*each, held=answer) for each, answer in zip(wanted, held, strict=True)]


def grant_data(contract: str, role: str, holder: str) -> bytes:
    """Call data that gives `role` to `holder`. Raises UsageProblem as `role_id`."""
    return interface(contract).functions["grantRole"].encode(role_id(contract, role), holder)


def revoke_data(contract: str, role: str, holder: str) -> bytes:
    """Call data that takes `role` from `holder`. Raises UsageProblem as `role_id`."""
    return interface(contract).functions["revokeRole"].encode(role_id(contract, role), holder)


async def grant(account: Account, contract: str, address: str, role: str, to: str) -> Change:
    """Give `role` to `to`; nothing is sent where it is there. Raises as `change`."""
    return await change(account, contract, address, role, to, hold=True)


async def revoke(account: Account, contract: str, address: str, role: str, of: str) -> Change:
    """Take `role` from `of`; nothing is sent where it is not there. Raises as `change`."""
    return await change(account, contract, address, role, of, hold=False)


async def change(
    account: Account,
    contract: str,
    address: str,
    role: str,
    holder: str,
    *,
    hold: bool,
    dry_run: bool = False,
) -> Change:
    """Make `holder` have `role`, or not, and look at the chain afterwards.

    Args:
        account: who signs; needs the role's admin role.
        contract, address: the contract's name and checksummed address.
        holder: checksummed.
        hold: True to grant, False to revoke.
        dry_run: simulate only; `changed` then says what would happen.

    Raises:
        NotPermitted: the signer may not.
        AutometaError: mined, but the chain does not show it; and all that `Account.send` raises.
        UsageProblem, ConfigError, RpcUnreachable: as `has_role`.
    """
    if await has_role(await account.rpc.view(), address, role, holder) == hold:
        return Change(contract, role, holder, changed=False, holds=hold)
    data = grant_data(contract, role, holder) if hold else revoke_data(contract, role, holder)
    if dry_run:
        gas = await account.simulate(address, data, contract=contract)
        return Change(contract, role, holder, changed=True, holds=not hold, gas=gas)
    sent = await account.send(address, data, contract=contract)
    holds = await has_role(await account.view_after(sent), address, role, holder)
    if holds != hold:
        raise AutometaError(
            f"transaction {sent.hash} was mined, but {holder} "
            f"{'still has' if holds else 'still lacks'} {role} on {contract}",
            "somebody else may have changed it at the same time; `autometa role check` tells",
        )
    return Change(contract, role, holder, changed=True, holds=holds, sent=sent)
