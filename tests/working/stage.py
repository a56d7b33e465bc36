"""A network with workers on it, hands to move them, and eyes on what the chain and the ledger then say.

    async def scenario() -> None:
        async with staged(network) as stage:
            ids = await stage.due(20)
            async with stage.hired() as hand:
                await stage.until(stage.settled(ids), "all of them settled")
            await stage.assert_executed_once(ids)

Workers run in this process (`hired`), or as processes of their own (`tests.working.process`). Nothing here waits for
time to pass: `until` waits for a condition, `hurry` makes what is delayed due.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from eth_account import Account as KeyMaker

from autometa_cli.chain.actions import ContractCall
from autometa_cli.chain.blocks import Log
from autometa_cli.chain.contracts import ROLE_IDS, Executed, Registry, Workflow, executed
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.rpc import Rpc
from autometa_cli.devnet.info import DevnetAccount
from autometa_cli.executor.decision import Triggers
from autometa_cli.executor.wanted import digest
from autometa_cli.jobs.claim import Sighting
from autometa_cli.jobs.job import job_json
from autometa_cli.jobs.occurrence import Occurrence
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.jobs.record import Record
from autometa_cli.scheduling.triggers import Triggers as TimeTriggers
from autometa_cli.worker import JobWorker
from tests.network import GAS_PRICE, LiveNetwork

#: Found wrong within this time, seconds. A generous deadline costs nothing where the condition comes true.
PATIENCE = 30.0
#: Of a worker's requests to the chain, seconds; ten in production.
RPC_TIMEOUT = 2.0
#: In tests the head is final: on a chain that mines at once nothing is ever reorganised, unless a test does it.
DEFAULTS = {"CONFIRMATIONS": "1", "RETRY_DELAY": "0.2", "TX_TIMEOUT": "60"}

#: wei; before whatever a worker sends into the same block.
OUTBID = 500 * 10**9

Condition = Callable[[], Any]


@dataclass
class Hand:
    """A worker of ours that runs in this process."""

    worker: JobWorker
    queue: JobQueue
    task: asyncio.Task[None]

    @property
    def handling(self) -> int:
        """Jobs that it works on and has not signed."""
        return len(self.worker._claimer.handling) if self.worker._claimer else 0

    @property
    def taking(self) -> bool:
        """It is asking the queue for jobs."""
        return self.worker._claimer is not None and self.worker._claimer.taking

    async def finished(self, seconds: float = PATIENCE) -> None:
        """It left by itself."""
        await asyncio.wait_for(asyncio.shield(self.task), seconds)

    async def leave(self) -> None:
        """Asked to, as by SIGTERM."""
        self.worker.stop()
        await self.finished()

    async def vanish(self) -> None:
        """Cut off in the middle of whatever it does, as by SIGKILL; it says goodbye to nobody."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@dataclass
