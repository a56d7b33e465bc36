"""`autometa devnet`, as a user types it."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from autometa_cli.devnet import anvil_binary
from autometa_cli.devnet.identity import Identity
from autometa_cli.devnet.network import Devnet
from autometa_cli.errors import AutometaError
from tests.conftest import unavailable
from tests.runner import Cli, Result

ANY_PORTS = ("--rpc-port", "0", "--redis-port", "0")


@pytest.fixture(autouse=True)
def place(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An anvil for the program, and nothing left running."""
    try:
        monkeypatch.setenv("AUTOMETA_ANVIL", str(anvil_binary.find()))
    except AutometaError as error:
        unavailable(f"{error.message} {error.hint}")
    yield
    Devnet(cli.directory / ".autometa" / "devnet", env_file=cli.directory / ".env.devnet").down()


def up(cli: Cli) -> Result:
    """In a process of its own, which has ended when this returns; the devnet has not."""
    result = cli.process("devnet", "up", *ANY_PORTS, "--json")
    assert result.code == 0, result.stderr
    return result


def test_from_up_to_down(cli: Cli) -> None:
    started = up(cli)
    env_file = cli.directory / ".env.devnet"
    assert started.json["outcome"] == "started"
    assert stat.S_IMODE(env_file.stat().st_mode) == 0o600
    assert "PRIVATE" not in started.stdout + started.stderr

    seen = cli("devnet", "status", "--json")
    assert seen.code == 0
    assert seen.json["running"] is True
    assert seen.json["contracts"] == started.json["contracts"]

    balance = cli("--env-file", ".env.devnet", "wallet", "balance", "--json")
    assert balance.code == 0
    assert balance.json["address"] == started.json["accounts"]["worker"]

    again = cli("devnet", "up", *ANY_PORTS, "--json")
    assert again.code == 0
    assert again.json == started.json | {"outcome": "running"}
    assert "running already" in again.stderr

    stopped = cli("devnet", "down", "--json")
    assert stopped.code == 0
    assert stopped.json["stopped"] is True
    assert not env_file.exists()
    for name in ("anvil", "valkey"):
        assert not Identity(seen.json[name]["pid"], seen.json[name]["started"]).alive()

    assert cli("devnet", "status").code == 8
    nothing = cli("devnet", "down", "--json")
    assert (nothing.code, nothing.json["stopped"]) == (0, False)


def test_text_goes_where_it_belongs(cli: Cli) -> None:
    started = cli("devnet", "up", *ANY_PORTS)
    assert started.code == 0
    assert "WorkflowRegistry" in started.stdout
    assert "the devnet is running" in started.stderr
    seen = cli("devnet", "status")
    assert "running" in seen.stdout
    assert seen.stderr == ""
    stopped = cli("devnet", "down")
    assert stopped.stdout == ""
    assert "stopped" in stopped.stderr


def test_it_can_be_named_by_its_settings_file_or_directory(cli: Cli, tmp_path: Path) -> None:
    there = tmp_path / "there"
    env_file = tmp_path / "mine.env"
    assert cli("devnet", "up", *ANY_PORTS, "--dir", there, "--env-file", env_file).code == 0
    try:
        assert cli("devnet", "status").code == 8
        assert cli("--env-file", env_file, "devnet", "status").code == 0
        assert cli("devnet", "status", "--dir", there).code == 0
        assert cli("wallet", "balance", "--env-file", env_file).code == 0
    finally:
        assert cli("devnet", "down", "--dir", there).code == 0
    assert not env_file.exists()


def test_a_dead_chain_is_seen_and_replaced(cli: Cli) -> None:
    up(cli)
    pid = cli("devnet", "status", "--json").json["anvil"]["pid"]
    identity = Identity.of(pid)
    assert identity is not None
    os.kill(pid, signal.SIGKILL)
    assert identity.wait(10)
    seen = cli("devnet", "status", "--json")
    assert seen.code == 8
    assert (seen.json["condition"], seen.json["block_number"]) == ("damaged", None)
    assert "chain of the devnet does not answer" in seen.stderr
    again = cli("devnet", "up", *ANY_PORTS, "--json")
    assert (again.code, again.json["outcome"], again.json["discarded"]) == (0, "started", True)
    assert "its queue was discarded" in again.stderr


def test_a_taken_port(cli: Cli) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        result = cli("devnet", "up", "--rpc-port", str(port), "--redis-port", "0", "--json")
    assert result.code == 1
    assert result.json["error"]["kind"] == "PortTaken"
    assert str(port) in result.json["error"]["message"]
    assert cli("devnet", "status").code == 8


def test_no_anvil(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUTOMETA_ANVIL")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(anvil_binary, "_npm_of_wheel", lambda: None)
    result = cli("devnet", "up", *ANY_PORTS)
    assert result.code == 1
    assert result.stdout == ""
    assert "anvil, the local chain, is not installed" in result.stderr
    assert "pip install '.[devnet]'" in result.stderr
    assert not (cli.directory / ".env.devnet").exists()


def test_a_settings_file_of_ones_own_is_refused(cli: Cli) -> None:
    (cli.directory / ".env").write_text("NETWORK=moonbase\n")
    result = cli("--env-file", ".env", "devnet", "up", *ANY_PORTS)
    assert result.code == 1
    assert "left as it is" in result.stderr


@pytest.mark.parametrize("options", [["--rpc-port", "70000"], ["--chain-id", "0"], ["--block-time", "0"]])
def test_values_out_of_range(cli: Cli, options: list[str]) -> None:
    assert cli("devnet", "up", *options).code == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_start_leaves_nothing_running(cli: Cli, number: signal.Signals) -> None:
    with subprocess.Popen(
        cli.command("devnet", "up", *ANY_PORTS), cwd=cli.directory, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "Deploying" in line:
                break
        state = json.loads((cli.directory / ".autometa" / "devnet" / "state.json").read_text())
        process.send_signal(number)
        rest = process.stderr.read()
        assert process.wait(30) == 130, rest
    assert "Traceback" not in rest
    for name in ("anvil", "valkey"):
        assert not Identity(state[name]["pid"], state[name]["started"]).alive()
    assert cli("devnet", "status", "--json").json["condition"] == "stopped"
    assert not (cli.directory / ".env.devnet").exists()


def test_a_start_that_was_killed_is_cleared_away(cli: Cli) -> None:
    with subprocess.Popen(
        cli.command("devnet", "up", *ANY_PORTS), cwd=cli.directory, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "Deploying" in line:
                break
        process.kill()
    seen = cli("devnet", "status", "--json")
    assert (seen.code, seen.json["condition"]) == (8, "damaged")
    again = cli("devnet", "up", *ANY_PORTS, "--json")
    assert (again.code, again.json["discarded"]) == (0, True)
    for name in ("anvil", "valkey"):
        assert not Identity(seen.json[name]["pid"], seen.json[name]["started"]).alive()
