"""`autometa bench queue`: it measures, says what, and leaves nothing behind."""

from __future__ import annotations

import os

import pytest
import redis

from tests.runner import Cli


def test_queue_on_a_redis_of_its_own(cli: Cli) -> None:
    result = cli("bench", "queue", "--jobs", "200", "--rounds", "2", "--json")

    assert result.code == 0, result.stderr
    found = result.json
    assert found["jobs"] == 200
    assert min(found[name] for name in ("rpush", "enqueue", "blpop", "work")) > 0
    assert 0 < found["push_to_claim_p50"] <= found["push_to_claim_p99"]
    assert [each["enqueue_ratio"] for each in found["rounds"]] == [
        each["enqueue"] / each["rpush"] for each in found["rounds"]
    ]
    low, high = sorted(each["work_ratio"] for each in found["rounds"])
    assert low <= found["work_ratio"] <= high


def test_queue_on_a_given_redis(cli: Cli, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url, protocol=2) as client:
        client.rpush("workflow_jobs", b"somebody's")
        result = cli("bench", "queue", "--jobs", "100", "--rounds", "1", "--redis-url", redis_url)

        assert result.code == 0, result.stderr
        assert "times as fast" in result.stdout
        assert client.keys("*") == [b"workflow_jobs"]


@pytest.mark.parametrize(
    ("url", "code"),
    [("foo", 2), ("redis+cluster://h:1", 2), ("redis://127.0.0.1:1/0", 5), ("", 3)],
)
def test_what_is_wrong_with_the_option_is_not_blamed_on_the_variable(
    cli: Cli, redis_url: str, url: str, code: int
) -> None:
    wrong = url or redis_url.rpartition("/")[0] + "/99"
    result = cli("bench", "queue", "--jobs", "100", "--rounds", "1", "--redis-url", wrong)
    assert result.code == code, result.stderr
    assert "--redis-url" in result.stderr
    assert "REDIS_URL" not in result.stderr
    assert "bug" not in result.stderr


@pytest.mark.parametrize(("load", "told"), [(0.1, False), (100.0, True)])
def test_a_busy_machine_is_told_of(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, load: float, told: bool
) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (load * (os.cpu_count() or 1), 0.0, 0.0))
    result = cli("bench", "queue", "--redis-url", "foo")
    assert ("this machine is busy" in result.stderr) == told
