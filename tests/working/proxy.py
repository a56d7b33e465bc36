"""A wire between a worker and a server that a test can cut, freeze, or make deaf."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Proxy:
    """TCP to one server, in this event loop. `lose_answers_to` lets requests through and their answers not."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._host, self._port = parts.hostname or "", parts.port or 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self.port = 0
        #: Requests with this text in them reach the server, but the connection breaks before the answer.
        self.lose_answers_to = ""
        #: How often that happened.
        self.lost = 0

    @property
    def url(self) -> str:
        """Where workers reach the server now (HTTP)."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen; again on the same port after `cut`."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """The server is gone."""
        if self._server is not None:
            self._server.close()
            self._server = None
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def freeze(self) -> None:
        """Nothing comes through any more."""
        self._open.clear()

    def thaw(self) -> None:
        """What waited comes through."""
        self._open.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            above = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.close()
            return
        up = asyncio.create_task(self._pump(reader, above[1], watch=True))
        down = asyncio.create_task(self._pump(above[0], writer, watch=False))
        self._tasks |= {up, down}
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)
        self._tasks -= {up, down}
        writer.close()
        above[1].close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, watch: bool) -> None:
        while data := await source.read(1 << 16):
            await self._open.wait()
            sink.write(data)
            await sink.drain()
            if watch and self.lose_answers_to and self.lose_answers_to.encode() in data:
                self.lost += 1
                return


@asynccontextmanager
async def proxied(target: str) -> AsyncIterator[Proxy]:
    """A proxy that listens; gone at the end."""
    proxy = Proxy(target)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.cut()
