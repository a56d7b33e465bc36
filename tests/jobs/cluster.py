"""A Redis Cluster of real processes."""

from __future__ import annotations

import os
import random
import re
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from autometa_cli.devnet.process import HOST, port_free
from tests.jobs.fleet import DOWN_AFTER_MS, Node, start, wait_for

SLOTS = 16384
#: A node's second port, for the others, is this much higher.
_BUS = 10_000


class Cluster:
    """Three primaries with a third of the slots each, and a replica of the one that has the queue's slot.

    Attributes:
        nodes: all four, the replica last.
    """

    def __init__(self, directory: Path, binary: Path | None, slot: int, **lines: str) -> None:
        self._stack = ExitStack()
        self.slot = slot
        options = {
            "cluster-enabled": "yes",
            "cluster-node-timeout": str(DOWN_AFTER_MS),
            "cluster-config-file": "nodes.conf",
            "cluster-replica-validity-factor": "0",
            "repl-diskless-sync-delay": "0",
            "repl-ping-replica-period": "1",
        }
        self.nodes = [
            Node(directory / f"node{number}", binary, {**options, **lines}, port=port)
            for number, port in enumerate(_ports(4))
        ]

    def __enter__(self) -> Cluster:
        try:
            for node in self.nodes:
                start(node, self._stack)
            self._meet()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _meet(self) -> None:
        for number, node in enumerate(self.nodes[:3]):
            node.client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            slots = range(number * SLOTS // 3, (number + 1) * SLOTS // 3)
            node.client.execute_command("CLUSTER", "ADDSLOTS", *slots)
        for node in self.nodes:
            wait_for(partial(self._met, node), "the nodes to meet")
        replica = self.nodes[3]
        replica.client.execute_command("CLUSTER", "REPLICATE", self.id_of(self.holder))
        wait_for(lambda: replica.client.info("replication").get("master_link_status") == "up", "the replica")
        for node in self.nodes:
            wait_for(partial(self._knows, node, primaries=3), "everybody to know of the replica")

    def _met(self, node: Node) -> bool:
        if self._knows(node, primaries=4):
            return True
        # Again each time: a handshake that was lost is only given up after a long while.
        for other in self.nodes[1:]:
            self.nodes[0].client.execute_command("CLUSTER", "MEET", HOST, other.port)
        return False

    def begin_move(self, source: Node, target: Node) -> None:
        """The queue's slot is to move; no key has yet."""
        target.client.execute_command("CLUSTER", "SETSLOT", self.slot, "IMPORTING", self.id_of(source))
        source.client.execute_command("CLUSTER", "SETSLOT", self.slot, "MIGRATING", self.id_of(target))

    def finish_move(self, source: Node, target: Node) -> None:
        """All its keys move, and then it does, as redis-cli --cluster reshard has it."""
        while names := source.client.execute_command("CLUSTER", "GETKEYSINSLOT", self.slot, 100):
            source.client.execute_command("MIGRATE", HOST, target.port, "", 0, 5000, "KEYS", *names)
        for node in (target, source, *self.nodes[:3]):
            node.client.execute_command("CLUSTER", "SETSLOT", self.slot, "NODE", self.id_of(target))

    def _knows(self, node: Node, primaries: int) -> bool:
        rows = self.table(node)
        return len(rows) == 4 and sum("master" in row["flags"] for row in rows) == primaries and self.up(node)

    @property
    def url(self) -> str:
        """REDIS_URL: two of the nodes, as people write it."""
        return f"redis+cluster://{self.nodes[0].place},{self.nodes[1].place}"

    @property
    def holder(self) -> Node:
        """Who serves the queue's slot, as the first node that runs sees it."""
        witness = next(node for node in self.nodes if node.running)
        for low, high, primary, *_ in witness.client.execute_command("CLUSTER SLOTS"):
            if low <= self.slot <= high:
                return next(node for node in self.nodes if node.port == primary[1])
        pytest.fail("nobody serves the slot")

    def up(self, node: Node) -> bool:
        """Whether this node serves."""
        return bool(node.client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")

    def table(self, node: Node) -> list[dict[str, Any]]:
        """What a node knows of each, itself included."""
        return list(node.client.execute_command("CLUSTER NODES").values())

    def id_of(self, node: Node) -> str:
        """How the nodes call each other."""
        name: bytes = node.client.execute_command("CLUSTER", "MYID")
        return name.decode()


def _ports(count: int) -> list[int]:
    """Free ones, for a node and for the others each.

    Below those that a system gives away by itself, and below the second ports: a node's first must not be another's
    second. Tests that run beside these choose from another thousand.
    """
    process = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "")) or 0) % 7
    found: list[int] = []
    while len(found) < count:
        port = 15_000 + 1000 * process + random.randrange(1000)
        if port not in found and port_free(port) and port_free(port + _BUS):
            found.append(port)
    return found
