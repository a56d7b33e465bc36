"""The bloom filter in a block's header: which logs the block may hold, told by the block itself and by no index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autometa_cli.chain.faults import octets
from autometa_cli.errors import RpcUnreachable

_BYTES = 256


def may_hold(header: Any, *needed: bytes) -> bool:
    """Whether a block may have logs with all of these addresses and topics. False is certain.

    A chain without blooms, or with empty ones, says False of everything.

    Args:
        header: the answer to `eth_getBlockByNumber`.
        needed: 20 bytes of an address, 32 of a topic.

    Raises:
        RpcUnreachable: it is no header; the endpoint does not show the block.
    """
    if not isinstance(header, dict):
        raise RpcUnreachable(f"the endpoint does not show a block: {str(header)[:40]}")
    if header.get("logsBloom") is None:
        return False
    bloom = octets(header["logsBloom"], "a block's logsBloom")
    if len(bloom) != _BYTES:
        raise RpcUnreachable(f"malformed answer of an RPC endpoint: a bloom of {len(bloom)} bytes")
    bits = int.from_bytes(bloom, "big")
    return all(bits >> bit & 1 for item in needed for bit in _bits(item))


def _bits(item: bytes) -> Iterable[int]:
    from eth_hash.auto import keccak

    digest = keccak(item)
    return (int.from_bytes(digest[at : at + 2], "big") & 2047 for at in (0, 2, 4))
