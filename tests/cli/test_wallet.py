"""`autometa wallet`, against a real chain."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

import pytest
from eth_account import Account

from autometa_cli.devnet.node import AnvilProcess
from tests.runner import Cli

KEY = "0x" + secrets.token_hex(32)
ADDRESS = Account.from_key(KEY).address
FAUCET = "https://faucet.moonbeam.network"


@pytest.fixture
def chain(anvil: AnvilProcess) -> Mapping[str, str]:
    """Settings for the test chain, seen as Moonbase Alpha (its id), where there is a faucet."""
    return {"RPC_URLS": anvil.url, "WORKER_PRIVATE_KEY": KEY}


def test_address_is_the_bare_address(cli: Cli) -> None:
    result = cli("wallet", "address", env={"WORKER_PRIVATE_KEY": KEY})

    assert (result.code, result.stdout, result.stderr) == (0, f"{ADDRESS}\n", "")


def test_address_as_json(cli: Cli) -> None:
    result = cli("wallet", "address", "--key", "owner", "--json", env={"OWNER_PRIVATE_KEY": KEY})

    assert result.json == {
        "key": "owner",
        "address": ADDRESS,
        "explorer": f"https://moonbase.moonscan.io/address/{ADDRESS}",
    }


def test_address_needs_no_chain(cli: Cli) -> None:
    settings = {
        "WORKER_PRIVATE_KEY": KEY,
        "RPC_URLS": "http://127.0.0.1:1",
        "REDIS_URL": "redis://127.0.0.1:1",
    }

    assert cli("wallet", "address", env=settings).code == 0


def test_address_without_a_key_names_the_variables(cli: Cli) -> None:
    result = cli("wallet", "address")

    assert result.code == 3
    assert result.stderr.startswith("Error: WORKER_PRIVATE_KEY is not set\nHint: ")
    assert "WORKER_KEY_COMMAND" in result.stderr


def test_balance_is_exact(cli: Cli, anvil: AnvilProcess, chain: Mapping[str, str]) -> None:
    anvil.set_balance(ADDRESS, 10**30 + 1)

    result = cli("wallet", "balance", "--json", env=chain)

    assert result.code == 0
    assert result.json["balance"] == str(10**30 + 1)
    assert result.json["address"] == ADDRESS
    assert result.json["enough"] is True
    assert result.stderr == ""
    assert f"{10**12}.000000000000000001 DEV" in cli("wallet", "balance", env=chain).stdout


def test_low_balance_warns_with_the_faucet(cli: Cli, anvil: AnvilProcess, chain: Mapping[str, str]) -> None:
    anvil.set_balance(ADDRESS, 10**18 - 1)

    result = cli("wallet", "balance", env=chain)

    assert result.code == 0
    assert "0.999999999999999999 DEV" in result.stdout
    assert "below MIN_WORKER_BALANCE (1 DEV)" in result.stderr
    assert FAUCET in result.stderr


def test_min_turns_it_into_a_check(cli: Cli, anvil: AnvilProcess, chain: Mapping[str, str]) -> None:
    anvil.set_balance(ADDRESS, 5 * 10**17)

    assert cli("wallet", "balance", "--min", "0.5", env=chain).code == 0
    low = cli("wallet", "balance", "--min", "0.500000000000000001", "--json", env=chain)
    assert low.code == 8
    assert low.json["enough"] is False
    assert "below --min" in low.stderr


def test_balance_of_any_address(cli: Cli, anvil: AnvilProcess) -> None:
    anvil.set_balance(ADDRESS, 3 * 10**18)

    result = cli("wallet", "balance", ADDRESS.lower(), env={"RPC_URLS": anvil.url})

    assert result.code == 0
    assert ADDRESS in result.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("0x742d35Cc6634C0532925a3b844Bc9e7595f0bEb",), 3, "ADDRESS has 41 characters"),
        (("--min", "-1"), 2, "--min: '-1' is not"),
        (("--min", "1 DEV"), 2, "--min: '1 DEV' is not a number"),
        (("--min", "0.0000000000000000001"), 2, "more than 18 decimal places"),
        (("--key", "boss"), 2, "--key"),
        (("a", "b"), 2, "unexpected extra argument"),
    ],
)
def test_wrong_input(cli: Cli, arguments: tuple[str, ...], code: int, message: str) -> None:
    result = cli("wallet", "balance", *arguments, env={"WORKER_PRIVATE_KEY": KEY})

    assert result.code == code
    assert message in result.stderr
    assert result.stdout == ""


def test_unreachable_chain(cli: Cli) -> None:
    settings = {"WORKER_PRIVATE_KEY": KEY, "RPC_URLS": "http://127.0.0.1:1/v2/secret-api-key"}

    result = cli("wallet", "balance", "--json", env=settings)

    assert result.code == 5
    assert result.json["error"]["kind"] == "RpcUnreachable"
    assert "secret-api-key" not in result.stdout + result.stderr


def test_a_key_pasted_as_argument_is_not_repeated(cli: Cli) -> None:
    for arguments in (
        ("address", KEY),
        ("balance", KEY),
        ("balance", "--min", KEY[2:]),
        ("address", f"--{KEY}"),
    ):
        result = cli("wallet", *arguments)
        assert result.code in (2, 3)
        assert KEY[2:10] not in result.stdout + result.stderr


def test_an_address_that_is_given_may_be_anybodys(cli: Cli, chain: Mapping[str, str]) -> None:
    nobody = "0x000000000000000000000000000000000000dEaD"
    plain = cli("wallet", "balance", nobody, env=chain)
    asked = cli("wallet", "balance", nobody, "--min", "1000000000", env=chain)

    assert (plain.code, plain.stderr) == (0, "")
    assert asked.code == 8
    assert "below --min" in asked.stderr
