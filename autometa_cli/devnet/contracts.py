"""What is on the devnet's chain from the start: funded accounts, our contracts, contracts to test against."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from eth_account import Account as KeyMaker

from autometa_cli.addresses import checksum
from autometa_cli.chain.account import Account
from autometa_cli.chain.deployment import Deployed, Deployment
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.journal import Journal
from autometa_cli.chain.rpc import Rpc
from autometa_cli.devnet.info import DevnetAccount
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.networks import network
from autometa_cli.secrets import Signer
from autometa_cli.units import WEI_PER_ETHER

ACCOUNT_WEI = 1000 * WEI_PER_ETHER
EXECUTOR_WEI = 100 * WEI_PER_ETHER  # what native transfers are paid from
EXECUTOR_TOKENS = 1_000_000 * WEI_PER_ETHER  # of the test token, which has 18 decimals
ESCROW_WEI = 10 * WEI_PER_ETHER  # of the owner, for charges
#: Constructor arguments of what stands under abi/test. The price: 5.20 USD, with 8 decimals as Chainlink has.
TEST_CONTRACTS: Mapping[str, Sequence[Any]] = {
    "TestToken": ("Test Token", "TEST"),
    "TestPriceFeed": (8, "DEV / USD", 520_000_000),
    "Recorder": (),
    "RevertingTarget": (),
    "GasBurner": (),
    "ReentrantTarget": (),
}


@dataclass(frozen=True, slots=True)
class Contents:
    """What was set up: contracts by name, and the accounts that have money."""

    registry: str
    escrow: str
    executor: str
    test_contracts: Mapping[str, str]
    accounts: Mapping[str, DevnetAccount]


def set_up(anvil: AnvilProcess, workers: int = 1) -> Contents:
    """Fund accounts with random keys, deploy and wire everything, and go back to the even pace of blocks.

    Raises AutometaError of many kinds; the chain is then of no use.
    """
    worker_names = ["worker", *(f"worker{number}" for number in range(2, workers + 1))]
    accounts = {name: _random_account() for name in (*worker_names, "admin", "owner")}
    for account in accounts.values():
        anvil.set_balance(account.address, ACCOUNT_WEI)
    block_time = anvil.block_time
    # Blocks on demand while we wait for each of them. anvil can go back to whole seconds only.
    quick = block_time is not None and block_time == int(block_time)
    if quick:
        anvil.mine_at_once()
    anvil.mine()  # a balance that was set stands in no block before the next one
    contents = asyncio.run(_deploy(anvil, accounts))
    if quick and block_time is not None:
        anvil.mine_every(int(block_time))
    anvil.mine(2)  # so that the newest block is final from the start
    return contents


async def _deploy(anvil: AnvilProcess, accounts: Mapping[str, DevnetAccount]) -> Contents:
    # A short block time: it is what the wait for receipts goes by.
    here = replace(network("local"), chain_id=anvil.chain_id, block_time=0.04)
    async with Rpc([anvil.url], chain_id=anvil.chain_id) as rpc:
        signers = {
            name: Signer(bytes.fromhex(account.private_key[2:]), chain_id=anvil.chain_id)
            for name, account in accounts.items()
        }
        admin, owner = (Account(rpc, signers[name], here) for name in ("admin", "owner"))
        memory = anvil.directory / "deployment.json"
        memory.unlink(missing_ok=True)  # of a start that was cut short: its chain is gone
        journal = Journal(
            memory,
            chain_id=anvil.chain_id,
            genesis=await rpc.genesis_hash(),
            deployer=admin.address,
        )
        deployment = Deployment(
            admin,
            journal,
            workers=[account.address for name, account in accounts.items() if name.startswith("worker")],
        )
        deployed, test_contracts = await asyncio.gather(deployment.run(), _deploy_test_contracts(owner))
        memory.unlink()
        anvil.set_balance(deployed.executor, EXECUTOR_WEI)
        await _pay_in(owner, deployed, test_contracts["TestToken"])
    return Contents(deployed.registry, deployed.escrow, deployed.executor, test_contracts, accounts)


async def _deploy_test_contracts(owner: Account) -> dict[str, str]:
    addresses = {}
    for name, arguments in TEST_CONTRACTS.items():
        sent = await owner.send(None, interface(name).deploy_data(*arguments))
        addresses[name] = checksum(str(sent.contract_address))
    return addresses


async def _pay_in(owner: Account, deployed: Deployed, token: str) -> None:
    mint = interface("TestToken").functions["mint"]
    await owner.send(token, mint.encode(deployed.executor, EXECUTOR_TOKENS))
    await owner.send(deployed.escrow, interface("FeeEscrow").functions["depositGas"].encode(), ESCROW_WEI)


def _random_account() -> DevnetAccount:
    key = secrets.token_bytes(32)
    return DevnetAccount(str(KeyMaker.from_key(key).address), "0x" + key.hex())
