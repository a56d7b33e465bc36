"""How calls of one process share pipelines: whoever asks is answered, whenever it asks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from autometa_cli.jobs.together import Bundle
from tests.jobs.desk import Desk


def test_a_question_after_the_last_answers_is_sent(
    valkey_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both pipelines come back in the same turn of the loop, and one whom they wake asks again at once."""
    scripts = valkey_desk.scripts
    send, back = scripts._pipeline, asyncio.Event()
    arrived = [asyncio.Event(), asyncio.Event()]

    async def held(waiting: Sequence[Bundle], *, known: bool) -> list[Any]:
        replies = await send(waiting, known=known)
        for event in [each for each in arrived if not each.is_set()][:1]:
            event.set()
        await back.wait()
        return replies

    monkeypatch.setattr(scripts, "_pipeline", held)

    async def asking(times: int) -> None:
        for _ in range(times):
            await scripts.command("PING")

    async def scenario() -> None:
        askers = []
        for times, event in zip((2, 1), arrived, strict=True):
            askers.append(asyncio.create_task(asking(times)))
            await event.wait()
        back.set()
        async with asyncio.timeout(5):
            await asyncio.gather(*askers)

    valkey_desk.do(scenario())


def test_who_gives_up_takes_nobody_along(valkey_desk: Desk) -> None:
    """A call that is cancelled while it is on its way still comes true; those beside it are answered."""
    desk = valkey_desk
    keys, scripts = desk.keys, desk.scripts

    async def scenario() -> list[Any]:
        calls = [
            asyncio.create_task(scripts.command("RPUSH", keys.inflight(name), name))
            for name in ("a", "b", "c")
        ]
        await asyncio.sleep(0)
        calls[1].cancel()
        return list(await asyncio.gather(*calls, return_exceptions=True))

    first, second, third = desk.do(scenario())

    assert (first, third) == (1, 1)
    assert isinstance(second, asyncio.CancelledError)
    assert desk.inflight("b") == [b"b"]
