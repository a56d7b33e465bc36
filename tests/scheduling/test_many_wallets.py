"""Many watched wallets cost a query, not one each; and whoever gets a transfer runs, nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

from autometa_cli.addresses import checksum
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.rpc import Rpc
from autometa_cli.chain.trigger_abi import encode_trigger
from autometa_cli.chain.trigger_json import encode_trigger_json
from autometa_cli.chain.triggers import WalletTrigger
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.scheduler import Scheduler
from tests.chain.loopback import Gateway
from tests.network import LiveNetwork
from tests.scheduling.live import token
from tests.working.stage import staged

WALLETS = [f"0x{0xB0B000 + number:040x}" for number in range(120)]


def test_many_wallets_are_asked_about_in_one_query(network: LiveNetwork) -> None:
    async def scenario() -> None:
        test_token = network.info.test_contracts["TestToken"].lower()
        owner = network.accounts["owner"].address
        await token(network, "admin", "mint", network.accounts["admin"].address, 1000)
        await token(network, "admin", "mint", owner, 1000)
        async with (
            staged(network) as stage,
            Gateway(network.rpc_url) as gateway,
            Rpc([gateway.url], chain_id=network.info.chain_id) as rpc,
        ):
            queue = JobQueue(network.redis_url)
            scheduler = Scheduler(network.settings(CONFIRMATIONS="1"), queue, rpc)
            ids = {}
            for wallet in WALLETS:
                watched = encode_trigger_json(WalletTrigger("incoming", test_token, wallet, 5))
                ids[wallet] = await network.create_workflow(trigger_type=3, trigger_data=watched)
            (leaving,) = await stage.made(
                1, trigger_type=3, trigger_data=encode_trigger(WalletTrigger("outgoing", test_token))
            )
            await scheduler.run_once()

            for wallet in (WALLETS[0], WALLETS[77], WALLETS[119]):
                await token(network, "admin", "transfer", checksum(wallet), 5)
            await token(network, "admin", "transfer", checksum(WALLETS[5]), 4)  # too little
            await token(network, "owner", "transfer", checksum(WALLETS[6]), 6)
            gateway.bodies.clear()
            done = await scheduler.run_once()
            fired = {ids[WALLETS[number]] for number in (0, 6, 77, 119)}
            assert {int(label.split("@")[0]) for label in done.labels} == {*fired, leaving}
            asked = [call for call in gateway.calls if _about_transfers(call)]
            # Who receives and who sends: two queries, with all wallets in the one.
            assert sorted(len(_wallets(call)) for call in asked) == [1, len(WALLETS)]
            await queue.connections.close()

    asyncio.run(asyncio.wait_for(scenario(), 120))


def _about_transfers(call: Any) -> bool:
    transfer = interface("IERC20").events["Transfer"].topic
    return bool(call["method"] == "eth_getLogs" and call["params"][0]["topics"][0] == transfer)


def _wallets(call: Any) -> list[str]:
    return next(topic for topic in call["params"][0]["topics"][1:] if topic)
