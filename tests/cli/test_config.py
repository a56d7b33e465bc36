"""`autometa config show` and `check`."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from eth_account import Account
from redis import Redis

from autometa_cli.options import OPTIONS
from tests.network import LiveNetwork
from tests.runner import Cli, Result

KEY = "0x" + secrets.token_hex(32)
ADDRESS = Account.from_key(KEY).address
SECRETS = {
    "WORKER_PRIVATE_KEY": KEY,
    "REDIS_URL": "redis://:hunter22@h.example:6379/1",
    "RPC_URLS": "https://h.example/v2/s3cr3t-key",
    "PRIVATE_RPC_URL": "https://p.example/s3cr3t-key",
    "OWNER_KEYSTORE_PASSWORD": "open sesame",
    "ADMIN_KEY_COMMAND": "vault read s3cr3t",
}


def by_name(result: Result) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in result.json["variables"]}


def assert_no_secret(result: Result) -> None:
    for word in (KEY[2:10], "hunter22", "s3cr3t", "sesame"):
        assert word not in result.stdout + result.stderr


def test_show_as_json_lists_every_variable(cli: Cli) -> None:
    result = cli("config", "show", "--json")

    assert result.json["env_file"] is None
    assert [entry["name"] for entry in result.json["variables"]] == [option.name for option in OPTIONS]
    assert by_name(result)["REGISTRY_ADDRESS"] == {
        "name": "REGISTRY_ADDRESS",
        "value": "0x87bb7A86E657f1dDd2e84946545b6686935E3a56",
        "origin": "network preset",
        "secret": False,
        "group": "Contracts",
        "help": "WorkflowRegistry contract",
    }
    assert by_name(result)["MAX_FEE_GWEI"]["value"] is None


def test_show_as_text_leaves_out_what_is_not_set(cli: Cli) -> None:
    short, everything = cli("config", "show"), cli("config", "show", "--all")

    assert "MAX_FEE_GWEI" not in short.stdout
    assert "MAX_FEE_GWEI" in everything.stdout
    assert len(everything.stdout.splitlines()) == len(OPTIONS) + 1


def test_show_tells_where_a_value_comes_from(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAX_RETRIES=4\nQUEUE_NAME=q\n")

    shown = by_name(cli("config", "show", "--json", env={"QUEUE_NAME": "w"}))

    assert (shown["MAX_RETRIES"]["value"], shown["MAX_RETRIES"]["origin"]) == ("4", ".env")
    assert (shown["QUEUE_NAME"]["value"], shown["QUEUE_NAME"]["origin"]) == ("w", "environment")


def test_show_hides_every_secret(cli: Cli) -> None:
    for arguments in ((), ("--json",), ("--all",)):
        result = cli("config", "show", *arguments, env=SECRETS)
        assert result.code == 0
        assert_no_secret(result)
    shown = by_name(cli("config", "show", "--json", env=SECRETS))
    assert shown["WORKER_PRIVATE_KEY"]["value"] == "(hidden)"
    assert shown["REDIS_URL"]["value"] == "redis://h.example:6379/1"
    assert shown["RPC_URLS"]["value"] == "https://h.example/…"


def test_show_works_when_values_are_wrong(cli: Cli) -> None:
    result = cli("config", "show", env={"POLL_INTERVAL": "never", "NETWORK": "moonbas", "QUEUE_NAME": KEY})

    assert result.code == 0
    assert "never" in result.stdout
    assert_no_secret(result)


def test_check_of_a_sound_configuration(cli: Cli) -> None:
    result = cli("config", "check", "--json", env={"WORKER_PRIVATE_KEY": KEY})

    assert (result.code, result.json["ok"]) == (0, True)
    worker = next(f for f in result.json["findings"] if f["variable"] == "WORKER_PRIVATE_KEY")
    assert worker == {
        "level": "ok",
        "variable": "WORKER_PRIVATE_KEY",
        "message": f"the key of {ADDRESS}",
        "hint": None,
    }
    assert cli("config", "check").code == 0


def test_check_names_everything_that_is_wrong(cli: Cli) -> None:
    wrong = {"REGISTRY_ADDRESS": "0x742d35Cc6634C0532925a3b844Bc9e7595f0bEb", "POLL_INTERVAL": "0"}

    result = cli("config", "check", env=wrong)
    as_json = cli("config", "check", "--json", env=wrong)

    assert result.code == as_json.code == 3
    assert "REGISTRY_ADDRESS has 41 characters, an address has 42" in result.stdout
    assert "POLL_INTERVAL is '0'" in result.stdout
    assert as_json.json["ok"] is False
    broken = [finding for finding in as_json.json["findings"] if finding["level"] == "error"]
    assert [finding["variable"] for finding in broken] == ["REGISTRY_ADDRESS", "POLL_INTERVAL"]


def test_check_reads_the_keys(cli: Cli, tmp_path: Path) -> None:
    wrong = {
        "WORKER_PRIVATE_KEY": KEY[:-2],
        "ADMIN_PRIVATE_KEY_FILE": str(tmp_path / "nowhere"),
        "OWNER_PRIVATE_KEY": "0x" + "0" * 64,
    }

    result = cli("config", "check", env=wrong)

    assert result.code == 3
    assert "WORKER_PRIVATE_KEY has 62 characters after 0x" in result.stdout
    assert "nowhere cannot be read: No such file or directory" in result.stdout
    assert "OWNER_PRIVATE_KEY is all zeros" in result.stdout
    assert_no_secret(result)


def test_check_reads_the_file_of_symbols(cli: Cli, tmp_path: Path) -> None:
    symbols = tmp_path / "symbols.json"
    symbols.write_text('{"DOT": ')
    broken = cli("config", "check", "--json", env={"PRICE_SYMBOLS": str(symbols)})
    symbols.write_text('{"DOT": "polkadot"}')
    sound = cli("config", "check", "--json", env={"PRICE_SYMBOLS": str(symbols)})

    assert (broken.code, sound.code) == (3, 0)
    found = [each for each in broken.json["findings"] if each["variable"] == "PRICE_SYMBOLS"]
    assert [each["level"] for each in found] == ["error"]
    assert "is not JSON" in found[0]["message"]


def test_check_tells_of_a_password_without_a_keystore(cli: Cli) -> None:
    result = cli("config", "check", env={"OWNER_KEYSTORE_PASSWORD": "open sesame"})

    assert result.code == 3
    assert "OWNER_KEYSTORE_PASSWORD is set, but not OWNER_KEYSTORE" in result.stdout
    assert_no_secret(result)


def test_check_warns_without_failing(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(f"WORKER_PRIVATE_KEY={KEY}\nREGISTRY_ADRESS=0x12\nOTHER=1\n")
    file.chmod(0o644)

    result = cli("config", "check", "--json")

    levels = [(finding["level"], finding["message"]) for finding in result.json["findings"]]
    assert result.code == 0
    assert ("note", ".env also sets OTHER, which autometa does not use") in levels
    warnings = [message for level, message in levels if level == "warning"]
    assert any("did you mean REGISTRY_ADDRESS?" in message for message in warnings)
    assert any("chmod 600" in message for message in warnings)


def test_env_file_that_is_missing(cli: Cli) -> None:
    for arguments in (("config", "show"), ("config", "check")):
        result = cli(*arguments, "--env-file", "nowhere.env")
        assert (result.code, result.stdout) == (3, "")
        assert "nowhere.env does not exist" in result.stderr


# --- check --connect


def errors(result: Result) -> list[tuple[str, str]]:
    return [(f["variable"], f["message"]) for f in result.json["findings"] if f["level"] == "error"]


def test_connect_asks_the_servers_and_changes_nothing(cli: Cli, network: LiveNetwork) -> None:
    with Redis.from_url(network.redis_url) as redis:
        before = (sorted(redis.keys()), network.anvil.request("eth_blockNumber"))
        result = cli("config", "check", "--connect", "--json", env=network.environment())
        assert (sorted(redis.keys()), network.anvil.request("eth_blockNumber")) == before

    assert (result.code, errors(result)) == (0, [])
    told = [finding["message"] for finding in result.json["findings"]]
    assert any("serves chain 1287; its newest block is" in text for text in told)
    assert any("the three contracts are there" in text for text in told)
    assert (
        "the three contracts are there"
        in cli("config", "check", "--connect", env=network.environment()).stdout
    )


def test_connect_tells_who_does_not_answer(cli: Cli, network: LiveNetwork) -> None:
    nobody = "http://127.0.0.1:1/key-0123456789abcdef"
    both = network.environment(RPC_URLS=f"{nobody},{network.rpc_url}")
    neither = network.environment(RPC_URLS=nobody, REDIS_URL="redis://:hunter22@127.0.0.1:1/0")
    private = network.environment(PRIVATE_RPC_URL=nobody)

    one, none, relay = (
        cli("config", "check", "--connect", "--json", env=env) for env in (both, neither, private)
    )

    assert (one.code, errors(one)) == (0, [])
    assert any("refused" in f["message"] for f in one.json["findings"] if f["level"] == "warning")
    assert (none.code, [name for name, _ in errors(none)]) == (5, ["REDIS_URL", "RPC_URLS"])
    assert (relay.code, [name for name, _ in errors(relay)]) == (5, ["PRIVATE_RPC_URL"])
    for result in (one, none, relay):
        assert "0123456789abcdef" not in result.stdout + result.stderr
        assert "hunter22" not in result.stdout + result.stderr


def test_connect_tells_what_is_not_what_was_meant(cli: Cli, network: LiveNetwork) -> None:
    nowhere = "0x" + "5" * 40
    chain = cli("config", "check", "--connect", "--json", env=network.environment(CHAIN_ID="1288"))
    empty = cli("config", "check", "--connect", "--json", env=network.environment(FEEESCROW_ADDRESS=nowhere))
    swapped = network.environment(REGISTRY_ADDRESS=network.escrow, FEEESCROW_ADDRESS=network.registry)
    wiring = cli("config", "check", "--connect", "--json", env=swapped)

    assert chain.code == empty.code == wiring.code == 3
    assert "serves chain 1287, but the configured chain is 1288" in dict(errors(chain))["RPC_URLS"]
    assert "there is no contract at" in dict(errors(empty))["FEEESCROW_ADDRESS"]
    assert "uses the registry" in dict(errors(wiring))["ACTIONEXECUTOR_ADDRESS"]


def test_connect_asks_nobody_while_the_settings_are_wrong(cli: Cli) -> None:
    result = cli("config", "check", "--connect", "--json", env={"POLL_INTERVAL": "0"})
    assert result.code == 3
    assert result.json["findings"][-1]["message"] == "the servers are asked when the settings are right"


def test_connect_names_a_key_of_another_type(cli: Cli, network: LiveNetwork) -> None:
    env = network.environment(QUEUE_NAME="elsewhere")
    with Redis.from_url(env["REDIS_URL"]) as client:
        client.set("elsewhere", "hello")
        try:
            checked = cli("config", "check", "--connect", "--json", env=env)
            asked = cli("queue", "peek", env=env)
        finally:
            client.delete("elsewhere")
    [wrong] = [one for one in checked.json["findings"] if one["variable"] == "QUEUE_NAME"]
    assert checked.code == 1
    assert wrong["message"].startswith("the queue's key elsewhere in Redis at")
    assert wrong["message"].endswith("is a string; it must be a list")
    assert asked.code == 1
    assert wrong["message"] in asked.stderr


def test_an_unknown_variable_is_told_of_once(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "settings"
    file.write_text("WORKER_PRIVAT_KEY=x\nSOMETHING_ELSE=y\n")
    file.chmod(0o600)
    found = cli("config", "check", "--env-file", str(file), "--json").json["findings"]
    for name in ("WORKER_PRIVAT_KEY", "SOMETHING_ELSE"):
        assert sum(name in each["message"] for each in found) == 1, found
