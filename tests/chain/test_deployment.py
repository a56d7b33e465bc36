"""Deploying on a real chain, cut short at every point, and gone on with."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autometa_cli.chain.account import Account
from autometa_cli.chain.deployment import Deployed, Deployment
from autometa_cli.chain.deploymentplan import created_address
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.journal import Journal
from autometa_cli.chain.roles import has_role
from autometa_cli.chain.rpc import Rpc
from autometa_cli.chain.sent import Sent
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.errors import AutometaError, ConfigError, StillPending
from autometa_cli.secrets import Signer
from tests.chain.actors import CHAIN_ID, LOCAL, SOMEBODY, new_signer, rich

HERE = replace(LOCAL, block_time=0.04)  # what the waiting for receipts goes by

STEPS = 6  # three contracts, two roles between them, one worker's role
MOMENTS = ("before", "signed", "mined")


class Interrupted(BaseException):
    """As Ctrl-C would be."""


class Failing(Account):
    """Is cut short at a moment of its n-th transaction: before it is signed, after it was signed and noted
    but before it is sent, or when it is mined but nobody has been told."""

    def __init__(self, rpc: Rpc, signer: Signer, at: int, moment: str) -> None:
        super().__init__(rpc, signer, HERE)
        self.left = at
        self.moment = moment

    async def send(self, to: str | None, data: bytes, value: int = 0, **options: Any) -> Sent:
        self.left -= 1
        if self.left >= 0:
            return await super().send(to, data, value, **options)
        if self.moment == "before":
            raise Interrupted
        if self.moment == "signed":
            noted = options["on_signed"]

            def cut(signed: Any) -> None:
                noted(signed)
                raise Interrupted

            options["on_signed"] = cut
        await super().send(to, data, value, **options)
        raise Interrupted


async def journal_of(rpc: Rpc, path: Path, signer: Signer) -> Journal:
    return Journal(path, chain_id=CHAIN_ID, genesis=await rpc.genesis_hash(), deployer=signer.address)


def on_chain(anvil: AnvilProcess, work: Callable[[Rpc], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        async with Rpc([anvil.url], chain_id=CHAIN_ID) as rpc:
            return await work(rpc)

    return asyncio.run(run())


def deploy(
    anvil: AnvilProcess,
    path: Path,
    signer: Signer,
    account: Callable[[Rpc], Account] | None = None,
    **options: Any,
) -> Deployed:
    """One run of the deployment, as a command would make it: the journal is read from its file."""

    async def run(rpc: Rpc) -> Deployed:
        mine = account(rpc) if account else Account(rpc, signer, HERE)
        journal = await journal_of(rpc, path, signer)
        return await Deployment(mine, journal, workers=[SOMEBODY], **options).run()

    found: Deployed = on_chain(anvil, run)
    return found


def nonce(anvil: AnvilProcess, signer: Signer) -> int:
    return int(anvil.request("eth_getTransactionCount", signer.address, "latest"), 16)


def check_wired(anvil: AnvilProcess, deployed: Deployed) -> None:
    async def look(rpc: Rpc) -> None:
        view = await rpc.view()
        assert await has_role(view, deployed.escrow, "WORKER_ROLE", deployed.executor)
        assert await has_role(view, deployed.registry, "PROJECT_ADMIN", deployed.executor)
        assert await has_role(view, deployed.executor, "WORKER_ROLE", SOMEBODY)
        executor = interface("ActionExecutor").functions
        for name, address in (("registry", deployed.registry), ("escrow", deployed.escrow)):
            output = await view.call(deployed.executor, executor[name].encode())
            assert executor[name].decode(output) == (address.lower(),)

    on_chain(anvil, look)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deployments" / "one.json"


def test_at_one_go(anvil: AnvilProcess, path: Path) -> None:
    signer = rich(anvil)
    told: list[str] = []
    deployed = deploy(anvil, path, signer, notify=told.append)
    check_wired(anvil, deployed)
    assert nonce(anvil, signer) == len(deployed.sent) == len(told) == STEPS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    again = deploy(anvil, path, signer)
    assert (again.addresses, again.sent) == (deployed.addresses, {})
    assert nonce(anvil, signer) == STEPS


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("at", range(STEPS))
def test_cut_short_and_gone_on_with(anvil: AnvilProcess, path: Path, at: int, moment: str) -> None:
    signer = rich(anvil)
    with pytest.raises(Interrupted):
        deploy(anvil, path, signer, lambda rpc: Failing(rpc, signer, at, moment))
    deployed = deploy(anvil, path, signer)
    check_wired(anvil, deployed)
    assert nonce(anvil, signer) == STEPS  # no transaction more than it takes: nothing was made twice


def test_cut_short_at_every_point_of_one_deployment(anvil: AnvilProcess, path: Path) -> None:
    signer = rich(anvil)
    for _ in range(STEPS):
        for moment in MOMENTS:
            with pytest.raises(Interrupted):
                deploy(anvil, path, signer, lambda rpc, moment=moment: Failing(rpc, signer, 0, moment))  # type: ignore[misc]
    check_wired(anvil, deploy(anvil, path, signer))
    assert nonce(anvil, signer) == STEPS


def test_a_transaction_that_is_not_mined_yet_is_waited_for(anvil: AnvilProcess, path: Path) -> None:
    signer = rich(anvil)
    anvil.request("evm_setAutomine", False)
    try:
        with pytest.raises(StillPending):
            deploy(anvil, path, signer, wait=0.3)
        with pytest.raises(StillPending, match="was not mined"):
            deploy(anvil, path, signer, wait=0.3)
        assert len(json.loads(path.read_text())["steps"]["WorkflowRegistry"]["hashes"]) == 1
        anvil.mine()
    finally:
        anvil.request("evm_setAutomine", True)
    check_wired(anvil, deploy(anvil, path, signer))
    assert nonce(anvil, signer) == STEPS


def test_a_transaction_that_was_dropped_is_made_again_with_its_nonce(anvil: AnvilProcess, path: Path) -> None:
    signer = rich(anvil)
    anvil.request("evm_setAutomine", False)
    try:
        with pytest.raises(StillPending):
            deploy(anvil, path, signer, wait=0.3)
        before = json.loads(path.read_text())["steps"]["WorkflowRegistry"]
        anvil.request("anvil_dropTransaction", before["hashes"][0])
    finally:
        anvil.request("evm_setAutomine", True)
    deployed = deploy(anvil, path, signer)
    assert deployed.registry == before["address"]
    assert nonce(anvil, signer) == STEPS


def test_a_nonce_that_went_to_something_else(anvil: AnvilProcess, path: Path) -> None:
    signer = rich(anvil)
    with pytest.raises(Interrupted):
        deploy(anvil, path, signer, lambda rpc: Failing(rpc, signer, 1, "signed"))
    on_chain(anvil, lambda rpc: Account(rpc, signer, HERE).send(SOMEBODY, b"", 1))
    deployed = deploy(anvil, path, signer)
    check_wired(anvil, deployed)
    assert deployed.escrow == created_address(signer.address, 2)
    assert nonce(anvil, signer) == STEPS + 1


def test_another_contract_at_the_noted_address_is_not_taken_for_ours(anvil: AnvilProcess, path: Path) -> None:
    signer = rich(anvil)
    with pytest.raises(Interrupted):
        deploy(anvil, path, signer, lambda rpc: Failing(rpc, signer, 0, "signed"))
    on_chain(anvil, lambda rpc: Account(rpc, signer, HERE).send(None, interface("Recorder").deploy_data()))
    with pytest.raises(AutometaError, match="stands something else"):
        deploy(anvil, path, signer)


def test_a_revoked_role_is_given_again(anvil: AnvilProcess, path: Path) -> None:
    signer = rich(anvil)
    deployed = deploy(anvil, path, signer)
    from autometa_cli.chain.roles import revoke_data

    data = revoke_data("FeeEscrow", "WORKER_ROLE", deployed.executor)
    on_chain(anvil, lambda rpc: Account(rpc, signer, HERE).send(deployed.escrow, data))
    again = deploy(anvil, path, signer)
    assert [step.key for step in again.sent] == [f"FeeEscrow WORKER_ROLE {deployed.executor}"]
    check_wired(anvil, again)


def test_the_plan_tells_addresses_and_costs_beforehand(anvil: AnvilProcess, path: Path) -> None:
    signer = rich(anvil)

    async def plan(rpc: Rpc) -> Any:
        journal = await journal_of(rpc, path, signer)
        return await Deployment(Account(rpc, signer, HERE), journal, workers=[SOMEBODY]).plan()

    before = on_chain(anvil, plan)
    assert not path.exists()
    assert nonce(anvil, signer) == 0
    assert [planned.done for planned in before.steps] == [False] * STEPS
    with pytest.raises(Interrupted):
        deploy(anvil, path, signer, lambda rpc: Failing(rpc, signer, 2, "signed"))
    midway = on_chain(anvil, plan)
    assert [planned.done for planned in midway.steps] == [True, True, False, False, False, False]
    assert 0 < midway.cost < before.cost
    deployed = deploy(anvil, path, signer)
    assert before.addresses == midway.addresses == deployed.addresses
    paid = before.balance - int(anvil.request("eth_getBalance", signer.address, "latest"), 16)
    assert paid <= before.cost * 1.3
    after = on_chain(anvil, plan)
    assert after.done
    assert after.cost == 0


def test_too_little_money_is_said_before_anything_is_sent(anvil: AnvilProcess, path: Path) -> None:
    signer = rich(anvil, 10**12)
    with pytest.raises(AutometaError, match="the deployment needs about"):
        deploy(anvil, path, signer)
    assert not path.exists()


def test_the_journal_of_another_deployment_is_refused(anvil: AnvilProcess, path: Path) -> None:
    signer = rich(anvil)
    deploy(anvil, path, signer)
    with pytest.raises(ConfigError, match="its deployer is") as caught:
        deploy(anvil, path, new_signer())
    assert "--state" in caught.value.hint


@pytest.mark.parametrize("text", ["", "[]", "{}", "not json", '{"version": 1'])
def test_a_file_that_is_no_journal_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(ConfigError):
        Journal(path, chain_id=1, genesis="0x00", deployer=SOMEBODY)
    assert path.read_text() == text


@pytest.mark.parametrize("steps", [None, [], {"WorkflowRegistry": {}}, {"WorkflowRegistry": {"nonce": "x"}}])
def test_a_journal_with_broken_steps_is_refused(tmp_path: Path, steps: object) -> None:
    path = tmp_path / "state.json"
    head = {"version": 1, "chain_id": 1, "genesis": "0x00", "deployer": SOMEBODY}
    path.write_text(json.dumps({**head, "steps": steps}))
    with pytest.raises(ConfigError, match="can be read"):
        Journal(path, chain_id=1, genesis="0x00", deployer=SOMEBODY)


def test_where_a_contract_comes_to_stand() -> None:
    deployer = (
        "0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0"  # the example of the Ethereum yellow paper's readers
    )
    expected = {
        0: "0xcd234a471b72ba2f1ccf0a70fcaba648a5eecd8d",
        1: "0x343c43a37d37dff08ae8c4a11544c718abb4fcf8",
        2: "0xf778b86fa74e846c4f0a1fbd1335fe81c00a0c91",
        3: "0xfffd933a0bc612844eaf0c6fe3e5b8e9b6c1d19c",
    }
    assert {n: created_address(deployer, n).lower() for n in expected} == expected


@pytest.mark.parametrize("number", [0, 1, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF, 0x10000, 2**32])
def test_where_it_stands_agrees_with_rlp(number: int) -> None:
    import rlp  # type: ignore[import-untyped]
    from eth_hash.auto import keccak

    coded = rlp.encode([bytes.fromhex(SOMEBODY[2:]), number])
    assert created_address(SOMEBODY, number).lower() == "0x" + keccak(coded)[12:].hex()
