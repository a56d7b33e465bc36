"""Did Redis forget? The ledger belongs to one Redis process; another one must prove that nothing was lost.

Every mutating script advances a sequence number, and every process remembers the highest one it was told. After a
restart a process that remembers more than the ledger shows knows that writes are gone; when every worker that was
registered before the restart is alive and none does, nothing is (append-only files lose a suffix, never a middle).

A recovery answers for all that was remembered before it, of the keys whose windows it used up. Whoever comes later asks
for no second one; but what a worker holds from before is void.
"""

from __future__ import annotations

from autometa_cli.errors import AutometaError
from autometa_cli.jobs.connection import Client
from autometa_cli.jobs.keys import Keys
from autometa_cli.jobs.script import Scripts

#: How long the workers' reports about a restart are kept, seconds.
_REPORTS_KEPT_SECONDS = 3600


class LedgerInDoubt(AutometaError):
    """Redis restarted, and it is not proved that it kept every write. Nothing may be bound or sent.

    Attributes:
        lost: writes are gone for certain, or a recovery is under way.
    """

    def __init__(self, message: str, hint: str = "", *, lost: bool = False) -> None:
        super().__init__(message, hint)
        self.lost = lost


async def join(redis: Client, keys: Keys, scripts: Scripts, worker: str = "", address: str = "") -> None:
    """Make sure that the ledger belongs to the Redis process that `scripts.run` names, and is whole.

    Args:
        worker: the caller's id where it is registered; its memory is part of the proof.
        address: of the caller's key, where it has one that sends.

    Raises:
        LedgerInDoubt: the process changed and the proof is not complete, or writes are lost; or the caller is a
            registered worker that slept through a recovery.
    """
    answer = await scripts.call("epoch", [keys.epoch], [])
    old, recovered, seq = answer.rest[0], int(answer.rest[1]), answer.seq
    if answer.word == "ok" and scripts.recovered is not None and recovered > scripts.recovered:
        if worker:
            raise LedgerInDoubt(
                "the ledger was recovered meanwhile, and what this worker holds is void", lost=True
            )
        if not address or await redis.hexists(keys.epoch, f"window:{address}"):
            scripts.seen = seq
    if worker and answer.word != "ok":
        await redis.hset(keys.seen, _report(scripts, worker), str(scripts.seen))
        await redis.expire(keys.seen, _REPORTS_KEPT_SECONDS)
    if scripts.seen > answer.seq:
        raise LedgerInDoubt(
            f"Redis forgot writes: its ledger ends at {answer.seq}, this process saw {scripts.seen}",
            "workers recover by themselves; see docs/operations.md, 'Redis lost writes'",
            lost=True,
        )
    if answer.word == "ok":
        scripts.recovered = recovered
        return
    if old == scripts.run:
        raise LedgerInDoubt("Redis lost writes; workers are recovering the ledger", lost=True)
    seen = {name.decode(): int(value) for name, value in (await redis.hgetall(keys.seen)).items()}
    beats = await redis.zrange(keys.workers, 0, -1, withscores=True)
    registered = [name.decode("utf-8", "replace") for name, score in beats if score > 0]
    silent = [name for name in registered if _report(scripts, name) not in seen]
    if silent:
        raise LedgerInDoubt(
            "Redis restarted; waiting for every worker that was registered before to say that nothing is missing "
            f"(not heard: {', '.join(silent[:3])}{' …' if len(silent) > 3 else ''})",
            "after a while the workers recover by themselves; see docs/operations.md, 'Redis restarted'",
        )
    # Everybody who reported, registered or not: the registration itself may be among the lost writes.
    if any(value > seq for name, value in seen.items() if name.startswith(_report(scripts, ""))):
        raise LedgerInDoubt("Redis forgot writes, as another worker remembers", lost=True)
    if (await scripts.call("renew", [keys.epoch], [old, str(seq)])).word == "moved":
        raise LedgerInDoubt("Redis restarted; the ledger is being handed over")
    scripts.recovered = recovered


def _report(scripts: Scripts, worker: str) -> str:
    return f"{scripts.run}|{worker}"
