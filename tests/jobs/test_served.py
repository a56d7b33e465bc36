"""A queue is for one executor on one chain: a job in the list does not say which, and would run at whoever takes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import redis

from autometa_cli import config
from autometa_cli.errors import ConfigError
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.jobs.script import Answer
from autometa_cli.jobs.served import OtherContracts
from autometa_cli.working.house import House
from autometa_cli.working.membership import Membership
from tests.jobs.desk import CHAIN, EXECUTOR, Desk
from tests.network import LiveNetwork
from tests.runner import Cli

OTHER = "0x" + "0f" * 20

LEFT: Mapping[str, Callable[[Desk], object]] = {
    "a job on the list": lambda desk: desk.push(desk.payload()),
    "a delayed one": lambda desk: _gone(desk, desk.release(_claim(desk), "delayed")),
    "an open nonce": lambda desk: _gone(desk, desk.signed(desk.worker("ann"))),
    "a living worker": lambda desk: desk.worker("ann"),
    "a scheduler that leads": lambda desk: desk.lead("take", "sam"),
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


def test_workers_that_were_killed_keep_nobody_out(desk: Desk) -> None:
    """All of theirs are gone, and nobody is there to bury them."""
    desk.do(desk.queue.serve(CHAIN, OTHER))
    desk.silence(desk.worker("ann"))
    desk.lead("take", "sam", 1)
    while float(desk.redis.hget(desk.keys.leader, "until")) >= desk.now_ms():
        pass

    assert not desk.do(desk.queue.left())
    desk.do(desk.queue.serve(CHAIN, EXECUTOR))

    assert desk.do(desk.queue.serves()) == f"{CHAIN}:{EXECUTOR}"


@pytest.mark.parametrize("buried", [False, True])
def test_what_they_held_does(desk: Desk, buried: bool) -> None:
    """Handed on after the change, it would be executed at our contracts."""
    desk.do(desk.queue.serve(CHAIN, OTHER))
    raw = desk.push(desk.payload(0))
    ann = desk.worker("ann")
    desk.take(ann)
    desk.silence(ann)
    if buried:  # and its reaper died before it came to the jobs
        desk.redis.zadd(desk.keys.workers, {ann: -desk.now_ms()})
    assert desk.do(desk.queue.left())

    with pytest.raises(ConfigError, match="is for the executor"):
        desk.do(desk.queue.serve(CHAIN, EXECUTOR))

    assert desk.pending() == [raw]


def test_two_that_register_at_once_do_not_both_stay(redis_url: str) -> None:
    """Between its question and its entry in the registry, the other one takes the queue over."""

    async def scenario() -> None:
        async with JobQueue(redis_url) as mine, JobQueue(redis_url) as theirs:
            house = House(config.load(Path("/dev/null"), environ={"NETWORK": "local"}))
            ann, bob = (Membership(queue, house, lambda: None) for queue in (mine, theirs))
            await mine.join()
            await mine.serve(CHAIN, OTHER)
            registers = mine.workers.register

            async def overtaken(worker: str, fields: Mapping[str, str]) -> Answer:
                await bob.register("bob", {"chain": str(CHAIN), "executor": EXECUTOR})
                return await registers(worker, fields)

            mine.workers.register = overtaken  # type: ignore[method-assign]
            with pytest.raises(OtherContracts):
                await ann.register("ann", {"chain": str(CHAIN), "executor": OTHER})

            members = await theirs.workers.members()
            assert {member.id: member.left for member in members} == {"ann": True, "bob": False}

    asyncio.run(scenario())


def test_a_check_does_not_fail_where_the_next_start_takes_the_queue_over(
    cli: Cli, network: LiveNetwork
) -> None:
    env = network.environment()
    with redis.Redis.from_url(env["REDIS_URL"], protocol=2) as client:
        client.hset("{workflow_jobs}:epoch", "serves", f"{CHAIN}:{OTHER}")

        result = cli("config", "check", "--connect", env=env)

        assert result.code == 0, result.stdout + result.stderr
        assert "nothing of that is left" in result.stdout + result.stderr
        assert client.hget("{workflow_jobs}:epoch", "serves") == f"{CHAIN}:{OTHER}".encode()


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
