"""What many ask for at one head is read once; a failure is nobody else's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from autometa_cli.executor.sharedreads import SharedReads


def test_it_reads_once_at_each_view() -> None:
    async def scenario() -> None:
        reads, asked = SharedReads(), 0
        first: Any = object()
        second: Any = object()

        async def read() -> int:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0)
            return asked

        assert await asyncio.gather(*(reads.get(first, "a", read) for _ in range(5))) == [1] * 5
        assert await reads.get(first, "a", read) == 1
        assert await reads.get(first, "b", read) == 2
        assert await reads.get(second, "a", read) == 3
        assert await reads.get(first, "a", read) == 4, "nothing is kept of a view that was left"

    asyncio.run(scenario())


def test_a_failure_is_read_again() -> None:
    async def scenario() -> None:
        reads, view, answers = SharedReads(), object(), [ValueError("no"), 7]

        async def read() -> Any:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        some: Any = view
        with pytest.raises(ValueError, match="no"):
            await reads.get(some, "a", read)
        assert await reads.get(some, "a", read) == 7

    asyncio.run(scenario())


def test_one_who_stops_waiting_stops_nobody_else() -> None:
    async def scenario() -> None:
        reads, go = SharedReads(), asyncio.Event()
        view: Any = object()

        async def read() -> int:
            await go.wait()
            return 7

        hasty = asyncio.create_task(reads.get(view, "a", read))
        patient = asyncio.create_task(reads.get(view, "a", read))
        await asyncio.sleep(0)
        hasty.cancel()
        await asyncio.sleep(0)
        go.set()
        assert await patient == 7

    asyncio.run(scenario())