class Stage:
    """What a test sees and moves. `queue` and `rpc` are an observer's, not a worker's."""

    network: LiveNetwork
    queue: JobQueue
    rpc: Rpc
    first_block: int
    settings: dict[str, str] = field(default_factory=dict)

    # -- workflows and jobs ---------------------------------------------------------------------------

    async def due(self, count: int, **fields: Any) -> list[int]:
        """Workflows that are due, and queued as the scheduler does it; their ids."""
        ids = await self.made(count, **fields)
        await self.enqueue(*ids)
        return ids

    async def made(self, count: int, **fields: Any) -> list[int]:
        """Workflows, mined in one block, however many: a block each would let the chain's clock run ahead."""
        anvil = self.network.anvil
        async with no_mining(self.network):
            creating = asyncio.create_task(self.network.create_workflows(count, **fields))
            while not creating.done():
                await asyncio.sleep(0.02)
                await asyncio.to_thread(anvil.mine)
            return await creating

    async def enqueue(self, *ids: int, final: bool = False) -> list[str]:
        """As the scheduler does it; the records' keys."""
        view = await self.rpc.view()
        found = await Registry(self.network.registry).get_many(view, ids)
        answers = []
        for workflow in found.values():
            assert workflow is not None
            seen = Sighting(view.block.number, final, digest(workflow))
            answers.append(
                self.queue.enqueue(self.occurrence(workflow.id, workflow.next_run), job_json(workflow), seen)
            )
        told = await asyncio.gather(*answers)
        assert {answer.word for answer in told} <= {"ok"}, told
        return [answer.rest[0] for answer in told]

    async def push(self, *payloads: bytes | dict[str, Any]) -> None:
        """As a person does it: RPUSH of whatever it is."""
        import json

        raws = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in payloads]
        await self.queue.redis.rpush(self.queue.keys.pending, *raws)

    async def workflow(self, id: int) -> Workflow:
        """As the newest block has it; it must exist."""
        found = await self.network.workflow(id)
        assert found is not None
        return found

    def address(self, name: str) -> str:
        """Of one of the network's accounts."""
        return self.network.accounts[name].address

    def occurrence(self, workflow: int, next_run: int, generation: int = 0) -> Occurrence:
        """Of this network's executor."""
        chain, executor = self.network.info.chain_id, self.network.executor.lower()
        return Occurrence(chain, executor, workflow, next_run, generation)

    async def record(self, key: str) -> Record:
        """It must exist."""
        record = await self.queue.record(key)
        assert record is not None, key
        return record

    async def records(self) -> list[Record]:
        """All of them."""
        found, prefix = [], self.queue.keys.occurrence("")
        async for name in self.queue.redis.scan_iter(match=prefix + "*", count=1000):
            record = await self.queue.record(name.decode()[len(prefix) :])
            if record:
                found.append(record)
        return found

    async def only(self, workflow: int) -> Record:
        """The one record of a workflow."""
        found = [record for record in await self.records() if record.workflow == workflow]
        assert len(found) == 1, [record.key for record in found]
        return found[0]

    # -- workers --------------------------------------------------------------------------------------

    @asynccontextmanager
    async def hired(
        self,
        key: str = "worker",
        *,
        burst: bool = False,
        concurrency: int | None = None,
        dead_after: float = 10.0,
        triggers: Triggers | None = None,
        rebroadcast_after: float | None = None,
        **settings: str,
    ) -> AsyncIterator[Hand]:
        """A worker with one of the network's keys; cut off at the end, where it is still there.

        Args:
            dead_after: after how many silent seconds it buries others.
            rebroadcast_after: seconds; None: as in production.
            settings: variables, such as MAX_RETRIES="1".
        """
        configured = self.network.settings(**{**DEFAULTS, **self.settings, **settings})
        async with (
            JobQueue.of(configured) as queue,
            Rpc.of(configured, timeout=RPC_TIMEOUT) as rpc,
        ):
            worker = JobWorker(
                configured,
                queue,
                rpc,
                self.network.signer(key),
                triggers or TimeTriggers(),
                concurrency=concurrency,
                dead_after=dead_after,
            )
            task = asyncio.create_task(worker.start(burst=burst))
            hand = Hand(worker, queue, task)
            try:
                if rebroadcast_after is not None:
                    await self.until(lambda: hasattr(worker, "_executor"), "the worker to be set up")
                    worker._executor.tracker.pusher.rebroadcast_after = rebroadcast_after
                yield hand
            finally:
                if not task.done():
                    await hand.vanish()
        if not task.cancelled():
            task.result()
            return
        # Who is cut off while it connects closes nothing behind it. Let that be found here, not in a later test.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()

    async def second_key(self, name: str = "worker2", *, role: bool = True) -> str:
        """Another account with money and, unless told otherwise, with the role; its address."""
        key = KeyMaker.create()
        account = DevnetAccount(str(key.address), "0x" + bytes(key.key).hex())
        info = self.network.info
        self.network.info = replace(info, accounts={**info.accounts, name: account})
        self.network.anvil.set_balance(account.address, 1000 * 10**18)
        if role:
            await self.grant(name)
        return account.address

    async def grant(self, name: str) -> None:
        """WORKER_ROLE on the executor contract."""
        await self._role("grantRole", name)

    async def revoke(self, name: str) -> None:
        """The opposite."""
        await self._role("revokeRole", name)

    async def _role(self, function: str, name: str) -> None:
        call = interface("ActionExecutor").functions[function]
        address = self.network.accounts[name].address
        await self.network.transact(
            "admin", self.network.executor, call.encode(ROLE_IDS["WORKER_ROLE"], address)
        )

    def target(self, name: str) -> str:
        """Address of one of the contracts under abi/test."""
        return self.network.info.test_contracts[name]

    def call_of(self, name: str, function: str, *arguments: Any, value: int = 0) -> ContractCall:
        """The action that calls one of them."""
        return ContractCall(self.target(name), value, interface(name).functions[function].encode(*arguments))

    async def tell(self, name: str, function: str, *arguments: Any, gas_price: int = GAS_PRICE) -> None:
        """Call one of them, as a person."""
        data = interface(name).functions[function].encode(*arguments)
        await self.network.transact("admin", self.target(name), data, gas_price=gas_price)

    async def ask(self, name: str, function: str, *arguments: Any) -> Any:
        """Read one of them."""
        called = interface(name).functions[function]
        view = await self.rpc.view()
        return called.decode(await view.call(self.target(name), called.encode(*arguments)))[0]

    # -- waiting --------------------------------------------------------------------------------------

    async def until(
        self, condition: Condition, what: str, seconds: float = PATIENCE, *, hurry: bool = False
    ) -> Any:
        """Wait for a condition, which may be asynchronous; what it gave. Fails with what the ledger looks like.

        Args:
            hurry: what is delayed is due at once, all the while.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            found = condition()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return found
            if loop.time() > deadline:
                pytest.fail(f"waited {seconds:g} s for {what}\n{await self.picture()}")
            if hurry:
                await self.hurry()
            await asyncio.sleep(0.02)

    def settled(self, ids: Iterable[int], state: str = "settled") -> Callable[[], Awaitable[bool]]:
        """Condition: every one of these workflows has a record in this state."""
        wanted = set(ids)

        async def condition() -> bool:
            if await self.queue.redis.xlen(self.queue.keys.history) < len(wanted) and state == "settled":
                return False
            return wanted <= {record.workflow for record in await self.records() if record.state == state}

        return condition

    def held_by_reason(self, workflow: int, reason: str) -> Callable[[], Awaitable[bool]]:
        """Condition: the workflow's job waits for this reason."""

        async def condition() -> bool:
            found = [record for record in await self.records() if record.workflow == workflow]
            return any(record.state == "delayed" and record.reason == reason for record in found)

        return condition

    async def hurry(self) -> None:
        """What is delayed is due now."""
        keys = await self.queue.redis.zrange(self.queue.keys.delayed, 0, -1)
        if keys:
            await self.queue.redis.zadd(self.queue.keys.delayed, dict.fromkeys(keys, 1), xx=True)

    async def forget_beats(self) -> None:
        """Whoever is registered now was last heard of long ago. (Those that live beat again in a moment.)"""
        names = await self.queue.redis.zrangebyscore(self.queue.keys.workers, 1, "+inf")
        if names:
            await self.queue.redis.zadd(self.queue.keys.workers, dict.fromkeys(names, 1), xx=True)

    async def picture(self) -> str:
        """The ledger in a few lines, for the message of a failure."""
        redis, keys = self.queue.redis, self.queue.keys
        try:
            lines = [f"pending {await redis.lrange(keys.pending, 0, 4)}"]
            for member in await self.queue.workers.members():
                held = await redis.llen(keys.inflight(member.id))
                lines.append(f"{member.id} buried={member.buried} holds {held}: {dict(member.fields)}")
            count: Counter[tuple[str, ...]] = Counter(
                (record.state, record.reason, record.outcome, record.text) for record in await self.records()
            )
            lines += [f"{number} x {state}" for state, number in count.most_common(12)]
            return "\n".join(lines)
        except Exception as error:
            return f"(no picture of the ledger: {error})"

    # -- what the chain says --------------------------------------------------------------------------

    async def executions(self) -> list[Executed]:
        """Every WorkflowExecuted of this network, in order."""
        topic = interface("ActionExecutor").events["WorkflowExecuted"].topic
        criteria = {
            "address": self.network.executor, "topics": [topic],
            "fromBlock": hex(self.first_block), "toBlock": "latest",
        }  # fmt: skip
        return [executed(Log.parse(log)) for log in await self.rpc.request("eth_getLogs", (criteria,))]

    async def executed(self) -> Counter[int]:
        """How often each workflow was executed, whatever came of it."""
        return Counter(each.workflow for each in await self.executions())

    async def transactions(self, *names: str) -> list[dict[str, Any]]:
        """Every mined transaction of these accounts since the stage was set, each with its receipt's status."""
        senders = {self.network.accounts[name].address.lower() for name in names}
        newest = int(await self.rpc.request("eth_blockNumber"), 16)
        blocks = await asyncio.gather(
            *(
                self.rpc.request("eth_getBlockByNumber", (hex(number), True))
                for number in range(self.first_block, newest + 1)
            )
        )
        found = [t for block in blocks for t in block["transactions"] if t["from"].lower() in senders]
        receipts = await self.rpc.receipts([t["hash"] for t in found])
        return [{**t, "status": r.status if r else None} for t, r in zip(found, receipts, strict=True)]

    def pool(self, name: str = "worker") -> dict[int, dict[str, Any]]:
        """An account's transactions that are not mined, by nonce; also those that wait for a lower one."""
        content, address = self.network.anvil.request("txpool_content"), self.address(name).lower()
        found: dict[int, dict[str, Any]] = {}
        for part in ("pending", "queued"):
            of_account = {k.lower(): v for k, v in content[part].items()}.get(address, {})
            found |= {int(nonce): transaction for nonce, transaction in of_account.items()}
        return found

    # -- what must hold -------------------------------------------------------------------------------

    async def assert_executed_once(self, ids: Iterable[int], *names: str) -> None:
        """Each workflow ran exactly once with success; nothing failed, no nonce is missing, nothing is left over."""
        runs = await self.executions()
        assert Counter(each.workflow for each in runs) == Counter(ids)
        assert all(each.success for each in runs)
        await self.assert_nonces(*(names or ("worker",)))
        await self.assert_nothing_left()

    async def assert_nonces(self, *names: str) -> None:
        """No transaction of these keys failed, and their nonces have no gap. (anvil would wait for a missing one.)"""
        mined = await self.transactions(*names)
        failed = [t["hash"] for t in mined if t["status"] != 1]
        assert not failed
        for name in names:
            address = self.network.accounts[name].address
            nonces = sorted(int(t["nonce"], 16) for t in mined if t["from"].lower() == address.lower())
            assert nonces == list(range(len(nonces)))
            pending = await self.rpc.request("eth_getTransactionCount", (address, "pending"))
            assert int(pending, 16) == len(nonces), "a transaction is left in the pool"

    async def assert_nothing_held(self) -> None:
        """No worker's list has anything in it."""
        redis, keys = self.queue.redis, self.queue.keys
        names = [name async for name in redis.scan_iter(match=keys.inflight("*"))]
        assert [name for name in names if await redis.llen(name)] == []

    async def assert_nothing_left(self) -> None:
        """All lists of jobs under way are empty, and no nonce has an owner."""
        redis, keys = self.queue.redis, self.queue.keys
        left = {
            "pending": await redis.lrange(keys.pending, 0, -1),
            "delayed": await redis.zrange(keys.delayed, 0, -1),
            "open": await redis.zrange(keys.open, 0, -1),
            "queued": await redis.zrange(keys.queued, 0, -1),
        }
        async for name in redis.scan_iter(match=keys.inflight("*")):
            left[name.decode()] = await redis.lrange(name, 0, -1)
        for account in self.network.accounts.values():
            nonces = keys.nonces(self.network.info.chain_id, account.address)
            left[f"nonces of {account.address}"] = list(await redis.hgetall(nonces))
        mutexes = keys.workflow(self.network.info.chain_id, self.network.executor, 0)[:-1] + "*"
        async for name in redis.scan_iter(match=mutexes):
            held = await redis.hmget(name, "open", "now_open")
            left[name.decode()] = [each for each in held if each]
        assert {name: found for name, found in left.items() if found} == {}


@asynccontextmanager
async def staged(network: LiveNetwork, **settings: str) -> AsyncIterator[Stage]:
    """Set the stage. `settings` hold for every worker that is hired on it."""
    async with network.queue() as queue, network.rpc() as rpc:
        yield Stage(network, queue, rpc, (await rpc.view()).block.number, settings)


@asynccontextmanager
async def no_mining(network: LiveNetwork) -> AsyncIterator[None]:
    """Nothing is mined but by `network.anvil.mine()`."""
    request = network.anvil.request
    before = await asyncio.to_thread(request, "anvil_getAutomine")
    await asyncio.to_thread(request, "evm_setAutomine", False)
    try:
        yield
    finally:
        await asyncio.to_thread(request, "evm_setAutomine", before)


@asynccontextmanager
async def mining(network: LiveNetwork, every: float = 0.25) -> AsyncIterator[None]:
    """Blocks come at an even pace, so that transactions wait, and become final two blocks later."""

    async def mine() -> None:
        while True:
            await asyncio.sleep(every)
            await asyncio.to_thread(network.anvil.mine)

    async with no_mining(network):
        miner = asyncio.create_task(mine())
        try:
            yield
        finally:
            miner.cancel()
            await asyncio.gather(miner, return_exceptions=True)
