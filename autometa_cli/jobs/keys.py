"""The name of every Redis key, in one place.

`{workflow_jobs}:x` hashes to the same Redis Cluster slot as bare `workflow_jobs`, so scripts may touch them together.
docs/redis-keys.md lists each with its type and what bounds it.
"""

from __future__ import annotations


class Keys:
    """Key names of one queue.

    Args:
        queue: the name of the public pending list (`QUEUE_NAME`); configuration refuses braces in it.
    """

    def __init__(self, queue: str = "workflow_jobs") -> None:
        self.queue = queue
        self._prefix = f"{{{queue}}}:"
        self._records = self._prefix + "occurrence:"
        #: LIST of raw jobs, the public contract: pushed at the right, taken from the left.
        self.pending = queue
        self.epoch = self._name("epoch")
        self.workers = self._name("workers")
        self.queued = self._name("queued")
        self.delayed = self._name("delayed")
        self.dead = self._name("dead")
        self.open = self._name("open")
        self.history = self._name("history")
        self.paused = self._name("paused")
        self.cleared = self._name("cleared")
        self.seen = self._name("seen")
        self.requests = self._name("requests")
        #: HASH token, number, holder, until (ms): which scheduler leads.
        self.leader = self._name("leader")

    @property
    def types(self) -> dict[str, str]:
        """The type, as TYPE says it, of every key that all jobs share."""
        return {
            self.pending: "list", self.epoch: "hash", self.workers: "zset", self.queued: "zset",
            self.delayed: "zset", self.dead: "zset", self.open: "zset", self.history: "stream",
            self.paused: "string", self.cleared: "zset", self.seen: "hash", self.requests: "hash",
            self.leader: "hash",
        }  # fmt: skip

    def _name(self, suffix: str) -> str:
        return self._prefix + suffix

    def inflight(self, worker: str) -> str:
        """LIST of envelopes (and not yet adopted raw elements) that a worker holds."""
        return self._name(f"inflight:{worker}")

    def worker(self, worker: str) -> str:
        """HASH of what a worker says of itself."""
        return self._name(f"worker:{worker}")

    def occurrence(self, key: str) -> str:
        """HASH, the ledger record of one occurrence, "now" job, self-transfer or unreadable element."""
        return self._records + key

    def workflow(self, chain: int, executor: str, workflow: int) -> str:
        """HASH open, last, gen, block, now_open (a blank behind each key): mutex and watermark of a workflow."""
        return f"{self._prefix}workflow:{chain}:{executor.lower()}:{workflow}"

    def workflow_of(self, key: str) -> str:
        """The HASH of the workflow that a record key names; a name that nothing is stored under where it names none."""
        parts = key.split(":")
        if len(parts) != 5 or not parts[0].isdigit() or not parts[2].isdigit():
            return self.workflow(0, "none", 0)
        return self.workflow(int(parts[0]), parts[1], int(parts[2]))

    def sender(self, chain: int, address: str) -> str:
        """HASH next, final, genesis, blocked: the nonce counter of one key."""
        return self._name(f"sender:{chain}:{address.lower()}")

    def freed(self, chain: int, address: str) -> str:
        """ZSET of nonces that were bound but never signed."""
        return self.sender(chain, address) + ":freed"

    def nonces(self, chain: int, address: str) -> str:
        """HASH nonce -> record key: who owns each open nonce."""
        return self.sender(chain, address) + ":nonces"

    def mirror(self, chain: int, registry: str) -> str:
        """HASH of one registry's workflows, packed: lets a scheduler resume. Nothing trusts it; it expires."""
        return self._name(f"mirror:{chain}:{registry.lower()}")

    def events(self, chain: int, executor: str) -> str:
        """HASH workflow id -> transfer that it runs for when its time comes (`note_events.lua`)."""
        return self._name(f"events:{chain}:{executor.lower()}")

    def cursor(self, chain: int, executor: str) -> str:
        """HASH block, genesis: up to where transfers were read; doubt: up to where they may have been served."""
        return self._name(f"cursor:{chain}:{executor.lower()}")

    def cleared_list(self, stamp: str) -> str:
        """LIST that `queue clear` moved aside."""
        return self._name(f"cleared:{stamp}")
