"""Wallet events: which transfers fire which workflows, each once.

Only final blocks are read, so no reorg takes a transfer back. What is found, and how far the chain was read, go to
Redis in one step (`note_events.lua`); a run takes its event out of there in the step that queues it (`enqueue.lua`).
A transfer during a run, or before the next run is due, waits; several that wait are served by one run.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autometa_cli.chain.blocks import Block
from autometa_cli.chain.contracts import Registry, Workflow
from autometa_cli.chain.faults import RpcFault
from autometa_cli.chain.transfers import Transfer, Watch, native_transfers, token_transfers
from autometa_cli.chain.trigger_data import decode_trigger
from autometa_cli.chain.triggers import TriggerType, WalletTrigger
from autometa_cli.chain.words import BadEncoding
from autometa_cli.errors import RpcUnreachable
from autometa_cli.jobs.job import job_json
from autometa_cli.scheduling.doubts import Doubts
from autometa_cli.scheduling.occasion import Event, read_waiting

if TYPE_CHECKING:
    from autometa_cli.chain.blocks import Log
    from autometa_cli.chain.view import View
    from autometa_cli.config import Settings
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.transfers import Cursor

_log = logging.getLogger(__name__)

#: Blocks that one pass reads at most, with native watchers and without: after an outage it catches up pass by pass.
MOST_BLOCKS_FULL = 500
MOST_RANGES = 20


@dataclass(frozen=True, slots=True)
class _Watched:
    workflow: Workflow
    trigger: WalletTrigger

    @property
    def wallet(self) -> str:
        return self.trigger.watched or self.workflow.owner.lower()


class WalletEvents:
    """Follows the transfers of the wallets that a registry's workflows watch.

    Attributes:
        waiting: the events that wait for a run, by workflow id, as of the last `follow`.
    """

    def __init__(self, settings: Settings, queue: JobQueue) -> None:
        self._transfers = queue.transfers
        self._registry = Registry(settings.registry_address or "")
        self._where = (settings.chain_id, (settings.actionexecutor_address or "").lower())
        self._range = settings.network.log_range
        self._doubts = Doubts(self._where[1], self._range)
        self._watched: dict[int, _Watched] = {}
        self._complete = False
        self.waiting: dict[int, Event] = {}

    def look(self, workflows: Mapping[int, Workflow], changed: Iterable[Workflow]) -> None:
        """Take in workflows that are new or have changed, at first all, and forget those that are gone."""
        if not self._complete:
            changed, self._complete = workflows.values(), True
        for workflow in changed:
            trigger = _trigger(workflow)
            if trigger is None:
                self._watched.pop(workflow.id, None)
            else:
                self._watched[workflow.id] = _Watched(workflow, trigger)
        for id in [id for id in self._watched if id not in workflows]:
            del self._watched[id]

    async def follow(self, final: View) -> None:
        """Read on up to the final block, and learn what waits.

        Raises:
            RpcUnreachable, RpcFault: what was read until then is noted.
            redis.exceptions.RedisError
        """
        cursor = await self._transfers.cursor(*self._where)
        self.waiting = {id: e for id, e in self.waiting.items() if self._doubts.clear(id, e, cursor.doubt)}
        await self._read_on(final, cursor)
        found = await self._transfers.waiting(*self._where)
        waiting = {id: event for id, text in found.items() if (event := read_waiting(text)) is not None}
        for id, log in (await self._doubts.look(final, waiting, cursor.doubt)).items():
            await self._bury(final, id, waiting.pop(id), log)
        self.waiting = {id: e for id, e in waiting.items() if self._doubts.clear(id, e, cursor.doubt)}
        unknown = [id for id in found if id not in self._watched]
        await self._transfers.forget(*self._where, await self._gone(final, unknown))

    async def _bury(self, final: View, id: int, event: Event, log: Log) -> None:
        workflow = await self._registry.get(final, id)
        if workflow is None:
            return  # it is dropped in a moment
        text = (
            f"Redis lost writes: transfer {event.name} in block {event.block} may have been served by "
            f"{log.transaction_hash} in block {log.block_number}"
        )
        _log.warning("workflow %d: %s; it is a dead letter now, and fires nothing by itself", id, text)
        # Tried again, it is an extra run: whoever looked at the chain decides, not the schedule.
        job = job_json(workflow, now=True, event=event.document())
        await self._transfers.bury(*self._where, id, event.waiting, event.name, job, text)

    async def _read_on(self, final: View, cursor: Cursor) -> None:
        last, at, genesis = final.block.number, cursor.block, cursor.genesis
        if at is None or (last < at and await _genesis(final) != genesis):
            await self._begin(final, at)
            return
        if not self._watched:
            if at < last:
                await self._transfers.note(*self._where, since=at, upto=last, genesis=genesis, events=())
            return
        watch = self._watch()
        ranges, left = 0, MOST_BLOCKS_FULL if watch.native else last
        while at < last and ranges < MOST_RANGES and left > 0:
            upto = min(last, at + min(self._range, left))
            events = await self._events(final, watch, at + 1, upto)
            answer = await self._transfers.note(
                *self._where, since=at, upto=upto, genesis=genesis, events=events
            )
            if answer.word != "ok":
                return  # another scheduler reads the same blocks; what it notes is found below
            ranges, left, at = ranges + 1, left - (upto - at), upto
        if at < last:
            _log.info("transfers are read up to block %d, %d behind the final one", at, last - at)

    async def _begin(self, final: View, since: int | None) -> None:
        await self._transfers.note(
            *self._where,
            since=since,
            upto=final.block.number,
            genesis=await _genesis(final),
            events=(),
        )
        level = logging.INFO if self._watched else logging.DEBUG
        _log.log(
            level, "transfers are followed from block %d on; earlier ones fire nothing", final.block.number
        )

    def _watch(self) -> Watch:
        tokens, native = set(), set()
        ways: dict[str, set[str]] = {"incoming": set(), "outgoing": set()}
        for each in self._watched.values():
            if each.trigger.token is None:
                native.add(each.wallet)
            else:
                tokens.add(each.trigger.token)
                ways[each.trigger.direction].add(each.wallet)
        return Watch(
            frozenset(tokens), frozenset(ways["incoming"]), frozenset(ways["outgoing"]), frozenset(native)
        )

    async def _events(self, view: View, watch: Watch, first: int, last: int) -> list[tuple[int, str, int]]:
        transfers = await token_transfers(view, watch, first, last)
        if watch.native:
            transfers += await native_transfers(view, watch.native, first, last)
        by_wallet: dict[tuple[str, str, str | None], list[_Watched]] = {}
        for each in self._watched.values():
            by_wallet.setdefault((each.trigger.direction, each.wallet, each.trigger.token), []).append(each)
        found: dict[int, Event] = {}
        counts: Counter[int] = Counter()
        ordinals: Counter[tuple[int, str]] = Counter()
        for transfer in sorted(transfers, key=lambda each: (each.block, each.index)):
            keys = (
                ("incoming", transfer.recipient, transfer.token),
                ("outgoing", transfer.sender, transfer.token),
            )
            for watched in (each for key in keys for each in by_wallet.get(key, ())):
                workflow = watched.workflow
                if not transfer.fires(watched.trigger, workflow.owner):
                    continue
                ordinal = ordinals[workflow.id, transfer.tx]
                ordinals[workflow.id, transfer.tx] += 1
                if await self._watched_then(view, transfer, workflow):
                    counts[workflow.id] += 1
                    place = None if transfer.token is None else ordinal
                    found[workflow.id] = Event(transfer.tx, place, transfer.block)
        for id, event in found.items():
            _log.info("workflow %d: %s in block %d fires it", id, event.name, event.block)
        return [(id, event.noted, counts[id]) for id, event in found.items()]

    async def _watched_then(self, view: View, transfer: Transfer, workflow: Workflow) -> bool:
        """Was the workflow there, active, and with this trigger when the transfer happened?

        An endpoint that does not keep old states cannot tell. Then what is so now counts.
        """
        block = Block(transfer.block, "", 0, 0, 0, ())
        try:
            then = await self._registry.get(view.pinned(block), workflow.id)
        except (RpcFault, RpcUnreachable) as error:
            _log.debug("workflow %d at block %d: %s", workflow.id, transfer.block, error)
            return workflow.active
        return (
            then is not None
            and then.active
            and (then.trigger_data, then.owner) == (workflow.trigger_data, workflow.owner)
        )

    async def _gone(self, final: View, ids: list[int]) -> list[int]:
        """Those that the final block does not have, or whose trigger is of another kind."""
        if not ids:
            return []
        try:
            found = await self._registry.get_many(final, ids)
        except RpcFault as fault:  # one that cannot be read must not stop the others
            _log.debug("events of workflows that are not watched are left: %s", fault)
            return []
        return [id for id, workflow in found.items() if workflow is None or _trigger(workflow) is None]


def _trigger(workflow: Workflow) -> WalletTrigger | None:
    if workflow.trigger_type != TriggerType.WALLET:
        return None
    try:
        trigger = decode_trigger(workflow.trigger_type, workflow.trigger_data)
    except BadEncoding:
        return None
    return trigger if isinstance(trigger, WalletTrigger) else None


async def _genesis(view: View) -> str:
    return Block.parse(await view.request("eth_getBlockByNumber", ("0x0", False))).hash


async def newest_event(final: View, workflow: Workflow, first: int) -> Event | None:
    """The newest transfer from block `first` to the final one that fires a workflow. Raises as `token_transfers`."""
    trigger = _trigger(workflow)
    if trigger is None:
        return None
    last = final.block.number
    wallet = frozenset({trigger.watched or workflow.owner.lower()})
    if trigger.token is None:
        transfers = await native_transfers(final, wallet, first, last)
    else:
        watch = Watch(frozenset({trigger.token}), wallet, wallet, frozenset())
        transfers = await token_transfers(final, watch, first, last)
    fire = [each for each in transfers if each.fires(trigger, workflow.owner)]
    if not fire:
        return None
    newest = fire[-1]
    ordinal = sum(each.tx == newest.tx for each in fire) - 1
    return Event(newest.tx, None if trigger.token is None else ordinal, newest.block)
