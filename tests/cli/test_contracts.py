"""`autometa contracts deploy`, against a real chain."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

import pytest
from eth_account import Account

from autometa_cli import config
from autometa_cli.devnet.node import AnvilProcess
from tests.runner import Cli

WORKER = "0x1Cb45BceCC3f0CEd2875b49d4f6dd5543B2bD559"  # any address will do
Settings = Mapping[str, str]


@pytest.fixture
def local(anvil: AnvilProcess) -> Settings:
    """Settings with a new admin key that has money."""
    key = "0x" + secrets.token_hex(32)
    anvil.set_balance(Account.from_key(key).address, 10**18)
    return {"NETWORK": "local", "RPC_URLS": anvil.url, "ADMIN_PRIVATE_KEY": key}


def address(settings: Settings) -> str:
    return str(Account.from_key(settings["ADMIN_PRIVATE_KEY"]).address)


def sent(anvil: AnvilProcess, settings: Settings) -> int:
    return int(anvil.request("eth_getTransactionCount", address(settings), "latest"), 16)


def test_its_lines_go_into_an_env_file(cli: Cli, anvil: AnvilProcess, local: Settings) -> None:
    result = cli("contracts", "deploy", "--worker", WORKER, env=local)
    assert result.code == 0, result.stderr
    assert "6 transaction(s)" in result.stderr
    assert sent(anvil, local) == 6
    file = cli.directory / ".env"
    file.write_text(result.stdout)
    settings = config.load(file, environ=local)
    assert settings.registry_address
    assert settings.actionexecutor_address
    assert settings.feeescrow_address
    assert len(result.stdout.splitlines()) == 3


def test_the_second_time_nothing_is_sent(cli: Cli, anvil: AnvilProcess, local: Settings) -> None:
    first = cli("contracts", "deploy", "--json", env=local)
    again = cli("contracts", "deploy", "--json", env=local)
    assert (first.code, again.code) == (0, 0)
    assert again.json["env"] == first.json["env"]
    assert sent(anvil, local) == 5
    assert "nothing was sent" in again.stderr
    assert int(first.json["cost"]) > 0
    assert again.json["cost"] == "0"
    assert all(step["transaction"].startswith("0x") for step in first.json["steps"])
    assert all(step["done"] and "transaction" not in step for step in again.json["steps"])
    assert Path(first.json["state"]).parts[:2] == (".autometa", "deployments")
    assert (cli.directory / first.json["state"]).is_file()


def test_a_worker_can_be_added_later(cli: Cli, anvil: AnvilProcess, local: Settings) -> None:
    cli("contracts", "deploy", env=local)
    added = cli("contracts", "deploy", "--worker", WORKER, "--json", env=local)
    new = [step for step in added.json["steps"] if "transaction" in step]
    assert [(step["role"], step["holder"]) for step in new] == [("WORKER_ROLE", WORKER)]


def test_another_state_file_is_another_deployment(cli: Cli, local: Settings) -> None:
    first = cli("contracts", "deploy", "--json", env=local)
    other = cli("contracts", "deploy", "--state", "other.json", "--json", env=local)
    assert not set(first.json["contracts"].values()) & set(other.json["contracts"].values())
    assert (cli.directory / "other.json").is_file()


def test_a_dry_run_sends_and_writes_nothing(cli: Cli, anvil: AnvilProcess, local: Settings) -> None:
    planned = cli("contracts", "deploy", "--dry-run", "--json", env=local)
    assert planned.code == 0
    assert planned.json["dry_run"] is True
    assert planned.json["done"] is False
    assert [step["step"] for step in planned.json["steps"]] == ["deploy"] * 3 + ["grant"] * 2
    assert int(planned.json["cost"]) > 0
    assert sent(anvil, local) == 0
    assert list(cli.directory.iterdir()) == []
    text = cli("contracts", "deploy", "--dry-run", env=local)
    assert "Deploy WorkflowRegistry" in text.stdout
    assert "nothing was sent" in text.stderr
    done = cli("contracts", "deploy", "--json", env=local)
    assert done.json["contracts"] == planned.json["contracts"]


def test_a_public_network_needs_a_yes(cli: Cli, anvil: AnvilProcess, local: Settings) -> None:
    public = {**local, "NETWORK": "moonbase"}  # the test chain has the same id
    refused = cli("contracts", "deploy", env=public)
    assert refused.code == 2
    assert "--yes" in refused.stderr
    assert sent(anvil, local) == 0
    done = cli("contracts", "deploy", "--yes", "--json", env=public)
    assert done.code == 0
    assert all(
        step["explorer"].startswith("https://moonbase.moonscan.io/tx/0x") for step in done.json["steps"]
    )


def test_no_key(cli: Cli, anvil: AnvilProcess) -> None:
    result = cli("contracts", "deploy", env={"NETWORK": "local", "RPC_URLS": anvil.url})
    assert result.code == 3
    assert "ADMIN_PRIVATE_KEY is not set" in result.stderr


def test_a_worker_that_is_no_address(cli: Cli, anvil: AnvilProcess, local: Settings) -> None:
    result = cli("contracts", "deploy", "--worker", WORKER[:-1], env=local)
    assert result.code == 3
    assert "--worker has 41 characters" in result.stderr
    assert sent(anvil, local) == 0


def test_no_money(cli: Cli, anvil: AnvilProcess, local: Settings) -> None:
    anvil.set_balance(address(local), 1)
    result = cli("contracts", "deploy", "--json", env={**local, "NETWORK": "moonbase"})  # before any question
    assert result.code == 1
    assert "https://faucet.moonbeam.network" in result.json["error"]["hint"]


def test_no_chain(cli: Cli, local: Settings) -> None:
    result = cli("contracts", "deploy", env={**local, "RPC_URLS": "http://127.0.0.1:9"})
    assert result.code == 5


def test_the_key_is_never_shown(cli: Cli, local: Settings) -> None:
    result = cli("contracts", "deploy", "--json", env=local)
    secret = local["ADMIN_PRIVATE_KEY"][2:]
    assert secret not in result.stdout + result.stderr
    assert secret not in (cli.directory / result.json["state"]).read_text()
