"""The network that other tests run on is what it says it is."""

from __future__ import annotations

import asyncio

from tests.network import LiveNetwork


def test_workflows_are_made_and_changed(network: LiveNetwork) -> None:
    async def scenario() -> None:
        ids = await network.create_workflows(30)
        assert ids == list(range(1, 31))
        await network.pause(3)
        await network.delete(4, 5)
        changed = await network.update(6, next_run=123, action_data=b"\x01")

        paused = await network.workflow(3)
        assert paused is not None
        assert not paused.active
        assert await network.workflow(4) is None
        assert (changed.next_run, changed.action_data, changed.active) == (123, b"\x01", True)

    asyncio.run(scenario())


def test_settings_have_everything(network: LiveNetwork) -> None:
    settings = network.settings(MAX_RETRIES="7")

    assert settings.max_retries == 7
    assert settings.registry_address == network.registry
    assert settings.worker_key().load(chain_id=1287).address == network.accounts["worker"].address
