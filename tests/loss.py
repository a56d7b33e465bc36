"""A Redis that forgets: its data are copied at one moment and put back at another."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autometa_cli.devnet import anvil_binary
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.devnet.server import ValkeyProcess
from tests.network import LiveNetwork


@contextmanager
def forgetful(directory: Path) -> Iterator[tuple[LiveNetwork, ValkeyProcess]]:
    """A chain and a Redis that only one test uses: it kills and rolls back the one, and stops mining on the other."""
    for name in ("anvil", "valkey"):
        (directory / name).mkdir()
    anvil = AnvilProcess(directory / "anvil", anvil_binary.find(), block_time=None)
    valkey = ValkeyProcess(directory / "valkey")
    anvil.start()
    valkey.start()
    try:
        yield LiveNetwork.on(anvil, valkey.url), valkey
    finally:
        anvil.stop()
        valkey.stop()


def roll_back(valkey: ValkeyProcess, saved: Path) -> None:
    """Kill the server and start it again on the data that it had on disk earlier."""
    valkey.kill()
    shutil.rmtree(valkey.data)
    shutil.copytree(saved, valkey.data)
    valkey.start()
