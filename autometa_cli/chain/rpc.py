"""The chain over JSON-RPC: several endpoints in order, reads that fail over, sends that never repeat.

The names that the rest of the program uses can all be imported from here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from autometa_cli.chain.blocks import Block, Log, Receipt
from autometa_cli.chain.endpoint import Endpoint
from autometa_cli.chain.faults import EndpointDown, RpcFault, WrongChain, quantity
from autometa_cli.chain.sendanswers import AnswerClass, SendAnswer
from autometa_cli.chain.view import View, together
from autometa_cli.errors import ConfigError, RpcUnreachable

if TYPE_CHECKING:
    from autometa_cli.config import Settings

__all__ = [
    "Block",
    "Endpoint",
    "EndpointDown",
    "Log",
    "Receipt",
    "Rpc",
    "RpcFault",
    "SendAnswer",
    "View",
    "WrongChain",
    "together",
]

#: Seconds for which a failing endpoint rests: the first time, doubled each time, up to the longest.
FIRST_REST = 0.5
LONGEST_REST = 30.0

_log = logging.getLogger(__name__)


class _Health:
    """How one endpoint has been doing lately."""

    __slots__ = ("failures", "last_error", "resting_until", "wrong")

    def __init__(self) -> None:
        self.failures = 0
        self.resting_until = 0.0
        self.last_error = ""
        self.wrong: WrongChain | None = None


class Rpc:
    """One chain through one or more endpoints. Belongs to one event loop; use `async with`, or `close`.

    Args:
        urls: tried in this order; a failing one rests for a growing pause, unless all do.
        chain_id: what each must serve; None to take any.
        timeout: seconds for one exchange.
        batch_size: the most calls in one JSON-RPC batch.
        clock: monotonic seconds.

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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not urls:
            raise ConfigError("no RPC endpoint is configured", "set RPC_URLS, or NETWORK to a known network")
        self.endpoints = tuple(
            Endpoint(url, chain_id=chain_id, timeout=timeout, batch_size=batch_size) for url in urls
        )
        self._health = {endpoint: _Health() for endpoint in self.endpoints}
        self._clock = clock

    @classmethod
    def of(cls, settings: Settings) -> Rpc:
        """As configured: RPC_URLS and CHAIN_ID."""
        return cls(settings.rpc_urls, chain_id=settings.chain_id)

    async def __aenter__(self) -> Rpc:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. What is still under way fails; sends count as ambiguous."""
        for endpoint in self.endpoints:
            await endpoint.close()

    async def request(self, method: str, params: Sequence[Any] = ()) -> Any:
        """One read, from the first endpoint that answers.

        Raises:
            RpcFault: the node's answer is an error.
            RpcUnreachable: no endpoint gave a usable answer; says why, for each.
            ConfigError: every endpoint serves another chain.
        """
        trouble: list[EndpointDown] = []
        endpoints = self._order()
        for endpoint in endpoints:
            try:
                result = await endpoint.request(method, params, patient=endpoint is endpoints[-1])
            except EndpointDown as error:
                self._down(endpoint, error)
                trouble.append(error)
            except WrongChain as error:
                self._set_aside(endpoint, error)
            else:
                self._up(endpoint)
                return result
        raise self._nobody(trouble)

    async def send_raw(self, raw: bytes) -> SendAnswer:
        """Offer signed bytes to one endpoint, once: the first that is not resting and serves our chain.

        Network trouble is an answer too ("ambiguous"), never an exception, and nothing is ever repeated.

        Raises:
            ConfigError: every endpoint serves another chain.
        """
        trouble: list[EndpointDown] = []
        for endpoint in self._order():
            try:
                answer = await endpoint.send(raw)
            except EndpointDown as error:  # its chain id could not be asked, so nothing has left yet
                self._down(endpoint, error)
                trouble.append(error)
                continue
            except WrongChain as error:
                self._set_aside(endpoint, error)
                continue
            unanswered = answer.answer_class is AnswerClass.AMBIGUOUS and answer.code is None
            if unanswered or answer.answer_class is AnswerClass.RATE:
                self._down(endpoint, EndpointDown(endpoint.name, answer.text))
            else:
                self._up(endpoint)
            return answer
        nobody = self._nobody(trouble)
        if isinstance(nobody, ConfigError):
            raise nobody
        return SendAnswer.of(AnswerClass.AMBIGUOUS, nobody.message, trouble[-1].endpoint)

    async def view(self, block: int | str = "latest") -> View:
        """Pin one endpoint and one block: a height, or "latest", "finalized", "safe", "pending".

        Raises RpcUnreachable where no endpoint has the block, ConfigError as `request`.
        """
        tag = hex(block) if isinstance(block, int) else block
        trouble: list[EndpointDown] = []
        endpoints = self._order()
        for endpoint in endpoints:
            patient = endpoint is endpoints[-1]
            try:
                answer = await endpoint.request("eth_getBlockByNumber", (tag, False), patient=patient)
            except EndpointDown as error:
                self._down(endpoint, error)
                trouble.append(error)
            except WrongChain as error:
                self._set_aside(endpoint, error)
            except RpcFault as fault:
                trouble.append(EndpointDown(endpoint.name, f"it does not give block {block}: {fault.text}"))
            else:
                self._up(endpoint)
                if answer is not None:
                    return View(endpoint, Block.parse(answer), self._down)
                trouble.append(EndpointDown(endpoint.name, f"it does not have block {block} (yet)"))
        raise self._nobody(trouble)

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

    def _order(self) -> list[Endpoint]:
        """Those that are not resting, in order; the resting ones after them, soonest awake first."""
        now = self._clock()
        usable = [(endpoint, health) for endpoint, health in self._health.items() if health.wrong is None]
        awake = [endpoint for endpoint, health in usable if health.resting_until <= now]
        if len(awake) == len(usable):
            return awake
        resting = [pair for pair in usable if pair[1].resting_until > now]
        return awake + [endpoint for endpoint, _ in sorted(resting, key=lambda pair: pair[1].resting_until)]

    def _down(self, endpoint: Endpoint, error: EndpointDown) -> None:
        health = self._health[endpoint]
        now = self._clock()
        health.last_error = error.reason
        if health.resting_until > now:
            return  # one of many calls that failed together
        pause = min(LONGEST_REST, FIRST_REST * 2 ** min(health.failures, 10))
        if error.retry_after is not None:
            pause = min(LONGEST_REST, max(pause, error.retry_after))
        health.failures += 1
        health.resting_until = now + pause
        _log.warning("RPC endpoint %s: %s; resting %.1f s", endpoint.name, error.reason, pause)

    def _up(self, endpoint: Endpoint) -> None:
        health = self._health[endpoint]
        if health.failures:
            health.failures = 0
            health.resting_until = 0.0
            health.last_error = ""
            _log.info("RPC endpoint %s answers again", endpoint.name)

    def _set_aside(self, endpoint: Endpoint, error: WrongChain) -> None:
        health = self._health[endpoint]
        if health.wrong is None:
            health.wrong = error
            _log.error("%s; it is not used", error.message)

    def _nobody(self, trouble: Sequence[EndpointDown]) -> RpcUnreachable | ConfigError:
        wrong = [health.wrong for health in self._health.values() if health.wrong is not None]
        if len(wrong) == len(self.endpoints):
            return WrongChain(wrong[0].endpoint, expected=wrong[0].expected, found=wrong[0].found)
        reasons = [f"{error.endpoint}: {error.reason}" for error in trouble]
        reasons += [f"{error.endpoint}: it serves chain {error.found}" for error in wrong]
        return RpcUnreachable(
            f"no RPC endpoint gave an answer: {'; '.join(reasons)}",
            "check RPC_URLS (`autometa config show` tells where it comes from) and your network",
        )
