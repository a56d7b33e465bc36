"""Does a workflow's trigger hold? Asked by the scheduler, and again by the worker before it signs (DESIGN I4)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from autometa_cli.chain.blocks import Block
from autometa_cli.chain.faults import RpcFault
from autometa_cli.chain.transfers import native_of, of_receipt, receipt
from autometa_cli.chain.trigger_data import decode_trigger
from autometa_cli.chain.triggers import PriceTrigger, Trigger, TriggerType, WalletTrigger
from autometa_cli.chain.words import BadEncoding
from autometa_cli.errors import RpcUnreachable
from autometa_cli.executor.decision import WhyNot
from autometa_cli.scheduling.occasion import Event, read_document
from autometa_cli.scheduling.price import Price, Unusable
from autometa_cli.scheduling.prices import PriceBook
from autometa_cli.scheduling.wallets import WalletEvents
from autometa_cli.units import duration, from_wei

if TYPE_CHECKING:
    from autometa_cli.chain.contracts import Workflow
    from autometa_cli.chain.view import View
    from autometa_cli.config import Settings
    from autometa_cli.jobs.queue import JobQueue

_log = logging.getLogger(__name__)


class Oddity(Enum):
    """Why a workflow's trigger needs somebody's attention: nobody can read it, or no source tells its price."""

    UNREADABLE = "unreadable"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is odd about a trigger, for people.

    Attributes:
        blocks: the workflow is never executed while it is so. Unreadable data of a time trigger blocks
            nothing: only `nextRun` and `interval` decide there.
    """

    oddity: Oddity
    text: str
    blocks: bool


_decoded: Callable[[int, bytes], Trigger] = lru_cache(maxsize=65536)(decode_trigger)


def examine(trigger_type: int, trigger_data: bytes) -> Finding | None:
    """What is odd about a trigger, or None. Depends on nothing else, so it needs asking only once."""
    try:
        _decoded(trigger_type, trigger_data)
    except BadEncoding as error:
        return Finding(Oddity.UNREADABLE, str(error), blocks=trigger_type != TriggerType.TIME)
    return None


