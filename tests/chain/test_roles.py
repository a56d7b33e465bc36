"""Roles on real contracts: granted, revoked, left alone, refused."""

from __future__ import annotations

import asyncio

import pytest

from autometa_cli.chain.contracts import ROLE_IDS
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.roles import CONTRACTS, REQUIRED, Change, change, grant, has_role, revoke, role_id
from autometa_cli.chain.rpc import Rpc
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.errors import ConfigError, ExitCode, NotPermitted, UsageProblem
from tests.chain.actors import CHAIN_ID, SOMEBODY, account, deploy, rich


def test_the_table_is_that_of_the_contracts() -> None:
    for name, roles in CONTRACTS.items():
        functions = interface(name).functions
        assert {role for role in ROLE_IDS if role in functions} == set(roles)
    for need in REQUIRED:
        assert need.role in CONTRACTS[need.contract]
    with pytest.raises(UsageProblem, match="FeeEscrow knows no role 'PROJECT_ADMIN'"):
        role_id("FeeEscrow", "PROJECT_ADMIN")
    with pytest.raises(UsageProblem, match="no contract 'Escrow'"):
        role_id("Escrow", "WORKER_ROLE")


def test_role_ids_are_those_of_the_contracts(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with Rpc([anvil.url], chain_id=CHAIN_ID) as rpc:
            admin = account(rpc, rich(anvil))
            addresses = {
                "WorkflowRegistry": await deploy(admin, "WorkflowRegistry", admin.address),
                "FeeEscrow": await deploy(admin, "FeeEscrow", admin.address),
                "ActionExecutor": await deploy(admin, "ActionExecutor", admin.address, SOMEBODY, SOMEBODY),
            }
            view = await rpc.view()
            for name, roles in CONTRACTS.items():
                for role in roles:
                    function = interface(name).functions[role]
                    output = await view.call(addresses[name], function.encode())
                    assert function.decode(output) == (role_id(name, role),)

    asyncio.run(main())


def test_granting_and_revoking(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with Rpc([anvil.url], chain_id=CHAIN_ID) as rpc:
            admin, stranger = account(rpc, rich(anvil)), account(rpc, rich(anvil))
            escrow = await deploy(admin, "FeeEscrow", admin.address)

            async def holds() -> bool:
                return await has_role(await rpc.view(), escrow, "WORKER_ROLE", SOMEBODY)

            assert not await holds()
            dry = await change(admin, "FeeEscrow", escrow, "WORKER_ROLE", SOMEBODY, hold=True, dry_run=True)
            assert (dry.changed, dry.sent) == (True, None)
            assert not await holds()
            with pytest.raises(NotPermitted) as caught:
                await grant(stranger, "FeeEscrow", escrow, "WORKER_ROLE", SOMEBODY)
            assert caught.value.exit_code is ExitCode.NOT_PERMITTED
            assert (
                f"{stranger.address} lacks the role DEFAULT_ADMIN_ROLE on FeeEscrow" in caught.value.message
            )
            assert not await holds()

            given = await grant(admin, "FeeEscrow", escrow, "WORKER_ROLE", SOMEBODY)
            assert (given.changed, given.holds) == (True, True)
            assert given.sent is not None
            assert given.sent.receipt.status == 1
            assert await holds()
            before = anvil.block_number()
            again = await grant(admin, "FeeEscrow", escrow, "WORKER_ROLE", SOMEBODY)
            assert again == Change("FeeEscrow", "WORKER_ROLE", SOMEBODY, changed=False, holds=True)
            # Nothing to do is nothing to be allowed, either.
            assert not (await grant(stranger, "FeeEscrow", escrow, "WORKER_ROLE", SOMEBODY)).changed
            assert anvil.block_number() == before

            taken = await revoke(admin, "FeeEscrow", escrow, "WORKER_ROLE", SOMEBODY)
            assert (taken.changed, taken.holds) == (True, False)
            assert not await holds()
            assert not (await revoke(admin, "FeeEscrow", escrow, "WORKER_ROLE", SOMEBODY)).changed

    asyncio.run(main())


def test_an_address_without_roles(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with Rpc([anvil.url], chain_id=CHAIN_ID) as rpc:
            view = await rpc.view()
            with pytest.raises(ConfigError, match=f"no contract with roles at {SOMEBODY}"):
                await has_role(view, SOMEBODY, "WORKER_ROLE", SOMEBODY)
            with pytest.raises(UsageProblem, match="no role 'WORKER'"):
                await has_role(view, SOMEBODY, "WORKER", SOMEBODY)

    asyncio.run(main())
