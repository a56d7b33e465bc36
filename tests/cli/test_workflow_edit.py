"""`autometa workflow create` and `update`, against the real contracts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from autometa_cli.chain.actions import ContractCall, NativeTransfer, TokenTransfer, decode_action
from autometa_cli.chain.contracts import Workflow
from autometa_cli.chain.trigger_data import decode_trigger
from autometa_cli.chain.triggers import TimeTrigger
from autometa_cli.units import UINT256_MAX
from tests.network import RECIPIENT, LiveNetwork
from tests.runner import Cli, Result

ETHER = 10**18
TRANSFER = ("--transfer", RECIPIENT, "--amount", "0.1")


def create(cli: Cli, network: LiveNetwork, *arguments: str, env: Mapping[str, str] | None = None) -> Result:
    return cli("workflow", "create", *arguments, "--json", env=env or network.environment())


def stored(network: LiveNetwork, id: int) -> Workflow:
    """What the registry has, past the commands."""
    workflow = asyncio.run(network.workflow(id))
    assert workflow is not None
    return workflow


def test_create_reports_the_id_and_the_transaction(cli: Cli, network: LiveNetwork) -> None:
    result = create(cli, network, *TRANSFER, "--every", "1h", "--gas-budget", "0.001")

    assert result.code == 0
    told = result.json
    receipt = network.anvil.request("eth_getTransactionReceipt", told["transaction"])
    assert (told["id"], told["changed"], told["dry_run"]) == (1, True, False)
    assert (told["block"], told["gas_used"]) == (int(receipt["blockNumber"], 16), int(receipt["gasUsed"], 16))
    workflow = stored(network, 1)
    assert workflow.owner == network.accounts["owner"].address == told["from"]
    assert decode_action(workflow.action_data) == NativeTransfer(RECIPIENT, ETHER // 10)
    assert (workflow.trigger_type, workflow.action_type, workflow.active) == (1, 1, True)
    assert (workflow.interval, workflow.gas_budget) == (3600, 10**15)
    assert told["workflow"]["next_run"] == workflow.next_run
    assert network.now() - 30 <= workflow.next_run <= network.now()
    assert decode_trigger(1, workflow.trigger_data) == TimeTrigger(workflow.next_run, 3600)


def test_create_for_people(cli: Cli, network: LiveNetwork) -> None:
    result = cli("workflow", "create", *TRANSFER, env=network.environment())

    assert result.code == 0
    assert result.stdout.startswith("workflow     1\n")
    assert "repeats      once" in result.stdout
    assert result.stderr.index("from ") < result.stderr.index("sending   0x")
    assert result.stderr.endswith("workflow 1 created\n")


def test_ids_are_the_registrys_own(cli: Cli, network: LiveNetwork) -> None:
    asyncio.run(network.create_workflows(4))

    assert create(cli, network, *TRANSFER, "--once").json["id"] == 5


def test_create_a_token_transfer_by_the_tokens_decimals(cli: Cli, network: LiveNetwork) -> None:
    token = network.info.test_contracts["TestToken"]
    sending = ("--token", token, "--to", RECIPIENT, "--amount", "1.5")

    assert create(cli, network, *sending).code == 0
    assert create(cli, network, *sending, "--decimals", "6").code == 0

    assert decode_action(stored(network, 1).action_data) == TokenTransfer(token, RECIPIENT, 15 * ETHER // 10)
    assert decode_action(stored(network, 2).action_data) == TokenTransfer(token, RECIPIENT, 1_500_000)
    assert stored(network, 1).action_type == 2


def test_a_token_that_does_not_tell_its_decimals(cli: Cli, network: LiveNetwork) -> None:
    silent = network.info.test_contracts["RevertingTarget"]
    sending = ("--token", silent, "--to", RECIPIENT, "--amount", "5")

    asked = create(cli, network, *sending)
    told = create(cli, network, *sending, "--decimals", "0")

    assert asked.code == 2
    assert "does not tell how many decimals" in asked.json["error"]["message"]
    assert told.code == 0
    assert decode_action(stored(network, 1).action_data) == TokenTransfer(silent, RECIPIENT, 5)


def test_more_decimals_than_the_token_has(cli: Cli, network: LiveNetwork) -> None:
    token = network.info.test_contracts["TestToken"]

    result = create(cli, network, "--token", token, "--to", RECIPIENT, "--amount", "0." + "0" * 18 + "1")

    assert result.code == 2
    assert "more than 18 decimal places" in result.json["error"]["message"]


def test_create_a_contract_call(cli: Cli, network: LiveNetwork) -> None:
    target = network.info.test_contracts["Recorder"]

    assert create(cli, network, "--call", target, "--value", "0.25", "--data", "0xD09DE08A").code == 0
    assert create(cli, network, "--call", target).code == 0

    called = decode_action(stored(network, 1).action_data)
    assert called == ContractCall(target, ETHER // 4, bytes.fromhex("d09de08a"))
    assert decode_action(stored(network, 2).action_data) == ContractCall(target, 0, b"")


@pytest.mark.parametrize(
    ("start", "from_now"), [("now", 0), ("+60s", 60), ("+1d", 86_400), ("0", None), ("2040-01-01", None)]
)
def test_start(cli: Cli, network: LiveNetwork, start: str, from_now: int | None) -> None:
    now = network.now()

    assert create(cli, network, *TRANSFER, "--start", start).code == 0

    found = stored(network, 1).next_run
    if from_now is None:
        assert found == {"0": 0, "2040-01-01": 2_208_988_800}[start]
    else:
        assert now + from_now <= found <= now + from_now + 30


def test_raw_trigger_and_action(cli: Cli, network: LiveNetwork) -> None:
    price = '{"token": "dot", "comparator": 0, "price_usd": 5.2}'

    result = create(
        cli, network, "--trigger-type", "price", "--trigger-data", price, "--action-data", "0xff00"
    )

    assert result.code == 0
    workflow = stored(network, 1)
    assert (workflow.trigger_type, workflow.trigger_data) == (2, price.encode())
    assert (workflow.action_type, workflow.action_data) == (255, b"\xff\x00")
    assert "workers never execute this action: actionData, byte 0" in result.stderr
    assert result.json["workflow"]["trigger"]["text"] == "while DOT < 5.2 USD"


def test_trigger_data_that_nobody_understands_is_warned_of(cli: Cli, network: LiveNetwork) -> None:
    alone = create(cli, network, *TRANSFER, "--trigger-type", "3", "--trigger-data", "0x01")
    result = create(cli, network, *TRANSFER, "--trigger-type", "3", "--trigger-data", "0x01", "--yes")

    assert alone.code == 2
    assert "add --yes to go ahead" in alone.stdout + alone.stderr
    assert result.code == 0
    assert "no scheduler understands this trigger" in result.stderr
    assert stored(network, 1).trigger_data == b"\x01"


def test_a_start_in_the_past_and_an_amount_of_0_are_warned_of(cli: Cli, network: LiveNetwork) -> None:
    arguments = ("--transfer", TRANSFER[1], "--amount", "0", "--start", "2020-01-01", "--dry-run")
    result = cli("workflow", "create", *arguments, env=network.environment())

    assert result.code == 0
    assert "--start is in the past" in result.stderr
    assert "this action transfers nothing" in result.stderr


def test_what_workers_never_execute_is_warned_of(cli: Cli, network: LiveNetwork) -> None:
    result = create(cli, network, "--call", network.registry, "--data", "0x00000000")

    assert result.code == 0
    assert "workers never execute this action: contract call to the registry" in result.stderr
    assert "forbidden_target" in result.stderr
    assert stored(network, 1).active


def test_an_escrow_below_the_budget_is_warned_of(cli: Cli, network: LiveNetwork) -> None:
    enough = create(cli, network, *TRANSFER, "--gas-budget", "10")
    low = create(cli, network, *TRANSFER, "--gas-budget", "10.5")

    assert (enough.code, low.code) == (0, 0)
    assert "in the escrow" not in enough.stderr
    assert "has 10 DEV in the escrow, less than the gas budget of one run, 10.5 DEV" in low.stderr
    assert "autometa escrow deposit 0.5" in low.stderr


def test_a_target_without_a_contract_is_warned_of(cli: Cli, network: LiveNetwork) -> None:
    nobody = "0x000000000000000000000000000000000000bEEF"

    result = create(cli, network, "--call", nobody, "--data", "0x12345678")

    assert result.code == 0
    assert f"there is no contract at {nobody} on this chain" in result.stderr
    assert "there is no contract" not in create(cli, network, *TRANSFER).stderr


def test_dry_run_shows_what_would_be_made(cli: Cli, network: LiveNetwork) -> None:
    before = network.anvil.block_number()

    result = create(cli, network, *TRANSFER, "--every", "1d", "--dry-run")

    assert result.code == 0
    assert (result.json["id"], result.json["workflow"]["id"], result.json["transaction"]) == (
        None,
        None,
        None,
    )
    assert result.json["workflow"]["action"]["text"].startswith("pay 0.1 DEV to 0x")
    assert result.json["gas_estimate"] > 100_000
    assert network.anvil.block_number() == before


def test_create_on_an_address_without_a_registry_sends_nothing(cli: Cli, network: LiveNetwork) -> None:
    before = network.anvil.block_number()

    result = create(cli, network, *TRANSFER, env=network.environment(REGISTRY_ADDRESS=RECIPIENT))

    assert result.code == 3
    assert "there is no WorkflowRegistry at" in result.json["error"]["message"]
    assert network.anvil.block_number() == before


def test_the_largest_amounts_fit(cli: Cli, network: LiveNetwork) -> None:
    token = network.info.test_contracts["TestToken"]
    most = ("--token", token, "--to", RECIPIENT, "--amount", str(UINT256_MAX), "--decimals", "0")

    assert create(cli, network, *most).code == 0

    assert decode_action(stored(network, 1).action_data) == TokenTransfer(token, RECIPIENT, UINT256_MAX)


def test_update_changes_what_is_given_and_nothing_else(cli: Cli, network: LiveNetwork) -> None:
    later = network.now() + 10**6
    asyncio.run(network.create_workflow(next_run=later, interval=3600, gas_budget=7))
    old = stored(network, 1)

    result = cli("workflow", "update", "1", "--every", "2h", "--json", env=network.environment())

    assert (result.code, result.json["changed"]) == (0, True)
    new = stored(network, 1)
    assert (new.interval, new.next_run, new.gas_budget) == (7200, later, 7)
    assert new.action_data == old.action_data
    assert decode_trigger(1, new.trigger_data) == TimeTrigger(later, 7200)

    changes = ("--start", "2040-01-01", "--gas-budget", "0.5", "--once", *TRANSFER)
    assert cli("workflow", "update", "1", *changes, env=network.environment()).code == 0
    new = stored(network, 1)
    assert (new.interval, new.next_run, new.gas_budget) == (0, 2_208_988_800, ETHER // 2)
    assert decode_action(new.action_data) == NativeTransfer(RECIPIENT, ETHER // 10)


def test_update_leaves_the_data_of_other_triggers_alone(cli: Cli, network: LiveNetwork) -> None:
    later = network.now() + 10**6
    asyncio.run(network.create_workflow(next_run=later, trigger_type=2, trigger_data=b"\x01"))

    assert cli("workflow", "update", "1", "--every", "2h", env=network.environment()).code == 0
    assert stored(network, 1).trigger_data == b"\x01"

    changed = cli("workflow", "update", "1", "--trigger-data", "0x02", "--yes", env=network.environment())
    assert changed.code == 0
    assert stored(network, 1).trigger_data == b"\x02"


def test_update_of_a_due_workflow_would_undo_an_execution(cli: Cli, network: LiveNetwork) -> None:
    asyncio.run(network.create_workflow())
    changing = ("workflow", "update", "1", "--every", "2h")

    refused = cli(*changing, env=network.environment())
    assert refused.code == 1
    assert "workflow 1 is due: it may be executed while it is changed" in refused.stderr
    assert "autometa workflow pause 1" in refused.stderr

    assert cli(*changing, "--start", "+1h", env=network.environment()).code == 0
    asyncio.run(network.update(1, next_run=1))
    assert cli("workflow", "pause", "1", env=network.environment()).code == 0
    assert cli("workflow", "update", "1", "--every", "3h", env=network.environment()).code == 0
    assert (stored(network, 1).interval, stored(network, 1).next_run) == (10_800, 1)


def test_update_to_what_it_is_sends_nothing(cli: Cli, network: LiveNetwork) -> None:
    asyncio.run(network.create_workflow(gas_budget=10**15))
    before = network.anvil.block_number()

    result = cli("workflow", "update", "1", "--gas-budget", "0.001", "--json", env=network.environment())

    assert (result.code, result.json["changed"], result.json["transaction"]) == (0, False, None)
    assert "workflow 1 is like that already; nothing was sent" in result.stderr
    assert network.anvil.block_number() == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "what is it to do?"),
        (("--transfer", RECIPIENT), 2, "--amount is missing"),
        (("--amount", "1"), 2, "--amount goes with --transfer or --token"),
        ((*TRANSFER, "--to", RECIPIENT), 2, "--to goes with --token"),
        ((*TRANSFER, "--data", "0x"), 2, "--data goes with --call"),
        ((*TRANSFER, "--value", "1"), 2, "--value goes with --call"),
        ((*TRANSFER, "--decimals", "6"), 2, "--decimals goes with --token"),
        ((*TRANSFER, "--call", RECIPIENT), 2, "--transfer and --call: a workflow has one action"),
        (("--token", RECIPIENT, "--amount", "1"), 2, "--to is missing"),
        (("--transfer", "0x742d35Cc6634C0532925a3b844Bc9e7595f0bEb", "--amount", "1"), 3, "41 characters"),
        (("--transfer", "0x742d35cC6634C0532925a3b844Bc9e7595f0bEb1", "--amount", "1"), 3, "wrong checksum"),
        (("--transfer", "0x" + "0" * 40, "--amount", "1"), 3, "--transfer is the zero address"),
        (("--transfer", RECIPIENT, "--amount", "-1"), 2, "--amount: '-1' is not a number of zero or more"),
        (("--transfer", RECIPIENT, "--amount", "1e-19"), 2, "more than 18 decimal places"),
        (("--transfer", RECIPIENT, "--amount", "1e99"), 2, "more than a uint256 holds"),
        (("--call", RECIPIENT, "--data", "0x123"), 2, "--data: not hexadecimal"),
        (("--call", RECIPIENT, "--data", "zz"), 2, "--data: not hexadecimal"),
        (("--action-data", "0xzz"), 2, "--action-data: not hexadecimal"),
        ((*TRANSFER, "--every", "soon"), 2, "--every: 'soon' is no interval"),
        ((*TRANSFER, "--every", "0"), 2, "one second or more"),
        ((*TRANSFER, "--every", "9" * 30), 2, "longer than any date"),
        ((*TRANSFER, "--every", "1h", "--once"), 2, "contradict"),
        ((*TRANSFER, "--start", "yesterday"), 2, "--start: 'yesterday' is no time"),
        ((*TRANSFER, "--start", "1700000000000"), 2, "milliseconds"),
        ((*TRANSFER, "--gas-budget", "-0.1"), 2, "--gas-budget"),
        ((*TRANSFER, "--trigger-type", "256"), 2, "--trigger-type must be"),
        ((*TRANSFER, "--trigger-type", "price"), 2, "--trigger-data is missing"),
        ((*TRANSFER, "--trigger-data", "0x1"), 2, "--trigger-data: not hexadecimal"),
    ],
)
def test_wrong_input(cli: Cli, arguments: tuple[str, ...], code: int, message: str) -> None:
    result = cli("workflow", "create", *arguments, env={"RPC_URLS": "http://127.0.0.1:1"})

    assert result.code == code
    assert message in result.stderr
    assert result.stdout == ""


def test_update_wants_something_to_change(cli: Cli) -> None:
    result = cli("workflow", "update", "1", env={"RPC_URLS": "http://127.0.0.1:1"})

    assert result.code == 2
    assert "nothing to change was given" in result.stderr
