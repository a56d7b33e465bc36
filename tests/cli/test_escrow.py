"""`autometa escrow`, against the real contracts."""

from __future__ import annotations

import asyncio
import secrets

import pytest

from autometa_cli.chain.escrow import Escrow
from autometa_cli.units import WEI_PER_ETHER
from tests.network import LiveNetwork
from tests.runner import Cli

ANYBODY = "0x000000000000000000000000000000000000bEEF"
START = 10 * WEI_PER_ETHER  # what the fixture's owner has in the escrow


def deposited(network: LiveNetwork, owner: str) -> int:
    """wei, past the commands."""

    async def read() -> int:
        async with network.rpc() as rpc:
            return await Escrow(network.escrow).balance(await rpc.view(), owner)

    return asyncio.run(read())


def test_balance_is_exact(cli: Cli, network: LiveNetwork) -> None:
    owner = network.accounts["owner"].address

    result = cli("escrow", "balance", "--json", env=network.environment())

    assert result.code == 0
    assert result.json == {
        "address": owner,
        "balance": str(START),
        "symbol": "DEV",
        "contract_address": network.escrow,
        "chain_id": 1287,
        "block": network.anvil.block_number(),
    }
    assert result.stderr == ""


def test_balance_of_any_address_needs_no_key(cli: Cli, network: LiveNetwork) -> None:
    keyless = {name: text for name, text in network.environment().items() if not name.endswith("PRIVATE_KEY")}

    result = cli("escrow", "balance", ANYBODY, env=keyless)

    assert result.code == 0
    assert "in the escrow  0 DEV" in result.stdout
    without = cli("escrow", "balance", env=keyless)
    assert without.code == 3
    assert "name whose: autometa escrow balance ADDRESS" in without.stderr


def test_deposit_is_exact_and_reports_its_transaction(cli: Cli, network: LiveNetwork) -> None:
    owner = network.accounts["owner"].address

    result = cli("escrow", "deposit", "0.000000000000000001", "--json", env=network.environment())

    assert result.code == 0
    told = result.json
    receipt = network.anvil.request("eth_getTransactionReceipt", told["transaction"])
    assert (told["address"], told["amount"], told["balance"]) == (owner, "1", str(START + 1))
    assert (told["block"], told["gas_used"]) == (int(receipt["blockNumber"], 16), int(receipt["gasUsed"], 16))
    assert told["dry_run"] is False
    assert deposited(network, owner) == START + 1


def test_deposit_says_where_it_sends_before_it_does(cli: Cli, network: LiveNetwork) -> None:
    result = cli("escrow", "deposit", "0.5", env=network.environment())

    assert f"FeeEscrow {network.escrow}" in result.stderr
    assert network.accounts["owner"].address in result.stderr
    assert result.stderr.index("from ") < result.stderr.index("sending   0x")
    assert "now in the escrow  10.5 DEV" in result.stdout
    assert "0.5 DEV deposited" in result.stderr


def test_withdraw_pays_back(cli: Cli, network: LiveNetwork) -> None:
    owner = network.accounts["owner"].address
    before = asyncio.run(network.balance(owner))

    result = cli("escrow", "withdraw", "2.5", "--json", env=network.environment())

    assert result.code == 0
    assert result.json["balance"] == str(START - 25 * 10**17)
    after = asyncio.run(network.balance(owner))
    assert after == before + 25 * 10**17 - int(result.json["cost"])


def test_withdraw_all_leaves_nothing(cli: Cli, network: LiveNetwork) -> None:
    owner = network.accounts["owner"].address

    assert cli("escrow", "withdraw", "ALL", env=network.environment()).code == 0

    assert deposited(network, owner) == 0
    again = cli("escrow", "withdraw", "all", env=network.environment())
    assert again.code == 1
    assert "there is nothing to take out" in again.stderr


def test_withdraw_of_more_than_there_is(cli: Cli, network: LiveNetwork) -> None:
    result = cli("escrow", "withdraw", "10.000000000000000001", "--json", env=network.environment())

    assert result.code == 1
    assert "has 10 DEV in the escrow, not 10.000000000000000001 DEV" in result.json["error"]["message"]
    assert "withdraw all" in result.json["error"]["hint"]


