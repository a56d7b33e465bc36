"""Which occurrence a payload means, and what an executor refuses before it looks at the chain."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from autometa_cli.chain.contracts import Workflow
from autometa_cli.errors import ConfigError
from autometa_cli.executor.decision import Lost, Refusal
from autometa_cli.executor.executor import EVMExecutor
from autometa_cli.jobs.claim import Claim, Sighting
from autometa_cli.jobs.job import Job, parse_job
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.scheduling.triggers import Triggers
from tests.network import LiveNetwork

WORKFLOW = Workflow(7, "0x" + "0a" * 20, 1, b"", 1, b"\x01", 1000, 60, True, 5)


@asynccontextmanager
async def executor(network: LiveNetwork, **settings: str) -> AsyncIterator[EVMExecutor]:
    async with network.queue() as queue, network.rpc() as rpc:
        await queue.workers.register("ann", {})
        yield EVMExecutor(
            settings=network.settings(**settings), queue=queue, rpc=rpc, signer=network.signer("worker"),
            genesis=await rpc.genesis_hash(), triggers=Triggers(), closed=lambda *_: None,
        )  # fmt: skip


def _job(**fields: Any) -> Job:
    return parse_job(json.dumps({"workflowId": 7, **fields}).encode())


def test_a_due_job_is_its_next_run(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with executor(network) as made:
            prefix = f"{network.info.chain_id}:{network.executor.lower()}:7"
            occurrence, id = await made.identity.of(_job(nextRun=1000), WORKFLOW)
            assert occurrence.key == id == f"{prefix}:1000:0"
            occurrence, id = await made.identity.of(_job(nextRun=900, id="mine"), WORKFLOW)
            assert (occurrence.key, id) == (f"{prefix}:900:0", "mine"), "whatever the chain's next run is"
            huge = 2**256 - 1
            occurrence, _ = await made.identity.of(_job(nextRun=huge), None)
            assert occurrence.key == f"{prefix}:{huge}:0"

    asyncio.run(scenario())


def test_the_generation_in_a_payload_counts_only_where_the_rest_of_its_key_is_true(
    network: LiveNetwork,
) -> None:
    async def scenario() -> None:
        async with executor(network) as made:
            due = Occurrence(network.info.chain_id, network.executor.lower(), 7, 1000)
            for key, generation in [
                (due.at_generation(3).key, 3),
                (replace(due, workflow=8).at_generation(3).key, 0),
                (replace(due, chain=1).at_generation(3).key, 0),
                (replace(due, next_run=999).at_generation(3).key, 0),
                (due.key + "x", 0),
                (due.key[:-1] + "-1", 0),
                (due.key[:-1] + "9999999999", 0),
            ]:
                occurrence, _ = await made.identity.of(_job(nextRun=1000, occurrence=key), WORKFLOW)
                assert occurrence.generation == generation, key

    asyncio.run(scenario())


def test_next_run_0_means_now_unless_the_chain_says_0_too(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with executor(network) as made:
            now, id = await made.identity.of(_job(nextRun=0), WORKFLOW)
            assert now.now_id == id
            other, _ = await made.identity.of(_job(nextRun=0), WORKFLOW)
            assert other.key != now.key, "each push is its own job"
            named, _ = await made.identity.of(_job(nextRun=0, id="mine"), WORKFLOW)
            assert named.now_id == "mine"
            due, _ = await made.identity.of(_job(nextRun=0), replace(WORKFLOW, next_run=0))
            assert (due.now_id, due.next_run) == (None, 0)

    asyncio.run(scenario())


def test_what_next_run_0_meant_once_it_means_for_good(network: LiveNetwork) -> None:
    """The job went back on the list; the chain's next run has changed, or the workflow is gone."""

    async def scenario() -> None:
        async with executor(network) as made:
            for chain in (WORKFLOW, replace(WORKFLOW, next_run=0), None):
                due = Occurrence(network.info.chain_id, network.executor.lower(), 7, 0)
                found, _ = await made.identity.of(_job(nextRun=0, occurrence=due.key), chain)
                assert found == due
                extra = replace(due, now_id="mine")
                found, id = await made.identity.of(_job(nextRun=0, id="mine", occurrence=extra.key), chain)
                assert (found, id) == (extra, "mine")
            lie = replace(due, now_id="other").key
            found, _ = await made.identity.of(_job(nextRun=0, id="mine", occurrence=lie), WORKFLOW)
            assert found.now_id == "mine"

    asyncio.run(scenario())


def test_who_does_not_hold_the_record_executes_nothing(network: LiveNetwork) -> None:
    async def scenario() -> None:
        id = await network.create_workflow()
        async with executor(network, CONFIRMATIONS="1") as made:
            head = await made.heads.fresh()
            workflow = await made.registry.get(head.view, id)
            assert workflow is not None
            raw = json.dumps({"workflowId": id, "nextRun": workflow.next_run}).encode()
            queue = made._queue
            await queue.push([raw])
            await queue.take("ann", 1)
            occurrence, name = await made.identity.of(parse_job(raw), workflow)
            claim = await queue.adopt(
                "ann", parse_job(raw), occurrence, name, Sighting(head.number, True, "d")
            )
            assert isinstance(claim, Claim)
            for stale in (replace(claim, fence="0"), replace(claim, worker="bob")):
                assert isinstance(await made.execute_workflow(stale, workflow, head), Lost)
            lost = await made.execute_workflow(claim, replace(workflow, active=False), head)
            assert isinstance(lost, Refusal)
            assert (await queue.record(claim.key)).nonce is None  # type: ignore[union-attr]

    asyncio.run(scenario())


def test_it_needs_the_addresses(network: LiveNetwork) -> None:
    async def scenario() -> None:
        with pytest.raises(ConfigError, match="REGISTRY_ADDRESS"):
            async with executor(network, REGISTRY_ADDRESS=""):
                pass

    asyncio.run(scenario())
