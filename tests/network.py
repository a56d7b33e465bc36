"""A chain with our contracts on it, a Redis, and people who own workflows: what most tests run against.

    def test_it(network: LiveNetwork) -> None:
        async def scenario() -> None:
            workflow = await network.create_workflow(next_run=network.now() - 60)
            async with network.queue() as queue, network.rpc() as rpc:
                ...
        asyncio.run(scenario())

The chain mines each transaction at once and is shared by all tests; contracts, accounts and the (empty) Redis
are each test's own. A block is final when two more stand on it: `network.finalize()`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autometa_cli import config
from autometa_cli.chain.actions import Action, NativeTransfer, encode_action
from autometa_cli.chain.contracts import Registry, Workflow
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.rpc import Rpc
from autometa_cli.config import Settings
from autometa_cli.devnet.contracts import set_up
from autometa_cli.devnet.info import DevnetAccount, DevnetInfo
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.secrets import Signer

#: Where the default action's single wei goes. Nobody has its key.
RECIPIENT = "0x00000000000000000000000000000000000a11ce"
#: anvil stops mining for good when more than a thousand transactions reach it at once.
AT_ONCE = 200
GAS = 1_000_000
GAS_PRICE = 20 * 10**9  # wei; above what the chain ever asks for


@dataclass
class LiveNetwork:
    """Everything that a worker or scheduler needs, and hands to change it with.

    Attributes:
        info: addresses of the contracts, of those under abi/test, and the accounts with their keys.
    """

    anvil: AnvilProcess
    info: DevnetInfo

    @classmethod
    def on(cls, anvil: AnvilProcess, redis_url: str) -> LiveNetwork:
        """Deploy and wire fresh contracts with fresh accounts on a running chain."""
        contents = set_up(anvil)
        info = DevnetInfo(
            directory=anvil.directory,
            env_file=None,
            chain_id=anvil.chain_id,
            block_time=anvil.block_time or 0.0,
            rpc_url=anvil.url,
            redis_url=redis_url,
            registry=contents.registry,
            executor=contents.executor,
            escrow=contents.escrow,
            test_contracts=contents.test_contracts,
            accounts=contents.accounts,
        )
        return cls(anvil, info)

    # -- where things are -----------------------------------------------------------------------------

    @property
    def rpc_url(self) -> str:
        return self.info.rpc_url

    @property
    def redis_url(self) -> str:
        return self.info.redis_url

    @property
    def registry(self) -> str:
        return self.info.registry

    @property
    def executor(self) -> str:
        return self.info.executor

    @property
    def escrow(self) -> str:
        return self.info.escrow

    @property
    def accounts(self) -> Mapping[str, DevnetAccount]:
        """`worker` (has WORKER_ROLE), `admin` and `owner` (of workflows; has 10 DEV in the escrow)."""
        return self.info.accounts

    def environment(self, **overrides: str) -> dict[str, str]:
        """Variables for a command, keys included. An empty text takes one away."""
        return {name: text for name, text in {**self.info.environment(), **overrides}.items() if text}

    def settings(self, **overrides: str) -> Settings:
        """The same as `Settings`: `network.settings(MAX_RETRIES="1")`."""
        return config.load(Path("/dev/null"), environ=self.environment(**overrides))

    def signer(self, name: str) -> Signer:
        """The key of one of `accounts`."""
        key = bytes.fromhex(self.accounts[name].private_key[2:])
        return Signer(key, chain_id=self.info.chain_id)

    def rpc(self) -> Rpc:
        """A client of the chain: `async with network.rpc() as rpc`."""
        return Rpc([self.rpc_url], chain_id=self.info.chain_id)

    @asynccontextmanager
    async def queue(self) -> AsyncIterator[JobQueue]:
        """A queue that has joined the ledger, as a service does."""
        async with JobQueue(self.redis_url) as queue:
            await queue.join()
            yield queue

    # -- the chain's clock ----------------------------------------------------------------------------

    def now(self) -> int:
        """The newest block's timestamp, seconds since 1970."""
        return int(self.anvil.request("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def finalize(self) -> None:
        """Make everything final that has happened."""
        self.anvil.mine(2)

    def pass_time(self, seconds: int) -> int:
        """Let the chain's clock jump ahead, and mine a block there; the new time.

        The chain is shared: later tests live in that future, too. Prefer dates in the past.
        """
        self.anvil.request("evm_increaseTime", hex(seconds))
        self.anvil.mine()
        return self.now()

    # -- workflows ------------------------------------------------------------------------------------

    async def create_workflow(self, **fields: Any) -> int:
        """One workflow; its id. Fields as in `create_workflows`."""
        return (await self.create_workflows(1, **fields))[0]

    async def create_workflows(
        self,
        count: int,
        *,
        action: Action | bytes | None = None,
        trigger_type: int = 1,
        trigger_data: bytes = b"",
        action_type: int | None = None,
        next_run: int | None = None,
        interval: int = 3600,
        gas_budget: int = 10**12,
        owner: str = "owner",
    ) -> list[int]:
        """Many alike; their ids. Due since a minute, paying one wei to RECIPIENT, where nothing else is said."""
        if action is None:
            action = NativeTransfer(RECIPIENT, 1)
        data = action if isinstance(action, bytes) else encode_action(action)
        due = self.now() - 60 if next_run is None else next_run
        label = action_type if action_type is not None else (data[0] if data else 0)
        call = interface("WorkflowRegistry").functions["createWorkflow"].encode
        wanted = call(trigger_type, trigger_data, label, data, due, interval, gas_budget)
        receipts = await self.transact(owner, self.registry, *[wanted] * count)
        created = interface("WorkflowRegistry").events["WorkflowCreated"]
        return [int(created.decode(receipt.logs[0])["workflowId"]) for receipt in receipts]

    async def pause(self, *ids: int, owner: str = "owner") -> None:
        await self._each("pauseWorkflow", ids, owner)

    async def delete(self, *ids: int, owner: str = "owner") -> None:
        await self._each("deleteWorkflow", ids, owner)

    async def resume(self, id: int, next_run: int = 0, *, owner: str = "owner") -> None:
        """0 leaves the next run as it is."""
        await self.transact(owner, self.registry, self._encode("resumeWorkflow", id, next_run))

    async def update(self, id: int, *, owner: str = "owner", **changes: Any) -> Workflow:
        """`updateWorkflow` with some fields of `Workflow` changed; what it is now."""
        old = await self.workflow(id)
        assert old is not None
        new = replace(old, **changes)
        call = self._encode(
            "updateWorkflow",
            id,
            new.trigger_data,
            new.action_data,
            new.next_run,
            new.interval,
            new.gas_budget,
        )
        await self.transact(owner, self.registry, call)
        found = await self.workflow(id)
        assert found is not None
        return found

    async def set_workflow(self, id: int, active: bool, next_run: int) -> None:
        """What the project's administrator may do, and what each execution does."""
        await self.transact("admin", self.registry, self._encode("adminSetWorkflow", id, active, next_run))

    async def workflow(self, id: int) -> Workflow | None:
        """As the newest block has it; None where it was deleted."""
        async with self.rpc() as rpc:
            return await Registry(self.registry).get(await rpc.view(), id)

    async def balance(self, address: str) -> int:
        """wei."""
        async with self.rpc() as rpc:
            return await (await rpc.view()).balance(address)

    # -- transactions ---------------------------------------------------------------------------------

    async def transact(
        self, sender: str, to: str, *calls: bytes, value: int = 0, gas_price: int = GAS_PRICE
    ) -> Sequence[Any]:
        """Send calls by one of `accounts`, many at once; their receipts. Fails where one reverts."""
        signer = self.signer(sender)
        async with self.rpc() as rpc:
            first = await (await rpc.view()).nonce(signer.address)
            transactions = [
                {
                    "type": 2, "chainId": self.info.chain_id, "nonce": first + index, "gas": GAS,
                    "maxFeePerGas": gas_price, "maxPriorityFeePerGas": gas_price, "value": value,
                    "data": "0x" + call.hex(), "to": to,
                }
                for index, call in enumerate(calls)
            ]  # fmt: skip
            receipts: list[Any] = []
            for start in range(0, len(transactions), AT_ONCE):
                signed = [signer.sign(transaction) for transaction in transactions[start : start + AT_ONCE]]
                answers = await asyncio.gather(*(rpc.send_raw(each.raw) for each in signed))
                assert all(answer.kind == "accepted" for answer in answers), answers[:3]
                receipts += await self._receipts(rpc, [each.hash for each in signed])
            return receipts

    async def _receipts(self, rpc: Rpc, hashes: list[str]) -> Sequence[Any]:
        deadline = asyncio.get_running_loop().time() + 60
        while True:
            receipts = await rpc.receipts(hashes)
            if all(receipts):
                assert all(receipt.status == 1 for receipt in receipts if receipt), "a transaction reverted"
                return receipts
            assert asyncio.get_running_loop().time() < deadline, "transactions were not mined in time"
            await asyncio.sleep(0.02)

    async def _each(self, function: str, ids: Sequence[int], owner: str) -> None:
        await self.transact(owner, self.registry, *(self._encode(function, id) for id in ids))

    @staticmethod
    def _encode(function: str, *arguments: Any) -> bytes:
        return interface("WorkflowRegistry").functions[function].encode(*arguments)
