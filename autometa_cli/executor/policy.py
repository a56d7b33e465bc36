"""The executor's powers are not for hire: which actions are never executed, whoever asks. Pure.

In an action the executor contract is `msg.sender`. It holds WORKER_ROLE on the escrow, PROJECT_ADMIN on the
registry, every token it was sent, and whatever users allowed it to spend. What is refused, and why:

    01 native transfer  to the registry, the escrow, or an address below 0x1000. To the executor contract
                        itself it moves nothing, so that is allowed.
    02 token transfer   of a "token" that is the registry, the escrow, the executor or an address below 0x1000
                        (0x802 on Moonbeam is the native token as an ERC-20, and would pass by MAX_VALUE).
    03 contract call    to any of these, and to any target with a function that gives away what the executor
                        holds or was allowed to spend (`FORBIDDEN_FUNCTIONS`), directly or inside the target's
                        own multicall, which keeps the sender.

A contract in between (Multicall3, an attacker's own) is the sender itself, and thus has none of these powers.
A list of functions cannot be complete: a contract may spend allowances under any name. `allowed_targets` can.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from autometa_cli.addresses import checksum
from autometa_cli.chain.actions import (
    Action,
    ContractCall,
    NativeTransfer,
    TokenTransfer,
    decode_action,
    native_value,
)
from autometa_cli.chain.words import BadEncoding, checked_address
from autometa_cli.units import from_wei

MAX_ACTION_SIZE = 24 * 1024
"""Bytes of actionData. A transaction with more than this would hardly be mined."""
FIRST_ORDINARY_ADDRESS = 0x1000
"""Moonbeam's precompiles lie below."""

FORBIDDEN_FUNCTIONS = (
    # The four of ERC-20 and ERC-721, then their siblings: more ways to allow, and to spend an allowance.
    "approve(address,uint256)",
    "increaseAllowance(address,uint256)",
    "setApprovalForAll(address,bool)",
    "transferFrom(address,address,uint256)",
    "increaseApproval(address,uint256)",  # OpenZeppelin 1
    "approveAndCall(address,uint256)",  # ERC-1363
    "approveAndCall(address,uint256,bytes)",
    "transferFromAndCall(address,address,uint256)",
    "transferFromAndCall(address,address,uint256,bytes)",
    "burnFrom(address,uint256)",  # ERC20Burnable
    "safeTransferFrom(address,address,uint256)",  # ERC-721
    "safeTransferFrom(address,address,uint256,bytes)",
    "safeTransferFrom(address,address,uint256,uint256,bytes)",  # ERC-1155
    "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)",
    "authorizeOperator(address)",  # ERC-777
    "operatorSend(address,address,uint256,bytes,bytes)",
    "operatorBurn(address,uint256,bytes,bytes)",
    "setOperator(address,bool)",  # ERC-6909
    "approve(address,uint256,uint256)",
    "transferFrom(address,address,uint256,uint256)",
    "approve(address,address,uint160,uint48)",  # Permit2
    "transferFrom(address,address,uint160,address)",
    "transferFrom((address,address,uint160,address)[])",
)
_MULTICALLS = (  # a contract calling itself by delegatecall, so that msg.sender stays the executor
    "multicall(bytes[])",
    "multicall(uint256,bytes[])",
    "multicall(bytes32,bytes[])",
    "batch(bytes[],bool)",
)

Reason = Literal[
    "forbidden_target", "owner_not_allowed", "over_value", "unreadable_action", "oversized_action"
]


