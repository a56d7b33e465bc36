"""`autometa role`, against the real contracts."""

from __future__ import annotations

import asyncio

import pytest

from autometa_cli.chain.roles import has_role
from autometa_cli.console import Console
from tests.network import LiveNetwork
from tests.runner import Cli

ANYBODY = "0x000000000000000000000000000000000000bEEF"
ROLE_CONTRACTS = {"ActionExecutor": "executor", "FeeEscrow": "escrow", "WorkflowRegistry": "registry"}


def held(network: LiveNetwork, account: str, role: str = "WORKER_ROLE", on: str = "ActionExecutor") -> bool:
    """What the chain says, past the commands."""

    async def read() -> bool:
        async with network.rpc() as rpc:
            return await has_role(await rpc.view(), getattr(network, ROLE_CONTRACTS[on]), role, account)

    return asyncio.run(read())


def test_grant_reports_the_transaction_and_the_verified_role(cli: Cli, network: LiveNetwork) -> None:
    result = cli("role", "grant", ANYBODY, "--json", env=network.environment())

    assert result.code == 0
    told = result.json
    receipt = network.anvil.request("eth_getTransactionReceipt", told["transaction"])
    assert (told["role"], told["contract"], told["account"]) == ("WORKER_ROLE", "ActionExecutor", ANYBODY)
    assert (told["held"], told["changed"], told["dry_run"]) == (True, True, False)
    assert (told["block"], told["gas_used"]) == (int(receipt["blockNumber"], 16), int(receipt["gasUsed"], 16))
    assert told["cost"] == str(int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16))
    assert told["from"] == network.accounts["admin"].address
    assert told["explorer"] is None  # a local chain has none
    assert held(network, ANYBODY)


def test_grant_says_where_it_sends_before_it_does(cli: Cli, network: LiveNetwork) -> None:
    result = cli("role", "grant", ANYBODY, env=network.environment())

    said = result.stderr
    assert "local chain (1287)" in said
    assert f"ActionExecutor {network.executor}" in said
    assert network.accounts["admin"].address in said
    assert said.index("from ") < said.index("sending   0x")
    assert "held         yes" in result.stdout


def test_the_explorer_link_comes_with_a_network_that_has_one(cli: Cli, network: LiveNetwork) -> None:
    result = cli("role", "grant", ANYBODY, "--json", env=network.environment(NETWORK="moonbase"))

    assert result.json["explorer"] == f"https://moonbase.moonscan.io/tx/{result.json['transaction']}"


def test_grant_without_an_address_is_for_the_worker(cli: Cli, network: LiveNetwork) -> None:
    worker = network.accounts["worker"].address
    assert cli("role", "revoke", "--yes", env=network.environment()).code == 0
    assert not held(network, worker)

    assert cli("role", "grant", env=network.environment()).code == 0

    assert held(network, worker)


def test_grant_of_what_is_there_sends_nothing_and_needs_no_key(cli: Cli, network: LiveNetwork) -> None:
    worker = network.accounts["worker"].address
    before = network.anvil.block_number()

    for environment in (
        network.environment(),
        network.environment(ADMIN_PRIVATE_KEY="", WORKER_PRIVATE_KEY=""),
    ):
        result = cli("role", "grant", worker, "--json", env=environment)
        assert result.code == 0
        assert (result.json["held"], result.json["changed"], result.json["transaction"]) == (
            True,
            False,
            None,
        )
        assert "already; nothing was sent" in result.stderr
    assert network.anvil.block_number() == before


def test_dry_run_sends_nothing_and_tells_the_gas(cli: Cli, network: LiveNetwork) -> None:
    result = cli("role", "grant", ANYBODY, "--dry-run", "--json", env=network.environment())

    assert result.code == 0
    assert 21_000 < result.json["gas_estimate"] < 100_000
    assert (result.json["held"], result.json["changed"], result.json["dry_run"]) == (False, False, True)
    assert not held(network, ANYBODY)


def test_the_roles_of_the_other_contracts_are_for_the_executor(cli: Cli, network: LiveNetwork) -> None:
    for contract, role in (("FeeEscrow", "WORKER_ROLE"), ("registry", "PROJECT_ADMIN")):
        found = cli("role", "check", "--contract", contract, "--json", env=network.environment())
        assert (found.code, found.json["account"], found.json["role"]) == (0, network.executor, role)


def test_powers_that_hardly_anybody_should_have_are_named(cli: Cli, network: LiveNetwork) -> None:
    result = cli("role", "grant", ANYBODY, "--contract", "FeeEscrow", "--dry-run", env=network.environment())

    assert "can charge every owner's deposit" in result.stderr


