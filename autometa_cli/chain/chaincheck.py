"""Does a server serve the chain that we mean? Asked on every connect, once for all who wait for the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from autometa_cli.chain.faults import EndpointDown, RpcFault, WrongChain, quantity


class ChainCheck:
    """Whether an endpoint's chain id is the expected one.

    Args:
        name: the endpoint's redacted URL.
        expected: the chain id; None to take any.
        ask: requests `eth_chainId`.
    """

    def __init__(self, name: str, expected: int | None, ask: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._name = name
        self._expected = expected
        self._ask = ask
        self._found: int | None = None  # what a server of another chain said
        self._asking: asyncio.Task[None] | None = None
        #: The answer is known, and is the right one.
        self.passed = expected is None

    def doubt(self) -> None:
        """A connection was made, or broke: what answers at this URL next may be another server."""
        if self._expected is not None and self._asking is None:
            self.passed = False

    @property
    def asking(self) -> bool:
        """The question is on its way."""
        return self._asking is not None

    async def run(self) -> None:
        """Ask where the answer is not known. Raises WrongChain (for ever) or EndpointDown."""
        if self._found is not None:
            raise self._wrong(self._found)
        if self.passed:
            return
        if self._asking is None:
            self._asking = asyncio.create_task(self._run())
            self._asking.add_done_callback(self._done)
        await asyncio.shield(self._asking)

    async def end(self) -> None:
        """Wait until nothing is on its way."""
        if self._asking is not None:
            await asyncio.wait([self._asking])

    async def _run(self) -> None:
        try:
            found = quantity(await self._ask(), "eth_chainId")
        except RpcFault as fault:
            raise EndpointDown(self._name, f"it does not tell its chain id: {fault.text}") from None
        if found != self._expected:
            self._found = found
            raise self._wrong(found)
        self.passed = True

    def _done(self, task: asyncio.Task[None]) -> None:
        self._asking = None
        if not task.cancelled():
            task.exception()  # looked at by those who wait, of whom none may be left

    def _wrong(self, found: int) -> WrongChain:
        return WrongChain(self._name, expected=self._expected or 0, found=found)
