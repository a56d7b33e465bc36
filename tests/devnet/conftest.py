"""An anvil for the tests of this folder, found or installed once."""

from __future__ import annotations

from pathlib import Path

import pytest

from autometa_cli.devnet import anvil_binary
from autometa_cli.errors import AutometaError
from tests.conftest import unavailable


@pytest.fixture(scope="session")
def binary() -> Path:
    """The path of an anvil that runs."""
    try:
        return anvil_binary.find()
    except AutometaError as error:
        unavailable(f"{error.message} {error.hint}")
        raise
