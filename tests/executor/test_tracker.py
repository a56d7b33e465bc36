"""Every open transaction is followed to its end, whoever signed it, and none stops the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from autometa_cli.chain.faults import RpcFault
from autometa_cli.chain.sendanswers import AnswerClass
from autometa_cli.errors import RpcUnreachable
from autometa_cli.executor.head import Counts, Head
from autometa_cli.jobs.record import Record
from tests.executor.bench import ME, Bench, bench, hold_of
from tests.executor.fakes import EXECUTOR, FEES, KEY, block, head

OTHER_KEY = "0x" + "0B" * 20
MINED = 20

Scenario = Callable[[Bench], Awaitable[None]]


def run(redis_url: str, scenario: Scenario, max_fee: int | None = None) -> None:
    async def main() -> None:
        async with bench(redis_url, max_fee) as made:
            await scenario(made)

    asyncio.run(main())


def _receipt(record: Record, number: int = 0, status: int = 1, at: int = MINED) -> dict[str, Any]:
    """What a node answers for one of its attempts, with the event where it succeeded."""
    from tests.executor.test_proof import EVENT, _log

    log = _log(record.workflow, success=True)
    attempt = record.attempts_sent[number]
    to = EXECUTOR if attempt.what == "call" else KEY.address
    event = {
        "address": EXECUTOR.lower(), "topics": list(log.topics), "data": "0x" + log.data.hex(), "logIndex": "0x0",
        "blockNumber": hex(at), "blockHash": block(at).hash, "transactionHash": attempt.hash,
    }  # fmt: skip
    assert EVENT.topic == log.topics[0]
    return {
        "transactionHash": attempt.hash, "blockNumber": hex(at), "blockHash": block(at).hash, "status": hex(status),
        "from": KEY.address.lower(), "to": to.lower(), "gasUsed": "0x5208", "effectiveGasPrice": "0x1",
        "logs": [event] if status and attempt.what == "call" else [],
    }  # fmt: skip


def _at(number: int, counts: Counts, receipts: dict[str, Any] | None = None, **answers: Any) -> Head:
    """The chain at a height: the key's counts, and the receipts that there are."""
    return head(
        number, counts=counts, eth_getTransactionReceipt=lambda p: (receipts or {}).get(p[0]),
        eth_getBlockByNumber=lambda p: {"hash": block(int(p[0], 16)).hash}, eth_getLogs=lambda p: [], **answers,
    )  # fmt: skip


def _used_in(number: int) -> Callable[[Any], str]:
    """Transaction counts of a key whose first nonce was used in this block."""
    return lambda params: hex(int(int(params[1], 16) >= number))


OPEN = Counts(0, 0, 0)
MINED_ONE = Counts(1, 0, 1)
FINAL_ONE = Counts(1, 1, 1)


