"""`actionData`: one byte action type, then ABI-encoded parameters.

    01  native transfer  (address to, uint256 amount)
    02  ERC-20 transfer  (address token, address to, uint256 amount)
    03  contract call    (address target, uint256 value, bytes callData)

The byte decides; the registry's own `actionType` is a label and may differ.

`decode_action` accepts what the executor contract's `abi.decode` accepts, and nothing else: bytes behind the
parameters and missing padding are tolerated, `callData` may stand anywhere inside the data; an address with
dirty upper bytes, and anything that points behind the end, is refused, because the contract would revert.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from autometa_cli.chain.words import (
    WORD,
    BadEncoding,
    Words,
    address_word,
    checked_address,
    checked_uint,
    dynamic_tail,
    word,
)


class ActionType(IntEnum):
    """The first byte of `actionData`."""

    NATIVE = 1
    TOKEN = 2
    CALL = 3


@dataclass(frozen=True, slots=True)
class NativeTransfer:
    """Pay `amount` wei to `to`. Addresses are lower-case, as in all actions."""

    to: str
    amount: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "to", checked_address(self.to, "to"))
        checked_uint(self.amount, "amount")


@dataclass(frozen=True, slots=True)
class TokenTransfer:
    """`token.transfer(to, amount)`; the amount is in the token's smallest unit."""

    token: str
    to: str
    amount: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "token", checked_address(self.token, "token"))
        object.__setattr__(self, "to", checked_address(self.to, "to"))
        checked_uint(self.amount, "amount")


@dataclass(frozen=True, slots=True)
class ContractCall:
    """Call `target` with `value` wei and `call_data`; the executor contract is the sender."""

    target: str
    value: int
    call_data: bytes

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", checked_address(self.target, "target"))
        checked_uint(self.value, "value")
        if not isinstance(self.call_data, bytes | bytearray | memoryview):
            raise BadEncoding(f"call_data must be bytes, not {type(self.call_data).__name__}")
        object.__setattr__(self, "call_data", bytes(self.call_data))


Action = NativeTransfer | TokenTransfer | ContractCall


def decode_action(data: bytes) -> Action:
    """What the executor contract would do with `data`. Raises BadEncoding where it would revert."""
    if not data:
        raise BadEncoding("actionData is empty; its first byte is the action type")
    kind = data[0]
    if kind not in (ActionType.NATIVE, ActionType.TOKEN, ActionType.CALL):
        raise BadEncoding(f"actionData, byte 0: action type {kind} is not known (1, 2 or 3)")
    words = Words(bytes(data[1:]), f"actionData of type {kind:02}", before=1)
    if kind == ActionType.NATIVE:
        words.need(2 * WORD)
        return NativeTransfer(words.address(0, "to"), words.uint(1, "amount"))
    words.need(3 * WORD)
    if kind == ActionType.TOKEN:
        return TokenTransfer(words.address(0, "token"), words.address(1, "to"), words.uint(2, "amount"))
    return ContractCall(words.address(0, "target"), words.uint(1, "value"), words.dynamic(2, "callData"))


def encode_action(action: Action) -> bytes:
    """`actionData` as `abi.encodePacked(uint8(type), abi.encode(…))` gives it."""
    match action:
        case NativeTransfer(to, amount):
            return bytes([ActionType.NATIVE]) + address_word(to) + word(amount)
        case TokenTransfer(token, to, amount):
            return bytes([ActionType.TOKEN]) + address_word(token) + address_word(to) + word(amount)
        case ContractCall(target, value, call_data):
            head = address_word(target) + word(value) + word(3 * WORD)
            return bytes([ActionType.CALL]) + head + dynamic_tail(call_data)


def native_value(action: Action) -> int:
    """Wei that the executor contract pays out of its own balance."""
    match action:
        case NativeTransfer(amount=amount):
            return amount
        case ContractCall(value=value):
            return value
        case TokenTransfer():
            return 0
