"""Users with exactly the rights that docs/redis.md gives: the services' does all of their work, the watcher's looks."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.exceptions as rex

import autometa_cli
from autometa_cli.chain.rpc import Rpc
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.devnet.process import HOST
from autometa_cli.errors import ConfigError
from autometa_cli.jobs import server as fitness
from autometa_cli.jobs.claim import Claim
from autometa_cli.jobs.connection import redis_errors
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.scheduler import Scheduler
from tests.jobs import cases
from tests.jobs.desk import Desk
from tests.jobs.fleet import KINDS, Node, binary, start
from tests.network import LiveNetwork
from tests.runner import Cli
from tests.working.stage import staged

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "redis.md"
PACKAGE = Path(autometa_cli.__file__).parent
#: Methods of redis-py's clients that are not named like their command, or are none.
METHODS = {
    "scan_iter": "scan",
    "delete": "del",
    "config_get": "config|get",
    **dict.fromkeys(
        ("execute", "execute_command", "pipeline", "connection_pool", "aclose", "error_reply"), ""
    ),
}
#: Commands that only need to be allowed where they are there.
NEWER = {"waitaof"}


def lines(user: str) -> list[list[str]]:
    """What the page says after `ACL SETUSER user`."""
    found = [
        shlex.split(line) for line in DOCUMENT.read_text().splitlines() if line.startswith("ACL SETUSER ")
    ]
    return [words[3:] for words in found if words[2] == user]


def allowed(user: str) -> set[str]:
    return {word[1:] for words in lines(user) for word in words if word.startswith("+")}


@pytest.fixture(scope="module", params=KINDS)
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A server that knows both users."""
    with ExitStack() as stack:
        made = Node(tmp_path_factory.mktemp("acl"), binary(request.param), {})
        start(made, stack)
        for user in ("autometa", "autometa-watch"):
            for words in lines(user):
                given = [word.replace("PASSWORD", "topsecret") for word in words]
                try:
                    made.client.execute_command("ACL", "SETUSER", user, *given)
                except redis.ResponseError:
                    assert {word.lstrip("+") for word in given} <= NEWER, given
        yield made


def url(node: Node, user: str = "autometa") -> str:
    return f"redis://{user}:topsecret@{HOST}:{node.port}/0"


@pytest.fixture
def desk(node: Node, runner: asyncio.Runner) -> Iterator[Desk]:
    """A queue that its user works on; what tests do to it by hand, the administrator does."""
    with Desk(runner, url(node), node.url) as made:
        yield made


def denials(node: Node) -> list[dict[str, Any]]:
    return list(node.client.acl_log())


# -- the services ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("script", "word", "note"), sorted(cases.CASES), ids=lambda part: part or "-")
def test_every_script(desk: Desk, script: str, word: str, note: str) -> None:
    cases.CASES[script, word, note](desk)()

    assert (desk.scripts.asked[-1][0], desk.answer.word) == (script, word)


def test_the_life_of_jobs(node: Node, desk: Desk) -> None:
    node.client.acl_log_reset()
    queue, ann = desk.queue, desk.worker("ann")
    for workflow in (1, 2, 3):
        assert desk.enqueue(workflow=workflow).word == "ok"
    taken = desk.do(queue.take(ann, 10))
    assert len(taken) == 3
    done, late, dead = (desk.adopt(ann, raw) for raw in taken)
    assert isinstance(done, Claim)
    assert isinstance(late, Claim)
    assert isinstance(dead, Claim)
    desk.bind(done)
    desk.write(done)
    assert desk.settle(done.key).word == "ok"
    assert desk.release(late, "delayed").word == "ok"
    assert desk.release(dead, "dead").word == "ok"
    desk.mature(late.key)
    assert desk.do(queue.promote()) == 1
    desk.push(desk.payload(500))
    _, count = desk.do(queue.clear())
    assert count == 2
    assert desk.do(queue.restore()) == 2
    assert desk.do(queue.sweep()) == 0
    desk.take(ann)
    desk.kill(ann)
    assert len(desk.pending()) == 2
    desk.do(queue.barrier.disk())
    desk.do(queue.barrier._ask())
    assert desk.do(fitness.examine(desk.queue.redis))
    assert desk.do(_records(desk)) == 3

    assert [entry["object"] for entry in denials(node) if entry["object"] not in NEWER] == []


async def _records(desk: Desk) -> int:
    return len([record async for record in desk.inspector.records()])


def test_services_at_work(node: Node, anvil: AnvilProcess) -> None:
    """Scheduler and worker, with a chain: nothing that they ask Redis for is denied."""
    node.client.flushall()
    node.client.acl_log_reset()
    network = LiveNetwork.on(anvil, url(node))

    async def scenario() -> None:
        async with staged(network, CONFIRMATIONS="1") as stage:
            ids = await stage.made(3)
            async with Rpc.of(network.settings()) as rpc, JobQueue.of(network.settings()) as queue:
                done = await Scheduler(network.settings(CONFIRMATIONS="1"), queue, rpc).run_once()
                assert done.enqueued == 3
            async with stage.hired(burst=True) as hand:
                await hand.finished()
            await stage.assert_executed_once(ids)

    asyncio.run(scenario())

    assert [entry["object"] for entry in denials(node) if entry["object"] not in NEWER] == []


