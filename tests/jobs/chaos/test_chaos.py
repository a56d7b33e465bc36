"""Half of the workers are killed and half stopped while Redis restarts: nothing is lost, nothing is done twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.errors import AutometaError
from tests.conftest import unavailable
from tests.jobs.chaos.harness import WORKERS, drain

OURS, CONTROL = "tests.jobs.chaos.hand", "tests.jobs.chaos.control"
RUNS = 20


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyProcess]:
    """As it is run in earnest: an append-only file, written to disk every second."""
    process = ValkeyProcess(tmp_path / "valkey")
    try:
        process.start()
    except AutometaError as error:
        unavailable(f"{error.message} {error.hint}")
    yield process
    process.stop()


def test_nothing_is_lost_and_nothing_done_twice(server: ValkeyProcess, tmp_path: Path) -> None:
    outcome = drain(OURS, server, tmp_path / "run", jobs=300, seed=1)
    assert (outcome.lost, outcome.twice) == (frozenset(), frozenset())
    assert outcome.killed == outcome.stopped == WORKERS // 2


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_nothing_in_twenty_runs(server: ValkeyProcess, tmp_path: Path) -> None:
    for seed in range(RUNS):
        outcome = drain(OURS, server, tmp_path / f"run{seed}", jobs=600, seed=100 + seed)
        assert (seed, outcome.lost, outcome.twice) == (seed, frozenset(), frozenset())


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_plain_blpop_loop_loses_jobs(server: ValkeyProcess, tmp_path: Path) -> None:
    """The control: the same harness sees what the usual loop loses."""
    lost = [
        len(drain(CONTROL, server, tmp_path / f"run{seed}", jobs=300, seed=seed).lost) for seed in range(3)
    ]
    assert sum(lost) > 0
