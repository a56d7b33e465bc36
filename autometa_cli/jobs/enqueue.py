"""Once-only enqueue of many occurrences: a hundred in each script."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from autometa_cli.jobs.job import with_fields
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.jobs.queue import JobQueue, Sighting
from autometa_cli.jobs.script import Answer, Argument

#: Occurrences that one script enqueues. Redis serves nobody else meanwhile: one or two milliseconds.
_MANY = 100

#: (occurrence, raw payload, digest of the workflow)
Wanted = tuple[Occurrence, bytes, str]


async def enqueue_many(
    queue: JobQueue, jobs: Sequence[Wanted], *, block: int, final: bool, leader: str = ""
) -> list[Answer]:
    """`JobQueue.enqueue` for many of one chain and executor that no event waits for; what it says of each.

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
    queue: JobQueue, jobs: Sequence[Wanted], block: int, final: bool, leader: str
) -> list[Answer]:
    k, first = queue.keys, jobs[0][0]
    names: list[str] = [k.epoch, k.pending, k.queued, k.leader]
    arguments: list[Argument] = [leader, block, first.chain, first.executor]
    for wanted, raw, digest in jobs:
        key = wanted.key
        names += (k.occurrence(key), k.workflow(wanted.chain, wanted.executor, wanted.workflow))
        arguments += (key, with_fields(raw, occurrence=key), wanted.workflow, str(wanted.next_run), digest)
    whole = await queue.scripts.call("enqueue_many", names, arguments)
    if whole.word not in ("ok", "already"):
        return [Answer(whole.word, whole.seq, ("",))] * len(jobs)
    answers = []
    for (wanted, raw, digest), said in zip(jobs, whole.rest, strict=True):
        word, _, state = said.partition(" ")
        if word == "next":
            answers.append(await queue.enqueue(wanted, raw, Sighting(block, final, digest), leader))
        else:
            rest = (wanted.key,) if word == "ok" else (state, "") if word == "already" else ("",)
            answers.append(Answer(word, whole.seq, rest))
    return answers
