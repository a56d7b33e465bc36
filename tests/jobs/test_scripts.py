"""The door to the scripts: what travels together, what is loaded again, and what a lost answer leads to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis.exceptions as rex

from autometa_cli.errors import AutometaError, ConfigError, RedisUnreachable
from autometa_cli.jobs.claim import Claim, Sighting
from autometa_cli.jobs.connection import redis_errors
from autometa_cli.jobs.job import parse_job
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.jobs.together import text
from tests.jobs.desk import CHAIN, EXECUTOR, Desk


def test_scripts_of_one_moment_travel_together(valkey_desk: Desk) -> None:
    desk = valkey_desk
    desk.worker("first")  # the script is loaded
    batches: list[int] = []
    send = desk.scripts._pipeline

    async def counted(waiting: Any, *, known: bool) -> list[Any]:
        batches.append(len(waiting))
        return await send(waiting, known=known)

    desk.scripts._pipeline = counted  # type: ignore[method-assign]

    async def scenario() -> list[str]:
        work = (desk.queue.workers.register(f"w{number}", {}) for number in range(450))
        return [answer.word for answer in await asyncio.gather(*work)]

    assert desk.do(scenario()) == ["ok"] * 450
    assert batches == [100, 100, 100, 100, 50]
    assert desk.redis.zcard(desk.keys.workers) == 451


def test_answers_reach_who_asked(valkey_desk: Desk) -> None:
    desk = valkey_desk
    for number in range(300):
        desk.redis.set(f"key{number}", number)

    async def scenario() -> list[Any]:
        reads = [desk.scripts.command("GET", f"key{number}") for number in range(300)]
        wrong = desk.scripts.command("LLEN", "key0")
        return list(await asyncio.gather(*reads, wrong, return_exceptions=True))

    *values, error = desk.do(scenario())
    assert values == [b"%d" % number for number in range(300)]
    assert isinstance(error, rex.ResponseError)


def test_a_flushed_script_cache_is_filled_again(desk: Desk) -> None:
    desk.worker("ann")
    desk.redis.script_flush()

    async def scenario() -> list[str]:
        work = [desk.queue.workers.register(f"w{number}", {}) for number in range(20)]
        reads = [desk.scripts.command("ZCARD", desk.keys.workers)]
        answers = await asyncio.gather(*work, *reads)
        return [answer.word for answer in answers[:-1]]

    assert desk.do(scenario()) == ["ok"] * 20
    assert desk.redis.zcard(desk.keys.workers) == 21


def test_who_stops_waiting_disturbs_nobody(valkey_desk: Desk) -> None:
    desk = valkey_desk

    async def scenario() -> tuple[str, bool]:
        impatient = asyncio.ensure_future(desk.queue.workers.register("ann", {}))
        patient = asyncio.ensure_future(desk.queue.workers.register("bob", {}))
        await asyncio.sleep(0)
        impatient.cancel()
        answer = await patient
        return answer.word, impatient.cancelled()

    assert desk.do(scenario()) == ("ok", True)
    assert desk.redis.zcard(desk.keys.workers) == 2  # it was on its way all the same


def test_numbers_of_answers_only_grow(valkey_desk: Desk) -> None:
    desk = valkey_desk
    numbers = []
    for workflow in range(1, 20):
        desk.enqueue(workflow=workflow)
        numbers.append(desk.answer.seq)

    assert numbers == sorted(set(numbers))
    assert desk.scripts.seen == numbers[-1]


def test_every_script_stands_behind_the_prelude() -> None:
    for name in ("adopt", "settle"):
        assert text(name).source.index(b"-- prelude.lua") < text(name).source.index(f"-- {name}(".encode())


# -- cut connections --------------------------------------------------------------------------------


class Wire:
    """Between a client and Redis: cuts the connection when told to, before or after the server has worked."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = ""
        #: Cut when these bytes come from the client; `reply`: only when the server's answer is there.
        self.cut_at: bytes | None = None
        self.at_reply = False
        self.cuts = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Wire]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, downstream = await asyncio.open_connection("127.0.0.1", self.port)
        cut = asyncio.Event()
        back = asyncio.ensure_future(self._answers(upstream, writer, cut))
        try:
            while data := await reader.read(1 << 20):
                if self.cut_at is not None and self.cut_at in data:
                    self.cut_at = None
                    self.cuts += 1
                    cut.set()
                    if not self.at_reply:
                        break
                downstream.write(data)
                if cut.is_set():
                    await back  # the server has worked; nobody hears of it
                    break
        finally:
            back.cancel()
            downstream.close()
            writer.close()

    @staticmethod
    async def _answers(
        upstream: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: asyncio.Event
    ) -> None:
        while data := await upstream.read(1 << 20):
            if cut.is_set():
                return
            writer.write(data)


def _port(desk: Desk) -> int:
    return int(desk.redis.connection_pool.connection_kwargs["port"])


