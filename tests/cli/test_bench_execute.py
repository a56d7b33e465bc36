"""`autometa bench execute`: it measures, and says what."""

from __future__ import annotations

import pytest

from autometa_cli.bench import execute
from tests.runner import Cli


@pytest.mark.soak
def test_execute(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    small = execute.Size(40, plain=2, single=2, instant=40, instant_plain=10)
    monkeypatch.setattr("autometa_cli.bench.execute.Size", lambda jobs: small)
    result = cli("bench", "execute", "--json")

    assert result.code == 0, result.stderr
    found = result.json
    assert (found["jobs"], found["instant_jobs"]) == (40, 40)
    assert min(value for value in found.values()) > 0
    assert found["worker_settled"] < found["worker"]
    assert found["of_plain"] == found["worker"] / found["plain"]
    assert found["claim_to_mined_p50"] <= found["claim_to_mined_worst"]


def test_too_few_jobs(cli: Cli) -> None:
    result = cli("bench", "execute", "--jobs", "1")

    assert result.code == 2
    assert "--jobs" in result.stderr
