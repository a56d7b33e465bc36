"""An RPC gateway in front of the chain that hurts whoever uses it, in one of the ways that gateways do.

Every send is hurt the first time that its bytes come by, and some exchanges of reads; what comes again passes, so that
a worker which does the right thing gets to the end.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession, web

from tests.chain.loopback import Node, page

#: What can be done to an exchange.
FAULTS = (
    "drops the answer",
    "is slow",
    "is slow to forward",
    "429",
    "502",
    "garbage",
    "garbage afterwards",
    "duplicates",
)
_SEND = "eth_sendRawTransaction"
_TAGS = ("latest", "pending", "safe", "finalized")


class Gateway(Node):
    """The server: `async with gateway(network.rpc_url) as wire`; then `wire.url`.

    Attributes:
        fault: one of FAULTS, or "" for none.
        delay: of one that is slow, seconds; more than a client's timeout.
        chance: that an exchange of reads is hurt; for at most `reads` of them.
        hurt: how many exchanges were, by whether they held a send.
        limit: calls that it passes in half a second, a batch counting as its calls; 0 for no limit.
        refused: how many exchanges were above it.
    """

    def __init__(self, upstream: str, session: ClientSession, delay: float) -> None:
        super().__init__(self._handle_body)
        self._upstream = upstream
        self._session = session
        self.fault = ""
        self.delay = delay
        self.hurt = {True: 0, False: 0}
        self.limit = 0
        self.refused = 0
        self._passed: deque[tuple[float, int]] = deque()
        self._seen: set[str] = set()
        self._dice = random.Random(7)
        self.chance = 0.3
        self.reads = 0
        self._head = ""

    async def stop_the_clock(self, blocks_ago: int = 0) -> None:
        """From now on show the state of so many blocks ago, whatever is asked."""
        self._head = ""
        newest = await self._forward({"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": []})
        self._head = hex(int(newest["result"], 16) - blocks_ago)

    def go_on(self) -> None:
        """Show the chain as it is."""
        self._head = ""

    async def _handle_body(self, body: Any) -> Any:
        self.bodies.clear()
        if self.limit and self._too_many(len(body) if isinstance(body, list) else 1):
            self.refused += 1
            return page(429)
        sending = _SEND in json.dumps(body)
        if not self.fault or not self._hurts(body, sending):
            return await self._forward(body)
        self.hurt[sending] += 1
        match self.fault:
            case "drops the answer":
                await self._forward(body)
                return None
            case "is slow":
                answer = await self._forward(body)
                await asyncio.sleep(self.delay)
                return answer
            case "is slow to forward":
                await asyncio.sleep(self.delay)
                return await self._forward(body)
            case "429" | "502":
                return page(int(self.fault))
            case "garbage":
                return web.Response(body=b"\xff\xfe<html>\x00")
            case "garbage afterwards":
                await self._forward(body)
                return '{"jsonrpc":"2.0","id":1,"result":"0x'
            case _:
                await self._forward(body)
                return await self._forward(body)

    def _hurts(self, body: Any, sending: bool) -> bool:
        if not sending:
            hurts = self.reads > 0 and self._dice.random() < self.chance
            self.reads -= hurts
            return hurts
        calls = body if isinstance(body, list) else [body]
        raws = {call["params"][0] for call in calls if call["method"] == _SEND}
        new = not raws <= self._seen
        self._seen |= raws
        return new

    def _too_many(self, count: int) -> bool:
        now = asyncio.get_running_loop().time()
        while self._passed and self._passed[0][0] < now - 0.5:
            self._passed.popleft()
        if sum(number for _, number in self._passed) + count > self.limit:
            return True
        self._passed.append((now, count))
        return False

    async def _forward(self, body: Any) -> Any:
        if self._head:
            body = [self._earlier(call) for call in body] if isinstance(body, list) else self._earlier(body)
        async with self._session.post(self._upstream, json=body) as response:
            return await response.json()

    def _earlier(self, call: dict[str, Any]) -> dict[str, Any]:
        if call["method"] == "eth_blockNumber":
            call = {**call, "method": "eth_getBlockByNumber", "params": ["latest", False]}
        return {**call, "params": [self._head if each in _TAGS else each for each in call["params"]]}


@asynccontextmanager
async def gateway(upstream: str, delay: float = 1.5) -> AsyncIterator[Gateway]:
    """A gateway that listens; gone at the end."""
    async with ClientSession() as session, Gateway(upstream, session, delay) as wire:
        yield wire
