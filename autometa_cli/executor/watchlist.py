"""The open transactions that this process watches, and what is remembered of each between two blocks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autometa_cli.jobs.record import SIGNED_STATES

if TYPE_CHECKING:
    from autometa_cli.executor.funds import Funds
    from autometa_cli.executor.ledger import Hold
    from autometa_cli.executor.sender import Sender
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.record import Record

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Watched:
    """One of them.

    Attributes:
        hold: the right to write to its record; None where another worker has it.
        sent_at, signed_at, since: when it was last sent, last signed, first watched; the event loop's clock.
        mined: seen in a block that is not final.
        blocked: why it cannot go on by itself, or "".
        spoilt: what is wrong with its record, or "": nothing can be done with it.
    """

    record: Record
    hold: Hold | None
    sent_at: float
    signed_at: float
    since: float
    mined: bool = False
    blocked: str = ""
    spoilt: str = ""

    @property
    def complaint(self) -> str:
        """Either of them."""
        return self.spoilt or self.blocked

    def spoil(self, why: str, *, traceback: bool = False) -> None:
        """Say what is wrong with its record; in the log once."""
        text = f"{self.record.label}: {why}"
        if text != self.spoilt:
            _log.error("%s", text, exc_info=traceback)
        self.spoilt = text


class Watchlist:
    """All of them, by record key.

    Args:
        closed: called with (record key, new state, verdict) when a record left the list.
    """

    def __init__(
        self, queue: JobQueue, sender: Sender, funds: Funds, closed: Callable[[str, str, str], None]
    ) -> None:
        self._queue = queue
        self._sender = sender
        self._funds = funds
        self._closed = closed
        self._watched: dict[str, Watched] = {}

    def __len__(self) -> int:
        return len(self._watched)

    def __contains__(self, key: str) -> bool:
        return key in self._watched

    def __iter__(self) -> Iterator[Watched]:
        return iter(list(self._watched.values()))

    def __getitem__(self, key: str) -> Watched:
        return self._watched[key]

    def get(self, key: str) -> Watched | None:
        """The one of that record, where it is watched."""
        return self._watched.get(key)

    def add(self, record: Record, hold: Hold | None, *, sent_at: float) -> None:
        """Watch a record that was last sent then."""
        now = asyncio.get_running_loop().time()
        self._watched[record.key] = Watched(record, hold, sent_at=sent_at, signed_at=now, since=now)

    def drop(self, watched: Watched, state: str = "", verdict: str = "") -> None:
        """It is closed, or somebody else's."""
        self._watched.pop(watched.record.key, None)
        if not verdict:
            self._funds.free(watched.record.key)
        self._sender.forget(watched.record)
        self._closed(watched.record.key, state, verdict)

    async def refresh(self, watched: Watched) -> None:
        """The record changed hands, or is not signed yet: read it again."""
        record = await self._queue.record(watched.record.key)
        if record is None or record.nonce is None or record.state not in (*SIGNED_STATES, "bound"):
            self.drop(watched)
        else:
            watched.record = record

    def clear(self) -> None:
        """This worker was buried: what it watched is found again by whoever may."""
        for key in list(self._watched):
            self._funds.free(key)
            self._closed(key, "", "")
        self._watched.clear()
