"""What a mirror showed, and workflows as the bytes that `snapshots` keeps of them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from autometa_cli.addresses import checksum
from autometa_cli.chain.contracts import Workflow
from autometa_cli.scheduling.trail import Step

_HEAD = struct.Struct(">Q20sBBB32s32s32sII")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a mirror showed.

    Attributes:
        number, hash: of the block.
        total: workflows ever made.
        workflows: by no particular order.
        steps: of its trail.
        unread: workflows that could not be read.
    """

    number: int
    hash: str
    total: int
    workflows: Sequence[Workflow]
    steps: Sequence[Step]
    unread: Sequence[int] = ()


def pack(workflows: Iterable[Workflow]) -> bytes:
    """Workflows as compressed bytes."""
    return zlib.compress(b"".join(map(_packed, workflows)), 1)


def _packed(each: Workflow) -> bytes:
    head = _HEAD.pack(
        each.id,
        bytes.fromhex(each.owner[2:]),
        each.trigger_type,
        each.action_type,
        each.active,
        each.next_run.to_bytes(32, "big"),
        each.interval.to_bytes(32, "big"),
        each.gas_budget.to_bytes(32, "big"),
        len(each.trigger_data),
        len(each.action_data),
    )
    return head + each.trigger_data + each.action_data


def unpack(data: bytes) -> Iterator[Workflow]:
    """The reverse of `pack`. Raises zlib.error, struct.error or ValueError."""
    content, at, owners = zlib.decompress(data), 0, dict[bytes, str]()
    while at < len(content):
        id, owner, trigger_type, action_type, active, next_run, interval, budget, first, second = (
            _HEAD.unpack_from(content, at)
        )
        at += _HEAD.size
        if owner not in owners:
            owners[owner] = checksum("0x" + owner.hex())
        if at + first + second > len(content):
            raise ValueError("a part ends too early")
        yield Workflow(
            id=id,
            owner=owners[owner],
            trigger_type=trigger_type,
            trigger_data=content[at : at + first],
            action_type=action_type,
            action_data=content[at + first : at + first + second],
            next_run=int.from_bytes(next_run, "big"),
            interval=int.from_bytes(interval, "big"),
            active=bool(active),
            gas_budget=int.from_bytes(budget, "big"),
        )
        at += first + second