@pytest.mark.parametrize("at_reply", [False, True])
@pytest.mark.parametrize("what", ["enqueue", "adopt", "bind", "write", "settle"])
def test_a_cut_connection_repeats_nothing(valkey_desk: Desk, what: str, at_reply: bool) -> None:
    """The client sends the script again; whether it ran the first time or not, it has run once."""
    from autometa_cli.executor.head import Counts
    from autometa_cli.executor.ledger import Hold, Ledger
    from tests.jobs.desk import ALICE, FEES

    desk = valkey_desk
    wire = Wire(_port(desk))
    occurrence = Occurrence(CHAIN, EXECUTOR, 1, 100)
    seen = Sighting(10, True, "d")

    async def scenario() -> list[str]:
        words = []
        async with wire.open(), JobQueue(wire.url) as queue:
            await queue.join()
            await queue.workers.register("ann", {})
            ledger = Ledger(queue, max_open_nonces=4, max_retries=3, retry_delay=0)

            def cut(step: str) -> None:
                if step == what:
                    wire.cut_at, wire.at_reply = b"EVALSHA", at_reply

            cut("enqueue")
            words.append((await queue.enqueue(occurrence, desk.payload(), seen)).word)
            await queue.take("ann", 1)
            [raw] = await queue.held("ann")
            cut("adopt")
            claim = await queue.adopt("ann", parse_job(raw), occurrence, occurrence.key, seen)
            assert isinstance(claim, Claim)
            cut("bind")
            bound = await ledger.bind(claim, ALICE, Counts(0, 0, 0), block=10, final=9, genesis="g")
            words.append(bound.word)
            record = await queue.record(claim.key)
            assert record is not None
            cut("write")
            hold = Hold(claim.key, "ann", claim.fence)
            words.append((await ledger.write_call(hold, record, b"raw", "0x1", FEES, 200)).word)
            record = await queue.record(claim.key)
            assert record is not None
            cut("settle")
            words.append((await ledger.settle(record, "executed", block=20, tx="0x1", text="", fee=1)).word)
        return words

    words = desk.do(scenario())

    assert wire.cuts == 1
    assert set(words) <= {"ok", "already"}
    assert words.count("already") == (at_reply and what != "adopt")
    assert desk.state(occurrence.key) == "settled"
    assert (desk.owners(), desk.next_nonce(), desk.inflight("ann"), desk.pending()) == ({}, 1, [], [])
    assert desk.redis.xlen(desk.keys.history) == 1
    assert desk.redis.hget(desk.keys.occurrence(occurrence.key), "fence") == b"2"


def test_a_lost_claim_is_in_the_workers_own_list(valkey_desk: Desk) -> None:
    """BLMOVE is never repeated by the client: it would take a second job."""
    desk = valkey_desk
    wire = Wire(_port(desk))
    desk.push(b"first")
    desk.push(b"second")

    async def scenario() -> tuple[list[bytes], list[bytes]]:
        async with wire.open(), JobQueue(wire.url) as queue:
            wire.cut_at, wire.at_reply = b"BLMOVE", True
            with pytest.raises(rex.ConnectionError):
                await queue.take("ann", 1)
            return await queue.held("ann"), await queue.take("ann", 1)

    assert desk.do(scenario()) == ([b"first"], [b"second"])
    assert wire.cuts == 1


def test_waiting_in_vain_is_no_error(valkey_desk: Desk) -> None:
    assert valkey_desk.do(valkey_desk.queue.take("ann", 5)) == []


# -- what Redis may say -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raised", "becomes", "text"),
    [
        (rex.AuthenticationError("WRONGPASS"), ConfigError, "refuses this user: WRONGPASS"),
        (rex.NoPermissionError("NOPERM"), ConfigError, "does not permit this user what is needed: NOPERM"),
        (rex.BusyLoadingError("LOADING"), RedisUnreachable, "still loading"),
        (rex.ReadOnlyError("READONLY"), RedisUnreachable, "read-only replica"),
        (rex.OutOfMemoryError("OOM"), RedisUnreachable, "is full"),
        (
            rex.ResponseError(
                "Error running script: -OOM command not allowed when used memory > 'maxmemory'"
            ),
            RedisUnreachable,
            "is full",
        ),
        (rex.ConnectionError("refused\nmore"), RedisUnreachable, "does not answer: refused"),
        (rex.TimeoutError(), RedisUnreachable, "does not answer: TimeoutError"),
        (OSError("no route"), RedisUnreachable, "does not answer: no route"),
        (rex.InvalidResponse("HTTP/1.1"), RedisUnreachable, "does not speak the Redis protocol"),
        (rex.ResponseError("ERR unknown command 'BLMOVE'"), RedisUnreachable, "answered: ERR unknown"),
        (rex.ResponseError("WRONGTYPE Operation"), AutometaError, "holds something that no queue holds"),
    ],
)
def test_errors_in_our_words(raised: Exception, becomes: type[AutometaError], text: str) -> None:
    async def scenario() -> None:
        async with redis_errors("redis://user:topsecret@host:6379/2"):
            raise raised

    with pytest.raises(becomes) as caught:
        asyncio.run(scenario())

    assert type(caught.value) is becomes
    assert text in caught.value.message
    assert "redis://host:6379/2" in caught.value.message
    assert "topsecret" not in caught.value.message + caught.value.hint
    assert "more" not in caught.value.message


def test_other_exceptions_pass() -> None:
    async def scenario() -> None:
        async with redis_errors("redis://host"):
            raise KeyError("mine")

    with pytest.raises(KeyError):
        asyncio.run(scenario())
