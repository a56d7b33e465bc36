"""What the tests of the worker share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.errors import AutometaError
from tests.conftest import unavailable
from tests.network import LiveNetwork


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers in this process look around more often than in production. Those of their own keep its pace."""
    monkeypatch.setattr("autometa_cli.jobs.claim.BLOCK_SECONDS", 0.1)
    monkeypatch.setattr("autometa_cli.worker._TEND_SECONDS", 0.1)
    monkeypatch.setattr("autometa_cli.working.membership.BEAT_SECONDS", 0.25)


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[ValkeyProcess]:
    """A server of one test's own, which it may stop, freeze and kill."""
    server = ValkeyProcess(tmp_path / "valkey")
    try:
        server.start()
    except AutometaError as error:
        unavailable(f"{error.message} {error.hint}")
    yield server
    server.stop()


@pytest.fixture
def own_network(anvil: AnvilProcess, own_redis: ValkeyProcess) -> LiveNetwork:
    """As `network`, with a Redis of its own."""
    return LiveNetwork.on(anvil, own_redis.url)
