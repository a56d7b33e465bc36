"""The client against a real chain: blocks, views, receipts, sends, and what comes back when answers get lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from autometa_cli.chain.blocks import Block, Log, Receipt
from autometa_cli.chain.faults import EndpointDown, RpcFault
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.rpc import Rpc
from autometa_cli.chain.sendanswers import AnswerClass
from autometa_cli.chain.view import View
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.errors import RpcUnreachable
from tests.chain.actors import CHAIN_ID, ETHER, SOMEBODY, account, deploy, new_signer, rich, transfer
from tests.chain.loopback import Gateway, Node, bad, good, has, page


def client_of(node: AnvilProcess) -> Rpc:
    return Rpc([node.url], chain_id=CHAIN_ID)


def test_the_chain_tells_who_it_is(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with client_of(anvil) as rpc:
            assert await rpc.chain_id() == CHAIN_ID
            assert await rpc.genesis_hash() == anvil.request("eth_getBlockByNumber", "0x0", False)["hash"]

    asyncio.run(main())


def test_blocks_and_finality(still: AnvilProcess) -> None:
    async def main() -> None:
        async with client_of(still) as rpc:
            still.mine(10)
            newest = await rpc.block()
            assert newest is not None
            raw = still.request("eth_getBlockByNumber", "latest", False)
            assert newest.number == 10
            assert newest.hash == raw["hash"]
            assert newest.timestamp == int(raw["timestamp"], 16)
            assert newest.base_fee == int(raw["baseFeePerGas"], 16)
            assert newest.gas_limit == int(raw["gasLimit"], 16)
            assert await rpc.block(11) is None
            assert (await rpc.final(1)).number == 10
            assert (await rpc.final(4)).number == 7
            assert (await rpc.final(100)).number == 0
            final = await rpc.final(None)
            assert final.hash == still.request("eth_getBlockByNumber", "finalized", False)["hash"]
            assert final.number < 10

    asyncio.run(main())


def test_a_view_stays_at_its_block(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with client_of(anvil) as rpc:
            signer = rich(anvil, 5 * ETHER)
            receiver = new_signer().address
            anvil.mine()
            view = await rpc.view()
            sent = await account(rpc, signer).send(receiver, b"", 2 * ETHER)
            assert await view.balance(receiver) == 0
            assert await view.nonce(signer.address) == 0
            assert await view.balance(signer.address) == 5 * ETHER
            later = await rpc.view(sent.block_number)
            assert later.block.transactions == (sent.hash,)
            assert await later.balance(receiver) == 2 * ETHER
            assert await later.nonce(signer.address) == 1
            assert await later.balance(signer.address) == 3 * ETHER - sent.fee_paid
            assert await later.code(receiver) == b""
            assert await view.pinned(later.block).balance(receiver) == 2 * ETHER

    asyncio.run(main())


def test_calls_and_estimates(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with client_of(anvil) as rpc:
            deployer = account(rpc, rich(anvil))
            escrow = await deploy(deployer, "FeeEscrow", deployer.address)
            functions = interface("FeeEscrow").functions
            view = await rpc.view()
            assert functions["balances"].decode(
                await view.call(escrow, functions["balances"].encode(SOMEBODY))
            ) == (0,)
            deposit = functions["depositGas"].encode()
            assert await view.estimate_gas(escrow, deposit, sender=deployer.address, value=7) > 21000
            assert await view.call(escrow, deposit, sender=deployer.address, value=7, gas=200_000) == b""
            with pytest.raises(RpcFault) as caught:
                await view.call(escrow, deposit, sender=deployer.address)
            assert caught.value.code == 3
            assert await view.code(escrow) != b""
            # A view from before it was deployed does not see it.
            before = await rpc.view(view.block.number - 1)
            assert await before.code(escrow) == b""

    asyncio.run(main())


def test_a_block_that_the_chain_has_lost(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with client_of(anvil) as rpc:
            view = await rpc.view()
            ahead = Block(view.block.number + 10**6, view.block.hash, 0, 0, 0, ())
            with pytest.raises(RpcUnreachable, match=f"does not have block {ahead.number}"):
                await view.pinned(ahead).balance(SOMEBODY)
            with pytest.raises(RpcUnreachable, match=f"does not have block {ahead.number}"):
                await rpc.view(ahead.number)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (-32000, "header not found"),
        (-32000, "missing trie node d0d1 (path ) state 0x12 is not available"),
        (-32603, "UnknownBlock: State already discarded for 0x12"),
        (-32001, "Unknown block"),
        (-32602, "BlockOutOfRangeError: block height is 5 but requested was 1"),
    ],
)
def test_how_nodes_say_that_they_lost_a_block(code: int, text: str) -> None:
    async def main() -> None:
        async with Node(lambda body: bad(body, code, text)) as node, Rpc([node.url], chain_id=None) as rpc:
            view = View(rpc.endpoints[0], Block(7, "", 0, 0, 0, ()), lambda *_: None)
            with pytest.raises(EndpointDown, match="does not have block 7"):
                await view.balance(SOMEBODY)
            node.answer = lambda body: bad(body, 3, f"execution reverted: {text}")
            with pytest.raises(RpcFault):  # a contract may use the same words
                await view.call(SOMEBODY, b"")

    asyncio.run(main())


def test_a_view_is_made_by_an_endpoint_that_has_the_block(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with (
            Node(lambda body: good(body, None)) as behind,
            Rpc([behind.url, anvil.url], chain_id=None) as rpc,
        ):
            view = await rpc.view()
            assert view.endpoint is rpc.endpoints[1]

    asyncio.run(main())


def test_receipts_and_events(anvil: AnvilProcess) -> None:
    async def main() -> None:
        async with client_of(anvil) as rpc:
            sender = account(rpc, rich(anvil))
            registry = await deploy(sender, "WorkflowRegistry", sender.address)
            create = interface("WorkflowRegistry").functions["createWorkflow"]
            sent = await sender.send(registry, create.encode(1, b"", 1, b"\x01", 5, 0, 0))
            receipt, nothing = await rpc.receipts([sent.hash, "0x" + "00" * 32])
            assert nothing is None
            assert receipt is not None
            assert receipt == sent.receipt
            assert (receipt.status, receipt.sender, receipt.to) == (
                1,
                sender.address.lower(),
                registry.lower(),
            )
            assert receipt.fee_paid == receipt.gas_used * receipt.effective_gas_price > 0
            block = await rpc.block(receipt.block_number)
            assert block is not None
            assert block.hash == receipt.block_hash
            (log,) = receipt.logs
            assert log.address == registry.lower()
            assert log.transaction_hash == sent.hash
            created = interface("WorkflowRegistry").events["WorkflowCreated"].decode(log)
            assert created == {"workflowId": 1, "owner": sender.address.lower()}

    asyncio.run(main())


def test_what_a_real_node_says_to_sends(still: AnvilProcess) -> None:
    async def main() -> None:
        signer, poor = rich(still), new_signer()
        low: dict[str, Any] = {"maxFeePerGas": 1, "maxPriorityFeePerGas": 1}
        async with client_of(still) as rpc:

            async def say(transaction: dict[str, Any], by: Any = signer) -> str:
                answer = await rpc.send_raw(by.sign(transaction).raw)
                assert answer.endpoint == still.url
                return answer.answer_class.name

            assert await say(transfer(poor, 0), poor) == "FUNDS"
            assert await say(transfer(signer, 0, SOMEBODY, **low)) == "UNDERPRICED"
            assert await say(transfer(signer, 0, gas=20_000)) == "PERMANENT"
            assert await say(transfer(signer, 0)) == "ACCEPTED"
            assert await say(transfer(signer, 0)) == "KNOWN"
            assert await say(transfer(signer, 0, value=2)) == "REPLACE_UNDERPRICED"
            assert await say(transfer(signer, 5)) == "ACCEPTED"  # ahead of its turn: the node queues it
            still.mine()
            assert await say(transfer(signer, 0)) == "NONCE_LOW"
            assert (await rpc.send_raw(b"\x02\xc0")).answer_class is AnswerClass.PERMANENT

    asyncio.run(main())


def test_many_sends_and_reads_at_once(still: AnvilProcess) -> None:
    async def main() -> None:
        async with client_of(still) as rpc:
            await asyncio.gather(*(rpc.request("eth_blockNumber") for _ in range(10)))  # batches work here
            signers = [rich(still) for _ in range(4)]
            signed = [signer.sign(transfer(signer, nonce)) for nonce in range(50) for signer in signers]
            answers = await asyncio.gather(*(rpc.send_raw(one.raw) for one in signed))
            assert [(answer.kind, answer.text) for answer in answers] == [
                ("accepted", one.hash) for one in signed
            ]
            still.mine()
            receipts = await rpc.receipts([one.hash for one in signed])
            assert [receipt and (receipt.hash, receipt.status) for receipt in receipts] == [
                (one.hash, 1) for one in signed
            ]

    asyncio.run(main())


@pytest.mark.parametrize("loss", ["closed", "502", "late"])
def test_an_answer_that_is_lost_on_the_way_back(still: AnvilProcess, loss: str) -> None:
    """The node has them all, the client does not know: ambiguous, and never sent again by itself."""

    async def lose(body: Any, answer: Any) -> Any:
        if not has(body, "eth_sendRawTransaction"):
            return answer
        if loss == "late":
            await asyncio.sleep(2)
        return page(502) if loss == "502" else None

    async def main() -> None:
        signer = rich(still)
        signed = [signer.sign(transfer(signer, nonce)) for nonce in range(20)]
        async with (
            Gateway(still.url, lose) as gateway,
            Rpc([gateway.url, still.url], chain_id=CHAIN_ID, timeout=1) as rpc,
        ):
            await asyncio.gather(*(rpc.request("eth_blockNumber") for _ in range(10)))
            answers = await asyncio.gather(*(rpc.send_raw(one.raw) for one in signed))
            assert {answer.kind for answer in answers} == {"ambiguous"}
            assert gateway.methods().count("eth_sendRawTransaction") == 20
            again = await asyncio.gather(*(rpc.send_raw(one.raw) for one in signed))
            assert {answer.kind for answer in again} == {"known"}  # at the other endpoint, same node
            still.mine()
            assert all(await rpc.receipts([one.hash for one in signed]))

        assert int(still.request("eth_getTransactionCount", signer.address, "latest"), 16) == 20

    asyncio.run(main())


MALFORMED: list[Any] = [None, [], "text", 5, {"number": "0x1"}, {"number": 1}, {"hash": "0x12"}]


@pytest.mark.parametrize("answer", MALFORMED)
def test_malformed_blocks_receipts_and_logs(answer: Any) -> None:
    for kind in (Block, Log, Receipt):
        if kind is Receipt and (answer is None or isinstance(answer, dict)):
            assert Receipt.parse(answer) is None  # not mined
            continue
        with pytest.raises(RpcUnreachable, match="malformed"):
            kind.parse(answer)


def test_a_receipt_with_a_malformed_field() -> None:
    whole: dict[str, Any] = {
        "transactionHash": "0x" + "11" * 32,
        "blockNumber": "0x1",
        "blockHash": "0x" + "22" * 32,
        "from": "0x" + "33" * 20,
        "to": None,
        "status": "0x1",
        "gasUsed": "0x5208",
        "effectiveGasPrice": "0x1",
        "logs": [],
        "contractAddress": "0x" + "44" * 20,
    }
    receipt = Receipt.parse(whole)
    assert receipt is not None
    assert (receipt.status, receipt.fee_paid, receipt.contract_address) == (1, 21000, "0x" + "44" * 20)
    for field in ("transactionHash", "from", "status", "gasUsed", "logs"):
        for wrong in (None, 7, "0x", "0xzz", "0x 1", "0x_1", "-0x1", "0x" + "1" * 65):
            with pytest.raises(RpcUnreachable, match="malformed"):
                Receipt.parse({**whole, field: wrong})
