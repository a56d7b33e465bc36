"""A JSON-RPC server on the loopback interface that behaves, or misbehaves, exactly as a test wants."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Self

from aiohttp import ClientSession, web
from eth_hash.auto import keccak

from autometa_cli.chain.rpc import Rpc

#: What a server does with the body of a request: a response, or JSON to answer with.
Answer = Callable[[Any], Any | Awaitable[Any]]


def good(call: dict[str, Any], result: Any) -> dict[str, Any]:
    """The answer to one call."""
    return {"jsonrpc": "2.0", "id": call["id"], "result": result}


def bad(call: dict[str, Any] | None, code: int, message: str, data: Any = None) -> dict[str, Any]:
    """An error as the answer to one call; without a call, one without id."""
    error = {"code": code, "message": message} | ({} if data is None else {"data": data})
    return {"jsonrpc": "2.0", "id": None if call is None else call["id"], "error": error}


def echo(body: Any) -> Any:
    """Answer each call with its own first parameter; `eth_chainId` with 1287."""
    if isinstance(body, list):
        return [echo(call) for call in body]
    return good(body, "0x507" if body["method"] == "eth_chainId" else (body["params"] or [None])[0])


def take(body: Any) -> Any:
    """As `echo`, by a node that accepts every transaction."""
    if isinstance(body, list):
        return [take(call) for call in body]
    if body["method"] != "eth_sendRawTransaction":
        return echo(body)
    return good(body, "0x" + keccak(bytes.fromhex(body["params"][0][2:])).hex())


def page(status: int, text: str = "", headers: dict[str, str] | None = None) -> web.Response:
    """Any HTTP response."""
    return web.Response(status=status, text=text, headers=headers)


class Node:
    """The server. `async with Node(answer) as node`; then `node.url`.

    Attributes:
        bodies: every body that came, parsed, in order.
        transports: the connections that they came over.
    """

    def __init__(self, answer: Answer = echo) -> None:
        self.answer = answer
        self.bodies: list[Any] = []
        self.url = ""
        self.port = 0
        self.transports: set[Any] = set()

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Every single call that came, whether alone or in a batch."""
        return [call for body in self.bodies for call in (body if isinstance(body, list) else [body])]

    def methods(self) -> list[str]:
        """Their methods."""
        return [call["method"] for call in self.calls]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = json.loads(await request.read())
        self.bodies.append(body)
        self.transports.add(request.transport)
        answer = self.answer(body)
        if inspect.isawaitable(answer):
            answer = await answer
        if answer is None:  # close without a word
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if isinstance(answer, web.StreamResponse):
            return answer
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return web.Response(text=text, content_type="application/json")

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await self._site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()


class Gateway(Node):
    """A server in front of a real chain: forwards what it gets, then does what the test says.

    Args:
        upstream: URL of the chain.
        afterwards: gets the body and the chain's answer, gives back what is answered.
    """

    def __init__(
        self, upstream: str, afterwards: Callable[[Any, Any], Any] = lambda _, answer: answer
    ) -> None:
        super().__init__(self._forward)
        self.upstream = upstream
        self.afterwards = afterwards

    async def _forward(self, body: Any) -> Any:
        async with ClientSession() as session, session.post(self.upstream, json=body) as response:
            answer = await response.json()
        answer = self.afterwards(body, answer)
        return await answer if inspect.isawaitable(answer) else answer


@asynccontextmanager
async def client(*answers: Answer, chain_id: int | None = None, **options: Any) -> AsyncIterator[Any]:
    """A client of one server for each answer: gives `rpc, node, node …`."""
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(Node(answer)) for answer in answers]
        rpc = await stack.enter_async_context(Rpc([node.url for node in nodes], chain_id=chain_id, **options))
        yield rpc, *nodes


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let them pass at once."""
        self.now += seconds


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition that something in the background makes true; ten seconds at most."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  the code under test tells nobody
            await asyncio.sleep(0.01)


def has(body: Any, method: str) -> bool:
    """Whether a body holds a call of this method."""
    calls: Sequence[dict[str, Any]] = body if isinstance(body, list) else [body]
    return any(call["method"] == method for call in calls)
