"""What every part of a queue works with: its connections, its keys, and the door to its scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import redis.exceptions as rex

from autometa_cli.jobs.connection import Connections
from autometa_cli.jobs.faults import wrong_type
from autometa_cli.jobs.keys import Keys
from autometa_cli.jobs.record import Record, read_record
from autometa_cli.jobs.script import Scripts


class Access:
    """One queue in one Redis.

    Args:
        url: see `jobs.address`.
        name: of the pending list.
    """

    def __init__(self, url: str, name: str) -> None:
        self.connections = Connections(url, name)
        self.redis = self.connections.commands
        self.keys = Keys(name)
        self.scripts = Scripts(self.redis)

    async def clock(self) -> int:
        """Redis's time, seconds since 1970."""
        seconds, _ = await self.redis.time()
        return int(seconds)

    async def record(self, key: str) -> Record | None:
        """One ledger record; None where there is none, or somebody put something else in its place."""
        try:
            return read_record(key, await self.scripts.command("HGETALL", self.keys.occurrence(key)))
        except rex.ResponseError as error:
            if not wrong_type(error):
                raise
            return None

    async def records(self, keys: Sequence[str]) -> list[Record | None]:
        """Several, in one round trip."""
        return list(await asyncio.gather(*(self.record(key) for key in keys)))
