"""`autometa queue`, against a real Redis; what is read changes nothing, what is pushed is whole."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis

from autometa_cli.devnet.server import ValkeyProcess
from tests.jobs.desk import CHAIN, EXECUTOR, OWNER, Desk
from tests.network import LiveNetwork
from tests.runner import Cli, Result

PENDING = "workflow_jobs"
HUGE = 2**256 - 1
GARBAGE = b"\x00no job\xff\x1b[31m"


@pytest.fixture
def env(redis_url: str) -> Mapping[str, str]:
    return {"REDIS_URL": redis_url}


@pytest.fixture
def raw_redis(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def desk(redis_url: str) -> Iterator[Desk]:
    with asyncio.Runner() as runner, Desk(runner, redis_url) as made:
        yield made


def payload(workflow: int = 1, next_run: int = 100, **more: Any) -> str:
    return json.dumps({"workflowId": workflow, "nextRun": next_run, **more})


def elements(raw_redis: Any) -> list[bytes]:
    return list(raw_redis.lrange(PENDING, 0, -1))


# -- len and peek -----------------------------------------------------------------------------------


def test_len_is_the_bare_number(cli: Cli, env: Mapping[str, str], raw_redis: Any) -> None:
    assert cli("queue", "len", env=env) == Result(0, "0\n", "")
    raw_redis.rpush(PENDING, "a", "b", "c")
    assert cli("queue", "len", env=env) == Result(0, "3\n", "")
    assert cli("queue", "len", "--json", env=env).json == {"length": 3}


def test_peek_of_nothing(cli: Cli, env: Mapping[str, str]) -> None:
    assert cli("queue", "peek", env=env) == Result(0, "no pending jobs\n", "")
    assert cli("queue", "peek", "--raw", env=env) == Result(0, "", "")
    assert cli("queue", "peek", "--json", env=env).json == []


def test_peek_shows_what_lrange_shows(cli: Cli, env: Mapping[str, str], raw_redis: Any) -> None:
    pushed = [payload(workflow, extra=[1, {"deep": "ü"}]) for workflow in range(1, 13)]
    raw_redis.rpush(PENDING, *pushed)

    raw = cli("queue", "peek", "--raw", "-n", "100", env=env)
    listed = cli("queue", "peek", "-n", "100", "--json", env=env)

    assert raw.stdout.splitlines() == pushed
    assert [job["raw"] for job in listed.json] == pushed
    assert [job["workflow"] for job in listed.json] == list(range(1, 13))
    assert elements(raw_redis) == [text.encode() for text in pushed]


def test_peek_pages(cli: Cli, env: Mapping[str, str], raw_redis: Any) -> None:
    raw_redis.rpush(PENDING, *(payload(workflow) for workflow in range(1, 13)))

    default = cli("queue", "peek", "--json", env=env)
    page = cli("queue", "peek", "-n", "2", "--offset", "9", "--json", env=env)
    beyond = cli("queue", "peek", "--offset", "12", "--json", env=env)

    assert len(default.json) == 10
    assert default.stderr == "2 more\n"
    assert [(job["position"], job["workflow"]) for job in page.json] == [(9, 10), (10, 11)]
    assert page.stderr == "1 more\n"
    assert (beyond.json, beyond.stderr) == ([], "")


def test_peek_reads_every_field(cli: Cli, env: Mapping[str, str], raw_redis: Any) -> None:
    raw_redis.rpush(PENDING, payload(HUGE, HUGE, owner=OWNER, id="mine", force=True, occurrence="1:2:3:4:5"))

    [job] = cli("queue", "peek", "--json", env=env).json

    assert (job["workflow"], job["next_run"]) == (str(HUGE), str(HUGE))  # JSON readers would lose digits
    assert job["next_run_utc"] is None
    assert (job["owner"], job["id"], job["force"], job["valid"]) == (OWNER, "mine", True, True)
    assert job["occurrence"] == "1:2:3:4:5"


def test_peek_names_what_is_no_job(cli: Cli, env: Mapping[str, str], raw_redis: Any) -> None:
    raw_redis.rpush(PENDING, GARBAGE, "{}", payload(0), payload(), payload(7, 0))

    shown = cli("queue", "peek", env=env)
    listed = cli("queue", "peek", "--json", env=env)

    assert [job["valid"] for job in listed.json] == [False, False, False, True, True]
    assert listed.json[0]["error"] == "the payload is not UTF-8 (byte 7)"
    assert listed.json[0]["raw"] == "\x00no job\\xff\x1b[31m"
    assert listed.json[1]["error"] == "workflowId is missing"
    assert "no job: workflowId is missing" in shown.stdout
    assert "1970-01-01T00:01:40Z" in shown.stdout
    assert shown.stdout.splitlines()[-1].split()[:3] == ["4", "7", "now"]
    assert "\x1b" not in shown.stdout + cli("queue", "peek", "--raw", env=env).stdout


def test_queue_name_chooses_the_list(cli: Cli, env: Mapping[str, str], raw_redis: Any) -> None:
    raw_redis.rpush("other", payload())

    assert cli("queue", "len", env={**env, "QUEUE_NAME": "other"}).stdout == "1\n"
    assert cli("queue", "len", env=env).stdout == "0\n"


# -- push -------------------------------------------------------------------------------------------


def test_push_appends_the_payload_with_an_id(cli: Cli, env: Mapping[str, str], raw_redis: Any) -> None:
    raw_redis.rpush(PENDING, "first")
    given = '{ "workflowId":7 ,"nextRun":  ' + str(HUGE) + ',"note":"ü\\u00fc" }'

    result = cli("queue", "push", given, env=env)

    id = result.stdout.strip()
    assert (result.code, result.stderr) == (0, "pushed 1 job; 2 pending now\n")
    assert elements(raw_redis)[1].decode() == f'{{"id":"{id}",{given[1:]}'


def test_push_keeps_an_id(cli: Cli, env: Mapping[str, str], raw_redis: Any) -> None:
    result = cli("queue", "push", payload(id="order-17"), "--json", env=env)

    assert [job["id"] for job in result.json["pushed"]] == ["order-17"]
    assert result.json["length"] == 1
    assert elements(raw_redis) == [payload(id="order-17").encode()]


def test_push_from_standard_input(cli: Cli, env: Mapping[str, str], raw_redis: Any) -> None:
    result = cli.process(
        "queue", "push", "-", env=env, stdin=f"{payload(1)}\r\n\n  {payload(2)}\n{payload(3)}"
    )

    assert result.code == 0
    assert len(set(result.stdout.split())) == 3
    assert [json.loads(raw)["workflowId"] for raw in elements(raw_redis)] == [1, 2, 3]


def test_push_from_a_file(cli: Cli, env: Mapping[str, str], raw_redis: Any, tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    path.write_text("\n".join(payload(workflow) for workflow in range(1, 6)))

    assert len(cli("queue", "push", "--file", path, "--json", env=env).json["pushed"]) == 5
    assert [json.loads(raw)["workflowId"] for raw in elements(raw_redis)] == [1, 2, 3, 4, 5]


def test_push_is_all_or_nothing(cli: Cli, env: Mapping[str, str], raw_redis: Any, tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    path.write_bytes(b"\n".join([payload().encode(), GARBAGE, b"", b'{"workflowId": -1, "nextRun": 1}']))

    result = cli("queue", "push", "-f", path, env=env)

    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[:3] == [
        "Error: nothing was pushed:",
        "line 2: the payload is not UTF-8 (byte 7)",
        "line 4: workflowId is not between 1 and 2^256 - 1",
    ]
    assert elements(raw_redis) == []


def test_push_tells_the_first_of_many_mistakes(cli: Cli, env: Mapping[str, str], tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    path.write_text("nope\n" * 1000)

    result = cli("queue", "push", "-f", path, "--json", env=env)

    assert result.code == 2
    assert "line 10: " in result.json["error"]["message"]
    assert result.json["error"]["message"].endswith("… and 990 more")


def test_push_refuses_the_same_job_twice(cli: Cli, env: Mapping[str, str], tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    path.write_text("\n".join([payload(id="a"), payload(2, id="a"), payload(id="a")]))

    result = cli("queue", "push", "-f", path, env=env)

    assert result.code == 2
    assert "line 3: the job of line 1 has the same workflow and id" in result.stderr


@pytest.mark.parametrize(
    ("job", "message"),
    [
        ("", "the payload is not JSON"),
        ("nope", "the payload is not JSON"),
        ("[]", "the payload is a JSON list, not an object"),
        ('{"nextRun": 1}', "workflowId is missing"),
        ('{"workflowId": 1}', "nextRun is missing"),
        ('{"workflowId": 1.5, "nextRun": 1}', "workflowId is not a whole number: '1.5'"),
        ('{"workflowId": 1, "nextRun": 1, "nextRun": 2}', "a field stands twice"),
        ('{"workflowId": 1, "nextRun": 1, "owner": "0x12"}', "owner is not an address"),
        ('{"workflowId": 1, "nextRun": 1, "actionData": "0xzz"}', "actionData: not hexadecimal"),
        ('{"workflowId": 1, "nextRun": 1, "id": "a b"}', "id is not a text of"),
        (f'{{"workflowId": 1, "nextRun": {2**256}}}', "nextRun is not between 0 and 2^256 - 1"),
        (payload(note="x" * 200_000), "more than 131072"),
    ],
)
def test_push_says_what_is_wrong(cli: Cli, env: Mapping[str, str], job: str, message: str) -> None:
    result = cli("queue", "push", job, env=env)

    assert result.code == 2
    assert message in result.stderr
    assert "line 1" not in result.stderr.replace("line 1 column", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give one of"),
        ((payload(), "--file", "x"), "give one of"),
        ((payload(), "--workflow", "1"), "give one of"),
        ((payload(), "--now"), '"nextRun": 0'),
        (("--file", "missing.jsonl"), "missing.jsonl cannot be read: No such file"),
        (("--file", "."), "cannot be read: Is a directory"),
        (("--workflow", "zero"), "'zero' is no workflow id"),
        (("-",), "what was read is empty"),
        ((payload(force=False), "--force"), "force is not true"),
    ],
)
def test_push_wrong_usage(
    cli: Cli, env: Mapping[str, str], arguments: tuple[str, ...], message: str, raw_redis: Any
) -> None:
    result = cli("queue", "push", *arguments, env=env)

    assert (result.code, result.stdout) == (2, "")
    assert message in result.stderr
    assert elements(raw_redis) == []


def test_push_force(cli: Cli, env: Mapping[str, str], raw_redis: Any) -> None:
    cli("queue", "push", payload(1, 0), "--force", env=env)
    cli("queue", "push", payload(1, 0, force=True), "--force", env=env)

    assert [json.loads(raw)["force"] for raw in elements(raw_redis)] == [True, True]


def test_push_does_not_wait_for_a_terminal(cli: Cli, env: Mapping[str, str]) -> None:
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            cli.command("queue", "push", "-"),
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            cwd=cli.directory,
            env={**os.environ, **env},
        )
    finally:
        os.close(ours)
        os.close(theirs)

    assert done.returncode == 2
    assert "standard input is a terminal" in done.stderr


# -- push --workflow --------------------------------------------------------------------------------


def test_push_workflow_takes_everything_from_the_chain(cli: Cli, network: LiveNetwork) -> None:
    due = network.now() - 60
    first = asyncio.run(network.create_workflow(next_run=due, interval=3600))
    second = asyncio.run(network.create_workflow(next_run=due))

    result = cli(
        "queue", "push", "--workflow", str(first), "-w", str(second), "--json", env=network.environment()
    )

    assert (result.code, result.stderr) == (0, "pushed 2 jobs; 2 pending now\n")
    fields = json.loads(result.json["pushed"][0]["raw"])
    assert fields.pop("id")
    assert len(fields.pop("actionData")) > 2
    assert fields == {
        "workflowId": first,
        "owner": network.accounts["owner"].address,
        "triggerType": 1,
        "actionType": 1,
        "nextRun": due,
        "gasBudget": fields["gasBudget"],
        "interval": 3600,
        "retryCount": 0,
    }


def test_push_workflow_now(cli: Cli, network: LiveNetwork) -> None:
    workflow = asyncio.run(network.create_workflow(next_run=network.now() + 86_400))

    later = cli("queue", "push", "-w", str(workflow), "--json", env=network.environment())
    now = cli("queue", "push", "-w", str(workflow), "--now", "--json", env=network.environment())

    assert later.json["pushed"][0]["next_run"] > network.now()
    assert f"Warning: workflow {workflow} is due in " in later.stderr
    assert now.json["pushed"][0]["next_run"] == 0
    assert "Warning" not in now.stderr


def test_push_workflow_that_does_not_exist(cli: Cli, network: LiveNetwork) -> None:
    workflow = asyncio.run(network.create_workflow())

    result = cli("queue", "push", "-w", str(workflow), "-w", "999", env=network.environment())

    assert result.code == 1
    assert result.stderr.startswith("Error: nothing was pushed: workflow 999 was deleted, or never existed\n")
    assert cli("queue", "len", env=network.environment()).stdout == "0\n"


def test_push_workflow_without_a_registry(cli: Cli, env: Mapping[str, str]) -> None:
    settings = {**env, "NETWORK": "moonbeam", "RPC_URLS": "http://127.0.0.1:1"}

    result = cli("queue", "push", "-w", "1", env=settings)

    assert result.code == 3
    assert "REGISTRY_ADDRESS" in result.stderr


# -- clear and restore ------------------------------------------------------------------------------


def test_clear_and_restore(cli: Cli, env: Mapping[str, str], raw_redis: Any) -> None:
    raw_redis.rpush(PENDING, "a", "b", GARBAGE)

    cleared = cli("queue", "clear", "--yes", env=env)
    raw_redis.rpush(PENDING, "later")
    restored = cli("queue", "restore", "--json", env=env)

    assert (cleared.code, cleared.stdout) == (0, "cleared 3\n")
    assert cleared.stderr.startswith("autometa queue restore brings them back, until 2")
    assert restored.json == {"restored": 3}
    assert elements(raw_redis) == [b"a", b"b", GARBAGE, b"later"]


def test_clear_says_until_when(cli: Cli, env: Mapping[str, str], raw_redis: Any) -> None:
    raw_redis.rpush(PENDING, "a")

    found = cli("queue", "clear", "-y", "--json", env=env).json

    assert found["cleared"] == 1
    assert abs(found["restorable_until"] - time.time() - 86_400) < 60
    assert cli("queue", "clear", "-y", "--json", env=env).json == {"cleared": 0, "restorable_until": None}


def test_restore_undoes_the_latest_first(cli: Cli, env: Mapping[str, str], raw_redis: Any) -> None:
    for name in ("first", "second"):
        raw_redis.rpush(PENDING, name)
        cli("queue", "clear", "-y", env=env)
        time.sleep(0.002)  # a clear is named for its millisecond

    assert cli("queue", "restore", env=env).stdout == "restored 1\n"
    assert elements(raw_redis) == [b"second"]
    assert cli("queue", "restore", env=env).stdout == "restored 1\n"
    assert elements(raw_redis) == [b"first", b"second"]
    nothing = cli("queue", "restore", env=env)
    assert nothing == Result(0, "restored 0\n", "nothing was cleared within the last day\n")


def test_clear_needs_a_yes(cli: Cli, env: Mapping[str, str], raw_redis: Any) -> None:
    raw_redis.rpush(PENDING, "a")

    result = cli("queue", "clear", env=env)

    assert (result.code, result.stdout) == (2, "")
    assert "--yes" in result.stderr
    assert elements(raw_redis) == [b"a"]


@pytest.mark.parametrize(("said", "code", "left"), [("y\n", 0, 0), ("n\n", 1, 1), ("\n", 1, 1)])
def test_clear_asks(
    cli: Cli, env: Mapping[str, str], raw_redis: Any, said: str, code: int, left: int
) -> None:
    raw_redis.rpush(PENDING, "a")
    ours, theirs = pty.openpty()
    os.write(ours, said.encode())
    try:
        process = subprocess.run(
            cli.command("queue", "clear"), stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, timeout=30,
            check=False, cwd=cli.directory, env={**os.environ, **env},
        )  # fmt: skip
        asked = os.read(ours, 10_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)

    assert process.returncode == code
    assert "Clear 1 pending jobs? [y/N]" in asked
    assert raw_redis.llen(PENDING) == left


# -- what became of them ----------------------------------------------------------------------------


@pytest.fixture
def busy(desk: Desk) -> Desk:
    """A queue with something everywhere."""
    ann = desk.worker("ann")
    desk.release(desk.claim(ann, 0, 5), "dead", reason="would_fail")
    desk.push(GARBAGE)
    desk.take(ann)
    desk.do(desk.queue.entomb(ann, GARBAGE, "unreadable", "no JSON"))
    desk.release(desk.claim(ann, 100, 4), "delayed", reason="escrow_low", delay=90, hold=True)
    desk.signed(ann, 100, 3)
    desk.bound(ann, 100, 2)
    desk.enqueue(100, 1)
    desk.push(GARBAGE)
    desk.take(ann)
    desk.push(GARBAGE)
    desk.kill(desk.worker("bob"))
    return desk


def test_stats(cli: Cli, env: Mapping[str, str], busy: Desk) -> None:
    busy.redis.set(busy.keys.paused, "maintenance")

    found = cli("queue", "stats", "--json", env=env).json

    assert found.pop("oldest_seconds") >= 0
    assert found == {
        "pending": 2, "inflight": 3, "delayed": 1, "dead": 2, "open": 2, "workers": 1, "paused": "maintenance",
    }  # fmt: skip
    assert "maintenance" in cli("queue", "stats", env=env).stdout


def test_inflight(cli: Cli, env: Mapping[str, str], busy: Desk) -> None:
    found = cli("queue", "inflight", "--json", env=env).json
    shown = cli("queue", "inflight", env=env).stdout.splitlines()

    assert [one["record"] and one["record"]["label"] for one in found] == ["2@100", "3@100", None]
    assert [one["worker"] for one in found] == ["ann"] * 3
    assert (found[0]["record"]["state"], found[0]["record"]["nonce"]) == ("bound", 1)
    assert (found[1]["record"]["state"], found[1]["record"]["tx"]) == ("signed", "0xhash")
    assert json.loads(found[2]["raw"])["workflowId"] == 1  # taken, not looked at yet
    assert shown[1].split() == ["ann", "2@100", "bound", "1", "-"]
    assert shown[2].split() == ["ann", "3@100", "signed", "0", "0xhash"]


def test_inflight_of_a_worker_that_is_gone(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    desk.push(desk.payload())
    desk.kill(desk.worker("ann"))
    desk.take("ann")

    [found] = cli("queue", "inflight", "--json", env=env).json

    assert (found["worker_gone"], found["workflow"]) == (True, 1)
    assert "ann (gone)" in cli("queue", "inflight", env=env).stdout


def test_delayed(cli: Cli, env: Mapping[str, str], busy: Desk) -> None:
    [found] = cli("queue", "delayed", "--json", env=env).json
    shown = cli("queue", "delayed", env=env).stdout.splitlines()[1].split()

    assert (found["label"], found["reason"], found["holds"]) == ("4@100", "escrow_low", 1)
    assert 80 <= found["due"] - busy.now_ms() // 1000 <= 90
    assert shown[0] == "4@100"
    assert shown[1:3] in (["in", "1m"], ["in", "90s"])
    assert "escrow_low" in shown


def test_dead_letters(cli: Cli, env: Mapping[str, str], busy: Desk) -> None:
    found = cli("queue", "dead", "list", "--json", env=env).json
    shown = cli("queue", "dead", "list", env=env).stdout

    assert {letter["reason"] for letter in found} == {"would_fail", "unreadable"}
    assert "unreadable" in shown
    assert cli("queue", "dead", "list", "-n", "1", "--offset", "1", "--json", env=env).json == found[1:]
    for letter in found:
        for name in (letter["key"], letter["label"], letter["id"]):
            assert cli("queue", "dead", "show", name, "--json", env=env).json == letter
    garbage = next(letter for letter in found if letter["reason"] == "unreadable")
    assert garbage["raw"] == "\x00no job\\xff\x1b[31m"
    text = cli("queue", "dead", "show", garbage["key"], env=env).stdout
    assert "no JSON" in text
    assert "\x1b" not in text


def test_a_dead_letter_that_is_not_there(cli: Cli, env: Mapping[str, str], busy: Desk) -> None:
    result = cli("queue", "dead", "show", f"{CHAIN}:{EXECUTOR}:3:100:0", env=env)

    assert result.code == 1
    assert "there is no dead letter" in result.stderr


@pytest.mark.parametrize("command", ["inflight", "delayed", "dead list"])
def test_nothing_is_an_empty_list(cli: Cli, env: Mapping[str, str], command: str) -> None:
    assert cli("queue", *command.split(), "--json", env=env).json == []


def test_reading_works_with_read_only_permissions(
    cli: Cli, env: Mapping[str, str], busy: Desk, redis_server: ValkeyProcess
) -> None:
    busy.redis.execute_command(
        "ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@read", "+@connection", "+info", "+time"
    )
    settings = {"REDIS_URL": redis_server.url.replace("//", "//reader:secret@")}
    before = busy.dump()

    for command in ("len", "peek", "stats", "inflight", "delayed", "dead list", "dead show 5"):
        result = cli("queue", *command.split(), "--json", env=settings)
        assert result.code == (1 if command == "dead show 5" else 0), result
    refused = cli("queue", "push", payload(), env=settings)

    assert refused.code == 3
    assert "'rpush' command" in refused.stderr
    assert busy.dump() == before
    busy.redis.execute_command("ACL", "DELUSER", "reader")


# -- Redis is not there -----------------------------------------------------------------------------

EVERY = ["len", "peek", "stats", "inflight", "delayed", "dead list", "dead show x", "clear --yes", "restore"]


@pytest.mark.parametrize("command", [*EVERY, "push"])
def test_redis_down(cli: Cli, command: str) -> None:
    arguments = ["push", payload()] if command == "push" else command.split()
    settings = {"REDIS_URL": "redis://user:topsecret@127.0.0.1:1/3"}

    result = cli("queue", *arguments, "--json", env=settings)

    assert (result.code, result.json["error"]["kind"]) == (5, "RedisUnreachable")
    assert "redis://127.0.0.1:1/3 does not answer" in result.json["error"]["message"]
    assert "topsecret" not in result.stdout + result.stderr


def test_wrong_password(cli: Cli, redis_server: ValkeyProcess) -> None:
    settings = {"REDIS_URL": redis_server.url.replace("//", "//nobody:topsecret@")}

    result = cli("queue", "len", env=settings)

    assert result.code == 3
    assert "refuses this user" in result.stderr
    assert "topsecret" not in result.stderr


def test_password_needed(cli: Cli, tmp_path: Path) -> None:
    server = ValkeyProcess(tmp_path / "locked")
    server.start()
    try:
        with redis.Redis.from_url(server.url) as client:
            client.config_set("requirepass", "topsecret")
        refused = cli("queue", "len", env={"REDIS_URL": server.url})
        allowed = cli("queue", "len", env={"REDIS_URL": server.url.replace("//", "//:topsecret@")})
    finally:
        server.stop()

    assert refused.code == 3
    assert "Authentication required" in refused.stderr
    assert allowed.stdout == "0\n"


def test_something_else_answers(cli: Cli, network: LiveNetwork) -> None:
    """The port of a chain is no Redis."""
    address = network.anvil.url.removeprefix("http://")

    result = cli("queue", "len", env={"REDIS_URL": f"redis://{address}"})

    assert result.code == 5
    assert "Traceback" not in result.stderr


def test_the_key_is_no_list(cli: Cli, env: Mapping[str, str], raw_redis: Any) -> None:
    raw_redis.set(PENDING, "x")

    for arguments in (["len"], ["peek"], ["push", payload()], ["clear", "--yes"], ["stats"]):
        result = cli("queue", *arguments, env=env)
        assert result.code == 1
        assert "QUEUE_NAME must name a list" in result.stderr
    assert raw_redis.get(PENDING) == b"x"
