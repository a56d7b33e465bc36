"""`autometa scheduler`: one pass, and the service that is told to stop."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from autometa_cli.devnet import anvil_binary
from autometa_cli.devnet.node import AnvilProcess
from tests.network import LiveNetwork
from tests.runner import Cli

NOWHERE = "http://127.0.0.1:1/v2/secret-api-key"


class Service:
    """A running `autometa scheduler`, and what it has said on stderr."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._news:
                self.lines.append(line)
                self._news.notify_all()

    def until(self, text: str, within: float = 30.0) -> None:
        """Wait until it has logged this."""
        with self._news:
            found = self._news.wait_for(lambda: any(text in line for line in self.lines), within)
        assert found, "".join(self.lines)

    def end(self, within: float = 30.0) -> tuple[int, str]:
        """Wait for its end: exit code and stdout."""
        code = self.process.wait(within)
        self._reader.join()
        assert self.process.stdout is not None
        return code, self.process.stdout.read()


@contextmanager
def service(cli: Cli, *arguments: str, env: Mapping[str, str]) -> Iterator[Service]:
    process = subprocess.Popen(
        cli.command("scheduler", *arguments),
        cwd=cli.directory,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    running = Service(process)
    try:
        yield running
    finally:
        if process.poll() is None:
            process.kill()
        running.end()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


# -- one pass -----------------------------------------------------------------------------------------


def test_once_as_json(cli: Cli, network: LiveNetwork) -> None:
    ids = asyncio.run(network.create_workflows(3, next_run=100))

    result = cli("scheduler", "--once", "--json", env=network.environment())

    assert (result.code, result.stderr) == (0, "")
    document = result.json
    assert (document["workflows"], document["due"], document["enqueued"]) == (3, 3, 3)
    assert document["labels"] == [f"{id}@100" for id in ids]
    assert document["next_due"] is None
    assert (document["trouble"], document["halted"]) == ("", [])
    again = cli("scheduler", "--once", "--json", env=network.environment()).json
    assert (again["due"], again["enqueued"], again["already"], again["labels"]) == (3, 0, 3, [])


def test_once_for_people(cli: Cli, network: LiveNetwork) -> None:
    asyncio.run(network.create_workflows(12, next_run=100))
    asyncio.run(network.create_workflow(trigger_type=2, next_run=network.now() + 1000))

    result = cli("scheduler", "--once", env=network.environment())

    assert result.code == 0
    assert re.search(r"^workflows +13, 13 active$", result.stdout, re.MULTILINE)
    assert re.search(r"^queued now +12: 1@100, 2@100, .* 10@100 …$", result.stdout, re.MULTILINE)
    assert re.search(r"^trigger not readable +1$", result.stdout, re.MULTILINE)
    assert re.search(r"^next due +in 1[56]m", result.stdout, re.MULTILINE)
    assert "WARNING" in result.stderr  # the workflow whose trigger nobody can read


def test_nothing_to_do_is_fine(cli: Cli, network: LiveNetwork) -> None:
    result = cli("scheduler", "--once", "--json", env=network.environment())

    assert result.code == 0
    assert (result.json["workflows"], result.json["labels"]) == (0, [])


@pytest.mark.parametrize(
    ("setting", "kind"), [("RPC_URLS", "RpcUnreachable"), ("REDIS_URL", "RedisUnreachable")]
)
def test_a_server_that_does_not_answer(cli: Cli, network: LiveNetwork, setting: str, kind: str) -> None:
    url = NOWHERE if setting == "RPC_URLS" else "redis://user:secret-password@127.0.0.1:1/0"

    result = cli("scheduler", "--once", "--json", env=network.environment(**{setting: url}))

    assert result.code == 5
    assert result.json["error"]["kind"] == kind
    assert "secret" not in result.stdout + result.stderr


def test_a_registry_that_is_none(cli: Cli, network: LiveNetwork) -> None:
    settings = network.environment(REGISTRY_ADDRESS=network.accounts["owner"].address)

    for arguments in (["--once"], []):  # the service ends with it, too: no waiting will mend it
        result = cli("scheduler", *arguments, env=settings)
        assert result.code == 3
        assert "there is no WorkflowRegistry at" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "message"),
    [
        (["--poll-interval", "0"], {}, 2, "--poll-interval is '0'; it must be a number above 0"),
        (["--poll-interval", "soon"], {}, 2, "--poll-interval"),
        (["--once", "now"], {}, 2, "unexpected extra argument"),
        (["--once"], {"NETWORK": "moonbeam"}, 3, "REGISTRY_ADDRESS, ACTIONEXECUTOR_ADDRESS are not set"),
        (["--once"], {"NETWORK": "4711"}, 3, "RPC_URLS"),
        (["--once"], {"LOG_LEVEL": "loud"}, 3, "LOG_LEVEL"),
    ],
)
def test_wrong_input(
    cli: Cli, arguments: list[str], settings: Mapping[str, str], code: int, message: str
) -> None:
    result = cli("scheduler", *arguments, env=settings)

    assert result.code == code
    assert message in result.stderr
    assert result.stdout == ""


