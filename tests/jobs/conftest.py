"""A queue on each Redis that we support: Valkey, Redis 6.2 (the oldest), and redis-server 7 where it is on PATH."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.errors import AutometaError
from tests.conftest import unavailable
from tests.jobs.desk import Desk
from tests.jobs.fleet import KINDS, binary


@pytest.fixture(scope="session", params=KINDS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ValkeyProcess]:
    """One server of each kind for the whole run."""
    process = ValkeyProcess(tmp_path_factory.mktemp(request.param), binary(request.param))
    try:
        process.start()
    except AutometaError as error:
        unavailable(f"{error.message} {error.hint}")
    yield process
    process.stop()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ValkeyProcess]:
    """A Valkey of one test's own, to be restarted."""
    process = ValkeyProcess(tmp_path / "valkey", fsync="always")
    try:
        process.start()
    except AutometaError as error:
        unavailable(f"{error.message} {error.hint}")
    yield process
    process.stop()


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all synchronous tests of asynchronous code."""
    with asyncio.Runner() as made:
        yield made


@pytest.fixture
def desk(server: ValkeyProcess, runner: asyncio.Runner) -> Iterator[Desk]:
    """An empty queue on each kind of server."""
    with Desk(runner, server.url) as made:
        yield made


@pytest.fixture
def valkey_desk(redis_url: str, runner: asyncio.Runner) -> Iterator[Desk]:
    """An empty queue on Valkey alone, for what does not depend on the server."""
    with Desk(runner, redis_url) as made:
        yield made
