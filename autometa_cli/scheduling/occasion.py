"""The transfer that a workflow runs for: its name, how it waits in Redis, and how a payload carries it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeGuard

_WAITING = re.compile(r"(0x[0-9a-f]{64}):(native|[0-9]{1,6}):([0-9]{1,18}):([0-9]{1,15})")
_HASH = re.compile(r"0x[0-9a-f]{64}")
NATIVE = "native"


@dataclass(frozen=True, slots=True)
class Event:
    """One transfer, or the newest of several that one run serves.

    A log's index counts in its block and changes in a reorg, so a transfer goes by its transaction and its place
    among those of that transaction's transfers that fire the workflow.

    Attributes:
        tx: hash of its transaction, lower case.
        ordinal: its place, from 0; None: the transaction itself is a transfer of the native token.
        block: its height.
        count: how many transfers it stands for.
    """

    tx: str
    ordinal: int | None
    block: int
    count: int = 1

    @property
    def name(self) -> str:
        """`0x…:0`, or `0x…:native`."""
        return f"{self.tx}:{NATIVE if self.ordinal is None else self.ordinal}"

    @property
    def noted(self) -> str:
        """As `note_events.lua` takes it, which puts the count behind."""
        return f"{self.name}:{self.block}"

    @property
    def waiting(self) -> str:
        """As it waits in Redis."""
        return f"{self.noted}:{self.count}"

    def document(self) -> dict[str, Any]:
        """For the job's payload."""
        ordinal = NATIVE if self.ordinal is None else self.ordinal
        return {"tx": self.tx, "ordinal": ordinal, "block": self.block, "count": self.count}


def read_waiting(text: str) -> Event | None:
    """An event as it waits in Redis; None for anything else that somebody put there."""
    found = _WAITING.fullmatch(text)
    if found is None:
        return None
    tx, ordinal, block, count = found.groups()
    return Event(tx, None if ordinal == NATIVE else int(ordinal), int(block), int(count))


def read_document(value: Any) -> Event | None:
    """An event out of a payload, which anybody may have written; None where it is none."""
    if not isinstance(value, dict):
        return None
    tx, ordinal, block = value.get("tx"), value.get("ordinal"), value.get("block")
    if not isinstance(tx, str) or not _HASH.fullmatch(tx) or not _small(block):
        return None
    if ordinal == NATIVE:
        return Event(tx, None, block)
    return Event(tx, ordinal, block) if _small(ordinal) else None


def _small(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53
