"""What a running scheduler says: every event, every trouble once and again while it lasts, and a sign of life."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from autometa_cli.errors import RpcUnreachable
from autometa_cli.scheduling.diary import HEARTBEAT_SECONDS, Diary
from autometa_cli.scheduling.passes import Pass
from tests.chain.loopback import Clock
from tests.network import LiveNetwork

QUIET = Pass(
    block=10,
    final_block=8,
    now=1000,
    workflows=3,
    active=2,
    due=0,
    enqueued=0,
    already=0,
    waiting=0,
    unreadable=0,
    unsupported=0,
    next_due=1060,
    trouble="",
)


class Log:
    """The lines since the last look."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        self._caplog = caplog

    def news(self) -> list[str]:
        lines = [record.getMessage() for record in self._caplog.records]
        self._caplog.clear()
        return lines


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    return Log(caplog)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def diary(clock: Clock) -> Diary:
    return Diary(clock, interval=10)


def test_quiet_passes_are_a_sign_of_life_now_and_then(diary: Diary, clock: Clock, log: Log) -> None:
    diary.passed(QUIET)
    assert log.news() == ["block 10, 2 active of 3 workflows: 0 due; next due in 1m"]
    for _ in range(10):
        clock.now += 10
        diary.passed(QUIET)
    assert log.news() == []
    clock.now += HEARTBEAT_SECONDS
    diary.passed(QUIET)
    assert len(log.news()) == 1


def test_events_are_told_at_once(diary: Diary, log: Log) -> None:
    diary.passed(QUIET)
    diary.passed(replace(QUIET, due=4, enqueued=2, already=2, promoted=1))

    assert log.news()[1:] == [
        "block 10, 2 active of 3 workflows: 4 due, 2 queued now, 2 on their way, 1 queued for another try; "
        "next due in 1m"
    ]


def test_a_trouble_is_told_once_and_again_while_it_lasts(diary: Diary, clock: Clock, log: Log) -> None:
    down = RpcUnreachable("no RPC endpoint gave an answer", "check RPC_URLS")
    for _ in range(10):
        diary.failed(down)
        clock.now += 10
    assert log.news() == ["no RPC endpoint gave an answer (check RPC_URLS); trying again every 10s"]
    clock.now += HEARTBEAT_SECONDS
    diary.failed(down)
    assert len(log.news()) == 1
    for apart in ("59s", "1m", "1m 1s"):
        diary.passed(replace(QUIET, trouble=f"the clock is {apart} behind"))
    assert log.news()[:1] == ["nothing is queued: the clock is 59s behind"]
    diary.passed(QUIET)
    assert log.news()[0] == "in order again after 6m 40s"


def test_halted_workflows_are_named_once(diary: Diary, log: Log) -> None:
    diary.passed(QUIET)
    log.news()
    for _ in range(2):
        diary.passed(replace(QUIET, due=1, halted=(7,)))
    diary.passed(replace(QUIET, due=2, halted=(7, 9)))

    assert log.news() == [f"workflow {id} is halted: its due run is a dead letter" for id in (7, 9)]


def test_many_of_a_kind_are_summed_up(diary: Diary, log: Log) -> None:
    diary.passed(replace(QUIET, halted=tuple(range(1000))))

    lines = log.news()
    assert len(lines) == 52
    assert "950 more workflows are halted by dead letters" in lines


def test_it_says_where_it_runs_without_secrets(diary: Diary, log: Log, network: LiveNetwork) -> None:
    diary.begin(network.settings(REDIS_URL="redis://user:secret@host:1/0"))

    (line,) = log.news()
    assert network.registry in line
    assert "queue workflow_jobs at redis://host:1/0" in line
    assert "secret" not in line
