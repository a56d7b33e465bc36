"""Did Redis forget? The ledger belongs to one Redis process; another one must prove that nothing was lost.

Every mutating script advances a sequence number, and every worker remembers the highest one it was told. After a
restart a worker that remembers more than the ledger shows knows that writes are gone; when every worker that was
registered before the restart is alive and none does, nothing is (append-only files lose a suffix, never a middle).
"""

from __future__ import annotations

from autometa_cli.errors import AutometaError
from autometa_cli.jobs.connection import Client
from autometa_cli.jobs.keys import Keys
from autometa_cli.jobs.script import Scripts


class LedgerInDoubt(AutometaError):
    """Redis restarted and nobody can prove yet that it kept every write. Nothing may be bound or sent."""


async def join(redis: Client, keys: Keys, scripts: Scripts, worker: str = "") -> None:
    """Make sure that the ledger belongs to the Redis process that `scripts.run` names.

    Args:
        worker: the caller's id where it was registered before; its memory is part of the proof.

    Raises:
        LedgerInDoubt: the process changed, and the proof is not complete or says that writes are lost.
    """
    answer = await scripts.call("epoch", [keys.epoch], [])
    if answer.word == "ok":
        return
    old, seq = answer.rest[0], answer.seq
    remembered = scripts.seen if worker else 0
    if remembered > seq:
        raise LedgerInDoubt(
            f"Redis restarted and forgot writes: its ledger ends at {seq}, this worker saw {remembered}",
            "stop all workers and see docs/operations.md, 'Redis lost writes'",
        )
    if worker:
        await redis.hset(keys.seen, f"{scripts.run}|{worker}", str(remembered))
        await redis.expire(keys.seen, 3600)
    reports = await redis.hgetall(keys.seen)
    seen = {k.decode(): int(v) for k, v in reports.items()}
    registered = [
        name.decode() for name, score in await redis.zrange(keys.workers, 0, -1, withscores=True) if score > 0
    ]
    silent = [name for name in registered if f"{scripts.run}|{name}" not in seen]
    if silent:
        raise LedgerInDoubt(
            "Redis restarted; waiting for every worker that was registered before to say that nothing is missing "
            f"(not heard: {', '.join(silent[:3])}{' …' if len(silent) > 3 else ''})",
            "a worker that died with Redis cannot say so: see docs/operations.md, 'Redis restarted'",
        )
    if any(seen[f"{scripts.run}|{name}"] > seq for name in registered):
        raise LedgerInDoubt(
            "Redis restarted and forgot writes, as another worker remembers",
            "stop all workers and see docs/operations.md, 'Redis lost writes'",
        )
    await scripts.call("renew", [keys.epoch], [old, str(seq)])
    again = await scripts.call("epoch", [keys.epoch], [])
    if again.word != "ok":
        raise LedgerInDoubt(
            "Redis restarted; the ledger is being handed over", "this resolves itself in a moment"
        )