class Triggers:
    """Evaluates triggers (`executor.check.Triggers`), for the scheduler and for workers.

    Args:
        prices: where prices come from; none where not given.
        events: the transfers that a scheduler follows; a worker looks each one up by itself.

    Example:
        >>> triggers = Triggers.of(settings)
        >>> await triggers.evaluate(workflow, await rpc.view(), now)
        'DOT is 4.9 USD (price feed 0x1234…abcd, 12s old), not > 5'
    """

    def __init__(self, prices: PriceBook | None = None, events: WalletEvents | None = None) -> None:
        self._prices = prices or PriceBook()
        self._events = events
        self._trouble = ""
        self._quotes: tuple[View | None, int, dict[str, Price | Unusable]] = (None, 0, {})

    @classmethod
    def of(cls, settings: Settings, queue: JobQueue | None = None) -> Triggers:
        """As configured. Raises ConfigError.

        Args:
            queue: a scheduler's, where it keeps what it knows of transfers.
        """
        events = WalletEvents(settings, queue) if queue is not None else None
        return cls(PriceBook.of(settings), events)

    def examine(self, workflow: Workflow) -> Finding | None:
        """What is odd about a workflow's trigger, or None; the same for as long as neither it nor we change."""
        finding = examine(workflow.trigger_type, workflow.trigger_data)
        if finding is None and workflow.trigger_type == TriggerType.PRICE:
            trigger = _decoded(workflow.trigger_type, workflow.trigger_data)
            gap = self._prices.gap(trigger.symbol) if isinstance(trigger, PriceTrigger) else ""
            return Finding(Oddity.UNSUPPORTED, gap, blocks=True) if gap else None
        return finding

    async def prepare(
        self,
        workflows: Mapping[int, Workflow],
        changed: Iterable[Workflow],
        due: Iterable[Workflow],
        view: View,
        final: View,
        now: int,
    ) -> None:
        """Before a pass evaluates: read on in the chain's transfers, and all prices that it needs in one request.

        Where transfers cannot be read, what is known of them stays, and the pass goes on.

        Args:
            workflows: all that there are, by id.
            changed: of these, those that are new or different since the last pass.
            due: those that will be evaluated.

        Raises:
            redis.exceptions.RedisError
        """
        if self._events is not None:
            self._events.look(workflows, changed)
            try:
                await self._events.follow(final)
            except (RpcFault, RpcUnreachable) as error:  # must not stop the other triggers
                self._say(f"transfers cannot be read, so wallet events wait: {error.message}")
            else:
                self._say("")
        symbols = {
            trigger.symbol
            for workflow in due
            if workflow.trigger_type == TriggerType.PRICE
            and isinstance(trigger := _decoded(workflow.trigger_type, workflow.trigger_data), PriceTrigger)
        }
        quotes = await self._prices.quote(symbols, view, now) if symbols else {}
        self._quotes = (view, now, quotes)

    def _say(self, trouble: str) -> None:
        if trouble and not self._trouble:
            _log.warning("%s", trouble)
        elif self._trouble and not trouble:
            _log.info("transfers are read again")
        self._trouble = trouble

    def event(self, workflow: Workflow) -> Event | None:
        """The transfer that a workflow with a wallet trigger runs for next."""
        if self._events is None or workflow.trigger_type != TriggerType.WALLET:
            return None
        return self._events.waiting.get(workflow.id)

    async def evaluate(self, workflow: Workflow, view: View, now: int) -> str | None:
        """None when the trigger holds, else why it does not, or cannot be told.

        Args:
            view: where to look; one decision, one view.
            now: the later of the view's timestamp and Redis TIME, seconds since 1970.
        """
        wait = workflow.next_run - now
        if wait > 0:
            return f"due in {duration(wait)}"
        if workflow.trigger_type == TriggerType.TIME:
            return None
        try:
            trigger = _decoded(workflow.trigger_type, workflow.trigger_data)
        except BadEncoding as error:
            return str(error)
        if isinstance(trigger, PriceTrigger):
            why_not = await self._price(trigger, view, now)
            return why_not.text if why_not else None
        return None if self.event(workflow) is not None else "no transfer that fires it waits for its run"

    async def recheck(
        self, workflow: Workflow, view: View, final: View, now: int, event: Any
    ) -> WhyNot | None:
        """The worker's own look at the condition of a workflow that is due (DESIGN I4); None when it holds.

        Args:
            final: the last final block at the view's endpoint; transfers count from there on back.
            event: the payload's, which anybody may have written: it is looked up on the chain.

        Raises:
            RpcUnreachable
        """
        if workflow.trigger_type == TriggerType.TIME:
            return None
        try:
            trigger = _decoded(workflow.trigger_type, workflow.trigger_data)
        except BadEncoding as error:
            return WhyNot("ceased", str(error))
        match trigger:
            case PriceTrigger():
                return await self._price(trigger, view, now)
            case WalletTrigger():
                return await _transfer(workflow, trigger, final, read_document(event))
            case _:
                return None

    async def price(self, symbol: str, view: View, now: int) -> Price | Unusable:
        """What a token costs, or why that cannot be told."""
        at, when, quotes = self._quotes
        if at is not view or when != now or symbol not in quotes:
            quotes = await self._prices.quote((symbol,), view, now)
        return quotes[symbol]

    async def _price(self, trigger: PriceTrigger, view: View, now: int) -> WhyNot | None:
        price = await self.price(trigger.symbol, view, now)
        if isinstance(price, Unusable):
            return WhyNot("unknown", f"no price of {trigger.symbol}: {price.text}")
        if price.meets(trigger):
            return None
        return WhyNot(
            "ceased",
            f"{trigger.symbol} is {price.usd} USD ({price.source}, {price.age(now)}), "
            f"not {trigger.comparator} {from_wei(trigger.threshold)}",
        )


async def _transfer(
    workflow: Workflow, trigger: WalletTrigger, final: View, event: Event | None
) -> WhyNot | None:
    if event is None:
        return WhyNot("ceased", "the job names no transfer that it runs for")
    if event.block > final.block.number:
        return WhyNot("unknown", f"the transfer's block {event.block} is not final here yet")
    try:
        mined = await receipt(final, event.tx)
        if mined is None:
            return WhyNot("lost", f"{final.endpoint.name} does not know the transfer {event.name}")
        block = Block.parse(await final.request("eth_getBlockByNumber", (hex(mined.block_number), False)))
        if mined.block_number > final.block.number or mined.block_hash != block.hash:
            return WhyNot("unknown", f"the transfer {event.name} is not final yet")
        transfers = of_receipt(mined)
        if event.ordinal is None:
            native = await native_of(final, event.tx)
            transfers = [native] if native is not None else []
    except RpcFault as fault:
        return WhyNot("unknown", f"the transfer {event.name} cannot be looked up: {fault.message}")
    fire = [each for each in transfers if each.fires(trigger, workflow.owner)]
    if mined.status != 1 or len(fire) <= (event.ordinal or 0):
        return WhyNot("ceased", f"the transfer {event.name} does not fire it")
    return None
