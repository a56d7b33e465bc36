"""Multicall3: many reads in one call, at one address on most chains (`Network.multicall3`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError

from autometa_cli.chain.words import BadEncoding

if TYPE_CHECKING:
    from autometa_cli.chain.view import View

_AGGREGATE3 = bytes.fromhex("82ad56cb")  # aggregate3((address,bool,bytes)[])


async def aggregate(view: View, multicall3: str, to: str, calls: Sequence[bytes]) -> list[tuple[bool, bytes]]:
    """Each call's success and output, in order; one that reverts stops no other.

    Raises:
        RpcFault, RpcUnreachable: as the view's reads; an answer that is none counts as unreachable.
    """
    from autometa_cli.errors import RpcUnreachable

    data = _AGGREGATE3 + encode(["(address,bool,bytes)[]"], [[(to, True, call) for call in calls]])
    try:
        answers = _decoded(await view.call(multicall3, data))
    except BadEncoding as error:
        raise RpcUnreachable(str(error)) from None
    if len(answers) != len(calls):
        raise RpcUnreachable(f"Multicall3 gave {len(answers)} answers to {len(calls)} calls")
    return answers


def _decoded(output: bytes) -> list[tuple[bool, bytes]]:
    try:
        (answers,) = decode(["(bool,bytes)[]"], output)
    except DecodingError as error:
        raise BadEncoding(f"the answer of Multicall3 cannot be read: {error}") from None
    return list(answers)
