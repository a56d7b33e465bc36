"""Single transactions by a person's key: simulated, sent once, waited for; and every way that fails."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from autometa_cli.chain.account import RESEND_AFTER, Account
from autometa_cli.chain.fees import FeeCapReached
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.rpc import Rpc
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.errors import (
    AutometaError,
    ExitCode,
    NotPermitted,
    Reverted,
    RpcUnreachable,
    StillPending,
)
from autometa_cli.networks import network
from autometa_cli.secrets import SignedBytes, Signer
from tests.chain.actors import CHAIN_ID, ETHER, LOCAL, SOMEBODY, account, deploy, new_signer, rich
from tests.chain.loopback import Clock, Gateway, bad, has, page

REGISTRY = interface("WorkflowRegistry").functions
CREATE = REGISTRY["createWorkflow"].encode(1, b"", 1, b"\x01", 5, 0, 0)


def nonces(node: AnvilProcess, signer: Signer) -> int:
    return int(node.request("eth_getTransactionCount", signer.address, "latest"), 16)


def test_a_transaction_that_works(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with Rpc([anvil.url], chain_id=CHAIN_ID) as rpc:
            signer = rich(anvil)
            sender = account(rpc, signer)
            signed: list[SignedBytes] = []
            needed = await sender.simulate(None, interface("WorkflowRegistry").deploy_data(signer.address))
            sent = await sender.send(
                None, interface("WorkflowRegistry").deploy_data(signer.address), on_signed=signed.append
            )
            assert [one.hash for one in signed] == [sent.hash]
            assert sent.gas_used <= needed
            assert sent.contract_address is not None
            assert sent.explorer is None
            view = await sender.view_after(sent)
            assert view.block.number == sent.block_number
            assert sent.hash in view.block.transactions
            assert await view.balance(signer.address) == 1000 * ETHER - sent.fee_paid
            created = await sender.send(sent.contract_address.lower(), CREATE)
            assert created.receipt.logs[0].address == sent.contract_address.lower()
            assert nonces(anvil, signer) == 2

    asyncio.run(main())


def test_the_explorer_is_named_where_there_is_one(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with Rpc([anvil.url], chain_id=CHAIN_ID) as rpc:
            sent = await Account(rpc, rich(anvil), network("moonbase")).send(SOMEBODY, b"", 1)
            assert sent.explorer == f"https://moonbase.moonscan.io/tx/{sent.hash}"

    asyncio.run(main())


def test_what_would_revert_is_not_sent(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with Rpc([anvil.url], chain_id=CHAIN_ID) as rpc:
            admin, stranger = account(rpc, rich(anvil)), account(rpc, rich(anvil))
            registry = await deploy(admin, "WorkflowRegistry", admin.address)
            await admin.send(registry, CREATE)
            for attempt in (stranger.simulate, stranger.send):
                with pytest.raises(NotPermitted) as role:
                    await attempt(
                        registry, REGISTRY["adminSetWorkflow"].encode(1, True, 2), contract="WorkflowRegistry"
                    )
                assert role.value.exit_code is ExitCode.NOT_PERMITTED
                assert f"{stranger.address} lacks the role PROJECT_ADMIN" in role.value.message
                assert "autometa role grant" in role.value.hint
                with pytest.raises(NotPermitted, match="belongs to somebody else"):
                    await attempt(registry, REGISTRY["pauseWorkflow"].encode(1))
                with pytest.raises(Reverted, match="no workflow of this id") as missing:
                    await attempt(registry, REGISTRY["pauseWorkflow"].encode(2))
                assert missing.value.exit_code is ExitCode.REVERTED
            assert nonces(anvil, stranger.signer) == 0

    asyncio.run(main())


@pytest.mark.parametrize(
    ("name", "hint"), [("moonbase", "https://faucet.moonbeam.network"), ("local", "send DEV to 0x")]
)
def test_not_enough_money(anvil: AnvilProcess, name: str, hint: str) -> None:
    async def main() -> None:
        async with Rpc([anvil.url], chain_id=CHAIN_ID) as rpc:
            for has_wei, value in ((0, 0), (0, 5), (ETHER, ETHER), (ETHER, 2 * ETHER)):
                signer = new_signer()
                anvil.set_balance(signer.address, has_wei)
                sender = Account(rpc, signer, network(name))
                with pytest.raises(AutometaError) as caught:
                    await sender.send(SOMEBODY, b"", value)
                assert type(caught.value) is AutometaError
                assert f"{signer.address} has {has_wei // ETHER} DEV, this needs " in caught.value.message
                assert hint in caught.value.hint

    asyncio.run(main())


def test_the_fee_cap(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with Rpc([anvil.url], chain_id=CHAIN_ID) as rpc:
            signer = rich(anvil)
            with pytest.raises(FeeCapReached):
                await account(rpc, signer, max_fee_wei=5).send(SOMEBODY, b"", 1)
            assert nonces(anvil, signer) == 0

    asyncio.run(main())


def test_one_that_is_not_mined_in_time(still: AnvilProcess) -> None:
    async def main() -> None:
        clock = Clock()
        async with Gateway(still.url) as gateway, Rpc([gateway.url], chain_id=CHAIN_ID) as rpc:
            signer = rich(still)
            signed: list[SignedBytes] = []
            sender = account(rpc, signer, clock=clock, sleep=clock.sleep)
            with pytest.raises(StillPending) as caught:
                await sender.send(SOMEBODY, b"", 1, timeout=100, on_signed=signed.append)
            assert caught.value.exit_code is ExitCode.PENDING
            assert signed[0].hash in caught.value.message
            assert "within 1m 40s" in caught.value.message
            # The same bytes, again and again; never others.
            offered = [
                call["params"][0] for call in gateway.calls if call["method"] == "eth_sendRawTransaction"
            ]
            assert set(offered) == {"0x" + signed[0].raw.hex()}
            assert len(offered) == 1 + int(100 // RESEND_AFTER)
            still.mine()
            (receipt,) = await rpc.receipts([signed[0].hash])
            assert receipt is not None
            assert receipt.status == 1

    asyncio.run(main())


@pytest.mark.parametrize("loss", ["answers", "requests", "429", "pool full"])
def test_one_whose_first_sends_fail_is_mined_once(still: AnvilProcess, loss: str) -> None:
    """Two sends go wrong; the third, of the same bytes, is answered."""
    sends = 0

    async def spoil(body: Any, answer: Any) -> Any:
        return (
            page(502) if loss == "answers" and sends <= 2 and has(body, "eth_sendRawTransaction") else answer
        )

    class Spoiling(Gateway):
        async def _forward(self, body: Any) -> Any:
            nonlocal sends
            if has(body, "eth_sendRawTransaction"):
                sends += 1
                if sends <= 2 and loss != "answers":
                    return {
                        "requests": None,
                        "429": page(429),
                        "pool full": bad(
                            body, -32603, "submit transaction to pool failed: Ok(ImmediatelyDropped)"
                        ),
                    }[loss]
            elif has(body, "eth_getTransactionReceipt") and sends >= 3:
                still.mine()
            return await super()._forward(body)

    async def main() -> None:
        clock = Clock()
        async with Spoiling(still.url, spoil) as gateway, Rpc([gateway.url], chain_id=CHAIN_ID) as rpc:
            signer = rich(still)
            sent = await account(rpc, signer, clock=clock, sleep=clock.sleep).send(SOMEBODY, b"", 1)
            assert sends == 3
            assert sent.receipt.status == 1
            assert nonces(still, signer) == 1

    asyncio.run(main())


def test_receipts_that_cannot_be_asked_for_a_while(still: AnvilProcess) -> None:
    asked = 0

    def answer(body: Any, answer: Any) -> Any:
        nonlocal asked
        if not has(body, "eth_getTransactionReceipt"):
            return answer
        asked += 1
        if asked == 3:
            still.mine()
        return page(503) if asked % 2 else answer

    async def main() -> None:
        clock = Clock()
        async with Gateway(still.url, answer) as gateway, Rpc([gateway.url], chain_id=CHAIN_ID) as rpc:
            sent = await account(rpc, rich(still), clock=clock, sleep=clock.sleep).send(SOMEBODY, b"", 1)
            assert sent.receipt.status == 1

    asyncio.run(main())


def test_a_transaction_that_the_node_refuses(still: AnvilProcess) -> None:
    async def main() -> None:
        async with Rpc([still.url], chain_id=CHAIN_ID) as rpc:
            signer = rich(still)
            other = account(rpc, signer, clock=(clock := Clock()), sleep=clock.sleep)
            with pytest.raises(StillPending):
                await other.send(SOMEBODY, b"", 1, timeout=1)
            # Somebody else holds the nonce: neither watched for nor tried with another one.
            with pytest.raises(AutometaError, match="replacement underpriced") as caught:
                await other.send(SOMEBODY, b"", 2, nonce=0)
            assert type(caught.value) is AutometaError
            still.mine()
            with pytest.raises(AutometaError, match="nonce too low"):
                await other.send(SOMEBODY, b"", 2, nonce=0)
            assert nonces(still, signer) == 1

    asyncio.run(main())


def test_one_that_reverts_when_it_is_mined(still: AnvilProcess) -> None:
    """Between simulation and mining the workflow is deleted by another transaction of its owner."""

    async def main() -> None:
        async with Rpc([still.url], chain_id=CHAIN_ID) as rpc:
            still.mine_at_once()
            owner = account(rpc, rich(still))
            registry = await deploy(owner, "WorkflowRegistry", owner.address)
            await owner.send(registry, CREATE)
            still.request("evm_setAutomine", False)
            clock = Clock()
            hasty = account(rpc, owner.signer, clock=clock, sleep=clock.sleep)
            with pytest.raises(StillPending):
                await hasty.send(registry, REGISTRY["deleteWorkflow"].encode(1), timeout=1)
            pausing = asyncio.create_task(owner.send(registry, REGISTRY["pauseWorkflow"].encode(1)))
            async with asyncio.timeout(10):
                while int(still.request("txpool_status")["pending"], 16) < 2:  # noqa: ASYNC110 - the chain's
                    await asyncio.sleep(0.01)
            still.mine()
            with pytest.raises(Reverted, match=r"was mined in block .* and reverted: there is no workflow"):
                await pausing

    asyncio.run(main())


def test_a_revert_at_the_gas_limit(still: AnvilProcess) -> None:
    async def main() -> None:
        async with Rpc([still.url], chain_id=CHAIN_ID) as rpc:
            still.mine_at_once()
            owner = account(rpc, rich(still))
            registry = await deploy(owner, "WorkflowRegistry", owner.address)
            with pytest.raises(Reverted, match="used all of its gas"):
                await owner.send(registry, CREATE, gas=40_000)

    asyncio.run(main())


def test_no_endpoint(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with Rpc(["http://127.0.0.1:1"], chain_id=CHAIN_ID) as rpc:
            with pytest.raises(RpcUnreachable):
                await account(rpc, new_signer()).send(SOMEBODY, b"", 1)

    asyncio.run(main())


def test_nothing_is_signed_while_the_private_endpoint_is_away(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with Rpc([anvil.url], chain_id=CHAIN_ID, private_url="http://127.0.0.1:1") as rpc:
            signer = rich(anvil)
            signed: list[SignedBytes] = []
            with pytest.raises(RpcUnreachable) as caught:
                await account(rpc, signer).send(SOMEBODY, b"", 1, on_signed=signed.append)
            assert "PRIVATE_RPC_URL" in caught.value.hint
            assert signed == []

    asyncio.run(main())


def test_the_signer_must_be_of_the_chain(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with Rpc([anvil.url], chain_id=CHAIN_ID) as rpc:
            signer = Signer(b"\x31" * 32, chain_id=1)
            anvil.set_balance(signer.address, ETHER)
            elsewhere = Account(rpc, signer, replace(LOCAL, chain_id=1))
            with pytest.raises(AutometaError, match="invalid chain id"):
                await elsewhere.send(SOMEBODY, b"", 1)

    asyncio.run(main())