def test_every_command_that_the_code_uses_is_on_the_page() -> None:
    used = {"ping", "info", "eval", "evalsha", "type", "cluster|slots", "wait", "select", "waitaof"}
    for script in (PACKAGE / "jobs" / "scripts").glob("*.lua"):
        used |= {name.lower() for name in re.findall(r"redis\.call\('([A-Z]+)'", script.read_text())}
    for source in PACKAGE.rglob("*.py"):
        if source.relative_to(PACKAGE).parts[0] in ("devnet", "benchmarks", "bench"):
            continue
        text = source.read_text()
        used |= {"zrevrange"} if "desc=True" in text else set()
        methods = re.findall(r"\b(?:redis|pipe|blocking|commands)\.([a-z_]+)\(", text)
        used |= {METHODS.get(name, name) for name in methods if source.name != "bench.py"}
        used |= {name.lower() for name in re.findall(r'scripts\.command\(\s*"([A-Z]+)"', text)}

    assert used - {""} <= allowed("autometa")
    assert allowed("autometa") <= used


# -- who looks ---------------------------------------------------------------------------------------------


LOOKING = (
    ("len",),
    ("peek",),
    ("stats",),
    ("inflight",),
    ("delayed",),
    ("dead", "list"),
    ("workers",),
    ("history",),
)


@pytest.mark.parametrize("command", LOOKING, ids=" ".join)
def test_looking(node: Node, desk: Desk, cli: Cli, command: tuple[str, ...]) -> None:
    ann = desk.worker("ann")
    desk.signed(ann, workflow=1)
    assert desk.settle(desk.signed(ann, workflow=2, next_run=300).key).word == "ok"
    desk.release(desk.claim(ann, workflow=3), "dead")
    desk.release(desk.claim(ann, workflow=4), "delayed")
    desk.push(desk.payload(workflow=5))
    node.client.acl_log_reset()
    before = desk.dump()

    result = cli("queue", *command, "--json", env={"REDIS_URL": url(node, "autometa-watch")})

    assert result.code == 0, result.stdout + result.stderr
    assert desk.dump() == before
    assert [entry["object"] for entry in denials(node)] == []


def test_looking_at_transactions(node: Node, desk: Desk, cli: Cli) -> None:
    ann = desk.worker("ann")
    key = desk.signed(ann, workflow=1).key
    node.client.acl_log_reset()
    before = desk.dump()
    environment = {
        "REDIS_URL": url(node, "autometa-watch"),
        "NETWORK": "local",
        "RPC_URLS": "http://127.0.0.1:9",
    }

    for command in (
        ("list",),
        ("list", "--all"),
        ("show", key),
        ("show", "no such id"),
        ("show", "0x" + "0" * 64),
    ):
        result = cli("tx", *command, env=environment)
        assert result.code == int(command[-1] not in ("list", "--all", key)), result
    assert cli("tx", "reconcile", "--all", "--dry-run", env=environment).code == 5  # no chain

    assert desk.dump() == before
    assert [entry["object"] for entry in denials(node)] == []


def test_a_dead_letter_by_its_name(desk: Desk, node: Node, cli: Cli) -> None:
    claim = desk.claim(desk.worker("ann"))
    desk.release(claim, "dead")

    result = cli("queue", "dead", "show", claim.key, env={"REDIS_URL": url(node, "autometa-watch")})

    assert result.code == 0, result.stderr


def test_who_looks_changes_nothing(node: Node, cli: Cli) -> None:
    payload = '{"workflowId": 1, "nextRun": 100}'

    result = cli("queue", "push", payload, "--json", env={"REDIS_URL": url(node, "autometa-watch")})

    assert result.code == 3
    assert "does not permit this user" in result.json["error"]["message"]
    assert "docs/redis.md" in result.json["error"]["hint"]
    assert "topsecret" not in result.stdout + result.stderr


# -- what is said ------------------------------------------------------------------------------------------


def test_info_denied(node: Node) -> None:
    words = [word.replace("PASSWORD", "topsecret") for word in lines("autometa")[0]]
    node.client.execute_command("ACL", "SETUSER", "blind", *words, "-info")

    async def scenario() -> None:
        async with JobQueue(url(node, "blind")):
            pass

    with pytest.raises(ConfigError, match="INFO, which tells that Redis restarted"):
        asyncio.run(scenario())


def test_a_command_inside_a_script_denied(node: Node, runner: asyncio.Runner) -> None:
    """Redis 6 has other words for it."""
    words = [word.replace("PASSWORD", "topsecret") for word in lines("autometa")[0]]
    node.client.execute_command("ACL", "SETUSER", "halting", *words, "-hincrby")
    node.client.flushall()

    async def scenario() -> None:
        async with redis_errors(url(node, "halting")), JobQueue(url(node, "halting")) as queue:
            await queue.join()
            await queue.workers.register("ann", {})

    with pytest.raises(ConfigError, match="does not permit this user"):
        runner.run(scenario())


def test_a_wrong_password_and_none(node: Node) -> None:
    node.client.execute_command("ACL", "SETUSER", "default", ">another")
    admin: Any = redis.Redis(HOST, node.port, password="another", protocol=2)
    admin.execute_command("ACL", "SETUSER", "default", "resetpass", ">another")
    try:
        for address in (url(node).replace("topsecret", "wrong"), f"redis://{HOST}:{node.port}/0"):
            with pytest.raises(ConfigError, match="refuses this user"):
                asyncio.run(_open(address))
    finally:
        admin.execute_command("ACL", "SETUSER", "default", "nopass")


async def _open(address: str) -> None:
    async with JobQueue(address):
        pass


def test_waiting_without_permission_is_told(node: Node, runner: asyncio.Runner) -> None:
    words = [word.replace("PASSWORD", "topsecret") for word in lines("autometa")[0]]
    node.client.execute_command("ACL", "SETUSER", "hasty", *words, "-wait")

    async def scenario() -> None:
        async with JobQueue(url(node, "hasty"), min_replicas=1) as queue:
            await queue.barrier.replicas()

    with pytest.raises(rex.NoPermissionError):
        runner.run(scenario())