@dataclass(frozen=True, slots=True)
class Policy:
    """What this operator executes.

    Attributes:
        registry, executor, escrow: our own contracts.
        allowed_targets: when set, the only addresses that the executor contract may call: the recipient of
            01, the token of 02, the target of 03.
        allowed_owners: when set, the only owners whose workflows run.
        max_value_wei: the most native value of one action.

    Addresses may come in any case and are kept lower-case. Raises BadEncoding for what is no address: a check
    against a misspelt address would let everything pass.
    """

    registry: str
    executor: str
    escrow: str
    allowed_targets: frozenset[str] | None = None
    allowed_owners: frozenset[str] | None = None
    max_value_wei: int | None = None

    def __post_init__(self) -> None:
        for name in ("registry", "executor", "escrow"):
            object.__setattr__(self, name, checked_address(getattr(self, name), name))
        for name in ("allowed_targets", "allowed_owners"):
            addresses = getattr(self, name)
            if addresses is not None:
                lower = frozenset(checked_address(address, name) for address in addresses)
                object.__setattr__(self, name, lower)


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Why an action is not executed: a code for records and metrics, and a text for people."""

    reason: Reason
    text: str


def judge(policy: Policy, owner: str, action_data: bytes) -> Forbidden | None:
    """Whether the policy forbids this workflow's action; None: it may run.

    Args:
        policy: of this operator.
        owner: the workflow's owner as the chain gives it, any case.
        action_data: `actionData` as the chain gives it.
    """
    if policy.allowed_owners is not None and owner.lower() not in policy.allowed_owners:
        return Forbidden("owner_not_allowed", f"the owner {checksum(owner)} is not in ALLOWED_OWNERS")
    if len(action_data) > MAX_ACTION_SIZE:
        return Forbidden(
            "oversized_action",
            f"actionData has {len(action_data)} bytes, at most {MAX_ACTION_SIZE} are executed",
        )
    try:
        action = decode_action(action_data)
    except BadEncoding as fault:
        return Forbidden("unreadable_action", fault.message)
    return _judge_target(policy, action) or _judge_function(action) or _judge_value(policy, action)


def _judge_target(policy: Policy, action: Action) -> Forbidden | None:
    match action:
        case NativeTransfer(to=called):
            what = "native transfer to"
        case TokenTransfer(token=called):
            what = "token transfer with, as its token,"
        case ContractCall(target=called):
            what = "contract call to"
    own = {
        policy.registry: "the registry",
        policy.escrow: "the escrow",
        policy.executor: "the executor contract",
    }
    if called in own and not (isinstance(action, NativeTransfer) and called == policy.executor):
        return Forbidden("forbidden_target", f"{what} {own[called]} {checksum(called)}")
    if int(called, 16) < FIRST_ORDINARY_ADDRESS:
        return Forbidden(
            "forbidden_target", f"{what} {checksum(called)}, a precompile address (below 0x1000)"
        )
    if policy.allowed_targets is not None and called not in policy.allowed_targets:
        return Forbidden("forbidden_target", f"{what} {checksum(called)}, which is not in ALLOWED_TARGETS")
    return None


def _judge_function(action: Action) -> Forbidden | None:
    if not isinstance(action, ContractCall):
        return None
    # Short call data is read as if zeros followed, as contracts do that do not check its length.
    selector = action.call_data[:4].ljust(4, b"\0")
    forbidden = _selectors(FORBIDDEN_FUNCTIONS)
    if selector in forbidden:
        return Forbidden(
            "forbidden_target", f"contract call of {forbidden[selector]} on {checksum(action.target)}"
        )
    outer = _selectors(_MULTICALLS).get(selector)
    if outer is not None:
        # Anywhere, aligned or not: where the inner calls stand is up to whoever encodes them.
        for inner, name in forbidden.items():
            if inner in action.call_data:
                return Forbidden(
                    "forbidden_target", f"contract call of {name} inside {outer} on {checksum(action.target)}"
                )
    return None


def _judge_value(policy: Policy, action: Action) -> Forbidden | None:
    value = native_value(action)
    if policy.max_value_wei is None or value <= policy.max_value_wei:
        return None
    return Forbidden(
        "over_value",
        f"a native value of {from_wei(value)} (MAX_VALUE is {from_wei(policy.max_value_wei)})",
    )


@cache
def _selectors(functions: tuple[str, ...]) -> dict[bytes, str]:
    from eth_hash.auto import keccak

    return {keccak(function.encode())[:4]: function for function in functions}
