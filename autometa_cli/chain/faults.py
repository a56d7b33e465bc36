"""What can come of a JSON-RPC request instead of a result."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from autometa_cli.errors import AutometaError, ConfigError, RpcUnreachable

_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")


class RpcFault(AutometaError):
    """A JSON-RPC error object: the node was reached and said no. Asking elsewhere would not help.

    Attributes:
        code: the JSON-RPC code; 3 is a revert at geth and anvil.
        text: the node's own words.
        data: whatever came along; a revert's bytes as hex, mostly.
        endpoint: the redacted name of the endpoint.
    """

    def __init__(self, code: int, text: str, data: Any = None, endpoint: str = "") -> None:
        super().__init__(f"{endpoint or 'the RPC endpoint'} answered: {text or 'an error'} (code {code})")
        self.code = code
        self.text = text
        self.data = data
        self.endpoint = endpoint


class EndpointDown(RpcUnreachable):
    """One endpoint gave no usable answer: another may.

    Attributes:
        endpoint: its redacted name.
        reason: what happened, without the name.
        retry_after: seconds that it asked us to wait, None where it did not.
    """

    kind = "RpcUnreachable"

    def __init__(self, endpoint: str, reason: str, retry_after: float | None = None) -> None:
        super().__init__(f"RPC endpoint {endpoint}: {reason}")
        self.endpoint = endpoint
        self.reason = reason
        self.retry_after = retry_after


class WrongChain(ConfigError):
    """An endpoint serves another chain than the configured one: it is never asked anything else."""

    kind = "ConfigError"

    def __init__(self, endpoint: str, *, expected: int, found: int) -> None:
        super().__init__(
            f"RPC endpoint {endpoint} serves chain {found}, but the configured chain is {expected}",
            "set NETWORK or CHAIN_ID to the chain you mean, or RPC_URLS to an endpoint of it",
        )
        self.endpoint = endpoint
        self.expected = expected
        self.found = found


def quantity(value: Any, what: str) -> int:
    """A JSON-RPC quantity ("0x1a") as a number. Raises RpcUnreachable naming `what` on anything else."""
    if isinstance(value, str) and _QUANTITY.fullmatch(value):
        return int(value, 16)
    raise _malformed(what, value)


def octets(value: Any, what: str) -> bytes:
    """JSON-RPC data ("0x1a2b") as bytes. Raises RpcUnreachable naming `what` on anything else."""
    if isinstance(value, str) and value[:2] == "0x":
        with suppress(ValueError):
            return bytes.fromhex(value[2:])
    raise _malformed(what, value)


def _malformed(what: str, value: Any) -> RpcUnreachable:
    return RpcUnreachable(f"malformed answer of an RPC endpoint: {what} is {str(value)[:40]!r}")


def is_revert(fault: RpcFault) -> bool:
    """Whether the contract said no, rather than the node."""
    text = fault.text.lower()
    return fault.code == 3 or "revert" in text or revert_data(fault) is not None


def revert_data(fault: RpcFault) -> bytes | None:
    """What the contract reverted with, from where each kind of node puts it; None where there is nothing."""
    return _find_data(fault.data, depth=3)


def _find_data(data: Any, depth: int) -> bytes | None:
    if isinstance(data, str):
        # geth, anvil and Frontier give hex; OpenEthereum and its heirs write "Reverted 0x…".
        digits = data.removeprefix("Reverted ").strip()
        try:
            return (bytes.fromhex(digits[2:]) or None) if digits[:2] == "0x" else None
        except ValueError:
            return None
    if isinstance(data, dict) and depth:  # Hardhat and Ganache nest it
        for key in ("data", "result", "return", "originalError"):
            found = _find_data(data.get(key), depth - 1)
            if found is not None:
                return found
    return None
