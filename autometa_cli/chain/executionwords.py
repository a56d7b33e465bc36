"""The call data of `executeWorkflow` and what `WorkflowExecuted` says, fast: a worker needs both for each job.

eth_abi takes 90 µs for either, this two. It knows the one layout that Solidity writes; whatever differs from it is left
to eth_abi.
"""

from __future__ import annotations

from functools import cache

from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.words import BadEncoding

#: Where `actionData` begins, behind the five words of the arguments.
_OFFSET = (5 * 32).to_bytes(32, "big")


def execution_call(
    workflow: int, action_data: bytes, new_next_run: int, user_to_charge: str, gas_to_charge: int
) -> bytes:
    """Selector and arguments, exactly as Solidity and eth_abi lay them out.

    Args:
        user_to_charge: 0x and 40 hex digits.
        gas_to_charge: wei.

    Raises:
        BadEncoding: a number does not fit 256 bits, or the address is none.
    """
    try:
        user = bytes.fromhex(user_to_charge.removeprefix("0x"))
        if len(user) != 20:
            raise ValueError("an address has 20 bytes")
        return b"".join(
            (
                _selector(),
                workflow.to_bytes(32, "big"),
                _OFFSET,
                new_next_run.to_bytes(32, "big"),
                bytes(12),
                user,
                gas_to_charge.to_bytes(32, "big"),
                len(action_data).to_bytes(32, "big"),
                action_data,
                bytes(-len(action_data) % 32),
            )
        )
    except (OverflowError, ValueError) as error:
        raise BadEncoding(f"the arguments of executeWorkflow cannot be encoded: {error}") from None


def read_executed(data: bytes) -> tuple[bool, int, bytes] | None:
    """`success`, `gasUsed` and `result` out of the event's data; None where it is not laid out as Solidity does it."""
    if len(data) < 4 * 32 or any(data[:31]) or data[31] > 1 or int.from_bytes(data[64:96], "big") != 96:
        return None
    size = int.from_bytes(data[96:128], "big")
    if size > len(data) or len(data) != 128 + size + -size % 32 or any(data[128 + size :]):
        return None
    return data[31] == 1, int.from_bytes(data[32:64], "big"), data[128 : 128 + size]


@cache
def _selector() -> bytes:
    return interface("ActionExecutor").functions["executeWorkflow"].selector