def test_a_clock_that_is_wrong_is_a_failure(cli: Cli, redis_url: str, tmp_path: Path) -> None:
    chain = AnvilProcess(tmp_path / "anvil", anvil_binary.find(), block_time=None)
    chain.start()
    try:
        network = LiveNetwork.on(chain, redis_url)
        network.pass_time(600)
        result = cli("scheduler", "--once", "--json", env=network.environment(NETWORK="moonbase"))
    finally:
        chain.stop()

    assert result.code == 1
    assert "ahead of Redis's clock" in result.json["trouble"]
    assert "nothing was queued" in result.stderr


# -- the service --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_leaves_cleanly(cli: Cli, network: LiveNetwork, number: signal.Signals) -> None:
    asyncio.run(network.create_workflows(2))

    with service(cli, "--json", "--poll-interval", "60", env=network.environment()) as running:
        running.until("2 queued now")
        running.process.send_signal(number)
        code, out = running.end(10)

    assert code == 0
    assert json.loads(out) == {"passes": 1, "failed": 0, "enqueued": 2}
    assert "stopped after 1 passes" in running.lines[-1]


def test_the_log_is_json_and_without_secrets(cli: Cli, network: LiveNetwork) -> None:
    asyncio.run(network.create_workflows(2))
    settings = network.environment(LOG_FORMAT="json", RPC_URLS=f"{NOWHERE},{network.rpc_url}")

    with service(cli, env=settings) as running:
        running.until("2 queued now")
        running.process.terminate()
        code, out = running.end(10)

    assert (code, out) == (0, "")
    entries = [json.loads(line) for line in running.lines]
    assert all({"ts", "level", "logger", "message"} <= entry.keys() for entry in entries)
    (told,) = [entry for entry in entries if "queued now" in entry["message"]]
    assert (told["logger"], told["enqueued"], told["due"]) == ("scheduling.diary", 2, 2)
    assert "secret-api-key" not in "".join(running.lines)


def test_it_waits_for_a_redis_that_is_not_there_yet(cli: Cli, network: LiveNetwork) -> None:
    with service(cli, env=network.environment(REDIS_URL="redis://127.0.0.1:1/0")) as running:
        running.until("does not answer")
        assert running.process.poll() is None
        running.process.terminate()
        assert running.end(10)[0] == 0


def test_a_second_signal_ends_it_at_once(cli: Cli, network: LiveNetwork) -> None:
    # A pass that hangs: the chain takes connections and never says a word.
    hung = subprocess.Popen(
        [sys.executable, "-c", "import socket,time\ns=socket.create_server(('127.0.0.1',0))\n"
         "print(s.getsockname()[1],flush=True)\ntime.sleep(600)"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert hung.stdout is not None
        url = f"http://127.0.0.1:{hung.stdout.readline().strip()}"
        with service(cli, env=network.environment(RPC_URLS=url)) as running:
            running.until("watching registry")
            running.process.send_signal(signal.SIGINT)
            running.until("stopping")
            running.process.send_signal(signal.SIGINT)
            code, out = running.end(5)
        assert (code, out) == (130, "")
        assert "Traceback" not in "".join(running.lines)
    finally:
        hung.kill()
        hung.communicate()


# -- the dry run --------------------------------------------------------------------------------------


def test_a_dry_run_says_why_and_changes_nothing(cli: Cli, network: LiveNetwork) -> None:
    async def made() -> list[int]:
        ids = await network.create_workflows(3, next_run=100)
        await network.pause(ids[1])
        await network.update(ids[2], next_run=network.now() + 7200)
        ids.append(await network.create_workflow(trigger_type=2, trigger_data=b"garbage", next_run=100))
        return ids

    due, paused, later, odd = asyncio.run(made())

    result = cli("scheduler", "--dry-run", "--json", env=network.environment())

    assert (result.code, result.stderr) == (0, ""), result.stdout
    told = {each["workflow"]: (each["queue"], each["text"]) for each in result.json["workflows"]}
    assert told[due] == (True, "its run of 100 is due")
    assert told[paused] == (False, "paused")
    assert told[later][1].startswith("due in ")
    assert not told[odd][0]
    with redis.Redis.from_url(network.redis_url) as client:
        assert client.keys("*") == []
    cli("scheduler", "--once", env=network.environment())
    assert "on its way: queued" in cli("scheduler", "--dry-run", env=network.environment()).stdout
