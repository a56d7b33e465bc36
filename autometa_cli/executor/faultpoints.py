"""Named moments on a transaction's way, between two steps that must not come apart. Nothing happens at them.

A test's own worker program replaces `reached` and kills itself at one of them (tests/working/doomed.py). No setting and
no variable of the environment does that.
"""

from __future__ import annotations

from collections.abc import Callable

#: The job is ours; nothing was looked at yet.
CLAIMED = "claimed"
#: The record has its nonce.
BOUND = "bound"
#: Signed bytes exist in this process's memory only.
SIGNED = "signed"
#: They are in the ledger; nobody has seen them.
WRITTEN = "written"
#: A node has answered.
BROADCAST = "broadcast"
#: It is in a block that is not final.
MINED = "mined"
#: A final block decided; the ledger does not know yet.
DECIDED = "decided"

ALL = (CLAIMED, BOUND, SIGNED, WRITTEN, BROADCAST, MINED, DECIDED)


def _nothing(_point: str) -> None:
    """What happens there in production."""


#: Called with the name of each moment as it comes.
reached: Callable[[str], None] = _nothing