def test_from_signed_to_settled(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        hold, record = await b.signed()
        b.tracker.add(record, hold, sent=False)
        await b.tracker.tick(_at(19, OPEN))
        assert b.rpc.offered == [record.attempts_sent[0].raw], "what was not sent is sent"
        receipts = {record.attempts_sent[0].hash: _receipt(record)}
        await b.tracker.tick(_at(20, MINED_ONE, receipts))
        assert (await b.record(hold.key)).state == "signed", "mined is not final"
        assert b.tracker.oldest() == 0.0, "what is mined does not count as stuck"
        await b.tracker.tick(_at(22, FINAL_ONE, receipts))
        assert (await b.record(hold.key)).state == "settled"
        assert b.closed == [(hold.key, "settled", "executed")]
        assert len(b.tracker) == 0
        assert len(b.rpc.offered) == 1

    run(redis_url, scenario)


def test_a_receipt_of_an_orphaned_block_settles_nothing(redis_url: str) -> None:
    """Frontier was seen to give such receipts."""

    async def scenario(b: Bench) -> None:
        hold, record = await b.signed()
        b.tracker.add(record, hold, sent=True)
        orphan = {**_receipt(record), "blockHash": "0x" + "ab" * 32}
        for receipt in (orphan, _receipt(record, at=30)):
            receipts = {record.attempts_sent[0].hash: receipt}
            with pytest.raises(Exception, match="canonical"):
                await b.tracker.tick(_at(22, FINAL_ONE, receipts))
            assert (await b.record(hold.key)).state == "signed"

    run(redis_url, scenario)


def test_when_another_worker_settled_it_that_is_not_counted_twice(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        hold, record = await b.signed()
        b.tracker.add(record, hold, sent=True)
        done = await b.ledger.settle(record, "executed", block=20, tx="0x1", text="", fee=0)
        assert done.word == "ok"
        receipts = {record.attempts_sent[0].hash: _receipt(record)}
        await b.tracker.tick(_at(22, FINAL_ONE, receipts))
        assert b.closed == [(hold.key, "", "")]

    run(redis_url, scenario)


@pytest.mark.parametrize("change", ["paused", "gone", "moved on", "redirected", "sold"])
def test_what_became_unwanted_is_cancelled(redis_url: str, change: str) -> None:
    async def scenario(b: Bench) -> None:
        hold, record = await b.signed()
        b.tracker.add(record, hold, sent=False)
        was = b.registry.workflows[record.workflow]
        assert was is not None
        b.registry.workflows[record.workflow] = {
            "paused": replace(was, active=False),
            "gone": None,
            "moved on": replace(was, next_run=160),
            "redirected": replace(was, action_data=b"\x09"),
            "sold": replace(was, owner="0x" + "0c" * 20),
        }[change]
        await b.tracker.tick(_at(19, OPEN))
        stored = await b.record(hold.key)
        assert (stored.state, stored.unwanted) == ("cancelling", True)
        assert b.rpc.offered == [stored.attempts_sent[1].raw], "the call must not be sent again"
        receipts = {stored.attempts_sent[1].hash: _receipt(stored, 1)}
        await b.tracker.tick(_at(22, FINAL_ONE, receipts))
        assert (await b.record(hold.key)).state == "skipped"

    run(redis_url, scenario)


def test_the_call_may_still_win_against_its_cancellation(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        hold, record = await b.signed()
        b.tracker.add(record, hold, sent=False)
        b.registry.workflows[record.workflow] = None
        await b.tracker.tick(_at(19, OPEN))
        receipts = {record.attempts_sent[0].hash: _receipt(record)}
        await b.tracker.tick(_at(22, FINAL_ONE, receipts))
        stored = await b.record(hold.key)
        assert (stored.state, stored.outcome) == ("settled", "executed"), "what was mined decides"

    run(redis_url, scenario)


def test_another_keys_transaction_is_sent_again_but_not_touched(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        hold, record = await b.signed()
        b.sender._signer = _signer(OTHER_KEY)
        b.heads.others = OPEN
        b.tracker.add(record, None, sent=False)
        await b.tracker.tick(_at(19, OPEN))
        assert len(b.rpc.offered) == 1
        b.registry.workflows[record.workflow] = None
        await b.tracker.tick(_at(20, OPEN))
        assert len(b.rpc.offered) == 1, "unwanted: not sent again"
        assert (await b.record(hold.key)).state == "signed", "only its own key could cancel it"

    run(redis_url, scenario)


def _signer(address: str) -> Any:
    class Somebody:
        def __init__(self) -> None:
            self.address = address

    return Somebody()


def test_what_every_node_refuses_for_good_is_cancelled_and_counts_as_an_attempt(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        hold, record = await b.signed()
        b.rpc.answer = AnswerClass.PERMANENT
        b.tracker.add(record, hold, sent=False)
        await b.tracker.tick(_at(19, OPEN))
        stored = await b.record(hold.key)
        assert (stored.state, stored.reason, stored.unwanted) == ("cancelling", "refused", False)
        receipts = {stored.attempts_sent[1].hash: _receipt(stored, 1)}
        await b.tracker.tick(_at(22, FINAL_ONE, receipts))
        stored = await b.record(hold.key)
        assert (stored.state, stored.attempts, stored.nonce) == ("delayed", 1, None)

    run(redis_url, scenario)


def test_an_empty_purse_is_told_until_it_is_filled(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        hold, record = await b.signed()
        b.rpc.answer = AnswerClass.FUNDS
        b.tracker.add(record, hold, sent=False)
        await b.tracker.tick(_at(19, OPEN))
        assert "insufficient funds" in b.tracker.trouble
        assert (await b.record(hold.key)).state == "signed"
        b.rpc.answer = AnswerClass.KNOWN
        await b.tracker.tick(_at(20, OPEN))
        assert b.tracker.trouble == ""

    run(redis_url, scenario)


def test_a_fee_cap_is_told_as_long_as_it_holds(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        hold, record = await b.signed()
        b.tracker.pusher.bump_after = 0
        b.tracker.add(record, hold, sent=False)
        for number in (19, 20, 21):
            await b.tracker.tick(_at(number, OPEN))
            assert "the cap is" in b.tracker.trouble
        assert len(b.rpc.offered) == 3, "the same bytes go on being offered"
        receipts = {record.attempts_sent[0].hash: _receipt(record)}
        await b.tracker.tick(_at(22, MINED_ONE, receipts))
        assert b.tracker.trouble == ""

    run(redis_url, scenario, max_fee=FEES.max_fee)


@pytest.mark.parametrize(
    "fields",
    [
        {"raw:0": b"\x02noise"},
        {"hash:0": "0x" + "ab" * 32},
        {"sender": "garbage"},
        {"workflow": "99"},
        {"n": "7"},
        {"n": "0"},
        {"executor": "x"},
        {"nonce": "5"},
        {"what:0": "cancel"},
        {"fee:0": "[]"},
        {"chain": "zzz"},
    ],
    ids=str,
)
def test_a_record_that_makes_no_sense_stops_none_of_the_others(
    redis_url: str, fields: dict[str, Any]
) -> None:
    async def scenario(b: Bench) -> None:
        hold, record = await b.signed()
        other, honest = await b.signed()
        name = b.queue.keys.occurrence(hold.key)
        await b.queue.redis.hset(name, mapping=fields)
        b.registry.workflows[99] = b.registry.workflows[record.workflow]
        b.tracker.add(await b.record(hold.key), hold, sent=False)
        b.tracker.add(honest, other, sent=False)
        now = _at(19, OPEN)
        now.view.endpoint.answers["eth_getTransactionCount"] = RpcFault(-32602, "no address")  # type: ignore[attr-defined]
        for _ in range(2):
            await b.tracker.tick(now)
        assert honest.attempts_sent[0].raw in b.rpc.offered
        assert all(raw in (honest.attempts_sent[0].raw, record.attempts_sent[0].raw) for raw in b.rpc.offered)
        receipts = {each.attempts_sent[0].hash: _receipt(each) for each in (record, honest)}
        await b.tracker.tick(_at(22, Counts(2, 2, 2), receipts))
        assert (await b.record(other.key)).state == "settled"

    run(redis_url, scenario)


def test_the_dead_are_inherited_by_whoever_has_their_key(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        hold, record = await b.signed(worker="bob")
        await b.tracker.discover(ME, [ME, "bob"], set())
        assert hold.key not in b.tracker, "bob lives"
        await b.queue.redis.zadd(b.queue.keys.workers, {"bob": -1})
        await b.tracker.discover(ME, [ME], {hold.key})
        assert hold.key not in b.tracker, "this worker is just executing it"
        await b.tracker.discover(ME, [ME], set())
        assert b.tracker.held() == 1
        assert (await b.record(hold.key)).holder == ME
        assert record.nonce == b.tracker.nonce(hold.key)

    run(redis_url, scenario)


def test_who_only_watched_takes_over_when_the_holder_dies(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        hold, record = await b.signed(worker="bob")
        b.tracker.add(record, None, sent=True)
        await b.tracker.discover(ME, [ME, "bob"], set())
        assert b.tracker.held() == 0
        await b.queue.redis.zadd(b.queue.keys.workers, {"bob": -1})
        await b.tracker.discover(ME, [ME], set())
        assert b.tracker.held() == 1
        assert (await b.record(hold.key)).holder == ME

    run(redis_url, scenario)


def test_what_was_bound_and_never_signed_is_settled_by_its_nonce_alone(redis_url: str) -> None:
    async def scenario(b: Bench) -> None:
        claim, record = await b.bound()
        b.tracker.add(record, hold_of(claim), sent=True)
        await b.tracker.tick(_at(20, MINED_ONE))
        assert (await b.record(claim.key)).state == "bound"
        with pytest.raises(RpcUnreachable, match="does not show block 20"):
            await b.tracker.tick(_at(22, FINAL_ONE, eth_getTransactionCount=_used_in(MINED)))
        assert (await b.record(claim.key)).state == "bound", "no block shows yet who used it"
        theirs = {
            "hash": "0x" + "f0" * 32,
            "from": KEY.address,
            "nonce": "0x0",
            "to": OTHER_KEY,
            "input": "0x",
        }
        taken = _at(22, FINAL_ONE, eth_getTransactionCount=_used_in(MINED))
        taken.view.endpoint.answers["eth_getBlockByNumber"] = lambda p: {"transactions": [theirs]}  # type: ignore[attr-defined]
        await b.tracker.tick(taken)
        stored = await b.record(claim.key)
        assert (stored.state, stored.outcome, stored.attempts) == ("delayed", "foreign", 0)

    run(redis_url, scenario)
