"""The chain over JSON-RPC: several endpoints in order, reads that fail over, sends that never repeat."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from autometa_cli.chain.blocks import Block, Receipt
from autometa_cli.chain.broadcast import Broadcast
from autometa_cli.chain.endpoint import Endpoint
from autometa_cli.chain.faults import EndpointDown, RpcFault, WrongChain, quantity
from autometa_cli.chain.roster import Roster
from autometa_cli.chain.sendanswers import SendAnswer
from autometa_cli.chain.view import View, together
from autometa_cli.errors import ConfigError, RpcUnreachable

if TYPE_CHECKING:
    from autometa_cli.config import Settings


class Rpc:
    """One chain through one or more endpoints. Belongs to one event loop; use `async with`, or `close`.

    Args:
        urls: tried in this order, as long as all are well (`Roster`).
        chain_id: what each must serve; None to take any.
        timeout: seconds for one exchange.
        batch_size: the most calls in one JSON-RPC batch.
        rate: calls a second for one endpoint by its URL; None: as many as there are.
        private_url: the only one that gets what is sent (`Broadcast`); None: the same that are read from.
        broadcast_all: send to all that are well, not only to the first.
        block_time: seconds between two blocks, as a rule.
        clock: monotonic seconds.
        calendar: seconds since 1970. It only makes a head look old enough to ask the other endpoints for theirs.

    Raises:
        ConfigError: no URL, or one that is not http or https.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        chain_id: int | None,
        timeout: float = 10.0,
        batch_size: int = 100,
        rate: Callable[[str], int | None] = lambda url: None,
        private_url: str | None = None,
        broadcast_all: bool = False,
        block_time: float = 6.0,
        clock: Callable[[], float] = time.monotonic,
        calendar: Callable[[], float] = time.time,
    ) -> None:
        if not urls:
            raise ConfigError("no RPC endpoint is configured", "set RPC_URLS, or NETWORK to a known network")

        def endpoint(url: str) -> Endpoint:
            return Endpoint(
                url, chain_id=chain_id, timeout=timeout, batch_size=batch_size, rate=rate(url), clock=clock
            )

        self._roster = Roster([endpoint(url) for url in urls], clock, block_time)
        self._private = None
        if private_url is not None:
            self._private = Roster([endpoint(private_url)], clock, block_time, "PRIVATE_RPC_URL")
        self._broadcast = Broadcast(self._roster, self._private, everywhere=broadcast_all)
        self._calendar = calendar
        self._looking: set[asyncio.Task[None]] = set()

    @classmethod
    def of(cls, settings: Settings, *, timeout: float = 10.0) -> Rpc:
        """As configured."""
        return cls(
            settings.rpc_urls,
            chain_id=settings.chain_id,
            timeout=timeout,
            rate=settings.rpc_rate,
            private_url=settings.private_rpc_url,
            broadcast_all=settings.broadcast_all,
            block_time=settings.network.block_time,
        )

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Those that are read from, as configured."""
        return self._roster.endpoints

    async def __aenter__(self) -> Rpc:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. What is still under way fails; sends count as ambiguous."""
        for endpoint in (*self.endpoints, *(self._private.endpoints if self._private else ())):
            await endpoint.close()
        await self._broadcast.close()
        await asyncio.gather(*self._looking)

    async def request(self, method: str, params: Sequence[Any] = ()) -> Any:
        """One read, from the first endpoint that answers.

        Raises:
            RpcFault: the node's answer is an error.
            RpcUnreachable: no endpoint gave a usable answer; says why, for each.
            ConfigError: every endpoint serves another chain.
        """
        trouble: list[EndpointDown] = []
        endpoints = self._roster.order()
        for endpoint in endpoints:
            try:
                result = await endpoint.request(method, params, patient=endpoint is endpoints[-1])
            except EndpointDown as error:
                self._roster.down(endpoint, error)
                trouble.append(error)
            except WrongChain as error:
                self._roster.set_aside(endpoint, error)
            else:
                self._roster.up(endpoint)
                return result
        raise self._roster.nobody(trouble)

    async def send_raw(self, raw: bytes) -> SendAnswer:
        """Offer signed bytes: to one endpoint, to all, or to the private one, as configured.

        Network trouble is an answer too ("ambiguous"), never an exception, and nothing is ever repeated, except at
        an endpoint that did not look at the bytes because it is asked too often.

        Raises:
            ConfigError: every endpoint that may be sent to serves another chain.
        """
        return await self._broadcast.send(raw)

    async def check_private(self) -> None:
        """Ask PRIVATE_RPC_URL, where it is set, for its chain id. Raises RpcUnreachable, or ConfigError."""
        await self._broadcast.check_private()

    def send_trouble(self) -> str:
        """Why nothing can be sent at present although the chain can be read, or ""; for people."""
        return self._broadcast.trouble()

    async def view(self, block: int | str = "latest") -> View:
        """Pin one endpoint and one block: a height, or "latest", "finalized", "safe", "pending".

        The newest block is that of the first endpoint that does not lag behind another one.

        Raises RpcUnreachable where no endpoint has the block, ConfigError as `request`.
        """
        tag = hex(block) if isinstance(block, int) else block
        trouble: list[EndpointDown] = []
        lagging: list[View] = []
        endpoints = self._roster.order()
        if block == "latest":
            self._look_at_lagging()
        for endpoint in endpoints:
            patient = endpoint is endpoints[-1] and not lagging
            try:
                answer = await endpoint.request(
                    "eth_getBlockByNumber", (tag, False), patient=patient, urgent=isinstance(block, str)
                )
            except EndpointDown as error:
                self._roster.down(endpoint, error)
                trouble.append(error)
            except WrongChain as error:
                self._roster.set_aside(endpoint, error)
            except RpcFault as fault:
                trouble.append(EndpointDown(endpoint.name, f"it does not give block {block}: {fault.text}"))
            else:
                self._roster.up(endpoint)
                if answer is None:
                    trouble.append(EndpointDown(endpoint.name, f"it does not have block {block} (yet)"))
                    continue
                view = View(endpoint, Block.parse(answer), self._roster.down)
                if block != "latest" or not await self._lags(view):
                    return view
                lagging.append(view)
        if lagging:
            return max(lagging, key=lambda view: view.block.number)
        raise self._roster.nobody(trouble)

    async def block(self, block: int | str = "latest") -> Block | None:
        """One block by height or tag; None where the node that answers has none."""
        tag = hex(block) if isinstance(block, int) else block
        answer = await self.request("eth_getBlockByNumber", (tag, False))
        return None if answer is None else Block.parse(answer)

    async def final(self, confirmations: int | None) -> Block:
        """The newest block that counts as final.

        Args:
            confirmations: None for the `finalized` tag; n for the block that n blocks, itself included,
                have confirmed (1 is the newest).

        Raises:
            RpcUnreachable: no endpoint answered, or none knows a final block yet.
        """
        if confirmations is None:
            return (await self.view("finalized")).block
        newest = await self.view()
        if confirmations <= 1:
            return newest.block
        height = max(0, newest.block.number - (confirmations - 1))
        answer = await newest.request("eth_getBlockByNumber", (hex(height), False))
        if answer is None:
            raise EndpointDown(newest.endpoint.name, f"it does not have block {height}")
        return Block.parse(answer)

    async def receipts(self, hashes: Sequence[str]) -> list[Receipt | None]:
        """The receipts of transactions, in order; None for those not mined as far as the node knows."""
        answers = await together(*(self.request("eth_getTransactionReceipt", (each,)) for each in hashes))
        return [Receipt.parse(answer) for answer in answers]

    async def chain_id(self) -> int:
        """What the chain calls itself."""
        return quantity(await self.request("eth_chainId"), "eth_chainId")

    async def genesis_hash(self) -> str:
        """The hash of block 0: tells two chains with one id apart, and a local chain from its last life."""
        return (await self.view(0)).block.hash

    async def _lags(self, view: View) -> bool:
        """Whether an endpoint's newest block is well behind that of another one, which may have to be asked first."""
        roster, endpoint = self._roster, view.endpoint
        roster.saw(endpoint, view.block.number)
        old = self._calendar() - view.block.timestamp > roster.patience
        if (
            len(roster.endpoints) > 1
            and not roster.of(endpoint).lags
            and (old or roster.stands_still(endpoint))
        ):
            await asyncio.gather(*(self._look(other) for other in roster.unseen(but=endpoint)))
            roster.saw(endpoint, view.block.number)
        return roster.of(endpoint).lags

    def _look_at_lagging(self) -> None:
        """See, in the background, whether those that lagged have caught up."""
        if self._looking:
            return
        for endpoint in self._roster.unseen():
            if self._roster.of(endpoint).lags:
                task = asyncio.create_task(self._look(endpoint))
                self._looking.add(task)
                task.add_done_callback(self._looking.discard)

    async def _look(self, endpoint: Endpoint) -> None:
        try:
            answer = await endpoint.request("eth_getBlockByNumber", ("latest", False))
            if answer is not None:
                self._roster.saw(endpoint, Block.parse(answer).number)
        except EndpointDown as error:
            self._roster.down(endpoint, error)
        except WrongChain as error:
            self._roster.set_aside(endpoint, error)
        except (RpcFault, RpcUnreachable) as error:  # an answer, though none that helps
            self._roster.down(endpoint, EndpointDown(endpoint.name, error.message))
