"""`autometa queue`, against a real Redis; what is read changes nothing, what is pushed is whole."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis

from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.jobs.claim import Claim
from autometa_cli.times import utc
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
    assert cli("queue", "peek", "--offset", "9" * 23, env=env).code == 2


def test_a_page_past_the_end_says_how_many_there_are(cli: Cli, env: Mapping[str, str], busy: Desk) -> None:
    pages = {
        "peek": "none from 500 on; 2 in all\n",
        "inflight": "none from 500 on; 3 in all\n",
        "delayed": "none from 500 on; 1 in all\n",
        "dead list": "none from 500 on; 2 in all\n",
        "dead list --workflow 5": "none from 500 on; 1 match\n",
        "dead list --workflow 77": "none that match\n",
        "history": "none from 500 on; 2 in all\n",
    }
    for command, said in pages.items():
        assert cli("queue", *command.split(), "--offset", "500", env=env).stdout == said, command
        assert cli("queue", *command.split(), "--offset", "500", "--json", env=env).json == []


def test_raw_payloads_are_one_line_each(cli: Cli, env: Mapping[str, str], raw_redis: Any) -> None:
    raw_redis.rpush(
        PENDING, '{"workflowId": 1,\n"nextRun": 5}', "\u202etxt.exe\x1b[31m\r\u2028", b"\xff\\n\t."
    )

    shown = cli("queue", "peek", "--raw", env=env).stdout
    table = cli("queue", "peek", env=env).stdout

    assert shown.split("\n") == [
        '{"workflowId": 1,\\x0a"nextRun": 5}',
        "\\u202etxt.exe\\x1b[31m\\x0d\\u2028",
        "\\xff\\n\t.",
        "",
    ]
    assert "\\u202etxt.exe" in table
    assert "\u202e" not in table


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
    heads, spoilt = shown.stdout.splitlines()[0], shown.stdout.splitlines()[2]
    assert spoilt.index("no job:") == heads.index("WRONG")
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


def test_push_partial_pushes_the_good_ones(
    cli: Cli, env: Mapping[str, str], raw_redis: Any, tmp_path: Path
) -> None:
    path = tmp_path / "jobs.jsonl"
    lines = [
        payload(1, id="a").encode(),
        GARBAGE,
        b"",
        payload(1, id="a").encode(),
        payload(2, 0, id="b").encode(),
    ]
    path.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(lines))

    first = cli("queue", "push", "-f", path, "--partial", "--json", env=env)
    again = cli("queue", "push", "-f", path, "--partial", env=env)
    none = cli("queue", "push", "nope", "--partial", "--json", env=env)

    assert first.code == again.code == none.code == 1
    assert [job["id"] for job in first.json["pushed"]] == ["a", "b"]
    assert [left["line"] for left in first.json["left"]] == [2, 4]
    assert none.json["pushed"] == []
    assert [left["line"] for left in none.json["left"]] == [None]
    assert again.stdout == "a\n"
    assert "left: line 2: the payload is not UTF-8 (byte 7)" in again.stderr
    assert "left: line 5: 2!b is on the list already" in again.stderr
    assert elements(raw_redis) == [lines[0], lines[4], lines[0]]


def test_push_without_partial_says_that_there_is_one(
    cli: Cli, env: Mapping[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "jobs.jsonl"
    path.write_text(f"{payload()}\nnope")

    assert "--partial pushes the others" in cli("queue", "push", "-f", path, env=env).stderr
    assert "--partial" not in cli("queue", "push", "nope", env=env).stderr


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
        ("nope", "the payload is not JSON: expecting value at character 1"),
        (f'{{"workflowId": {"1" * 5000}, "nextRun": 1}}', "not JSON: a number with too many digits\n"),
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
    assert "line 1" not in result.stderr


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
        ((payload(), "--force"), "none of these is one"),
        (("--workflow", "1", "--force"), "with --workflow it goes with --now"),
    ],
)
def test_push_wrong_usage(
    cli: Cli, env: Mapping[str, str], arguments: tuple[str, ...], message: str, raw_redis: Any
) -> None:
    result = cli("queue", "push", *arguments, env=env)

    assert (result.code, result.stdout) == (2, "")
    assert message in result.stderr
    assert elements(raw_redis) == []


def test_push_refuses_an_id_that_a_worker_would_drop(
    cli: Cli, env: Mapping[str, str], desk: Desk, raw_redis: Any
) -> None:
    env = {**env, "NETWORK": "local", "CHAIN_ID": str(CHAIN), "ACTIONEXECUTOR_ADDRESS": EXECUTOR}
    ann = desk.worker("ann")
    claim = desk.claim(ann, 0, 3)
    lengths = [desk.redis.llen(PENDING)]
    open_ = cli("queue", "push", payload(3, 0, id=claim.id), env=env)
    desk.release(claim, "dead", reason="would_fail")
    closed = cli("queue", "push", payload(3, 0, id=claim.id), env=env)
    lengths.append(desk.redis.llen(PENDING))

    assert (open_.code, closed.code) == (1, 1)
    assert f"3!{claim.id} is on its way already (claimed)" in open_.stderr
    assert f"3!{claim.id} is closed (would_fail); under the same id it would not run again" in closed.stderr
    assert lengths == [0, 0]
    assert cli("queue", "push", payload(3, 0, id="another"), env=env).code == 0
    twice = cli("queue", "push", payload(3, 0, id="another"), env=env)
    assert twice.code == 1
    assert "3!another is on the list already; under the same id it would not run again" in twice.stderr
    assert cli("queue", "push", payload(3, 100, id=claim.id), env=env).code == 0


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


def test_push_workflow_now_beside_an_extra_run(cli: Cli, network: LiveNetwork) -> None:
    workflow = asyncio.run(network.create_workflow(next_run=network.now() + 86_400))
    env = network.environment()
    mark = (
        f"{{{PENDING}}}:workflow:{network.info.chain_id}:{env['ACTIONEXECUTOR_ADDRESS'].lower()}:{workflow}"
    )
    run = f"{network.info.chain_id}:{env['ACTIONEXECUTOR_ADDRESS'].lower()}:{workflow}:now:early"
    with redis.Redis.from_url(env["REDIS_URL"]) as client:
        client.hset(mark, "now_open", run + " ")

        refused = cli("queue", "push", "-w", str(workflow), "--now", env=env)
        by_hand = cli("queue", "push", payload(workflow, 0), env=env)
        forced = cli("queue", "push", "-w", str(workflow), "--now", "--force", env=env)

    assert (refused.code, by_hand.code, forced.code) == (2, 0, 0)
    assert f"nothing was pushed: {workflow}!early, another run beside the schedule, is open" in refused.stderr
    assert "--force runs both" in refused.stderr
    assert f"Warning: {workflow}!early" in by_hand.stderr
    assert "Warning" not in forced.stderr


def test_push_workflow_now_that_is_due_anyway(cli: Cli, network: LiveNetwork) -> None:
    workflow = asyncio.run(network.create_workflow(next_run=network.now() - 60))

    result = cli("queue", "push", "-w", str(workflow), "--now", env=network.environment())

    assert result.code == 0
    assert f"Warning: workflow {workflow} is due: this run counts as the regular one" in result.stderr


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


def test_what_is_set_aside_is_shown(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    desk.enqueue(workflow=1)
    desk.push(desk.payload(workflow=2))
    cleared = cli("queue", "clear", "--yes", "--json", env=env).json
    desk.push(desk.payload(workflow=3))
    by_hand = cli("queue", "stats", env=env).stdout
    chain = {**env, "NETWORK": "local", "CHAIN_ID": str(CHAIN), "ACTIONEXECUTOR_ADDRESS": EXECUTOR,
             "RPC_URLS": "http://127.0.0.1:1"}  # fmt: skip
    shown = cli("tx", "show", "1@100", "--json", env=chain).json
    listed = cli("tx", "list", "--all", "--json", env=chain).json

    [aside] = cli("queue", "stats", "--json", env=env).json["aside"]
    assert aside["jobs"] == 2
    assert abs(aside["until"] - cleared["restorable_until"]) <= 1
    assert aside["until"] - aside["since"] == 24 * 3600
    assert "unknown (pushed by hand)" in by_hand
    assert "by queue clear: 2 until 2" in by_hand
    assert shown["summary"].startswith("moved aside by autometa queue clear")
    assert (
        shown["waits_for"] == listed[0]["waits_for"] == f"autometa queue restore, until {utc(aside['until'])}"
    )
    cli("queue", "restore", env=env)
    again = cli("tx", "show", "1@100", "--json", env=chain).json
    assert again["summary"].startswith("on the list")
    stats = cli("queue", "stats", "--json", env=env).json
    assert (stats["aside"], stats["oldest_seconds"] >= 0) == ([], True)


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
    busy.redis.hset(busy.keys.epoch, "recovered", 2)

    found = cli("queue", "stats", "--json", env=env).json

    assert found.pop("oldest_seconds") >= 0
    assert found.pop("aside") == []
    assert found.pop("memory").keys() == {"used", "limit", "full"}
    assert found == {
        "pending": 2, "inflight": 3, "delayed": 1, "dead": 2, "open": 2, "workers": 1, "paused": "maintenance",
        "pause": {"reason": "maintenance", "by": None, "since": None, "until": None}, "halted_workflows": 0,
        "recoveries": 2,
        "states": {"taken": 1, "queued": 1, "delayed": 1, "claimed": 0, "bound": 1, "signed": 1, "cancelling": 0,
                   "dead": 2},
    }  # fmt: skip
    assert "maintenance" in cli("queue", "stats", env=env).stdout


def test_inflight(cli: Cli, env: Mapping[str, str], busy: Desk) -> None:
    found = cli("queue", "inflight", "--json", env=env).json
    shown = cli("queue", "inflight", env=env).stdout.splitlines()

    assert [one["record"] and one["record"]["label"] for one in found] == ["3@100", "2@100", None]
    assert [one["worker"] for one in found] == ["ann"] * 3
    assert (found[0]["record"]["state"], found[0]["record"]["tx"]) == ("signed", "0xhash")
    assert (found[1]["record"]["state"], found[1]["record"]["nonce"]) == ("bound", 1)
    assert json.loads(found[2]["raw"])["workflowId"] == 1  # taken, not looked at yet
    assert shown[1].split() == ["ann", "3@100", "signed", "0", "0xhash"]
    assert shown[2].split() == ["ann", "2@100", "bound", "1", "-"]


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
    assert 65 <= found["due"] - busy.now_ms() // 1000 <= 90
    assert shown[0] == "4@100"
    assert shown[1:3] in (["in", "1m"], ["in", "90s"]) or shown[2].endswith("s")
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


def test_a_letter_without_a_record_is_found_by_what_it_claims(
    cli: Cli, env: Mapping[str, str], busy: Desk
) -> None:
    ann = busy.worker("ann")
    lie = payload(77, 0, id="mine").encode()
    busy.push(lie)
    while busy.take(ann) != lie:
        pass
    busy.do(busy.queue.entomb(ann, lie, "mismatch", "the owner is another"))

    [found] = cli("queue", "dead", "list", "-w", "77", "--json", env=env).json
    shown = cli("queue", "dead", "list", "-w", "77", env=env).stdout

    assert found["claims"] == {"workflow": 77, "next_run": 0, "id": "mine"}
    assert found["workflow"] is None, "nobody vouches for it"
    assert "(claims 77!mine)" in shown
    for name in ("mine", "77!mine", found["key"]):
        assert cli("queue", "dead", "show", name, "--json", env=env).json == found
    assert "77, as its payload claims" in cli("queue", "dead", "show", "mine", env=env).stdout
    assert cli("queue", "dead", "list", "-w", "78", env=env).stdout == "none that match\n"


def test_a_dead_letter_that_is_not_there(cli: Cli, env: Mapping[str, str], busy: Desk) -> None:
    result = cli("queue", "dead", "show", f"{CHAIN}:{EXECUTOR}:3:100:0", env=env)

    assert result.code == 1
    assert "there is no dead letter" in result.stderr
    letters = busy.do(busy.inspector.dead())
    retried = cli("queue", "dead", "retry", letters[0].key, "nosuch", env=env)
    assert (retried.code, busy.do(busy.inspector.dead())) == (1, letters)
    assert "nothing was changed: there is no dead letter nosuch" in retried.stderr


def test_a_long_payload_is_cut_for_people(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    ann = desk.worker("ann")
    desk.push(b"x" * 100_000)
    key = desk.do(desk.queue.entomb(ann, desk.take(ann), "unreadable", "no JSON"))

    shown = cli("queue", "dead", "show", key, env=env).stdout
    assert len(shown) < 3000
    assert "(of 100000 characters; --json has all of it)" in shown
    assert cli("queue", "dead", "show", key, "--json", env=env).json["raw"] == "x" * 100_000


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

    for command in (
        "len",
        "peek",
        "stats",
        "inflight",
        "delayed",
        "dead list",
        "dead show 5",
        "workers",
        "history",
    ):
        result = cli("queue", *command.split(), "--json", env=settings)
        assert result.code == (1 if command == "dead show 5" else 0), result
    refused = cli("queue", "push", payload(), env=settings)

    assert refused.code == 3
    assert "'rpush' command" in refused.stderr
    assert busy.dump() == before
    busy.redis.execute_command("ACL", "DELUSER", "reader")


# -- filters ----------------------------------------------------------------------------------------


def test_lists_are_filtered(cli: Cli, env: Mapping[str, str], busy: Desk) -> None:
    def labels(*arguments: str) -> list[str]:
        return [row["label"] for row in cli("queue", *arguments, "--json", env=env).json]

    assert labels("dead", "list", "--workflow", "5") == ["5!id0"]
    assert len(labels("dead", "list", "--reason", "unreadable")) == 1
    assert len(labels("dead", "list", "--error", "no json")) == 1
    assert labels("dead", "list", "-w", "5", "--reason", "unreadable") == []
    assert labels("delayed", "--reason", "escrow_low") == ["4@100"]
    assert labels("delayed", "--workflow", "5") == []
    held = cli("queue", "inflight", "-w", "3", "--json", env=env).json
    assert [one["record"]["label"] for one in held] == ["3@100"]
    assert len(cli("queue", "inflight", "-n", "1", "--offset", "1", "--json", env=env).json) == 1
    assert [one["workflow"] for one in cli("queue", "inflight", "-w", "1", "--json", env=env).json] == [1]


def test_pages_of_what_is_filtered(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    ann = desk.worker("ann")
    for number in range(1, 7):
        desk.release(desk.claim(ann, 100, number), "dead", reason="odd" if number % 2 else "even")

    page = cli("queue", "dead", "list", "--reason", "odd", "-n", "1", "--offset", "1", "--json", env=env)

    assert [letter["label"] for letter in page.json] == ["3@100"]


@pytest.mark.parametrize("command", ["inflight", "delayed", "dead list", "history", "dead retry"])
def test_a_workflow_that_is_none(cli: Cli, env: Mapping[str, str], command: str) -> None:
    result = cli("queue", *command.split(), "--workflow", "zero", env=env)

    assert result.code == 2
    assert "is no workflow id" in result.stderr


# -- pause and resume -------------------------------------------------------------------------------


def test_pause_and_resume(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    ann = desk.worker("ann")
    paused = cli("queue", "pause", "--reason", "new fees", "--for", "2h", "--json", env=env).json
    heard = desk.do(desk.queue.workers.beat(ann, {})).rest[1]
    stats = cli("queue", "stats", "--json", env=env).json

    assert (paused["paused"], paused["reason"]) == (True, "new fees")
    assert "@" in paused["by"]
    assert 7100 < paused["until"] - paused["since"] <= 7200
    assert heard == "new fees"
    assert stats["paused"] == "new fees"
    assert abs(stats["pause"]["until"] - paused["until"]) <= 1
    assert "until 2" in cli("queue", "stats", env=env).stdout
    assert desk.enqueue().word == "ok"  # the scheduler goes on

    assert cli("queue", "resume", "--json", env=env).json["was"]["reason"] == "new fees"
    assert desk.do(desk.queue.workers.beat(ann, {})).rest[1] == ""
    assert cli("queue", "resume", env=env).stdout == "the queue was not paused\n"


def test_a_pause_needs_no_reason(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    result = cli("queue", "pause", env=env)

    assert (result.code, result.stdout[:10]) == (0, "paused by ")
    assert "until autometa queue resume" in result.stdout
    assert desk.do(desk.queue.workers.beat(desk.worker("ann"), {})).rest[1].startswith("paused by ")


def test_a_pause_tells_what_it_replaces(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    first = cli("queue", "pause", "--reason", "new fees", env=env)
    second = cli("queue", "pause", "--for", "10m", env=env)
    stats = cli("queue", "stats", env=env).stdout.splitlines()

    assert first.stdout.endswith("until autometa queue resume: new fees\n")
    assert first.stderr == ""
    assert "this replaces the pause by " in second.stderr
    assert "until autometa queue resume: new fees" in second.stderr
    [paused] = [line for line in stats if line.startswith("paused")]
    assert "by " in paused


def test_a_pause_ends_by_itself(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    cli("queue", "pause", "--for", "90s", env=env)

    assert 80_000 < desk.redis.pttl(desk.keys.paused) <= 90_000


def test_a_pause_is_told_the_same_each_time_and_in_few_words(
    cli: Cli, env: Mapping[str, str], desk: Desk, raw_redis: Any
) -> None:
    told = cli("queue", "pause", "--for", "90s", "-r", "tea", "--json", env=env).json["until"]
    assert {cli("queue", "stats", "--json", env=env).json["pause"]["until"] for _ in range(3)} == {told}
    raw_redis.expire(desk.keys.paused, 9000)  # by hand: then the key itself tells
    assert cli("queue", "stats", "--json", env=env).json["pause"]["until"] > told + 8000
    long = cli("queue", "pause", "-r", "x" * 201, env=env)
    assert (long.code, "more than 200" in long.stderr) == (2, True)


def test_a_pause_for_nonsense(cli: Cli, env: Mapping[str, str], raw_redis: Any) -> None:
    result = cli("queue", "pause", "--for", "soon", env=env)

    assert (result.code, raw_redis.keys()) == (2, [])
    assert "--for: " in result.stderr


# -- workers and history ----------------------------------------------------------------------------


def test_workers(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    ann = desk.worker("ann")
    desk.do(desk.queue.workers.beat(ann, {"state": "working", "busy": "2", "open": "1", "trouble": ""}))
    desk.do(desk.queue.workers.leave(desk.worker("bob")))
    desk.kill(desk.worker("eve"))

    [found] = cli("queue", "workers", "--json", env=env).json
    everyone = cli("queue", "workers", "--all", "--json", env=env).json
    shown = cli("queue", "workers", env=env).stdout

    assert (found["id"], found["state"], found["busy"], found["open"]) == ("ann", "working", 2, 1)
    assert {one["id"]: one["state"] for one in everyone} == {"ann": "working", "bob": "left", "eve": "buried"}
    assert "ann" in shown
    assert "eve" not in shown
    gone = [one for one in everyone if one["id"] != "ann"]
    assert [(one["busy"], one["open"], one["trouble"]) for one in gone] == [(None, None, None)] * 2
    table = cli("queue", "workers", "--all", env=env).stdout
    assert all(re.search(rf" {word} [\w.]+( [\w.]+)? ago ", table) for word in ("left", "buried")), table


def test_history(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    ann = desk.worker("ann")
    desk.settle(desk.signed(ann, workflow=1).key)
    desk.release(desk.claim(ann, workflow=2), "dead", reason="would_fail")
    desk.push(GARBAGE)
    desk.take(ann)
    desk.do(desk.queue.entomb(ann, GARBAGE, "unreadable", "no JSON"))
    desk.claim(ann, 0, 3)
    desk.push(desk.payload(0, 3))
    desk.adopt(ann, desk.take(ann))  # a twin

    found = cli("queue", "history", "--json", env=env).json
    [first] = cli("queue", "history", "--workflow", "1", "--since", "1h", "--json", env=env).json

    assert [entry["outcome"] for entry in found] == ["duplicate", "unreadable", "would_fail", "executed"]
    assert found[0]["text"].startswith('a "now" job of this workflow is open: ')
    assert found[0]["text"] == found[0]["text"].strip()
    assert "is open: 3!" in cli("queue", "history", env=env).stdout, "by its short name"
    assert cli("queue", "history", "-w", "99", env=env).stdout == "none that match\n"
    chosen = cli("queue", "history", "--reason", "would_fail", "--json", env=env).json
    assert chosen == found[2:3]
    assert cli("queue", "history", "--offset", "1", "-n", "2", "--json", env=env).json == found[1:3]
    assert cli("queue", "history", "--error", "no json", "--json", env=env).json == found[1:2]
    assert cli("queue", "history", "--reason", "would_fail", "--offset", "1", env=env).stdout == (
        "none from 1 on; 1 match\n"
    )
    for nonsense in ("tomorrow", "0s"):
        refused = cli("queue", "history", "--since", nonsense, env=env)
        assert refused.code == 2
        assert f"--since: '{nonsense}' is neither how long ago nor a date" in refused.stderr

    assert (first["state"], first["tx"], first["fee"], first["block"]) == ("settled", "0xtx", "21000", 20)
    assert [entry["outcome"] for entry in cli("queue", "history", "-n", "1", "--json", env=env).json] == [
        "duplicate"
    ]
    assert cli("queue", "history", "--since", "+1h", "--json", env=env).json == []
    assert "would_fail" in cli("queue", "history", env=env).stdout
    assert cli("queue", "history", "--since", "yore", env=env).code == 2


# -- dead retry and drop ----------------------------------------------------------------------------


def test_retry_opens_the_next_generation(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    ann = desk.worker("ann")
    desk.enqueue()
    claim = desk.adopt(ann, desk.take(ann))
    assert isinstance(claim, Claim)
    desk.release(claim, "dead", reason="would_fail")
    assert cli("queue", "stats", "--json", env=env).json["halted_workflows"] == 1

    result = cli("queue", "dead", "retry", "1@100", "--json", env=env)

    assert (result.code, result.json["retried"], result.json["left"]) == (0, 1, 0)
    [key] = result.json["jobs"]
    assert key == claim.key[:-1] + "1"
    assert json.loads(desk.pending()[0])["occurrence"] == key
    assert desk.enqueue(block=30).rest[0] == "queued"  # the scheduler does not open it again
    again = desk.adopt(ann, desk.take(ann), block=30)
    assert isinstance(again, Claim)
    assert (again.key, desk.record(key).attempts) == (key, 0)
    assert desk.bind(again, block=30).word == "ok"
    desk.write(again)
    assert desk.settle(key).rest == ("settled",)
    assert cli("queue", "stats", "--json", env=env).json["halted_workflows"] == 0
    assert cli("queue", "dead", "list", "--json", env=env).json == []


def test_retry_of_a_now_job_keeps_its_id(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    ann = desk.worker("ann")
    first = desk.signed(ann, 0, 7, id="order-17")
    desk.settle(first.key, "uncertain")
    assert cli("queue", "dead", "retry", "--all", env=env).code == 1  # it may have been executed
    assert desk.pending() == []

    result = cli("queue", "dead", "retry", "order-17", env=env)
    again = desk.adopt(ann, desk.take(ann))

    assert (result.code, result.stdout) == (0, "retried 1\n")
    assert isinstance(again, Claim)
    assert again.key == first.key
    assert desk.bind(again, latest=1, block=30).word in ("ok", "recheck")
    assert desk.bind(again, latest=1, block=31).word in ("ok", "already")
    assert desk.write(again, b"more", "0xmore").word == "ok"


def test_retry_of_garbage_puts_it_back_as_it_was(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    raw = b'{"v": 2, "workflowId": 1, "nextRun": 100}'
    desk.push(raw)
    desk.take(desk.worker("ann"))
    key = desk.do(desk.queue.entomb("ann", raw, "unreadable", "v is 2"))

    assert cli("queue", "dead", "retry", "--reason", "unreadable", env=env).stdout == "retried 1\n"
    assert desk.pending() == [raw]
    assert not desk.redis.exists(desk.keys.occurrence(key))


def test_retry_leaves_what_may_be_mined(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    claim = desk.claim(desk.worker("ann"))
    desk.release(claim, "dead")
    desk.redis.zadd(desk.keys.open, {claim.key: 1})

    for arguments in (("retry", "--all"), ("drop", "--all", "--yes")):
        result = cli("queue", "dead", *arguments, "--json", env=env)
        assert (result.code, result.json["left"]) == (1, 1)
        assert "may still be mined" in result.json["left_jobs"][0]["why"]
    assert desk.state(claim.key) == "dead"


def test_many_are_retried(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    ann = desk.worker("ann")
    for number in range(1, 1203):
        desk.push(b"garbage %d" % number)
        desk.take(ann)
        desk.do(desk.queue.entomb(ann, b"garbage %d" % number, "odd" if number % 2 else "even", ""))

    assert cli("queue", "dead", "retry", "--reason", "odd", "--json", env=env).json["retried"] == 601
    assert cli("queue", "dead", "drop", "--all", "--yes", "--json", env=env).json["dropped"] == 601
    assert (len(desk.pending()), desk.redis.zcard(desk.keys.dead)) == (601, 0)


def test_drop_keeps_a_line_and_the_workflow_halted(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    desk.enqueue()
    claim = desk.adopt(desk.worker("ann"), desk.take("ann"))
    assert isinstance(claim, Claim)
    desk.release(claim, "dead", reason="would_fail")

    refused = cli("queue", "dead", "drop", "1@100", env=env)
    result = cli("queue", "dead", "drop", "1@100", "--yes", env=env)

    assert (refused.code, result.code, result.stdout) == (2, 0, "dropped 1\n")
    assert "--yes" in refused.stderr
    assert desk.enqueue(block=30).word == "dead"
    assert desk.redis.ttl(desk.keys.occurrence(claim.key)) == -1
    assert desk.enqueue(block=40, digest="changed").word == "ok"
    entry = cli("queue", "history", "-n", "1", "--json", env=env).json[0]
    assert (entry["state"], entry["outcome"], entry["job"]) == ("dropped", "would_fail", "1@100")
    assert entry["text"].startswith("by ")


@pytest.mark.parametrize("command", ["retry", "drop --yes"])
@pytest.mark.parametrize("arguments", [(), ("7", "--all"), ("7", "--reason", "x")])
def test_dead_letters_must_be_chosen(
    cli: Cli, env: Mapping[str, str], command: str, arguments: tuple[str, ...]
) -> None:
    result = cli("queue", "dead", *command.split(), *arguments, env=env)

    assert result.code == 2
    assert "name jobs, or choose them" in result.stderr


def test_one_unknown_name_leaves_all(cli: Cli, env: Mapping[str, str], busy: Desk) -> None:
    result = cli("queue", "dead", "retry", "5!id0", "6!none", env=env)

    assert result.code == 1
    assert "there is no dead letter 6!none" in result.stderr
    assert len(cli("queue", "dead", "list", "--json", env=env).json) == 2


# -- Redis is not there -----------------------------------------------------------------------------

EVERY = [
    "len", "peek", "stats", "inflight", "delayed", "dead list", "dead show x", "clear --yes", "restore", "pause",
    "resume", "workers", "history", "dead retry x", "dead retry --all", "dead drop --all --yes",
]  # fmt: skip


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
        assert f"the queue's key {PENDING} in Redis at" in result.stderr
        assert "is a string; it must be a list" in result.stderr
    assert raw_redis.get(PENDING) == b"x"
