"""A node answers "there are no such logs", though a block that it shows has them. That proves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from autometa_cli.chain.contracts import ROLE_IDS
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.view import View
from tests.network import LiveNetwork
from tests.working.stage import OUTBID, Stage, no_mining, staged


def test_an_extra_run_that_somebody_else_made_meanwhile_is_not_made_again(
    network: LiveNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own call reverted, so it would be tried again; only the event tells that the workflow was executed."""
    honest = View.request
    denied: list[str] = []

    async def lying(self: View, method: str, params: Sequence[Any] = ()) -> Any:
        answer = await honest(self, method, params)
        if method == "eth_getLogs":
            denied.append(method)
            return []
        return answer

    async def scenario() -> None:
        async with staged(network) as stage:
            await stage.second_key("other")
            (id,) = await stage.made(1, next_run=network.now() + 10**7)
            monkeypatch.setattr(View, "request", lying)
            async with stage.hired() as hand, no_mining(network):
                await stage.push({"workflowId": id, "nextRun": 0, "id": "once"})
                await stage.until(lambda: stage.pool("worker"), "it to be sent")
                await _executed_by_another(stage, id)
                await stage.until(stage.settled([id], "dead"), "it to be left to a person")
                await hand.leave()
            assert denied
            record = await stage.only(id)
            assert (record.state, record.reason) == ("dead", "uncertain")
            assert (await stage.executed())[id] == 1

    asyncio.run(scenario())


async def _executed_by_another(stage: Stage, id: int) -> None:
    """In the next block, before our call; and our key loses its role before both."""
    network = stage.network
    functions = interface("ActionExecutor").functions
    workflow = await stage.workflow(id)
    revoke = functions["revokeRole"].encode(ROLE_IDS["WORKER_ROLE"], stage.address("worker"))
    run = functions["executeWorkflow"].encode(id, workflow.action_data, workflow.next_run, workflow.owner, 0)
    sending = [
        asyncio.create_task(network.transact("admin", network.executor, revoke, gas_price=OUTBID)),
        asyncio.create_task(network.transact("other", network.executor, run, gas_price=OUTBID // 2)),
    ]
    await stage.until(lambda: stage.pool("admin") and stage.pool("other"), "both to be in the pool")
    await asyncio.to_thread(network.anvil.mine)
    await asyncio.gather(*sending)
