"""A dead letter of a run that its workflow left behind, tried again, does not turn back what is known since."""

from __future__ import annotations

from autometa_cli.jobs.claim import Claim
from tests.jobs.desk import CHAIN, EXECUTOR, Desk


def _given_up(desk: Desk, worker: str, *, block: int) -> Claim:
    claim = desk.adopt(worker, desk.take(worker), block=block)
    assert isinstance(claim, Claim), claim
    assert desk.release(claim, "dead", block=block).word == "ok"
    return claim


def _halted(desk: Desk) -> str:
    """A workflow whose run 100 died, and then run 200, twice; of the first death no record is left. Its key."""
    ann = desk.worker("ann")
    assert desk.enqueue(100, block=10).word == "ok"
    _given_up(desk, ann, block=20)
    assert desk.enqueue(200, block=30).word == "ok"
    first = _given_up(desk, ann, block=40)
    assert desk.do(desk.letters.retry(desk.record(first.key), "the test")).word == "ok"
    second = _given_up(desk, ann, block=50)
    assert second.key.endswith(":200:1")
    desk.redis.delete(desk.keys.occurrence(first.key))  # a month later
    return second.key


def test_a_halted_run_stays_halted(valkey_desk: Desk) -> None:
    desk, halted = valkey_desk, _halted(valkey_desk)
    assert desk.enqueue(200, block=55).word in ("already", "dead")
    old = desk.record(f"{CHAIN}:{EXECUTOR}:1:100:0")
    assert desk.do(desk.letters.retry(old, "the test")).word == "ok"
    claim = desk.adopt("ann", desk.take("ann"), block=60)
    assert isinstance(claim, Claim)
    assert desk.release(claim, "skipped", reason="moved_on", block=60).word == "ok"
    assert desk.enqueue(200, block=70).word in ("already", "dead")
    assert desk.pending() == []
    assert desk.state(halted) == "dead"
    mark = desk.watermark()
    assert (mark["last"], mark["gen"], mark["block"]) == ("200", "1", "60")


def test_nor_when_it_was_signed_before_it_was_not_wanted_any_more(valkey_desk: Desk) -> None:
    desk, halted = valkey_desk, _halted(valkey_desk)
    old = desk.record(f"{CHAIN}:{EXECUTOR}:1:100:0")
    assert desk.do(desk.letters.retry(old, "the test")).word == "ok"
    claim = desk.adopt("ann", desk.take("ann"), block=60)
    assert isinstance(claim, Claim)
    assert desk.bind(claim, block=60).word == "ok"
    assert desk.write(claim).word == "ok"
    assert desk.write(claim, b"cancel", "0xcancel", cancel="moved_on", unwanted=True).word == "ok"
    assert desk.settle(claim.key, "cancelled", block=70).word == "ok"
    assert desk.state(claim.key) == "skipped"
    assert desk.enqueue(200, block=80).word in ("already", "dead")
    assert desk.state(halted) == "dead"