def test_the_workers_own_key_is_refused_as_admin(cli: Cli, network: LiveNetwork) -> None:
    worker = network.accounts["worker"]
    same = network.environment(ADMIN_PRIVATE_KEY=worker.private_key)

    for arguments in ((), (ANYBODY,), ("--dry-run",)):
        result = cli("role", "grant", *arguments, env=same)
        assert result.code == 3
        assert "the key of the worker itself" in result.stderr
        assert "--allow-worker-as-admin" in result.stderr
    # Also where only the grant itself shows that it is the worker's.
    alone = network.environment(ADMIN_PRIVATE_KEY=worker.private_key, WORKER_PRIVATE_KEY="")
    assert cli("role", "grant", worker.address, env=alone).code == 3


def test_unless_told_otherwise(cli: Cli, network: LiveNetwork) -> None:
    worker = network.accounts["worker"]
    same = network.environment(ADMIN_PRIVATE_KEY=worker.private_key)
    make_admin = ("role", "grant", worker.address, "--role", "DEFAULT_ADMIN_ROLE")
    assert cli(*make_admin, env=network.environment()).code == 0

    assert cli("role", "grant", ANYBODY, "--allow-worker-as-admin", env=same).code == 0
    assert held(network, ANYBODY)
    # With the option and no other key, the worker's own signs.
    alone = network.environment(ADMIN_PRIVATE_KEY="")
    assert cli("role", "revoke", ANYBODY, "--allow-worker-as-admin", "--yes", env=alone).code == 0
    assert not held(network, ANYBODY)


def test_who_may_not_is_told_what_is_missing(cli: Cli, network: LiveNetwork) -> None:
    owner = network.accounts["owner"]
    environment = network.environment(ADMIN_PRIVATE_KEY=owner.private_key)

    result = cli("role", "grant", ANYBODY, "--json", env=environment)

    assert result.code == 4
    assert result.json["error"]["kind"] == "NotPermitted"
    assert (
        f"{owner.address} lacks the role DEFAULT_ADMIN_ROLE on ActionExecutor"
        in result.json["error"]["message"]
    )
    assert not held(network, ANYBODY)


def test_without_an_admin_key_the_variable_is_named(cli: Cli, network: LiveNetwork) -> None:
    result = cli("role", "grant", ANYBODY, env=network.environment(ADMIN_PRIVATE_KEY=""))

    assert result.code == 3
    assert "ADMIN_PRIVATE_KEY is not set" in result.stderr


def test_revoke_needs_a_yes(cli: Cli, network: LiveNetwork) -> None:
    worker = network.accounts["worker"].address

    result = cli("role", "revoke", env=network.environment())

    assert result.code == 2
    assert "--yes" in result.stderr
    assert "the worker cannot execute workflows" in result.stderr
    assert held(network, worker)


@pytest.mark.parametrize(("answer", "code", "still"), [("y\n", 0, False), ("n\n", 1, True), ("", 1, True)])
def test_revoke_asks(
    cli: Cli,
    network: LiveNetwork,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
    still: bool,
) -> None:
    monkeypatch.setattr(Console, "interactive", True)
    worker = network.accounts["worker"].address

    result = cli("role", "revoke", env=network.environment(), stdin=answer)

    assert result.code == code
    assert f"Take WORKER_ROLE on ActionExecutor from {worker}? [y/N]" in result.stderr
    assert held(network, worker) is still


def test_revoke_reports_as_grant_does(cli: Cli, network: LiveNetwork) -> None:
    result = cli("role", "revoke", "--yes", "--json", env=network.environment())

    assert result.code == 0
    assert (result.json["held"], result.json["changed"]) == (False, True)
    assert result.json["transaction"].startswith("0x")
    again = cli("role", "revoke", "--json", env=network.environment())
    assert (again.code, again.json["changed"]) == (0, False)
    assert "does not have WORKER_ROLE on ActionExecutor; nothing was sent" in again.stderr


def test_revoking_an_admins_own_role_is_warned_of(cli: Cli, network: LiveNetwork) -> None:
    admin = network.accounts["admin"].address
    arguments = ("role", "revoke", admin, "--role", "DEFAULT_ADMIN_ROLE")

    result = cli(*arguments, env=network.environment())

    assert result.code == 2
    assert "this is your own role" in result.stderr
    assert "nobody can ever grant or revoke a role there again" in result.stderr
    assert held(network, admin, "DEFAULT_ADMIN_ROLE")


def test_check_answers_with_its_exit_code(cli: Cli, network: LiveNetwork) -> None:
    keyless = {name: text for name, text in network.environment().items() if not name.endswith("PRIVATE_KEY")}

    yes = cli("role", "check", network.accounts["worker"].address, "--json", env=keyless)
    no = cli("role", "check", ANYBODY, "--json", env=keyless)

    assert (yes.code, yes.json["held"], yes.stderr) == (0, True, "")
    assert (no.code, no.json["held"]) == (8, False)
    assert f"autometa role grant {ANYBODY} --role WORKER_ROLE --contract ActionExecutor" in no.stderr


