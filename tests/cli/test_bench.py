"""`autometa bench`: it measures, and says what."""

from __future__ import annotations

import pytest

from tests.runner import Cli


def test_scan(cli: Cli) -> None:
    result = cli("bench", "scan", "--sizes", "60,30", "--synthetic", "5000", "--json")

    assert result.code == 0, result.stderr
    small, large = result.json["scans"]
    assert (small["workflows"], large["workflows"]) == (30, 60)
    assert large["due_count"] == 60
    assert large["poll_requests"] <= 5
    assert 0 < large["poll"] <= large["poll_worst"]
    assert result.json["synthetic"]["workflows"] == 5000


def test_scan_for_people(cli: Cli) -> None:
    result = cli("bench", "scan", "--sizes", "20")

    assert result.code == 0, result.stderr
    assert "nothing due" in result.stdout
    assert "creating" in result.stderr


@pytest.mark.parametrize("sizes", ["0", "many", "5,,6", "2000000"])
def test_wrong_sizes(cli: Cli, sizes: str) -> None:
    result = cli("bench", "scan", "--sizes", sizes)

    assert result.code == 2
    assert "--sizes" in result.stderr
