"""What people ask of open transactions (`tx bump`, `tx cancel`), and the worker that holds them does.

A worker beside a living one must not write to what that one holds. So a person's wish is left in Redis; the holder
finds it within a moment, acts under its own fence, and says what came of it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from autometa_cli.executor.head import Head
    from autometa_cli.executor.ledger import Ledger
    from autometa_cli.executor.tracker import Tracker
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.record import Record
    from autometa_cli.jobs.script import Answer

Wish = Literal["bump", "cancel"]

#: A request that nobody obeyed is forgotten after so long, seconds.
LAPSES_SECONDS = 3600

_log = logging.getLogger(__name__)


async def ask(queue: JobQueue, record: Record, wish: Wish) -> Answer:
    """Leave a wish for whoever holds the record (see `request.lua`)."""
    return await _request(queue, record.key, wish, "", record.sender, str(record.nonce))


async def asked(queue: JobQueue, key: str) -> str:
    """What is asked of a record and not done yet: `bump`, `cancel` or ""."""
    stood = await queue.redis.hget(queue.keys.requests, key)
    return stood.decode("utf-8", "replace").partition(" ")[0] if stood else ""


async def obey(queue: JobQueue, ledger: Ledger, tracker: Tracker, head: Head) -> None:
    """Do what was asked of the transactions that this worker holds.

    Raises RpcUnreachable, redis.exceptions.RedisError: what was not done is still asked for.
    """
    for name, stood in (await queue.redis.hgetall(queue.keys.requests)).items():
        key = name.decode("utf-8", "replace")
        wish, _, where = stood.decode("utf-8", "replace").partition(" ")
        sender, _, nonce = where.partition(":")
        if not tracker.holds(key):
            continue
        if (sender, nonce) == tracker.place(key):
            said = await (tracker.cancel(key, head) if wish == "cancel" else tracker.bump(key, head))
            _log.info("%s: asked to %s it: %s", key, wish, said)
            await ledger.note(key, said=said)
        await _request(queue, key, "done", wish, sender, nonce)


async def _request(queue: JobQueue, key: str, what: str, wish: str, sender: str, nonce: str) -> Answer:
    k = queue.keys
    return await queue.scripts.call(
        "request",
        [k.epoch, k.workers, k.occurrence(key), k.requests],
        [key, what, wish, sender, nonce, LAPSES_SECONDS],
    )