@pytest.mark.parametrize(("command", "after"), [("deposit", START + 10**18), ("withdraw", START - 10**18)])
def test_dry_run_sends_nothing(cli: Cli, network: LiveNetwork, command: str, after: int) -> None:
    before = network.anvil.block_number()

    result = cli("escrow", command, "1", "--dry-run", "--json", env=network.environment())

    assert result.code == 0
    assert (result.json["dry_run"], result.json["balance"], result.json["transaction"]) == (
        True,
        str(after),
        None,
    )
    assert result.json["gas_estimate"] > 21_000
    assert network.anvil.block_number() == before


def test_more_than_the_account_has(cli: Cli, network: LiveNetwork) -> None:
    result = cli("escrow", "deposit", "1e9", env=network.environment())

    assert result.code == 1
    assert f"{network.accounts['owner'].address} has " in result.stderr
    assert "this needs 1000000000 DEV" in result.stderr


@pytest.mark.parametrize("what", ["nothing", "the registry", "a token"])
def test_nothing_is_sent_to_an_address_without_an_escrow(cli: Cli, network: LiveNetwork, what: str) -> None:
    addresses = {
        "nothing": ANYBODY,
        "the registry": network.registry,
        "a token": network.info.test_contracts["TestToken"],
    }
    before = network.anvil.block_number()
    wrong = network.environment(FEEESCROW_ADDRESS=addresses[what], REGISTRY_ADDRESS=network.executor)
    wrong |= {"ACTIONEXECUTOR_ADDRESS": network.escrow}

    result = cli("escrow", "deposit", "1", env=wrong)

    assert result.code == 3
    assert "there is no FeeEscrow at" in result.stderr
    assert network.anvil.block_number() == before


def test_a_contract_that_takes_money_without_the_event_is_told(cli: Cli, network: LiveNetwork) -> None:
    impostor = "0x" + secrets.token_hex(20)
    network.anvil.request("anvil_setCode", impostor, "0x60206000f3")  # answers 0 to everything

    result = cli("escrow", "deposit", "1", env=network.environment(FEEESCROW_ADDRESS=impostor))

    assert result.code == 1
    assert "was mined, but the escrow shows no GasDeposited of 1000000000000000000 wei" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("deposit", "0"), 2, "AMOUNT is 0"),
        (("deposit", "-1"), 2, "-1"),
        (("deposit", "--", "-1"), 2, "'-1' is not a number of zero or more"),
        (("deposit", "1,5"), 2, "'1,5' is not a number"),
        (("deposit", "0.0000000000000000001"), 2, "more than 18 decimal places"),
        (("deposit", "1e60"), 2, "more than a uint256 holds"),
        (("deposit", "9" * 5000), 2, "a text of 5000 characters"),
        (("deposit", "all"), 2, "'all' is not a number"),
        (("withdraw", "0.0"), 2, "AMOUNT is 0"),
        (("withdraw", "everything"), 2, "'everything' is not a number"),
        (("deposit",), 2, "AMOUNT"),
        (("balance", "0x742d35Cc6634C0532925a3b844Bc9e7595f0bEb"), 3, "ADDRESS has 41 characters"),
        (("balance", "0x742d35cC6634C0532925a3b844Bc9e7595f0bEb1"), 3, "wrong checksum"),
    ],
)
def test_wrong_input(cli: Cli, arguments: tuple[str, ...], code: int, message: str) -> None:
    result = cli("escrow", *arguments, env={"RPC_URLS": "http://127.0.0.1:1"})

    assert result.code == code
    assert message in result.stderr
    assert result.stdout == ""


def test_a_network_without_an_escrow_names_the_variable(cli: Cli) -> None:
    result = cli("escrow", "balance", ANYBODY, env={"NETWORK": "moonbeam"})

    assert result.code == 3
    assert "FEEESCROW_ADDRESS is not set" in result.stderr


def test_without_an_owner_key_the_variable_is_named(cli: Cli, network: LiveNetwork) -> None:
    result = cli("escrow", "deposit", "1", env=network.environment(OWNER_PRIVATE_KEY=""))

    assert result.code == 3
    assert "OWNER_PRIVATE_KEY is not set" in result.stderr


def test_another_chain_than_configured_gets_nothing(cli: Cli, network: LiveNetwork) -> None:
    result = cli("escrow", "deposit", "1", env=network.environment(CHAIN_ID="1288"))

    assert result.code == 3
    assert "serves chain 1287, but the configured chain is 1288" in result.stderr
