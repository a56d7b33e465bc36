"""Transfers that wait for a run of their workflow: how far the chain was read for them, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autometa_cli.jobs.keys import Keys
from autometa_cli.jobs.retention import HISTORY_LENGTH
from autometa_cli.jobs.script import Answer, Scripts


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far transfers were read.

    Attributes:
        block: up to which one; None before the first time.
        genesis: hash of that chain's first block.
        doubt: a transfer up to this block may have been served in a part that Redis forgot (0: none).
    """

    block: int | None
    genesis: str
    doubt: int


class Transfers:
    """What waits, by chain and executor. What stands for a transfer is an opaque text (`scheduling.occasion`)."""

    def __init__(self, keys: Keys, scripts: Scripts) -> None:
        self._keys = keys
        self._scripts = scripts

    async def cursor(self, chain: int, executor: str) -> Cursor:
        """How far they were read."""
        block, genesis, doubt = await self._scripts.command(
            "HMGET", self._keys.cursor(chain, executor), "block", "genesis", "doubt"
        )
        return Cursor(None if block is None else int(block), (genesis or b"").decode(), int(doubt or 0))

    async def waiting(self, chain: int, executor: str) -> dict[int, str]:
        """By workflow id. Whatever stands there under anything else waits for nothing."""
        found = await self._scripts.command("HGETALL", self._keys.events(chain, executor))
        return {
            int(id): event.decode("utf-8", "replace")
            for id, event in found.items()
            if id.isdigit() and len(id) <= 78
        }

    async def note(
        self,
        chain: int,
        executor: str,
        *,
        since: int | None,
        upto: int,
        genesis: str,
        events: Sequence[tuple[int, str, int]],
    ) -> Answer:
        """Move the cursor, and note the transfers found on the way (see `note_events.lua`).

        Args:
            since: where the cursor stood.
            events: workflow id, event, and how many transfers it stands for.
        """
        k = self._keys
        return await self._scripts.call(
            "note_events",
            [k.epoch, k.cursor(chain, executor), k.events(chain, executor)],
            ["" if since is None else since, upto, genesis, *(part for event in events for part in event)],
        )

    async def forget(self, chain: int, executor: str, workflows: Sequence[int]) -> None:
        """Of workflows that are gone for good."""
        if workflows:
            await self._scripts.command("HDEL", self._keys.events(chain, executor), *workflows)

    async def bury(
        self, chain: int, executor: str, workflow: int, event: str, name: str, job: bytes, text: str
    ) -> Answer:
        """Make one that may have been served a dead letter, `uncertain` (see `bury_event.lua`).

        Args:
            event: as it waits.
            name: of the transfer.
            job: what goes on the list, should a person want it tried again.
            text: for that person.
        """
        k, key = self._keys, f"raw:transfer:{workflow}:{name}"
        return await self._scripts.call(
            "bury_event",
            [k.epoch, k.events(chain, executor), k.occurrence(key), k.dead, k.history],
            [workflow, event, key, job, text, HISTORY_LENGTH, name],
        )
