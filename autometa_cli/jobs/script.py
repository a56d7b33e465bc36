"""Runs the Lua scripts of `scripts/`: calls made in the same turn of the event loop travel in one pipeline.

Those of one script that have most of their keys and arguments in common even travel as one call (`jobs.together`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import redis.exceptions as rex

from autometa_cli.jobs.connection import Client, RunChanged
from autometa_cli.jobs.together import Argument, Bundle, Call, Future, bundles

#: Scripts that deal with a ledger that went back; to all others that comes as a surprise.
_MENDING = ("epoch", "renew", "recovery_")

#: Scripts in one pipeline. More only makes each round trip longer.
_PIPELINE = 100
#: Pipelines on their way at a time: the server works on one while the next is put together.
_PIPELINES = 2


class Answer(NamedTuple):
    """What a script said: a word, the ledger's sequence number after it, and the rest as texts, and byte for byte."""

    word: str
    seq: int
    rest: tuple[str, ...]
    exact: Sequence[bytes] = ()


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
        self._waiting: list[Call] = []
        self._sending: set[asyncio.Task[None]] = set()
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
        raw = await self._put(name, keys, (self.run, *args))
        exact = raw[2:]
        rest = tuple([part.decode("utf-8", "replace") for part in exact])
        answer = Answer(raw[0].decode(), int(raw[1]), rest, exact)
        if answer.seq < before and answer.word != "recovery" and not name.startswith(_MENDING):
            raise RunChanged(f"the ledger went back from {before} to {answer.seq}")
        self.seen = max(self.seen, answer.seq)
        return answer

    async def command(self, *command: Argument) -> Any:
        """A plain Redis command, in the same pipeline. Raises redis.exceptions.RedisError."""
        return await self._put(None, (), command)

    async def _put(self, script: str | None, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        future: Future = asyncio.get_running_loop().create_future()
        self._waiting.append(Call(script, keys, arguments, future))
        if len(self._sending) < _PIPELINES:
            task = asyncio.create_task(self._send())
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return await future

    async def _send(self) -> None:
        try:
            await asyncio.sleep(0)  # let everybody who is ready join this pipeline
            await self._send_waiting()
        finally:
            # Now, not once the loop comes to it: whom our answers woke may ask before that, and counts on the next one.
            if task := asyncio.current_task():
                self._sending.discard(task)

    async def _send_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:_PIPELINE], self._waiting[_PIPELINE:]
            try:
                await self._run(batch)
            except asyncio.CancelledError:
                for call in batch + self._waiting:
                    call.future.cancel()
                self._waiting = []
                raise
            except Exception as error:
                for call in batch:
                    call.fail(error)

    async def _run(self, batch: list[Call]) -> None:
        waiting = list(bundles(batch))
        replies = await self._pipeline(waiting, known=True)
        missing = [
            bundle for bundle, reply in zip(waiting, replies, strict=True) if not _known(bundle, reply)
        ]
        if missing:
            for bundle, reply in zip(missing, await self._pipeline(missing, known=False), strict=True):
                bundle.give(reply)

    async def _pipeline(self, waiting: Sequence[Bundle], *, known: bool) -> list[Any]:
        """Send them together; a script that the server does not know is sent in full the first time."""
        pipe = self._redis.pipeline(transaction=False)
        loaded: set[str] = set()
        for bundle in waiting:
            script = bundle.script
            if script is None:
                pipe.execute_command(*bundle.arguments)
            elif known or script.sha in loaded:
                pipe.execute_command("EVALSHA", script.sha, *bundle.arguments)
            else:
                pipe.execute_command("EVAL", script.source, *bundle.arguments)
                loaded.add(script.sha)
        return list(await pipe.execute(raise_on_error=False))


def _known(bundle: Bundle, reply: Any) -> bool:
    """False where the server does not have the script; else the answers are handed out."""
    if isinstance(reply, rex.NoScriptError):
        return False
    bundle.give(reply)
    return True
