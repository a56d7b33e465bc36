"""`autometa workflow pause`, `resume` and `delete`, against the real contracts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from autometa_cli.console import Console
from tests.network import LiveNetwork
from tests.runner import Cli


def made(network: LiveNetwork, **fields: Any) -> int:
    return asyncio.run(network.create_workflow(**fields))


@pytest.mark.parametrize(
    ("id", "why"), [("2", "it was never made, the highest id is 1"), ("1", "it was deleted")]
)
def test_an_unknown_id_is_told(cli: Cli, network: LiveNetwork, id: str, why: str) -> None:
    made(network)
    asyncio.run(network.delete(1))

    for command in (
        ("show", id),
        ("pause", id),
        ("resume", id),
        ("delete", id, "--yes"),
        ("update", id, "--once"),
    ):
        result = cli("workflow", *command, env=network.environment())
        assert result.code == 1, command
        assert f"there is no workflow {id}: {why}" in result.stderr


def test_pause_and_resume(cli: Cli, network: LiveNetwork) -> None:
    made(network)

    paused = cli("workflow", "pause", "1", "--json", env=network.environment())
    assert paused.code == 0
    assert (paused.json["id"], paused.json["changed"], paused.json["workflow"]["active"]) == (1, True, False)
    assert paused.json["transaction"].startswith("0x")
    again = cli("workflow", "pause", "1", "--json", env=network.environment())
    assert (again.code, again.json["changed"], again.json["transaction"]) == (0, False, None)
    assert "workflow 1 is paused already; nothing was sent" in again.stderr

    resumed = cli("workflow", "resume", "1", "--json", env=network.environment())
    assert (resumed.code, resumed.json["workflow"]["active"]) == (0, True)
    assert resumed.json["workflow"]["next_run"] == paused.json["workflow"]["next_run"]
    again = cli("workflow", "resume", "1", "--json", env=network.environment())
    assert (again.code, again.json["changed"]) == (0, False)


def test_resume_with_another_next_run(cli: Cli, network: LiveNetwork) -> None:
    made(network)
    active = cli("workflow", "resume", "1", "--next-run", "+1h", env=network.environment())
    assert active.code == 1
    assert "workflow update 1 --start" in active.stderr
    asyncio.run(network.pause(1))

    result = cli("workflow", "resume", "1", "--next-run", "2040-01-01", "--json", env=network.environment())

    assert result.code == 0
    assert result.json["workflow"]["next_run_utc"] == "2040-01-01T00:00:00Z"
    workflow = asyncio.run(network.workflow(1))
    assert workflow is not None
    assert (workflow.active, workflow.next_run) == (True, 2_208_988_800)


def test_an_execution_that_makes_it_active_again_is_told(
    cli: Cli, network: LiveNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    from autometa_cli.chain.account import Account
    from autometa_cli.chain.sent import Sent

    made(network)
    send = Account.send

    async def and_then_an_execution(self: Account, *arguments: Any, **options: Any) -> Sent:
        sent = await send(self, *arguments, **options)
        await network.set_workflow(1, True, network.now() + 3600)
        return sent

    async def the_newest(self: Account, sent: Sent) -> Any:
        return await self.rpc.view()

    monkeypatch.setattr(Account, "send", and_then_an_execution)
    monkeypatch.setattr(Account, "view_after", the_newest)

    result = cli("workflow", "pause", "1", env=network.environment())

    assert result.code == 0
    assert "has made workflow 1 active again" in result.stderr


def test_delete_needs_a_yes(cli: Cli, network: LiveNetwork) -> None:
    made(network)

    refused = cli("workflow", "delete", "1", env=network.environment())
    assert refused.code == 2
    assert "--yes" in refused.stderr
    assert asyncio.run(network.workflow(1)) is not None

    done = cli("workflow", "delete", "1", "--yes", "--json", env=network.environment())
    assert (done.code, done.json["workflow"], done.json["changed"]) == (0, None, True)
    assert asyncio.run(network.workflow(1)) is None


@pytest.mark.parametrize(("answer", "code"), [("yes\n", 0), ("\n", 1)])
def test_delete_asks_and_says_what_it_is(
    cli: Cli, network: LiveNetwork, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    monkeypatch.setattr(Console, "interactive", True)
    made(network)

    result = cli("workflow", "delete", "1", env=network.environment(), stdin=answer)

    assert result.code == code
    assert "Delete workflow 1 on local chain (pay 0.000000000000000001 DEV to 0x" in result.stderr
    assert (asyncio.run(network.workflow(1)) is None) is (code == 0)


@pytest.mark.parametrize("command", [("pause",), ("delete", "--yes"), ("update", "--once", "--start", "now")])
def test_somebody_elses_workflow(cli: Cli, network: LiveNetwork, command: tuple[str, ...]) -> None:
    made(network, owner="worker")
    owner, worker = network.accounts["owner"].address, network.accounts["worker"].address

    result = cli("workflow", command[0], "1", *command[1:], "--json", env=network.environment())

    assert result.code == 4
    assert result.json["error"]["message"] == f"workflow 1 belongs to {worker}, not to {owner}"
    assert asyncio.run(network.workflow(1)) is not None


def test_dry_runs_send_nothing(cli: Cli, network: LiveNetwork) -> None:
    made(network, next_run=network.now() + 10**6)
    made(network)
    asyncio.run(network.pause(2))
    before = network.anvil.block_number()

    for command, active in (
        (("pause", "1"), False),
        (("resume", "2"), True),
        (("delete", "1"), None),
        (("update", "1", "--every", "2h"), True),
    ):
        result = cli("workflow", *command, "--dry-run", "--json", env=network.environment())
        assert result.code == 0, command
        assert result.json["gas_estimate"] > 21_000
        assert (result.json["changed"], result.json["dry_run"]) == (False, True)
        workflow = result.json["workflow"]
        assert (workflow["active"] if workflow else None) is active
    assert network.anvil.block_number() == before


def test_it_says_where_it_sends_before_it_does(cli: Cli, network: LiveNetwork) -> None:
    made(network)

    result = cli("workflow", "pause", "1", env=network.environment())

    assert f"WorkflowRegistry {network.registry}" in result.stderr
    assert network.accounts["owner"].address in result.stderr
    assert result.stderr.index("from ") < result.stderr.index("sending   0x")
