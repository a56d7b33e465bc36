"""`autometa workflow simulate`, and the options of `create` that make a trigger."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from autometa_cli.addresses import checksum
from autometa_cli.chain.trigger_abi import encode_trigger
from autometa_cli.chain.trigger_data import decode_trigger
from autometa_cli.chain.triggers import PriceTrigger, WalletTrigger
from tests.network import RECIPIENT, LiveNetwork
from tests.runner import Cli
from tests.scheduling.live import feed_says, one_pass

TO = checksum(RECIPIENT)
DOLLAR = 10**18


def made(network: LiveNetwork, **fields: Any) -> int:
    return asyncio.run(network.create_workflow(**fields))


def environment(network: LiveNetwork, **overrides: str) -> dict[str, str]:
    feed = network.info.test_contracts["TestPriceFeed"]
    return network.environment(
        PRICE_FEEDS=f"DEV={feed}", PRICE_MAX_AGE="86400", CONFIRMATIONS="1", **overrides
    )


def test_a_workflow_that_a_worker_would_execute(cli: Cli, network: LiveNetwork) -> None:
    id = made(network, gas_budget=10**15)
    before = network.anvil.request("eth_blockNumber")

    result = cli("workflow", "simulate", str(id), "--json", env=environment(network))

    assert (result.code, result.json["would_execute"]) == (0, True)
    assert result.json["as"] == network.accounts["worker"].address
    assert result.json["trigger"]["holds"]
    action = result.json["action"]
    assert action["gas"] > 50_000
    assert int(action["max_fee"]) >= int(action["expected_fee"]) > 0
    assert action["charge"] == str(10**15)
    assert action["new_next_run"] > network.now()
    assert network.anvil.request("eth_blockNumber") == before

    text = cli("workflow", "simulate", str(id), env=environment(network)).stdout
    assert "a worker would execute it now" in text
    assert "at most" in text


def test_without_a_key_it_needs_an_address(cli: Cli, network: LiveNetwork) -> None:
    id = made(network)
    keyless = environment(network, WORKER_PRIVATE_KEY="")

    refused = cli("workflow", "simulate", str(id), env=keyless)
    assert refused.code == 3
    assert "--as" in refused.stderr
    worker = network.accounts["worker"].address
    assert cli("workflow", "simulate", str(id), "--as", worker, env=keyless).code == 0
    stranger = cli("workflow", "simulate", str(id), "--as", TO, "--json", env=keyless)
    assert (stranger.code, stranger.json["verdict"]["reason"]) == (8, "no_role")


def test_without_redis_the_chain_alone_decides(cli: Cli, network: LiveNetwork) -> None:
    id = made(network)
    result = cli("workflow", "simulate", str(id), env=environment(network, REDIS_URL="redis://127.0.0.1:1/0"))
    assert result.code == 0
    assert "going by the chain alone" in result.stderr


def test_not_due_but_the_action_is_simulated(cli: Cli, network: LiveNetwork) -> None:
    id = made(network, next_run=network.now() + 5000)
    result = cli("workflow", "simulate", str(id), "--json", env=environment(network))
    assert (result.code, result.json["verdict"]["reason"]) == (8, "not_due")
    assert result.json["action"]["succeeds"]
    assert result.json["action"]["new_next_run"] == result.json["workflow"]["next_run"] + 3600


def test_a_one_shot_that_is_not_due(cli: Cli, network: LiveNetwork) -> None:
    id = made(network, next_run=network.now() + 5000, interval=0)
    text = cli("workflow", "simulate", str(id), env=environment(network)).stdout
    assert re.search(r"trigger +due in 1h 23m", text)
    assert re.search(r"then +it does not run again", text)
    assert re.search(r"verdict +not now: it is due in 1h 23m\n", text)


def test_a_price_and_its_verdict(cli: Cli, network: LiveNetwork) -> None:
    asyncio.run(feed_says(network, 520_000_000))
    above = made(network, trigger_type=2, trigger_data=encode_trigger(PriceTrigger("DEV", ">", 5 * DOLLAR)))
    below = made(network, trigger_type=2, trigger_data=encode_trigger(PriceTrigger("DEV", "<", 5 * DOLLAR)))

    met = cli("workflow", "simulate", str(above), "--json", env=environment(network))
    assert (met.code, met.json["trigger"]["price"]["usd"]) == (0, "5.2")
    unmet = cli("workflow", "simulate", str(below), "--json", env=environment(network))
    assert (unmet.code, unmet.json["verdict"]["reason"]) == (8, "condition")
    assert unmet.json["action"]["succeeds"]
    assert "DEV is 5.2 USD" in unmet.json["trigger"]["text"]
    blind = cli(
        "workflow", "simulate", str(above), "--json", env=environment(network) | {"PRICE_FEEDS": "DOT=" + TO}
    )
    assert (blind.code, blind.json["verdict"]["reason"]) == (8, "trigger")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"trigger_data": b"garbage"}, "at least 96 are needed"),
        (
            {"trigger_data": encode_trigger(PriceTrigger("XYZ", ">", 1))},
            "no source of prices knows XYZ: see PRICE_FEEDS",
        ),
    ],
    ids=["unreadable", "no source"],
)
def test_what_no_scheduler_ever_queues(
    cli: Cli, network: LiveNetwork, fields: dict[str, Any], words: str
) -> None:
    id = made(network, trigger_type=2, **fields)
    result = cli("workflow", "simulate", str(id), env=environment(network))
    assert result.code == 8
    assert re.search("verdict +never, as it is: ", result.stdout)
    assert words in result.stdout.split("never, as it is: ")[1]


def test_a_transfer_and_its_verdict(cli: Cli, network: LiveNetwork) -> None:
    id = made(network, trigger_type=3, trigger_data=encode_trigger(WalletTrigger("incoming")))
    asyncio.run(one_pass(network))
    none = cli("workflow", "simulate", str(id), "--json", env=environment(network))
    assert (none.code, none.json["trigger"]["event"]) == (8, None)
    why = "no transfer that fires it waits for its run"
    assert (none.json["trigger"]["text"], none.json["verdict"]["text"]) == (why, why)
    text = cli("workflow", "simulate", str(id), env=environment(network)).stdout
    assert re.search(rf"verdict +not now: {why}\n", text)

    owner = network.accounts["owner"].address
    (receipt,) = asyncio.run(network.transact("admin", owner, b"", value=5))
    found = cli("workflow", "simulate", str(id), "--json", env=environment(network))
    assert (found.code, found.json["trigger"]["event"]["tx"]) == (0, receipt.hash)


def test_an_action_that_would_fail(cli: Cli, network: LiveNetwork) -> None:
    from autometa_cli.chain.actions import NativeTransfer

    id = made(network, action=NativeTransfer(RECIPIENT, 10**30))
    result = cli("workflow", "simulate", str(id), "--json", env=environment(network))
    assert (result.code, result.json["verdict"]["reason"]) == (8, "executor_low")
    assert cli("workflow", "simulate", "999999", env=environment(network)).code == 1


# -- create -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "trigger"),
    [
        (["--price", "dot", "--above", "5.25"], (2, ">", 525 * DOLLAR // 100)),
        (["--price", "DOT", "--below", "5"], (2, "<", 5 * DOLLAR)),
        (["--on-transfer", "in"], (3, "incoming", False, False, 0)),
        (["--on-transfer", "out"], (3, "outgoing", False, False, 0)),
        (["--on-transfer", "in", "--min", "0.5"], (3, "incoming", False, True, DOLLAR // 2)),
        (["--on-transfer", "out", "--of", "TOKEN"], (3, "outgoing", True, False, 0)),
        (["--on-transfer", "in", "--of", "TOKEN", "--min", "2"], (3, "incoming", True, True, 2 * DOLLAR)),
    ],
)
def test_create_makes_the_trigger(
    cli: Cli, network: LiveNetwork, options: list[str], trigger: tuple[Any, ...]
) -> None:
    token = network.info.test_contracts["TestToken"]
    given = [token if option == "TOKEN" else option for option in options]
    result = cli(
        "workflow", "create", "--transfer", TO, "--amount", "0.1", *given, "--json", env=environment(network)
    )
    assert result.code == 0, result.stderr
    shown = result.json["workflow"]["trigger"]
    assert shown["type"] == trigger[0]
    found = decode_trigger(shown["type"], bytes.fromhex(shown["data"][2:]))
    if isinstance(found, PriceTrigger):
        assert (found.symbol, found.comparator, found.threshold) == ("DOT", *trigger[1:])
    else:
        assert isinstance(found, WalletTrigger)
        _, direction, of, watched, least = trigger
        owner = network.accounts["owner"].address.lower()
        assert (found.direction, found.min_amount) == (direction, least)
        assert found.token == (token.lower() if of else None)
        assert found.watched == (owner if watched else None)


@pytest.mark.parametrize(
    ("settings", "warning"),
    [
        ({}, "no source of prices knows DOT"),
        ({"PRICE_FEEDS": ""}, "no source of prices is configured"),
        ({"PRICE_FEEDS": "DOT=" + TO}, ""),
    ],
)
def test_create_warns_where_nobody_knows_the_price(
    cli: Cli, network: LiveNetwork, settings: dict[str, str], warning: str
) -> None:
    given = {name: text for name, text in {**environment(network), **settings}.items() if text}
    result = cli(
        *("workflow", "create", "--transfer", TO, "--amount", "0.1", "--price", "DOT", "--above", "5"),
        "--dry-run",
        env=given,
    )
    assert result.code == 0
    assert ("Warning: " in result.stderr) == bool(warning)
    assert warning in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--price", "DOT"],
        ["--price", "DOT", "--above", "5", "--below", "6"],
        ["--price", "D O T", "--above", "5"],
        ["--price", "DOT", "--above", "-5"],
        ["--above", "5"],
        ["--on-transfer", "sideways"],
        ["--on-transfer", "out", "--min", "5"],
        ["--min", "5"],
        ["--of", TO],
        ["--price", "DOT", "--above", "5", "--on-transfer", "in"],
        ["--price", "DOT", "--above", "5", "--trigger-type", "time"],
    ],
)
def test_options_that_do_not_go_together(cli: Cli, network: LiveNetwork, options: list[str]) -> None:
    result = cli("workflow", "create", "--transfer", TO, "--amount", "1", *options, env=environment(network))
    assert result.code == 2
