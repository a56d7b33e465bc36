"""What all tests share: an environment without surprises, the command line, a Redis, a chain.

Without a server to be had, tests that need one are skipped with the reason; where CI is set, they fail.
"""

# ruff: noqa: E402  the environment is set before anything else is imported

from __future__ import annotations

import os

# Before Typer and rich are imported: they read these once.
os.environ |= {
    "NO_COLOR": "1",
    "COLUMNS": "80",
    "LINES": "24",
    "TERMINAL_WIDTH": "80",
    "_TYPER_FORCE_DISABLE_TERMINAL": "1",
}
for _name in ("FORCE_COLOR", "PY_COLORS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(_name, None)

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.errors import AutometaError
from autometa_cli.options import BY_NAME
from tests.network import LiveNetwork
from tests.runner import Cli

# Where somebody runs the tests under nohup, or in the background of a script, children would inherit deaf ears.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: Blocks after which the shared chain begins anew.
LONG_CHAIN = 300
#: What gas costs when a test begins, wei.
BASE_FEE = 10**9
_KEPT = ("AUTOMETA_ANVIL", "AUTOMETA_VALKEY")

# A developer's own settings must not reach a test, nor a test a developer's chain.
for _name in list(os.environ):
    if _name in BY_NAME or (_name.startswith("AUTOMETA_") and _name not in _KEPT):
        del os.environ[_name]


def unavailable(reason: str) -> NoReturn:
    """Skips the test, or fails it in CI, where everything has to be there."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The `autometa` command, in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return Cli(tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyProcess]:
    """A server of the Redis protocol that keeps every write; AUTOMETA_VALKEY names another binary."""
    server = ValkeyProcess(tmp_path_factory.mktemp("valkey"))
    try:
        server.start()
    except AutometaError as error:
        unavailable(f"{error.message} {error.hint}")
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server: ValkeyProcess) -> str:
    """The URL of that server, emptied."""
    import redis

    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def _anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnvilProcess]:
    from autometa_cli.devnet import anvil_binary

    try:
        node = AnvilProcess(tmp_path_factory.mktemp("anvil"), anvil_binary.find(), block_time=None)
        node.start()
    except AutometaError as error:
        unavailable(f"{error.message} {error.hint}")
    yield node
    node.stop()


@pytest.fixture
def anvil(_anvil: AnvilProcess) -> AnvilProcess:
    """A chain (id 1287) that mines each transaction at once; no funded accounts: `anvil.set_balance`.

    Begun anew when it has become long: anvil copies its whole state with each block, and while it does so, a read at
    the newest block may already show what only the next one will have.
    """
    if _anvil.block_number() > LONG_CHAIN:
        _anvil.stop()
        _anvil.start()
    # The test before may have made gas dear; falling from there, it would be another price with each block.
    _anvil.request("anvil_setNextBlockBaseFeePerGas", hex(BASE_FEE))
    return _anvil


@pytest.fixture
def network(anvil: AnvilProcess, redis_url: str) -> LiveNetwork:
    """Our contracts, freshly deployed and wired on that chain, with accounts of their own; an empty Redis."""
    return LiveNetwork.on(anvil, redis_url)
