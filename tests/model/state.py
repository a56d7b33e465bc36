"""What one moment of the modelled system consists of. Everything is a tuple, so that a state can be looked up.

Up to two occurrences X and Y of different workflows, two workers A and B with one key or one each. A worker's id is its
number; an id of an earlier life of it is that number + WORKERS. No clocks: what takes long may also happen at once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

WORKERS = 2
#: Highest chain that is explored.
LONGEST_CHAIN = 7

#: The place of an element that is pending; other places are worker ids.
PENDING = -1
NOBODY = -1

#: What a mined transaction is: the call of an occurrence (below CALLS), its cancel (CANCEL + its number), or another.
CALLS = 2
CANCEL, BARRIER, NOOP, FOREIGN = 10, 7, 8, 9

#: How a record closes or waits.
CLOSED = frozenset({"settled", "skipped", "dead"})
SIGNED = frozenset({"signed", "cancelling"})


class Record(NamedTuple):
    """The ledger record of an occurrence; states are named as in the scripts.

    Attributes:
        holder: worker id, or NOBODY.
        sender, nonce: key and nonce that it is bound to, -1 where it is not.
        call, cancel: the ledger has bytes of the call, of a self-transfer.
        why: of the cancelling: "", "unwanted" (the chain does not ask for it any more) or "operator".
    """

    st: str = "queued"
    holder: int = NOBODY
    sender: int = -1
    nonce: int = -1
    call: bool = False
    cancel: bool = False
    why: str = ""


class Noop(NamedTuple):
    """The record of a self-transfer that fills a gap."""

    sender: int
    nonce: int
    holder: int
    signed: bool


class Key(NamedTuple):
    """A sender's counter and the nonces that were given back."""

    next: int = 0
    freed: tuple[int, ...] = ()


#: A job in a list: place, occurrence, whether it is an envelope.
Element = tuple[int, int, bool]


class Redis(NamedTuple):
    """All that a restart may lose.

    Attributes:
        elements: sorted.
        alive: by worker id: it has a positive beat.
        run: of the Redis process that the ledger belongs to.
        windows: keys whose window is used up, during a recovery.
    """

    records: tuple[Record, ...]
    elements: tuple[Element, ...]
    keys: tuple[Key, ...]
    noops: tuple[Noop, ...] = ()
    alive: tuple[bool, ...] = (True,) * WORKERS + (False,) * WORKERS
    run: int = 0
    recovering: bool = False
    windows: frozenset[int] = frozenset()


class Worker(NamedTuple):
    """One worker's memory.

    Attributes:
        pc: off, idle, taken (raw element), claimed, checked, bound, written (to be sent), cancel (decided to).
        o: the occurrence that it works on.
        fence: its fence is still the record's.
        snap_fence: it was, when Redis's disk was last written.
        nonce: that it signs for.
        why: of the cancel that it decided on.
        run: the Redis process that it is connected to.
        aware: it was told of a write that is not on Redis's disk.
        counts: (latest, final, pending) as it saw them when it checked; only where views may be old.
    """

    pc: str = "idle"
    o: int = -1
    fence: bool = False
    snap_fence: bool = False
    nonce: int = -1
    why: str = ""
    run: int = 0
    aware: bool = False
    counts: tuple[int, int, int] | None = None


class Transaction(NamedTuple):
    """Mined."""

    sender: int
    nonce: int
    payload: int
    ok: bool


#: Sender, nonce, payload.
Bytes = tuple[int, int, int]


class World(NamedTuple):
    """Everything.

    Attributes:
        out: bytes that ever left a process: an adversary may have them mined at any time.
        pool: those that an honest pool holds; only these count on.
        final: how many transactions of the chain are final.
        paused: occurrences whose owner paused the workflow.
        used: faults so far, by kind.
        run: of the Redis process that answers.
        snap: what is on Redis's disk, where that is behind; None: all of it.
        moved: something was written since.
        ends: by key: the nonce below which a recovery uses up everything.
    """

    redis: Redis
    workers: tuple[Worker, ...]
    out: frozenset[Bytes] = frozenset()
    pool: frozenset[Bytes] = frozenset()
    chain: tuple[Transaction, ...] = ()
    final: int = 0
    paused: frozenset[int] = frozenset()
    used: tuple[int, ...] = ()
    run: int = 0
    snap: Redis | None = None
    moved: bool = False
    ends: tuple[int, ...] = ()


def put(values: tuple[Any, ...], index: int, value: Any) -> tuple[Any, ...]:
    """The tuple with one entry changed."""
    return (*values[:index], value, *values[index + 1 :])


def mined(chain: tuple[Transaction, ...], sender: int) -> int:
    """The sender's transaction count."""
    return sum(1 for transaction in chain if transaction.sender == sender)


def executed(chain: tuple[Transaction, ...], o: int) -> int:
    """How often an occurrence was executed with success."""
    return sum(1 for transaction in chain if transaction.payload == o and transaction.ok)


def at(chain: tuple[Transaction, ...], sender: int, nonce: int) -> Transaction | None:
    """What was mined at a nonce."""
    for transaction in chain:
        if transaction.sender == sender and transaction.nonce == nonce:
            return transaction
    return None
