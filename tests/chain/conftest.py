"""What the tests of the chain layer share, besides the session's chain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from autometa_cli.devnet import anvil_binary
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.errors import AutometaError
from tests.conftest import unavailable


@pytest.fixture
def still(tmp_path: Path) -> Iterator[AnvilProcess]:
    """A chain of one's own that mines only when told to."""
    try:
        node = AnvilProcess(tmp_path, anvil_binary.find(), block_time=None)
        node.start()
    except AutometaError as error:
        unavailable(f"{error.message} {error.hint}")
    node.request("evm_setAutomine", False)
    yield node
    node.stop()
