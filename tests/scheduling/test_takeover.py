"""Leading schedulers are killed at random moments: every occurrence is executed once, none is missed."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from autometa_cli.chain.blocks import Log
from autometa_cli.chain.contracts import executed
from autometa_cli.chain.interfaces import interface
from autometa_cli.devnet import anvil_binary
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.jobs.keys import Keys
from autometa_cli.scheduling.lease import Lease
from tests.network import LiveNetwork
from tests.runner import Cli

#: A standby must lead this soon after a kill, seconds.
TAKEOVER_SECONDS = 10.0
INTERVAL = 4


@pytest.fixture
def ticking(tmp_path: Path, redis_url: str) -> Iterator[LiveNetwork]:
    """A chain with a block each second."""
    node = AnvilProcess(tmp_path / "anvil", anvil_binary.find(), block_time=None)
    node.start()
    try:
        network = LiveNetwork.on(node, redis_url)
        node.mine_every(1)
        yield network
    finally:
        node.stop()


@dataclass
class Fleet:
    """Services as processes of their own."""

    cli: Cli
    network: LiveNetwork
    running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    log: Path = Path("services.log")

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self.cli.command(*command),
                cwd=self.cli.directory,
                env={**os.environ, **self.network.environment(LOG_LEVEL="info")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.running[process.pid] = process
        return process

    def scheduler(self) -> subprocess.Popen[bytes]:
        return self.start("scheduler", "--poll-interval", "0.5")

    def leader(self) -> int | None:
        """The process id of the leader, as Redis has it."""
        with redis.Redis.from_url(self.network.redis_url) as client:
            holder = client.hget(Keys().leader, "holder")
        return int(bytes(holder).decode().rsplit("-", 2)[1]) if holder else None

    def until_led(self, but: int | None = None, within: float = 30.0) -> float:
        """Wait for a leader other than this one; how long it took."""
        started = time.monotonic()
        while (leader := self.leader()) is None or leader == but:
            assert time.monotonic() - started < within, self.log.read_text()[-3000:]
            time.sleep(0.05)
        return time.monotonic() - started

    def kill(self, pid: int) -> None:
        process = self.running.pop(pid)
        process.kill()
        process.wait()

    def stop(self) -> None:
        for process in self.running.values():
            process.kill()
        for process in self.running.values():
            process.wait()


@pytest.fixture
def fleet(cli: Cli, ticking: LiveNetwork) -> Iterator[Fleet]:
    services = Fleet(cli, ticking)
    yield services
    services.stop()


def executions(network: LiveNetwork) -> list[tuple[int, int, int]]:
    """(workflow, newNextRun, timestamp of the block) of every execution, in order."""
    anvil = network.anvil
    call = interface("ActionExecutor").functions["executeWorkflow"]
    topic = interface("ActionExecutor").events["WorkflowExecuted"].topic
    criteria = {"address": network.executor, "topics": [topic], "fromBlock": "0x0", "toBlock": "latest"}
    found = []
    for answer in anvil.request("eth_getLogs", criteria, timeout=30.0):
        log = Log.parse(answer)
        transaction = anvil.request("eth_getTransactionByHash", log.transaction_hash)
        inputs = call.decode_inputs(bytes.fromhex(transaction["input"][2:]))
        block = anvil.request("eth_getBlockByNumber", hex(log.block_number), False)
        event = executed(log)
        assert event.success
        found.append((event.workflow, int(inputs[2]), int(block["timestamp"], 16)))
    return found


def ordeal(fleet: Fleet, seconds: int, seed: int) -> list[float]:
    """Kill leaders for so long; how long each takeover took. Then check the chain."""
    network, dice = fleet.network, random.Random(seed)
    begin = network.now() + 2
    once = {}
    for offset in range(0, seconds, 2):
        ids = asyncio.run(network.create_workflows(2, next_run=begin + offset, interval=0))
        once.update(dict.fromkeys(ids, begin + offset))
    often = asyncio.run(network.create_workflows(3, next_run=begin, interval=INTERVAL))
    fleet.start("worker")
    fleet.scheduler()
    fleet.scheduler()
    fleet.until_led()

    takeovers = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(dice.uniform(0.2, 2.5))
        leader = fleet.leader()
        if leader is None or leader not in fleet.running:
            continue
        fleet.kill(leader)
        takeovers.append(fleet.until_led(but=leader))
        fleet.scheduler()

    deadline = time.monotonic() + 60
    while Counter(id for id, _, _ in executions(network) if id in once) != Counter(once.keys()):
        assert time.monotonic() < deadline, fleet.log.read_text()[-5000:]
        time.sleep(0.5)
    runs = executions(network)
    assert Counter(id for id, _, _ in runs if id in once) == Counter(once.keys())
    assert all(at >= once[id] for id, _, at in runs if id in once), "early"
    series: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for id, following, at in runs:
        if id in often:
            series[id].append((following, at))
    for id in often:
        due = begin
        for following, at in series[id]:
            assert at >= due, "early, or the same occurrence twice"
            assert following > due, "the same occurrence twice"
            assert (following - begin) % INTERVAL == 0
            # Nothing that fell due is skipped but what was past already when the one before it was executed.
            assert following <= at + 3 * INTERVAL
            due = following
        assert due + TAKEOVER_SECONDS + 10 * INTERVAL > network.now(), "it ceased to run"
    return takeovers


def test_leaders_that_are_killed(fleet: Fleet) -> None:
    assert ordeal(fleet, 8, seed=1), "nobody was killed"  # how soon is asked of an idle machine, below


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_leaders_that_are_killed_for_five_minutes(fleet: Fleet) -> None:
    takeovers = ordeal(fleet, 300, seed=2)
    assert len(takeovers) > 20
    assert max(takeovers) < TAKEOVER_SECONDS


def test_a_leader_that_leaves_is_replaced_at_once(fleet: Fleet) -> None:
    fleet.scheduler()
    fleet.until_led()
    fleet.scheduler()
    leader = fleet.leader()
    assert leader is not None
    while "standing by" not in fleet.log.read_text():
        time.sleep(0.05)
    fleet.running[leader].send_signal(signal.SIGTERM)
    assert fleet.running[leader].wait(10) == 0
    assert fleet.until_led(but=leader, within=5.0) < 2.0


def test_two_that_flap_never_both_hold_a_valid_token(network: LiveNetwork) -> None:
    async def scenario() -> None:
        async with network.queue() as first, network.queue() as second:
            ann, bob = Lease(first, seconds=0.05), Lease(second, seconds=0.05)
            tokens = set()
            for round in range(40):
                one, other = (ann, bob) if round % 2 else (bob, ann)
                if await one.hold():
                    tokens.add(one.token)
                    await other.hold()
                    valid = await first.redis.hget(first.keys.leader, "token")
                    assert [lease for lease in (ann, bob) if lease.token.encode() == valid] != [ann, bob]
                await asyncio.sleep(0.03)
            assert len(tokens) > 5
            assert len({token.split(":")[0] for token in tokens}) == len(tokens)

    asyncio.run(scenario())
