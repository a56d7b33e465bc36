"""A simulation that fails because our key has no role is trouble of ours, whatever was read of the role before (I6)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from autometa_cli.executor.decision import Go, Refusal
from autometa_cli.executor.executor import EVMExecutor
from autometa_cli.executor.head import Head
from autometa_cli.scheduling.triggers import Triggers
from tests.network import LiveNetwork
from tests.working.stage import Stage, staged


def test_a_role_that_the_head_had_too_early_or_has_no_more(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with staged(network) as stage:
            await stage.second_key("novice", role=False)
            (id,) = await stage.due(1)
            made = EVMExecutor(
                settings=network.settings(CONFIRMATIONS="1"), queue=stage.queue, rpc=stage.rpc,
                signer=network.signer("novice"), genesis=await stage.rpc.genesis_hash(), triggers=Triggers(),
                closed=lambda *_: None,
            )  # fmt: skip
            # What a node that was just mining made of it: the role of the next block, the state of this one.
            early = replace(await made.heads.fresh(), permitted=True)
            await _refused(stage, made, id, early)
            await stage.grant("novice")
            await _refused(stage, made, id, early)
            granted = await made.heads.fresh()
            assert isinstance(await _decide(stage, made, id, granted), Go)
            # And the other way round: the role of this block, the state of the next one.
            await stage.revoke("novice")
            await _refused(stage, made, id, replace(granted, view=granted.view.newest()))

    asyncio.run(scenario())


async def _refused(stage: Stage, made: EVMExecutor, id: int, head: Head) -> None:
    decision = await _decide(stage, made, id, head)
    assert isinstance(decision, Refusal)
    assert (decision.to, decision.reason, decision.trouble, decision.hold) == (
        "queued",
        "no_role",
        True,
        False,
    )


async def _decide(stage: Stage, made: EVMExecutor, id: int, head: Head) -> Go | Refusal:
    workflow = await made.registry.get(head.view, id)
    assert workflow is not None
    occurrence = stage.occurrence(id, workflow.next_run)
    return await made.checker.check(occurrence, workflow, head, holds=0, seen=0)
