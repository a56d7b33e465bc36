"""`autometa tx reconcile`: what a final block decided is settled without any worker or key, and nothing else is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from autometa_cli.chain.interfaces import interface
from tests.cli.test_tx_wish import offered, runner, waiting
from tests.network import LiveNetwork
from tests.runner import Cli
from tests.working.conftest import _brisk  # noqa: F401  workers look around often
from tests.working.stage import Stage, no_mining, staged


async def dump(stage: Stage) -> dict[str, Any]:
    """Everything in Redis."""
    redis, found = stage.queue.redis, {}
    for name in sorted([name async for name in redis.scan_iter()]):
        found[name.decode()] = await redis.dump(name)
    return found


async def mine(network: LiveNetwork, blocks: int = 1) -> None:
    await asyncio.to_thread(network.anvil.mine, blocks)


def _pooled(network: LiveNetwork) -> int:
    return int(network.anvil.request("txpool_status")["pending"], 16)


@asynccontextmanager
async def abandoned(network: LiveNetwork, **settings: str) -> AsyncIterator[Stage]:
    """A call lies in the pool, and no worker is left."""
    async with waiting(network, **settings) as (stage, hand):
        await hand.vanish()
        await stage.forget_beats()
        yield stage


def test_what_is_final_is_settled_without_a_key(cli: Cli, network: LiveNetwork) -> None:
    run = runner(cli, network)
    final = {"CONFIRMATIONS": "3", "WORKER_PRIVATE_KEY": ""}

    async def scenario() -> None:
        async with abandoned(network) as stage:
            waits = await run("reconcile", "1", "--json", **final)
            assert waits.code == 7
            assert waits.json["records"][0]["action"] == "open"
            await mine(network)
            early = await run("reconcile", "1", "--json", **final)
            assert (early.code, early.json["records"][0]["waits_for"]) == (7, "the block to be final")
            assert (await run("reconcile", "--all", **final)).code == 0, "to wait is no failure"
            await mine(network, 2)

            before = await dump(stage)
            dry = await run("reconcile", "--all", "--dry-run", "--json", **final)
            assert (dry.code, dry.json["records"][0]["action"]) == (0, "would_settle")
            assert dry.json["records"][0]["verdict"] == "executed"
            assert await dump(stage) == before, "a dry run changes nothing"
            assert "a worker to settle it" in dry.json["records"][0]["waits_for"]

            shown = await run("show", "1", "--json", **final)
            assert shown.json["chain"]["verdict"] == "executed"
            assert "autometa tx reconcile" in shown.json["next_steps"][0]

            done = await run("reconcile", "--all", "--json", **final)
            (record,) = done.json["records"]
            assert (done.code, record["action"], record["state"]) == (0, "settled", "settled")
            (key,) = done.json["keys"]
            assert (key["next"], key["open"], key["final"], key["trouble"]) == (1, 0, 1, False)
            await stage.assert_executed_once([1])
            history = await stage.queue.redis.xlen(stage.queue.keys.history)

            again = await run("reconcile", "1", "--json", **final)
            assert (again.code, again.json["records"][0]["action"]) == (0, "closed")
            nothing = await run("reconcile", "--all", "--json", **final)
            assert (nothing.code, nothing.json["records"], nothing.json["keys"]) == (0, [], [])
            assert await stage.queue.redis.xlen(stage.queue.keys.history) == history

    asyncio.run(scenario())


def test_a_living_worker_and_reconcile_settle_it_once(cli: Cli, network: LiveNetwork) -> None:
    environment = network.environment(CONFIRMATIONS="1")

    async def scenario() -> None:
        async with staged(network) as stage:
            ids = await stage.made(12)
            async with stage.hired() as hand, no_mining(network):
                await stage.enqueue(*ids)
                for id in ids:
                    await offered(stage, id)
                await mine(network)
                command = ("tx", "reconcile", "--all")
                results = await asyncio.gather(
                    *(asyncio.to_thread(cli.process, *command, env=environment) for _ in range(2))
                )
                assert {result.code for result in results} <= {0, 1}, "1: it changed hands meanwhile"
                await stage.until(stage.settled(ids), "all to be settled")
                await hand.leave()
            await stage.assert_executed_once(ids)
            assert await stage.queue.redis.xlen(stage.queue.keys.history) == len(ids)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("why", "verdict", "attempts"), [("no deposit", "reverted", 1), ("no role", "no_role", 0)]
)
def test_a_reverted_call_is_6_and_tried_again(
    cli: Cli, network: LiveNetwork, why: str, verdict: str, attempts: int
) -> None:
    run = runner(cli, network)

    async def take_away(stage: Stage) -> None:
        if why == "no role":
            await stage.revoke("worker")
            return
        withdraw = interface("FeeEscrow").functions["withdrawGas"]
        await network.transact("owner", network.escrow, withdraw.encode(10 * 10**18))

    async def scenario() -> None:
        async with abandoned(network) as stage:
            away = asyncio.create_task(take_away(stage))  # pays more, so it comes first in the block
            await stage.until(lambda: _pooled(network) == 2, "both to be in the pool")
            await mine(network)
            await away
            done = await run("reconcile", "1", "--json")
            (record,) = done.json["records"]
            assert (done.code, record["verdict"], record["state"]) == (6, verdict, "delayed")
            assert record["attempts"] == attempts
            assert await stage.executions() == []

    asyncio.run(scenario())


def test_somebody_elses_transaction_at_the_nonce(cli: Cli, network: LiveNetwork) -> None:
    run = runner(cli, network)

    async def scenario() -> None:
        async with abandoned(network) as stage:
            (attempt,) = (await stage.only(1)).attempts_sent
            network.anvil.request("anvil_dropTransaction", attempt.hash)
            signer = network.signer("worker")
            foreign = signer.sign(
                {
                    "type": 2, "chainId": network.info.chain_id, "nonce": 0, "to": stage.address("owner"), "value": 1,
                    "gas": 21_000, "maxFeePerGas": 10**11, "maxPriorityFeePerGas": 10**10, "data": b"",
                }
            )  # fmt: skip
            await stage.rpc.send_raw(foreign.raw)
            await mine(network)
            done = await run("reconcile", "1", "--json")
            (record,) = done.json["records"]
            assert (done.code, record["verdict"], record["state"]) == (0, "foreign", "delayed")
            assert foreign.hash in record["verdict_text"]

    asyncio.run(scenario())


def test_what_was_tampered_with_is_told_and_left_alone(cli: Cli, network: LiveNetwork) -> None:
    run = runner(cli, network)

    async def scenario() -> None:
        async with abandoned(network) as stage:
            record = await stage.only(1)
            await stage.queue.redis.hset(stage.queue.keys.occurrence(record.key), "raw:0", b"\x02noise")
            before = await dump(stage)
            for _ in ("not mined", "mined"):
                done = await run("reconcile", "--all", "--json")
                assert (done.code, done.json["records"][0]["action"]) == (1, "trouble")
                assert "tampered" in done.json["records"][0]["verdict_text"]
                await mine(network)
            shown = await run("show", record.key)
            assert "TAMPERED: not a signed transaction" in shown.stdout
            assert await dump(stage) == before

    asyncio.run(scenario())


def test_a_gap_is_named(cli: Cli, network: LiveNetwork) -> None:
    """A nonce that nobody owns and signed ones wait for: only a worker with the key fills it (REVIEW H12)."""
    run = runner(cli, network)

    async def scenario() -> None:
        async with abandoned(network) as stage:
            record = await stage.only(1)
            nonces = stage.queue.keys.nonces(record.chain, record.sender)
            await stage.queue.redis.hdel(nonces, "0")
            await stage.queue.redis.hset(nonces, "5", "another")
            done = await run("reconcile", "--all")
            assert done.code == 0
            assert "nonce 0 has no owner, and 5 waits for it" in done.stderr

    asyncio.run(scenario())


@pytest.mark.parametrize("arguments", [(), ("1", "--all")])
def test_one_or_all(cli: Cli, network: LiveNetwork, arguments: tuple[str, ...]) -> None:
    result = cli("tx", "reconcile", *arguments, env=network.environment())
    assert (result.code, result.stdout) == (2, "")
    assert "name a transaction, or say --all" in result.stderr


def test_without_a_chain_or_redis_nothing_is_compared(cli: Cli, network: LiveNetwork) -> None:
    for away in ({"RPC_URLS": "http://127.0.0.1:9"}, {"REDIS_URL": "redis://127.0.0.1:9/0"}):
        result = cli("tx", "reconcile", "--all", env=network.environment(**away))
        assert (result.code, result.stdout) == (5, "")
