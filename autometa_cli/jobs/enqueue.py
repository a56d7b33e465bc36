"""Once-only enqueue of occurrences: one, or many with a hundred in each script."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import redis.exceptions as rex

from autometa_cli.jobs.access import Access
from autometa_cli.jobs.claim import Sighting
from autometa_cli.jobs.faults import wrong_type
from autometa_cli.jobs.job import with_fields
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.jobs.script import Answer
from autometa_cli.jobs.together import Argument

#: Occurrences that one script enqueues. Redis serves nobody else meanwhile: one or two milliseconds.
_MANY = 100

#: (occurrence, raw payload, digest of the workflow)
Wanted = tuple[Occurrence, bytes, str]


class OnceOnly(Access):
    """Putting an occurrence on the list, once."""

    async def enqueue(
        self,
        occurrence: Occurrence,
        raw: bytes,
        seen: Sighting,
        leader: str = "",
        event: tuple[str, str] | None = None,
    ) -> Answer:
        """Put one occurrence on the list unless it was ever opened.

        A generation that is closed leads to the next one, where a finalized block shows the same nextRun again.

        Args:
            leader: token of the lease under which the caller acts (`scheduling.lease`); "" for none.
            event: the transfer that it is run for, as it waits in Redis, and its name; taken with it.

        Returns:
            `ok` (queued now, with the record's key), `already` (it is open), `stale` (seen at a block before one that
            closed it),
            `unfinal` (it was closed; only a finalized sighting may open it again), `dead` (it is in the
            dead-letter list and nothing changed since), `gap`, `deposed` (another holds the lease), `spent` (the event
            is not there any more, or newer), or `recovery`.
        """
        k, first = self.keys, occurrence
        watermark = k.workflow(first.chain, first.executor, first.workflow)
        generation = 0
        while True:
            now = first.at_generation(generation)
            before = first.at_generation(max(0, generation - 1))
            element = with_fields(raw, occurrence=now.key)
            answer = await self.scripts.call(
                "enqueue",
                [k.epoch, k.pending, k.occurrence(now.key), k.occurrence(before.key), watermark, k.queued,
                 k.leader, k.events(now.chain, now.executor)],
                [now.key, element, seen.block, int(seen.final), now.workflow, str(now.next_run), generation,
                 seen.digest, leader, *(event or ("", ""))],
            )  # fmt: skip
            following = answer.rest[1] if answer.word == "already" else ""
            if not following:
                return answer
            generation = int(following)

    async def enqueue_or_tell(
        self,
        occurrence: Occurrence,
        raw: bytes,
        seen: Sighting,
        leader: str = "",
        event: tuple[str, str] | None = None,
    ) -> Answer:
        """`enqueue`; `spoilt` where somebody made a key of this one occurrence or workflow something else."""
        try:
            return await self.enqueue(occurrence, raw, seen, leader, event)
        except rex.ResponseError as error:
            if not wrong_type(error) or await self.misfits():
                raise
            return Answer("spoilt", self.scripts.seen, (str(error),))


async def enqueue_many(
    queue: OnceOnly, jobs: Sequence[Wanted], *, block: int, final: bool, leader: str = ""
) -> list[Answer]:
    """`OnceOnly.enqueue_or_tell` for many of one chain and executor that no event waits for; what it says of each.

    Args:
        block: at which all were seen.
        final: whether that block is finalized.
        leader: token of the lease under which the caller acts; "" for none.

    Raises:
        redis.exceptions.RedisError: some may be on the list; a repetition does the others.
    """
    tasks = []
    for start in range(0, len(jobs), _MANY):
        chunk = jobs[start : start + _MANY]
        tasks.append(asyncio.ensure_future(_enqueue(queue, chunk, block, final, leader)))
        await asyncio.sleep(0)  # the server works on the first while the next are put together
    # The others are waited for when one fails: what they did shall be known.
    answers: list[Answer] = []
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
        answers += result
    return answers


async def _enqueue(
    queue: OnceOnly, jobs: Sequence[Wanted], block: int, final: bool, leader: str
) -> list[Answer]:
    k = queue.keys
    names: list[str] = [k.epoch, k.pending, k.queued, k.leader]
    arguments: list[Argument] = [leader, block]
    for wanted, raw, digest in jobs:
        key = wanted.key
        names += (k.occurrence(key), k.workflow(wanted.chain, wanted.executor, wanted.workflow))
        arguments += (key, with_fields(raw, occurrence=key), str(wanted.next_run), digest)
    try:
        whole = await queue.scripts.call("enqueue_many", names, arguments)
    except rex.ResponseError as error:
        if not wrong_type(error) or await queue.misfits():
            raise
        # One of them stands in the way, and nothing was written.
        return await _one_by_one(queue, jobs, block, final, leader)
    if whole.word not in ("ok", "already"):
        return [Answer(whole.word, whole.seq, ("",))] * len(jobs)
    closed = [job for job, said in zip(jobs, whole.rest, strict=True) if said == "next"]
    again = iter(await _one_by_one(queue, closed, block, final, leader))
    answers = []
    for (wanted, _, _), said in zip(jobs, whole.rest, strict=True):
        word, _, state = said.partition(" ")
        if word == "next":
            answers.append(next(again))
        else:
            rest = (wanted.key,) if word == "ok" else (state, "") if word == "already" else ("",)
            answers.append(Answer(word, whole.seq, rest))
    return answers


async def _one_by_one(
    queue: OnceOnly, jobs: Sequence[Wanted], block: int, final: bool, leader: str
) -> list[Answer]:
    results = await asyncio.gather(
        *(
            queue.enqueue_or_tell(wanted, raw, Sighting(block, final, digest), leader)
            for wanted, raw, digest in jobs
        ),
        return_exceptions=True,
    )
    answers = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        answers.append(result)
    return answers
