"""A person raises a transaction whose workflow was paused or changed since it was signed: it must not be sent again
(REVIEW H6), whoever raises it."""

from __future__ import annotations

import asyncio

import pytest

from tests.cli.test_tx_wish import mining_when, nothing_paid, orphan, runner
from tests.network import LiveNetwork
from tests.runner import Cli
from tests.working.conftest import _brisk  # noqa: F401  workers look around often
from tests.working.stage import Stage


async def dropped_and_paused(stage: Stage, how: str) -> None:
    """The pool forgot the call, as pools do over a weekend; meanwhile its owner thought better of it."""
    network, record = stage.network, await stage.only(1)
    await asyncio.to_thread(network.anvil.request, "anvil_dropTransaction", record.attempts_sent[0].hash)
    work = network.pause(1) if how == "paused" else network.update(1, action_data=b"\x01" + b"\x00" * 64)
    changing = asyncio.create_task(work)
    while not changing.done():
        await asyncio.sleep(0.02)
        await asyncio.to_thread(network.anvil.mine)
    await changing


@pytest.mark.parametrize("how", ["paused", "changed"])
def test_what_its_owner_does_not_want_any_more_is_not_raised_but_cancelled(
    cli: Cli, network: LiveNetwork, how: str
) -> None:
    run = runner(cli, network)

    async def scenario() -> None:
        async with orphan(network) as stage:
            await dropped_and_paused(stage, how)
            async with mining_when(stage, "cancelling"):
                await run("bump", "1", "--json", TX_TIMEOUT="10")
            after = await stage.only(1)
            assert [each.what for each in after.attempts_sent] == ["call", "cancel"], "it is not signed again"
            assert (await stage.workflow(1)).active is (how != "paused"), "nobody re-activated it"
            await nothing_paid(stage)
            assert after.state == "skipped", after

    asyncio.run(scenario())