def test_check_without_an_address_or_key_asks_for_the_address(cli: Cli, network: LiveNetwork) -> None:
    result = cli("role", "check", env=network.environment(WORKER_PRIVATE_KEY=""))

    assert result.code == 2
    assert "give the worker's ADDRESS" in result.stderr


def test_list_shows_the_wiring(cli: Cli, network: LiveNetwork) -> None:
    result = cli("role", "list", "--json", env=network.environment())

    assert result.code == 0
    assert [(entry["contract"], entry["role"], entry["held"]) for entry in result.json] == [
        ("ActionExecutor", "WORKER_ROLE", True),
        ("FeeEscrow", "WORKER_ROLE", True),
        ("WorkflowRegistry", "PROJECT_ADMIN", True),
    ]
    assert result.json[0]["account"] == network.accounts["worker"].address
    assert result.stderr == ""


def test_list_of_several_workers_says_who_lacks_it(cli: Cli, network: LiveNetwork) -> None:
    worker = network.accounts["worker"].address

    result = cli("role", "list", worker, ANYBODY, env=network.environment())

    assert result.code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[2] for line in lines[1:]] == ["yes", "no", "yes", "yes"]
    assert f"{ANYBODY} lacks WORKER_ROLE on ActionExecutor" in result.stderr


def test_list_without_a_worker_says_so(cli: Cli, network: LiveNetwork) -> None:
    result = cli("role", "list", "--json", env=network.environment(WORKER_PRIVATE_KEY=""))

    assert result.code == 0
    assert [entry["holder"] for entry in result.json] == ["ActionExecutor", "ActionExecutor"]
    assert "no worker's address is known" in result.stderr


@pytest.mark.parametrize("command", ["grant", "revoke", "check"])
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("0x742d35Cc6634C0532925a3b844Bc9e7595f0bEb",), 3, "ADDRESS has 41 characters"),
        (("0x742d35cC6634C0532925a3b844Bc9e7595f0bEb1",), 3, "wrong checksum"),
        (("0x" + "0" * 40,), 3, "ADDRESS is the zero address"),
        ((ANYBODY, "--role", "BOSS"), 2, "ActionExecutor knows no role 'BOSS'"),
        ((ANYBODY, "--role", "PROJECT_ADMIN"), 2, "ActionExecutor knows no role"),
        ((ANYBODY, "--contract", "Registrar"), 2, "there is no contract 'Registrar'"),
        (("--role", "ADMIN_ROLE"), 2, "say whose ADMIN_ROLE on ActionExecutor"),
        ((ANYBODY, "--role", "ab" * 32), 2, "a text of 64 characters"),
    ],
)
def test_wrong_input(cli: Cli, command: str, arguments: tuple[str, ...], code: int, message: str) -> None:
    environment = {"RPC_URLS": "http://127.0.0.1:1"}  # nothing of this gets as far as the chain

    result = cli("role", command, *arguments, env=environment)

    assert result.code == code
    assert message in result.stderr
    assert result.stdout == ""


def test_an_address_without_our_contract_is_told(cli: Cli, network: LiveNetwork) -> None:
    result = cli("role", "grant", ANYBODY, env=network.environment(ACTIONEXECUTOR_ADDRESS=ANYBODY.lower()))

    assert result.code == 3
    assert "there is no contract with roles at" in result.stderr


def test_unreachable_chain(cli: Cli) -> None:
    result = cli("role", "check", ANYBODY, "--json", env={"RPC_URLS": "http://127.0.0.1:1/secret-api-key"})

    assert result.code == 5
    assert result.json["error"]["kind"] == "RpcUnreachable"
    assert "secret-api-key" not in result.stdout + result.stderr


def test_an_account_without_money_is_told_so(cli: Cli, network: LiveNetwork) -> None:
    network.anvil.set_balance(network.accounts["admin"].address, 1)

    result = cli("role", "grant", ANYBODY, env=network.environment(NETWORK="moonbase"))

    assert result.code == 1
    assert network.accounts["admin"].address in result.stderr
    assert "https://faucet.moonbeam.network" in result.stderr


def test_what_is_not_mined_in_time_is_pending(cli: Cli, network: LiveNetwork) -> None:
    network.anvil.request("evm_setAutomine", False)
    try:
        result = cli("role", "grant", ANYBODY, "--json", env=network.environment(TX_TIMEOUT="1"))
    finally:
        network.anvil.request("evm_setAutomine", True)
        network.anvil.mine()

    assert result.code == 7
    hash = next(word for word in result.stderr.split() if len(word) == 66)
    assert hash in result.json["error"]["message"]
    assert held(network, ANYBODY)  # it was mined, only later
