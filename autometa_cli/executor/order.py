"""A person's wish for one transaction (`tx bump`, `tx cancel`), carried to whoever may do it.

That is the worker that holds it, where it lives; else another with its key, which takes it over within a moment; else
this process, with that key, for the time of an errand. Nobody else: another key cannot sign for the nonce.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autometa_cli.errors import AutometaError
from autometa_cli.executor.errand import Errand, Held, followed
from autometa_cli.executor.requests import ask, asked
from autometa_cli.executor.standing import Crew
from autometa_cli.jobs.record import SIGNED_STATES

if TYPE_CHECKING:
    from autometa_cli.executor.executor import EVMExecutor
    from autometa_cli.executor.requests import Wish
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.record import Record

#: Seconds between two looks at Redis.
_LOOK_SECONDS = 0.2

#: Gives an executor with the configured key. Raises ConfigError where that is not the record's.
Own = Callable[[], AbstractAsyncContextManager["EVMExecutor"]]


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a wish.

    Attributes:
        by: id of the worker that was asked, or of the errand; "" where nobody was.
        ours: this process did it.
        obeyed: it was dealt with; else it stands and may be dealt with yet.
        said: what that led to, in the words of who did it.
        record: as it is now; None where it is gone.
        before: as it was.
    """

    by: str
    ours: bool
    obeyed: bool
    said: str
    record: Record | None
    before: Record

    @property
    def ended(self) -> bool:
        """A final block has decided about the nonce."""
        return not _open(self.record, self.before)

    @property
    def raised(self) -> bool:
        """Something was signed at the nonce that was not before."""
        now = self.record
        return now is not None and len(now.attempts_sent) > len(self.before.attempts_sent)


async def carry_out(
    queue: JobQueue,
    record: Record,
    wish: Wish,
    own: Own,
    *,
    until: float,
    wait: bool,
    tell: Callable[[str], None],
) -> Done:
    """See that it is done, and with `wait` what comes of it.

    Args:
        until: time of the event loop's clock.
        wait: until a final block has decided; else only until the wish is left, or done by this process.
        tell: hears what is going on.

    Raises:
        ConfigError: nobody alive has the key, and it is not configured here.
        AutometaError: the record is not signed any more; the ledger is in doubt.
        RpcUnreachable, redis.exceptions.RedisError
    """
    await queue.join()
    loop, told = asyncio.get_running_loop(), ""
    while True:
        crew = Crew(await queue.workers.members())
        now = await queue.record(record.key)
        if now is None or not _open(now, record):
            return Done(record.holder, False, False, "", now, record)
        if crew.alive(now.holder):
            if await _left(queue, now, wish):
                done = await _awaited(queue, record, now.holder, until, wait=wait, tell=tell)
                if done is not None:
                    return done
        elif not (others := crew.with_key(now.sender)):
            tell(f"nobody alive has the key of {now.sender}; doing it here")
            try:
                return await _ourselves(queue, record, now, wish, own, until, wait=wait)
            except Held:  # somebody was quicker: ask that one
                tell("another worker took it over meanwhile")
        elif told != others[0]:
            told = others[0]
            tell(f"its worker is gone; waiting for {told} to take it over")
        if loop.time() >= until:
            return Done("", False, False, "", now, record)
        await asyncio.sleep(_LOOK_SECONDS)


async def _left(queue: JobQueue, record: Record, wish: Wish) -> bool:
    """Leave the wish with the holder; False where it died meanwhile."""
    answer = await ask(queue, record, wish)
    match answer.word:
        case "ok" | "already":
            return True
        case "free" | "gone":  # looked at again: it died, or the record moved on
            return False
        case word:
            raise AutometaError(
                f"the ledger takes no wishes now ({word})", "workers put that right; try again in a moment"
            )


async def _awaited(
    queue: JobQueue, before: Record, holder: str, until: float, *, wait: bool, tell: Callable[[str], None]
) -> Done | None:
    """What the holder makes of it; None when it died first."""
    loop, obeyed, said = asyncio.get_running_loop(), False, ""
    tell(f"asked {holder}")
    while True:
        if not obeyed and not await asked(queue, before.key):
            obeyed = True
            now = await queue.record(before.key)
            if now is not None and now.said:
                said = now.said
                tell(said)
        now = await queue.record(before.key)
        if not _open(now, before) or not wait or loop.time() >= until:
            return Done(holder, False, obeyed, said, now, before)
        if obeyed and now is not None and not _under_way(now, before):
            return Done(holder, False, True, said, now, before)
        if not obeyed and not Crew(await queue.workers.members()).alive(holder):
            return None
        await asyncio.sleep(_LOOK_SECONDS)


async def _ourselves(
    queue: JobQueue, before: Record, now: Record, wish: Wish, own: Own, until: float, *, wait: bool
) -> Done:
    async with own() as executor, Errand.begun(queue, executor, now) as errand:
        await errand.do(wish)
        after = await queue.record(before.key)
        if wait and after is not None and _open(after, before) and _under_way(after, before):
            await followed(errand, until)
            after = await queue.record(before.key)
        said = f"{errand.said}; {errand.trouble}" if errand.trouble not in errand.said else errand.said
        return Done(errand.id, True, True, said, after, before)


def _open(now: Record | None, before: Record) -> bool:
    """Whether its nonce is still undecided."""
    return (
        now is not None
        and now.state in SIGNED_STATES
        and (now.sender, now.nonce) == (before.sender, before.nonce)
    )


def _under_way(now: Record, before: Record) -> bool:
    """Whether anything came of the wish that is worth waiting for."""
    return now.state == "cancelling" or len(now.attempts_sent) > len(before.attempts_sent)
