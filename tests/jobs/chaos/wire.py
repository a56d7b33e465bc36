"""A wire that loses answers, holds things up, breaks, and says things twice."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

from autometa_cli.devnet.process import HOST


class BadWire:
    """TCP to one port of this machine, in this event loop.

    Args:
        target: port of the server.

    Attributes:
        port: where it listens.
        mischief: how often it did what.
    """

    def __init__(self, target: int, seed: int) -> None:
        self._target = target
        self._dice = random.Random(seed)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.mischief: Counter[str] = Counter()
        #: Off: everything passes as it is.
        self.bad = True

    async def __aenter__(self) -> BadWire:
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.sleep(0.05)  # who was let in has begun
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted is closed in the next turn

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        above: asyncio.StreamWriter | None = None
        pumps: list[asyncio.Task[None]] = []
        try:
            answers, above = await asyncio.open_connection(HOST, self._target)
            pumps = [
                asyncio.create_task(self._requests(reader, above)),
                asyncio.create_task(self._answers(answers, writer)),
            ]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass  # the server is away: so is this wire
        finally:
            for end in (writer, above):
                if end is not None:
                    end.transport.abort()  # before anything can be cancelled once more
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._tasks.discard(task)

    async def _requests(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(1 << 16):
            what = self._what()
            if what == "cut":
                return
            sink.write(data)
            await sink.drain()
            if what == "twice":
                await self._again(data)
            elif what == "lost answer":
                await asyncio.sleep(0.01)  # the server has it, and has done it
                return

    async def _answers(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(1 << 16):
            if self.bad and self._dice.random() < 0.05:
                self.mischief["delay"] += 1
                await asyncio.sleep(self._dice.random() * 0.1)
            sink.write(data)
            await sink.drain()

    def _what(self) -> str:
        what = "nothing"
        if self.bad:
            what = self._dice.choices(["nothing", "lost answer", "cut", "twice"], [90, 4, 3, 3])[0]
            self.mischief[what] += 1
        return what

    async def _again(self, data: bytes) -> None:
        """The same request over a second connection, whose answer nobody reads: a packet that was sent again."""
        _, above = await asyncio.open_connection(HOST, self._target)
        above.write(data)
        await above.drain()
        await asyncio.sleep(0.01)
        above.transport.abort()
