"""Runs the Lua scripts of `scripts/`: calls made in the same turn of the event loop travel in one pipeline."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import redis.exceptions as rex

from autometa_cli.jobs.connection import Client, RunChanged

Argument = str | bytes | int

#: Scripts that deal with a ledger that went back; to all others that comes as a surprise.
_MENDING = ("epoch", "renew", "recovery_")

#: Scripts in one pipeline. More only makes each round trip longer.
_PIPELINE = 200


#: Script (None: a plain command), arguments, and whom to tell.
_Waiting = tuple[str | None, list[Any], "asyncio.Future[Any]"]


class Answer(NamedTuple):
    """What a script said: a word, the ledger's sequence number after it, and the rest as texts."""

    word: str
    seq: int
    rest: tuple[str, ...]


@cache
def source(name: str) -> bytes:
    """A script with the prelude in front."""
    folder = resources.files("autometa_cli.jobs") / "scripts"
    return (folder / "prelude.lua").read_bytes() + (folder / f"{name}.lua").read_bytes()


@cache
def _sha(name: str) -> str:
    return hashlib.sha1(source(name), usedforsecurity=False).hexdigest()


class Scripts:
    """The door to every script of one queue.

    Every script may be repeated: its own repetition is answered `already`. That is why a pipeline whose reply was
    lost is simply sent again by the client's retry.

    Attributes:
        run: run id of the Redis process, given to each script.
        seen: the highest sequence number that any answer carried.
        recovered: how often the ledger had been recovered when it was last found whole; None before (`jobs.epoch`).
    """

    def __init__(self, redis: Client) -> None:
        self._redis = redis
        self._waiting: list[_Waiting] = []
        self._flush: asyncio.Task[None] | None = None
        self.run = ""
        self.seen = 0
        self.recovered: int | None = None

    async def call(self, name: str, keys: Sequence[str], args: Sequence[Argument]) -> Answer:
        """Run one script with `run` as its first argument.

        Raises:
            redis.exceptions.RedisError: the server is away or refuses; the script may or may not have run.
            RunChanged: the ledger's sequence number went back, though the connection is the same.
        """
        before = self.seen
        raw = await self._put(name, [len(keys), *keys, self.run, *args])
        answer = Answer(
            raw[0].decode(), int(raw[1]), tuple(part.decode("utf-8", "replace") for part in raw[2:])
        )
        if answer.seq < before and answer.word != "recovery" and not name.startswith(_MENDING):
            raise RunChanged(f"the ledger went back from {before} to {answer.seq}")
        self.seen = max(self.seen, answer.seq)
        return answer

    async def command(self, *command: Argument) -> Any:
        """A plain Redis command, in the same pipeline. Raises redis.exceptions.RedisError."""
        return await self._put(None, list(command))

    async def _put(self, script: str | None, arguments: list[Any]) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((script, arguments, future))
        if self._flush is None or self._flush.done():
            self._flush = asyncio.create_task(self._send())
        return await future

    async def _send(self) -> None:
        await asyncio.sleep(0)  # let everybody who is ready join this pipeline
        while self._waiting:
            batch, self._waiting = self._waiting[:_PIPELINE], self._waiting[_PIPELINE:]
            try:
                await self._run(batch)
            except asyncio.CancelledError:
                for _, _, future in batch + self._waiting:
                    future.cancel()
                self._waiting = []
                raise
            except Exception as error:
                for _, _, future in batch:
                    if not future.done():
                        future.set_exception(error)

    async def _run(self, batch: list[_Waiting]) -> None:
        replies = await self._pipeline(batch, known=True)
        missing = []
        for item, reply in zip(batch, replies, strict=True):
            if isinstance(reply, rex.NoScriptError):
                missing.append(item)
            else:
                _give(item[2], reply)
        if missing:
            for item, reply in zip(missing, await self._pipeline(missing, known=False), strict=True):
                _give(item[2], reply)

    async def _pipeline(self, batch: list[_Waiting], *, known: bool) -> list[Any]:
        """Send them together; a script that the server does not know is sent in full the first time."""
        pipe = self._redis.pipeline(transaction=False)
        loaded: set[str] = set()
        for name, arguments, _ in batch:
            if name is None:
                pipe.execute_command(*arguments)
            elif known or name in loaded:
                pipe.execute_command("EVALSHA", _sha(name), *arguments)
            else:
                pipe.execute_command("EVAL", source(name), *arguments)
                loaded.add(name)
        return list(await pipe.execute(raise_on_error=False))


def _give(future: asyncio.Future[Any], reply: Any) -> None:
    if future.done():
        return
    if isinstance(reply, Exception):
        future.set_exception(reply)
    else:
        future.set_result(reply)
