"""Accounts with money and freshly deployed contracts on a real chain, for the tests of this layer."""

from __future__ import annotations

import secrets
from typing import Any

from autometa_cli.addresses import checksum
from autometa_cli.chain.account import Account
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.rpc import Rpc
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.networks import network
from autometa_cli.secrets import Signer

CHAIN_ID = 1287
ETHER = 10**18
LOCAL = network("local")
SOMEBODY = checksum("0x" + "5b" * 20)


def new_signer() -> Signer:
    """A key that nobody else uses."""
    return Signer(secrets.token_bytes(32), chain_id=CHAIN_ID)


def rich(anvil: AnvilProcess, wei: int = 1000 * ETHER) -> Signer:
    """A key with money."""
    signer = new_signer()
    anvil.set_balance(signer.address, wei)
    return signer


def account(rpc: Rpc, signer: Signer, **options: Any) -> Account:
    """That key as an account of the local network."""
    return Account(rpc, signer, LOCAL, **options)


async def deploy(deployer: Account, name: str, *args: Any) -> str:
    """Make a contract; its checksummed address."""
    sent = await deployer.send(None, interface(name).deploy_data(*args))
    assert sent.contract_address is not None
    return sent.contract_address


def transfer(signer: Signer, nonce: int, to: str = SOMEBODY, **fields: Any) -> dict[str, Any]:
    """A plain transfer, to be signed."""
    return {
        "type": 2,
        "chainId": signer.chain_id,
        "nonce": nonce,
        "gas": 21000,
        "maxFeePerGas": 10 * 10**9,
        "maxPriorityFeePerGas": 10**9,
        "value": 1,
        "data": "0x",
        "to": to,
    } | fields
