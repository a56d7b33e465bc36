"""What every part of a queue works with: its connections, its keys, and the door to its scripts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import redis.exceptions as rex

from autometa_cli.jobs.connection import Connections
from autometa_cli.jobs.faults import WrongKey, wrong_type
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

    async def misfits(self) -> list[WrongKey]:
        """The keys that all jobs share, of those that somebody made something else. Reads only."""
        types = self.keys.types
        found = await asyncio.gather(*(self.scripts.command("TYPE", name) for name in types))
        return [
            WrongKey(name, kind.decode(), wanted)
            for (name, wanted), kind in zip(types.items(), found, strict=True)
            if kind.decode() not in (wanted, "none")
        ]

    async def named(self, error: Exception) -> Exception:
        """The same error; where the type of a key that all jobs share is wrong, one that names it (`WrongKey`)."""
        if not wrong_type(error) or isinstance(error, WrongKey):
            return error
        try:
            return next(iter(await self.misfits()), error)
        except (rex.RedisError, OSError):
            return error

    async def works(self) -> None:
        """Does Redis take what a queue writes? Asks by a write that needs memory and changes nothing.

        Raises:
            WrongKey: somebody made a key something else.
            redis.exceptions.RedisError: it is full, a replica, cannot save to disk, or is away.
        """
        for misfit in await self.misfits():
            raise misfit
        await self.redis.zadd(self.keys.queued, {"": 0}, xx=True)
