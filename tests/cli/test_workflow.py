"""`autometa workflow`: list and show, against the real contracts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from autometa_cli.addresses import checksum
from autometa_cli.chain import search
from autometa_cli.chain.actions import ContractCall, NativeTransfer, TokenTransfer
from autometa_cli.chain.trigger_abi import encode_trigger
from autometa_cli.chain.trigger_json import encode_trigger_json
from autometa_cli.chain.triggers import PriceTrigger, WalletTrigger
from autometa_cli.times import LAST_SECOND
from autometa_cli.units import short
from tests.network import RECIPIENT, LiveNetwork
from tests.runner import Cli

ANYBODY = "0x000000000000000000000000000000000000bEEF"
ETHER = 10**18


def made(network: LiveNetwork, **fields: Any) -> int:
    return asyncio.run(network.create_workflow(**fields))


def keyless(network: LiveNetwork, **overrides: str) -> dict[str, str]:
    environment = network.environment(**overrides)
    return {name: text for name, text in environment.items() if not name.endswith("PRIVATE_KEY")}


def test_an_empty_registry_is_an_empty_list(cli: Cli, network: LiveNetwork) -> None:
    as_json = cli("workflow", "list", "--json", env=keyless(network))
    as_text = cli("workflow", "list", env=keyless(network))

    assert (as_json.code, as_json.json, as_json.stderr) == (0, [], "")
    assert (as_text.code, as_text.stdout, as_text.stderr) == (0, "no workflows\n", "")
    assert cli("workflow", "list", "--paused", env=keyless(network)).stdout == "none that match\n"


def test_list_of_the_active_that_are_paused(cli: Cli) -> None:
    result = cli("workflow", "list", "--active", "--paused")

    assert (result.code, result.stdout) == (2, "")
    assert "--active and --paused exclude each other" in result.stderr


def test_list_shows_each_in_words(cli: Cli, network: LiveNetwork) -> None:
    now = network.now()
    made(network, next_run=now - 60, interval=3600, gas_budget=10**15)
    made(network, next_run=LAST_SECOND, interval=0, trigger_type=9, action=b"\xff")

    result = cli("workflow", "list", "--json", env=keyless(network))

    first, second = result.json
    assert (first["id"], first["owner"]) == (1, network.accounts["owner"].address)
    assert (first["active"], first["due"], first["next_run"], first["interval"]) == (
        True,
        True,
        now - 60,
        3600,
    )
    assert first["gas_budget"] == str(10**15)
    assert first["trigger"] == {"type": 1, "kind": "time", "text": "time", "readable": True, "data": "0x"}
    assert first["action"]["kind"] == "native"
    assert first["action"]["text"].startswith("pay 0.000000000000000001 DEV to 0x")
    assert (second["due"], second["next_run_utc"]) == (False, "9999-12-31T23:59:59Z")
    assert (second["trigger"]["readable"], second["trigger"]["kind"]) == (False, None)
    assert (
        second["action"]["text"]
        == "cannot be read: actionData, byte 0: action type 255 is not known (1, 2 or 3)"
    )
    lines = cli("workflow", "list", env=keyless(network)).stdout.splitlines()
    assert lines[0].split() == ["ID", "OWNER", "STATE", "NEXT", "RUN", "EVERY", "TRIGGER", "ACTION"]
    assert lines[1].split()[-6:] == ["1h", "time", "<0.000001", "DEV", "to", short(checksum(RECIPIENT))]
    assert lines[2].split()[-4:] == ["never", "once", "unreadable", "unreadable"]


@pytest.mark.parametrize("at_a_time", [500, 2])
def test_list_filters(
    cli: Cli, network: LiveNetwork, monkeypatch: pytest.MonkeyPatch, at_a_time: int
) -> None:
    monkeypatch.setattr(search, "CHUNK", at_a_time)

    async def prepare() -> None:
        soon = network.now() + 10**6
        await network.create_workflow()  # 1: due
        await network.create_workflow(next_run=soon)  # 2
        await network.create_workflow()  # 3: paused
        await network.create_workflow(owner="worker", trigger_type=2)  # 4: due, another's
        await network.create_workflow()  # 5: deleted
        await network.create_workflow(action=b"\xff")  # 6
        await network.pause(3)
        await network.delete(5)

    asyncio.run(prepare())
    worker = network.accounts["worker"].address
    cases: dict[tuple[str, ...], list[int]] = {
        (): [1, 2, 3, 4, 6],
        ("--due",): [1, 4, 6],
        ("--active",): [1, 2, 4, 6],
        ("--paused",): [3],
        ("--paused", "--due"): [],
        ("--owner", worker): [4],
        ("--owner", worker.lower(), "--trigger", "time"): [],
        ("--owner", ANYBODY): [],
        ("--trigger", "price"): [4],
        ("--trigger", "1"): [1, 2, 3, 6],
        ("--unreadable",): [4, 6],  # 4: a price trigger without data
        ("--unreadable", "--due", "--trigger", "time"): [6],
        ("--limit", "2"): [1, 2],
        ("--limit", "2", "--offset", "1"): [2, 3],
        ("--limit", "0", "--offset", "3"): [4, 6],
        ("--offset", "99"): [],
    }
    for arguments, expected in cases.items():
        result = cli("workflow", "list", *arguments, "--json", env=keyless(network))
        assert (result.code, [entry["id"] for entry in result.json]) == (0, expected), arguments


def test_list_says_that_there_are_more(cli: Cli, network: LiveNetwork) -> None:
    asyncio.run(network.create_workflows(5))

    some = cli("workflow", "list", "--limit", "2", "--offset", "1", env=keyless(network))
    rest = cli("workflow", "list", "--limit", "2", "--offset", "3", env=keyless(network))

    assert "there are more: --offset 3" in some.stderr
    assert rest.stderr == ""


def test_show_tells_everything(cli: Cli, network: LiveNetwork) -> None:
    now = network.now()
    made(network, next_run=now + 7200, interval=90, gas_budget=4 * ETHER)

    result = cli("workflow", "show", "1", env=keyless(network))

    assert result.code == 0
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert lines["owner"] == network.accounts["owner"].address
    assert lines["state"] == "waiting"
    assert "(in 2h)" in lines["next"] or "(in 1h 59m)" in lines["next"]
    assert lines["repeats"] == "every 1m 30s"
    assert lines["gas"] == "budget  4 DEV"
    assert lines["escrow"] == "10 DEV of its owner, enough for 2 runs"
    assert lines["workers"] == "may execute it"


@pytest.mark.parametrize(
    ("fields", "obstacle"),
    [
        ({}, "it pays 1000000 DEV"),
        ({"action": NativeTransfer(RECIPIENT, 1), "trigger_type": 2}, "no source of prices is configured"),
    ],
)
def test_show_tells_what_stands_in_the_way(
    cli: Cli, network: LiveNetwork, fields: dict[str, Any], obstacle: str
) -> None:
    price = encode_trigger(PriceTrigger("DOT", ">", ETHER)) if "trigger_type" in fields else b""
    made(
        network,
        **{"action": NativeTransfer(RECIPIENT, 10**6 * ETHER), "trigger_data": price, "next_run": 1} | fields,
    )

    shown = cli("workflow", "show", "1", env=keyless(network)).stdout
    assert "do not execute it as things are: " in shown
    assert obstacle in shown
    assert obstacle in cli("workflow", "show", "1", "--json", env=keyless(network)).json["obstacle"]


def test_what_never_runs_again_is_done(cli: Cli, network: LiveNetwork) -> None:
    made(network, next_run=LAST_SECOND)
    lines = cli("workflow", "show", "1", env=keyless(network)).stdout.splitlines()

    assert "state       done" in lines
    assert "next run    never" in lines


def test_show_as_json(cli: Cli, network: LiveNetwork) -> None:
    made(network, gas_budget=11 * ETHER)

    result = cli("workflow", "show", "1", "--json", env=keyless(network))

    assert result.json["escrow_balance"] == str(10 * ETHER)
    assert (result.json["refusal"], result.json["judged"]) == (None, True)
    assert result.json["block"] == network.anvil.block_number()
    assert "too little for a run" in cli("workflow", "show", "1", env=keyless(network)).stdout


def test_show_asks_tokens_for_their_decimals(cli: Cli, network: LiveNetwork) -> None:
    token = network.info.test_contracts["TestToken"]
    made(network, action=TokenTransfer(token, RECIPIENT, 3 * ETHER // 2))
    made(network, action=TokenTransfer(ANYBODY, RECIPIENT, 7))  # no token at all

    known = cli("workflow", "show", "1", "--json", env=keyless(network)).json["action"]["text"]
    unknown = cli("workflow", "show", "2", "--json", env=keyless(network)).json["action"]["text"]

    assert known.startswith(f"send 1.5 TEST of the token {token} to 0x")
    assert unknown.startswith(f"send 7 smallest units of the token {ANYBODY} to 0x")


def test_show_puts_triggers_into_words(cli: Cli, network: LiveNetwork) -> None:
    token = network.info.test_contracts["TestToken"]
    triggers = [
        (2, encode_trigger_json(PriceTrigger("DOT", "<=", 52 * 10**17)), "while DOT <= 5.2 USD"),
        (3, encode_trigger(WalletTrigger("outgoing")), "when its owner sends DEV"),
        (
            3,
            encode_trigger_json(WalletTrigger("incoming", token, ANYBODY, 2 * ETHER)),
            f"when {ANYBODY} receives 2 TEST or more of the token {token}",
        ),
        (2, b"\x01\x02", "cannot be read: triggerData of type 2 (price): 2 bytes, at least 96 are needed"),
    ]
    for number, (kind, data, words) in enumerate(triggers, 1):
        made(network, trigger_type=kind, trigger_data=data)
        found = cli("workflow", "show", str(number), "--json", env=keyless(network)).json["trigger"]
        assert (found["text"], found["data"]) == (words, "0x" + data.hex())


def test_show_says_what_workers_never_execute(cli: Cli, network: LiveNetwork) -> None:
    made(network, action=ContractCall(network.escrow, 0, bytes(4)))
    made(network, action=NativeTransfer(RECIPIENT, 2 * ETHER))

    forbidden = cli("workflow", "show", "1", "--json", env=keyless(network))
    dear = cli("workflow", "show", "2", "--json", env=keyless(network, MAX_VALUE="1"))

    assert forbidden.code == 0
    assert forbidden.json["refusal"]["reason"] == "forbidden_target"
    assert dear.json["refusal"]["reason"] == "over_value"
    assert (
        "never execute it: contract call to the escrow"
        in cli("workflow", "show", "1", env=keyless(network)).stdout
    )


def test_numbers_that_json_readers_would_round_are_text(cli: Cli, network: LiveNetwork) -> None:
    made(network, next_run=2**256 - 1, interval=2**53, gas_budget=2**256 - 1)

    shown = cli("workflow", "show", "1", "--json", env=keyless(network))
    assert shown.json["next_run"] == str(2**256 - 1)
    assert shown.json["interval"] == str(2**53)
    assert shown.json["next_run_utc"] is None
    as_text = cli("workflow", "show", "1", env=keyless(network))
    assert "after the year 9999" in as_text.stdout
    assert cli("workflow", "list", env=keyless(network)).code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("show", "0"), 2, "'0' is no workflow id"),
        (("show", "abc"), 2, "'abc' is no workflow id"),
        (("show", "1.5"), 2, "'1.5' is no workflow id"),
        (("show", "-1"), 2, "-1"),
        (("show", "9" * 100), 2, "a text of 100 characters is no workflow id"),
        (("show",), 2, "ID"),
        (("list", "--owner", "0x742d35Cc6634C0532925a3b844Bc9e7595f0bEb"), 3, "--owner has 41 characters"),
        (("list", "--trigger", "moon"), 2, "--trigger must be time, price, wallet"),
        (("list", "--limit", "-1"), 2, "--limit"),
        (("resume", "1", "--next-run", "tomorrow"), 2, "--next-run: 'tomorrow' is no time"),
        (("resume", "1", "--next-run", "1700000000000"), 2, "milliseconds"),
    ],
)
def test_wrong_input(cli: Cli, arguments: tuple[str, ...], code: int, message: str) -> None:
    result = cli("workflow", *arguments, env={"RPC_URLS": "http://127.0.0.1:1"})

    assert result.code == code
    assert message in result.stderr
    assert result.stdout == ""


def test_an_address_without_a_registry(cli: Cli, network: LiveNetwork) -> None:
    for wrong in (ANYBODY, network.info.test_contracts["TestToken"]):
        for command in (("list",), ("show", "1"), ("pause", "1")):
            result = cli("workflow", *command, env=network.environment(REGISTRY_ADDRESS=wrong))
            assert result.code == 3
            assert "there is no WorkflowRegistry at" in result.stderr
