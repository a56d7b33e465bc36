"""What became of a record's nonce, in words: the Judge finds it, the ledger writes it down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal[
    "executed", "action_failed", "reverted", "no_role", "refused", "cancelled", "foreign", "uncertain"
]


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a mined attempt of a record decided. `fee` is wei; `gives_back`: the transfer that it took waits again."""

    verdict: Verdict
    tx: str
    text: str
    fee: int
    gives_back: bool = False
