"""Why a contract said no, in words, with what to do about it.

The live contracts are built on OpenZeppelin 4, which reverts with strings, ours on OpenZeppelin 5, which
raises custom errors. Both are understood, and whatever else targets of workflows may raise is at least shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from autometa_cli.addresses import checksum
from autometa_cli.chain.contracts import ERROR_STRING, ROLE_IDS
from autometa_cli.chain.faults import RpcFault, revert_data
from autometa_cli.chain.interfaces import Codec, CustomError, interface
from autometa_cli.chain.words import BadEncoding
from autometa_cli.units import hex0x

_PANIC = bytes.fromhex("4e487b71")  # Panic(uint256)
_PANICS: Mapping[int, str] = {
    0x01: "an assertion failed",
    0x11: "an arithmetic operation overflowed",
    0x12: "a division by zero",
    0x21: "a number that is no member of its enumeration",
    0x22: "a storage byte array that is wrongly encoded",
    0x31: "pop of an empty array",
    0x32: "an array index out of bounds",
    0x41: "too much memory was asked for",
    0x51: "a call of an uninitialised function",
}
# Raised by OpenZeppelin 5 and by many tokens, besides what abi/ declares. The names of the values are ours.
_KNOWN_ERRORS = (
    "AccessControlUnauthorizedAccount(address account,bytes32 neededRole)",
    "AddressEmptyCode(address target)",
    "AddressInsufficientBalance(address account)",
    "ERC20InsufficientAllowance(address spender,uint256 allowance,uint256 needed)",
    "ERC20InsufficientBalance(address sender,uint256 balance,uint256 needed)",
    "ERC20InvalidReceiver(address receiver)",
    "ERC20InvalidSender(address sender)",
    "EnforcedPause()",
    "ExpectedPause()",
    "FailedCall()",
    "FailedInnerCall()",
    "InsufficientBalance(uint256 balance,uint256 needed)",
    "OwnableInvalidOwner(address owner)",
    "OwnableUnauthorizedAccount(address account)",
    "ReentrancyGuardReentrantCall()",
    "SafeERC20FailedOperation(address token)",
)
# What the live contracts (and OpenZeppelin 4) say in strings, and what to do about it.
_HINTS: Mapping[str, str] = {
    "Zero deposit": "deposit more than nothing: autometa escrow deposit AMOUNT",
    "Not enough balance": "see what is there: autometa escrow balance",
    "Insufficient balance": "the workflow's owner must deposit first: autometa escrow deposit AMOUNT",
    "Invalid actionType": "the action data must begin with 01, 02 or 03: autometa workflow update ID",
    "ReentrancyGuard: reentrant call": "the action calls back into the contract that runs it; that cannot work",
    "AccessControl: can only renounce roles for self": "revoke it instead: autometa role revoke ADDRESS",
    "ERC20: transfer amount exceeds balance": "send tokens to the executor contract, which pays them",
    "ERC20: insufficient allowance": "an allowance is missing, and the worker gives none: use a token transfer",
}
_CUSTOM_HINTS: Mapping[str, str] = {
    "WorkflowNotFound": "autometa workflow list shows those that exist",
    "InvalidWorkflow": "check type, interval and next run of the workflow",
    "InsufficientBalance": "the contract has less than it is to pay: send money to it",
    "ERC20InsufficientBalance": _HINTS["ERC20: transfer amount exceeds balance"],
    "ERC20InsufficientAllowance": _HINTS["ERC20: insufficient allowance"],
    "ReentrancyGuardReentrantCall": _HINTS["ReentrancyGuard: reentrant call"],
    "AccessControlBadConfirmation": _HINTS["AccessControl: can only renounce roles for self"],
    "EnforcedPause": "the target is paused by whoever runs it; try again when it is not",
}
_CONTRACTS = ("WorkflowRegistry", "ActionExecutor", "FeeEscrow")
_MISSING_ROLE = re.compile(r"AccessControl: account (0x[0-9a-fA-F]{40}) is missing role (0x[0-9a-fA-F]{64})")
_PREFIX = re.compile(
    r"^(?:.*?vm exception while processing transaction: |.*?\bexecution )?revert(?:ed)?\b[: ]*", re.IGNORECASE
)
_LONGEST_REASON = 200


@dataclass(frozen=True, slots=True)
class Revert:
    """A revert in words.

    Attributes:
        name: "Error" (a reason string), "Panic", the custom error's name, "unknown" or "none" (no data).
        text: what happened, one line, safe to print.
        hint: what to do about it; may be empty.
        forbidden: the sender lacks a permission, rather than the call being wrong.
        role: name (or id) of the missing role, where it is one.
        account: who lacks it, checksummed.
    """

    name: str
    text: str
    hint: str = ""
    forbidden: bool = False
    role: str | None = None
    account: str | None = None


def explain(data: bytes | None, message: str = "", contract: str | None = None) -> Revert:
    """Revert data, or where there is none the node's message, in words. Never raises.

    Args:
        data: what the contract reverted with.
        message: what the node said.
        contract: name of the contract that was called, for the command in the hint.
    """
    if not data:
        reason = printable(_PREFIX.sub("", message))
        return (
            _reason(reason, contract) if reason else Revert("none", "the contract reverted without a reason")
        )
    selector = data[:4]
    try:
        if selector == ERROR_STRING:
            return _reason(_error_string(data[4:]), contract)
        if selector == _PANIC:
            code = int(Codec(("uint256",), "the panic").decode(data[4:])[0])
            return Revert("Panic", f"the contract panicked: {_PANICS.get(code, hex(code))}")
        known = _errors().get(selector)
        if known is not None:
            return _custom(known, dict(zip(known.fields, known.decode(data), strict=True)), contract)
    except BadEncoding:
        return Revert("unknown", f"the contract reverted with malformed data: {_shown(data)}")
    return Revert("unknown", f"the contract reverted with an error that we do not know: {_shown(data)}")


def explain_fault(fault: RpcFault, contract: str | None = None) -> Revert:
    """`explain` for the error that a node answered a call with."""
    return explain(revert_data(fault), fault.text, contract)


def printable(text: str) -> str:
    """A text that a stranger wrote, without control characters, in a sensible length."""
    text = "".join(character if character.isprintable() else " " for character in text).strip()
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1] + "…"


def _error_string(data: bytes) -> str:
    # Taken as bytes: a contract may write what is no UTF-8.
    raw: bytes = Codec(("bytes",), "the reason").decode(data)[0]
    return printable(raw.decode("utf-8", "replace"))


def _reason(reason: str, contract: str | None) -> Revert:
    missing = _MISSING_ROLE.search(reason)
    if missing is not None:
        return _missing_role("Error", checksum(missing[1]), bytes.fromhex(missing[2][2:]), contract)
    if not reason:
        return Revert("Error", "the contract reverted without a reason")
    if reason == "Ownable: caller is not the owner":
        return Revert("Error", "the sender is not the contract's owner", forbidden=True)
    return Revert("Error", f'the contract reverted: "{reason}"', _HINTS.get(reason, ""))


def _custom(error: CustomError, values: Mapping[str, Any], contract: str | None) -> Revert:
    match error.name:
        case "AccessControlUnauthorizedAccount":
            account, role = values.values()
            return _missing_role(error.name, checksum(account), role, contract)
        case "OwnableUnauthorizedAccount":
            account = checksum(values["account"])
            return Revert(
                error.name, f"{account} is not the contract's owner", forbidden=True, account=account
            )
        case "NotOwner":
            return Revert(
                error.name,
                "the workflow belongs to somebody else",
                "use its owner's key: OWNER_PRIVATE_KEY; `autometa workflow show` tells who that is",
                forbidden=True,
            )
    hint = _CUSTOM_HINTS.get(error.name, "")
    match error.name:
        case "WorkflowNotFound":
            return Revert(error.name, "there is no workflow of this id: deleted, or never made", hint)
        case "InvalidWorkflow":
            return Revert(error.name, "the registry refuses the workflow: a field is not valid", hint)
        case "ReentrancyGuardReentrantCall":
            return Revert(error.name, "the contract was called again from within its own call", hint)
    shown = ", ".join(f"{name} {_value(value)}" for name, value in values.items())
    return Revert(error.name, f"the contract reverted: {error.name}({shown})", hint)


def _missing_role(name: str, account: str, role: bytes, contract: str | None) -> Revert:
    known = next((known for known, number in ROLE_IDS.items() if number == role), None)
    where, on = (f" on {contract}", f" --contract {contract}") if contract else ("", "")
    if known is None:
        hint = "the contract is not one of ours, or of another version"
    elif known in ("DEFAULT_ADMIN_ROLE", "ADMIN_ROLE"):
        hint = "use the key of an account that has it: ADMIN_PRIVATE_KEY"
        hint += f" (tested by: autometa role check ADDRESS --role {known}{on})"
    else:
        hint = f"an administrator can give it: autometa role grant {account} --role {known}{on}"
    return Revert(
        name,
        f"{account} lacks the role {known or hex0x(role)}{where}",
        hint,
        forbidden=True,
        role=known or hex0x(role),
        account=account,
    )


@cache
def _errors() -> Mapping[bytes, CustomError]:
    errors: dict[bytes, CustomError] = {}
    for signature in _KNOWN_ERRORS:
        name, _, rest = signature.removesuffix(")").partition("(")
        inputs = [
            dict(zip(("type", "name"), field.split(), strict=True)) for field in rest.split(",") if field
        ]
        error = CustomError({"name": name, "inputs": inputs})
        errors[error.selector] = error
    for contract in _CONTRACTS:
        for error in interface(contract).errors.values():
            errors.setdefault(error.selector, error)
    return errors


def _value(value: Any) -> str:
    if isinstance(value, bytes):
        return hex0x(value)
    if isinstance(value, str) and re.fullmatch(r"0x[0-9a-f]{40}", value):
        return checksum(value)
    return printable(str(value))


def _shown(data: bytes) -> str:
    return hex0x(data) if len(data) <= 36 else f"{hex0x(data[:36])}… ({len(data)} bytes)"
