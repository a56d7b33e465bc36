"""A queue is for one executor on one chain: a job in the list does not say which, and would run at whoever takes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import redis

from autometa_cli.errors import ConfigError
from tests.jobs.desk import CHAIN, EXECUTOR, Desk
from tests.network import LiveNetwork
from tests.runner import Cli

OTHER = "0x" + "0f" * 20

LEFT: Mapping[str, Callable[[Desk], object]] = {
    "a job on the list": lambda desk: desk.push(desk.payload()),
    "a delayed one": lambda desk: _gone(desk, desk.release(_claim(desk), "delayed")),
    "an open nonce": lambda desk: _gone(desk, desk.signed(desk.worker("ann"))),
    "a living worker": lambda desk: desk.worker("ann"),
}


def _claim(desk: Desk):  # type: ignore[no-untyped-def]
    return desk.claim(desk.worker("ann"))


def _gone(desk: Desk, _: object) -> None:
    desk.redis.delete(desk.keys.workers)


@pytest.mark.parametrize("left", LEFT)
def test_while_anything_is_left_it_is_not_for_others(desk: Desk, left: str) -> None:
    desk.do(desk.queue.serve(CHAIN, OTHER))
    LEFT[left](desk)
    before = desk.dump()

    for chain, executor in ((CHAIN, EXECUTOR), (CHAIN + 1, OTHER)):
        with pytest.raises(ConfigError, match=f"is for the executor {OTHER} on chain {CHAIN}; configured is"):
            desk.do(desk.queue.serve(chain, executor))

    assert desk.dump() == before
    desk.do(desk.queue.serve(CHAIN, OTHER.upper().replace("X", "x")))


def test_what_is_closed_keeps_nobody_out(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.do(desk.queue.serve(CHAIN, OTHER))
    ann = desk.worker("ann")
    desk.release(desk.claim(ann), "skipped")
    desk.release(desk.claim(ann, workflow=2), "dead")
    desk.do(desk.queue.workers.leave(ann))

    desk.do(desk.queue.serve(CHAIN, EXECUTOR))

    assert desk.do(desk.queue.serves()) == f"{CHAIN}:{EXECUTOR}"
    assert f"served the executor {OTHER} on chain {CHAIN}, and nothing of that is left" in caplog.text


@pytest.mark.parametrize(
    "command", [("worker", "--burst"), ("scheduler", "--once"), ("config", "check", "--connect")]
)
def test_nobody_starts_at_a_queue_of_other_contracts(
    cli: Cli, network: LiveNetwork, command: tuple[str, ...]
) -> None:
    env = network.environment()
    with redis.Redis.from_url(env["REDIS_URL"], protocol=2) as client:
        client.hset("{workflow_jobs}:epoch", "serves", f"{CHAIN}:{OTHER}")
        client.rpush("workflow_jobs", '{"workflowId":1,"nextRun":0}')

        result = cli(*command, env=env)

        assert result.code == 3
        assert f"the queue workflow_jobs is for the executor {OTHER}" in result.stderr + result.stdout
        assert client.llen("workflow_jobs") == 1
