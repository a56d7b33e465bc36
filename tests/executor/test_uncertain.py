"""Extra runs that were open when Redis lost writes are left to a person, wherever they stand (REVIEW H10)."""

from __future__ import annotations

import asyncio

from autometa_cli.executor.head import Heads
from autometa_cli.executor.recovery import Recovery
from autometa_cli.networks import network as preset
from tests.network import LiveNetwork

NOW = b'{"workflowId":1,"nextRun":0,"id":"%s"}'
DUE = b'{"workflowId":1,"nextRun":100}'


def test_those_that_an_operator_moved_aside_too(network: LiveNetwork) -> None:
    """They may have been restored and executed in what Redis forgot: restored again, they would run twice."""

    async def scenario() -> None:
        async with network.queue() as queue, network.rpc() as rpc:
            await queue.push([NOW % b"a", DUE])
            await queue.clear()
            await queue.push([NOW % b"b"])
            signer, chain = network.signer("worker"), network.info.chain_id
            heads = Heads(
                rpc, queue.redis, preset("local"), chain_id=chain, sender=signer.address,
                executor=network.executor, confirmations=1, max_fee=None,
            )  # fmt: skip
            recovery = Recovery(queue, rpc, heads, signer, window=2, max_fee=None, executor=network.executor)
            await recovery.run()
            assert await queue.restore() == 1
            assert await queue.peek() == [DUE]
            buried = await queue.redis.zrange(queue.keys.dead, 0, -1)
            letters = await queue.records([name.decode() for name in buried])
            assert {(letter.job, letter.reason) for letter in letters if letter} == {
                (NOW % b"a", "uncertain"),
                (NOW % b"b", "uncertain"),
            }

    asyncio.run(scenario())
