"""A chain for the contract tests: one anvil for the session, one fresh system for each test."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from web3 import HTTPProvider, Web3

from autometa_cli.devnet import anvil_binary
from autometa_cli.errors import AutometaError
from tests.conftest import unavailable

from .wired import System

START_LIMIT = 30.0  # seconds


def _anvil_command() -> list[str]:
    try:
        return [str(anvil_binary.find())]
    except AutometaError as error:
        unavailable(f"{error.message} {error.hint}")


@pytest.fixture(scope="session")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a fresh chain."""
    output = Path(tmp_path_factory.mktemp("anvil")) / "output"
    command = [*_anvil_command(), "--host", "127.0.0.1", "--port", "0", "--prune-history", "1000"]
    with output.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, start_new_session=True)
    try:
        deadline = time.monotonic() + START_LIMIT
        while not (listening := re.search(r"Listening on (\S+)", output.read_text(errors="replace"))):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"anvil did not start:\n{output.read_text(errors='replace')}")
            time.sleep(0.05)
        yield f"http://{listening[1]}"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=10)


@pytest.fixture(scope="session")
def web3(anvil: str) -> Web3:
    """A client of that chain."""
    return Web3(HTTPProvider(anvil))


@pytest.fixture
def system(web3: Web3) -> System:
    """The three contracts, wired."""
    return System(web3)
