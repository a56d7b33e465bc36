"""`autometa tx list` and `show`: what the ledger and the chain say, and nothing is changed by asking (I8)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from autometa_cli.executor.head import Counts
from autometa_cli.executor.ledger import broadcast_note
from tests.jobs.desk import ALICE, BOB, CHAIN, EXECUTOR, Desk
from tests.network import LiveNetwork
from tests.runner import Cli
from tests.working.stage import Stage, no_mining, staged

NOWHERE = "http://127.0.0.1:9"
HASH = "0x" + "ab" * 32
KEY = "1f" * 32  # as somebody pastes it into the wrong place


@pytest.fixture
def env(redis_url: str) -> Mapping[str, str]:
    """No chain answers."""
    return {
        "REDIS_URL": redis_url, "NETWORK": "local", "RPC_URLS": NOWHERE, "ACTIONEXECUTOR_ADDRESS": EXECUTOR,
    }  # fmt: skip


@pytest.fixture
def desk(redis_url: str) -> Iterator[Desk]:
    with asyncio.Runner() as runner, Desk(runner, redis_url) as made:
        yield made


def sent(desk: Desk, workflow: int = 1, sender: str = ALICE, hash: str = HASH) -> str:
    """A signed record's key."""
    claim = desk.bound("ann", 100, workflow, sender)
    assert desk.write(claim, b"bytes", hash).word == "ok"
    return claim.key


# -- list -------------------------------------------------------------------------------------------


def test_nothing_is_an_empty_list(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    as_json = cli("tx", "list", "--json", env=env)
    assert (as_json.code, as_json.json, as_json.stderr) == (0, [], "")
    assert cli("tx", "list", env=env).stdout == "no transactions\n"


def test_what_holds_a_nonce_is_listed_the_oldest_first(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    desk.worker("ann")
    keys = [sent(desk, workflow, hash="0x" + f"{workflow:064x}") for workflow in (3, 1, 2)]
    desk.claim("ann", 100, 9)  # has no nonce
    before = desk.dump()

    listed = cli("tx", "list", "--json", env=env).json

    assert [each["key"] for each in listed] == keys
    first = listed[0]
    assert (first["state"], first["sender"], first["nonce"], first["transactions"]) == ("signed", ALICE, 0, 1)
    assert (first["max_fee"], first["priority_fee"], first["fee_paid"]) == ("201", "1", None)
    assert (first["holder"], first["holder_alive"]) == ("ann", True)
    assert first["tx"] == "0x" + f"{3:064x}"
    assert 0 <= first["age_seconds"] < 60
    assert [each["waits_for"] for each in listed[:2]] == [
        "to be mined",
        "nonce 0 of the same key to be mined first",
    ]
    lines = cli("tx", "list", env=env).stdout.splitlines()
    assert lines[0].split()[:4] == ["JOB", "STATE", "SENDER", "NONCE"]
    assert lines[1].split()[:4] == ["3@100", "signed", ALICE, "0"]
    assert desk.dump() == before, "a read changes nothing"


def test_list_filters_and_pages(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    desk.worker("ann")
    sent(desk, 1)
    sent(desk, 2, BOB)
    claim = desk.bound("ann", 100, 3)

    def listed(*options: str) -> list[int]:
        return [each["workflow"] for each in cli("tx", "list", "--json", *options, env=env).json]

    assert listed() == [1, 2, 3]
    assert listed("--workflow", "2") == [2]
    assert listed("--sender", BOB) == [2]
    assert listed("--state", "bound") == [claim.occurrence.workflow]
    assert listed("--state", "signed", "--state", "bound", "--sender", ALICE) == [1, 3]
    assert listed("-n", "1", "--offset", "1") == [2]
    assert listed("--offset", "3") == []
    page = cli("tx", "list", "-n", "2", env=env)
    assert page.stderr == "there are more: --offset 2, or -n 0 for all\n"
    assert len(page.stdout.splitlines()) == 3


def test_all_lists_every_record_once(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    desk.worker("ann")
    keys = {sent(desk, 1)}
    keys.add(done := sent(desk, 2))
    desk.settle(done)
    for workflow, to in ((3, "delayed"), (4, "dead"), (5, "skipped")):
        claim = desk.claim("ann", 100, workflow)
        desk.release(claim, to, delay=60)
        keys.add(claim.key)
    keys.add(desk.claim("ann", 100, 6).key)
    desk.enqueue(workflow=7)
    keys.add(desk.answer.rest[0])

    everything = cli("tx", "list", "--all", "--json", env=env).json

    assert sorted(each["key"] for each in everything) == sorted(keys)
    assert everything[0]["state"] == "signed"
    by_state = {each["state"]: each for each in everything}
    assert (by_state["settled"]["outcome"], by_state["settled"]["fee_paid"]) == ("executed", "21000")
    assert by_state["delayed"]["waits_for"] == "its time (why)"
    assert by_state["queued"]["waits_for"] == "a worker to take it"
    for state in ("settled", "delayed", "dead", "skipped", "claimed", "queued"):
        only = cli("tx", "list", "--state", state, "--json", env=env).json
        assert [each["state"] for each in only] == [state]
    still = cli("tx", "list", "--state", "open", "--json", env=env).json
    assert {each["state"] for each in still} == {"signed", "delayed", "claimed", "queued"}


@pytest.mark.parametrize("count", [1, 501, 1200])
def test_a_long_list_is_whole(cli: Cli, env: Mapping[str, str], desk: Desk, count: int) -> None:
    pipe = desk.redis.pipeline()
    for number in range(count):
        key = f"{CHAIN}:{EXECUTOR}:{number + 1}:100:0"
        fields = {"kind": "due", "st": "signed", "chain": CHAIN, "executor": EXECUTOR, "workflow": number + 1}
        pipe.hset(desk.keys.occurrence(key), mapping=fields | {"nonce": number, "sender": ALICE, "n": 0})
        pipe.zadd(desk.keys.open, {key: number})
    pipe.execute()

    listed = cli("tx", "list", "-n", "0", "--json", env=env)
    lines = cli("tx", "list", "-n", "0", env=env).stdout.splitlines()
    everything = cli("tx", "list", "-n", "0", "--all", "--json", env=env)

    assert [each["workflow"] for each in listed.json] == list(range(1, count + 1))
    assert len(lines) == count + 1
    assert len(everything.json) == count


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--state", "sent"], 2, "there is no state 'sent'"),
        (["--workflow", "x"], 2, "is no workflow id"),
        (["--sender", "0x12"], 3, "--sender"),
    ],
)
def test_list_refuses_what_it_does_not_know(
    cli: Cli, env: Mapping[str, str], desk: Desk, options: list[str], code: int, said: str
) -> None:
    result = cli("tx", "list", *options, env=env)
    assert (result.code, result.stdout) == (code, "")
    assert said in result.stderr


# -- names ------------------------------------------------------------------------------------------


def test_a_record_goes_by_many_names(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    desk.worker("ann")
    key = sent(desk, 7, hash=HASH)
    now = desk.signed("ann", 0, 8, id="order-17")
    upper = key.replace(EXECUTOR, EXECUTOR[:2] + EXECUTOR[2:].upper())

    for name in (key, upper, "7@100", "7", HASH, HASH.upper().replace("0X", "0x")):
        assert cli("tx", "show", name, "--json", env=env).json["key"] == key, name
    for name in (now.key, "8!order-17", "order-17", "8"):
        assert cli("tx", "show", name, "--json", env=env).json["key"] == now.key, name

    desk.settle(now.key)
    assert cli("tx", "show", "8", "--json", env=env).json["key"] == now.key, "a run now is over at once"
    desk.settle(key)
    for name in (key, "7@100", "7", HASH, "0xtx"):
        result = cli("tx", "show", name, "--json", env=env)
        assert (result.json.get("key") == key) == (name != "0xtx"), name


def test_a_transaction_that_was_tried_again_is_found_by_the_history(
    cli: Cli, env: Mapping[str, str], desk: Desk
) -> None:
    desk.worker("ann")
    key = sent(desk, 7)
    record = desk.record(key)
    desk.do(desk.ledger.settle(record, "reverted", block=20, tx=HASH, text="why", fee=5))
    assert desk.state(key) == "delayed"

    shown = cli("tx", "show", HASH, "--json", env=env).json

    assert (shown["key"], shown["state"], shown["attempts_sent"]) == (key, "delayed", [])
    assert shown["spent"] == [{"sender": ALICE, "nonce": 0}]
    assert shown["tx"] == HASH


def test_what_has_no_transaction_is_said_to_have_none(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    desk.worker("ann")
    key, bound = desk.claim("ann", 100, 1).key, desk.bound("ann", 100, 2).key
    for command in (("bump", key), ("cancel", key, "--yes"), ("bump", bound), ("cancel", bound)):
        result = cli("tx", *command, env=env)
        assert (result.code, result.stdout) == (1, "")
        assert "(nothing is signed yet)" in result.stderr
        assert "autometa workflow pause" in result.stderr
    result = cli("tx", "reconcile", key, "--json", env=env)
    assert (result.code, result.json["error"]["message"]) == (1, "1@100 is claimed: it has no transaction")


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("0x" + "ab" * 31, 2, "this is no transaction's hash: it has 62 digits"),
        (KEY, 2, "it has 64 digits, without 0x"),
        ("0x12", 2, "it has 2 digits"),
        ("0xzz", 2, "not hexadecimal"),
        ("", 2, "names no transaction"),
        (HASH, 1, "the ledger knows no transaction 0xabab"),
        ("7@5", 1, "the ledger has no record '7@5'"),
        ("12", 1, "workflow 12 has no transaction"),
    ],
)
@pytest.mark.parametrize("command", ["show", "bump", "cancel", "reconcile"])
def test_what_is_no_name_is_said_to_be_none(
    cli: Cli, env: Mapping[str, str], desk: Desk, command: str, name: str, code: int, said: str
) -> None:
    result = cli("tx", command, name, env=env)
    assert (result.code, result.stdout) == (code, "")
    assert said in result.stderr
    assert KEY not in result.stderr, "it may be a private key"
    as_json = cli("tx", command, name, "--json", env=env)
    assert as_json.json["error"]["code"] == code


def test_an_id_that_two_records_have_names_neither(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    desk.worker("ann")
    desk.claim("ann", 0, 1, id="same")
    desk.claim("ann", 0, 2, id="same")
    result = cli("tx", "show", "same", env=env)
    assert result.code == 1
    assert "2 records go by the name 'same'" in result.stderr


# -- show -------------------------------------------------------------------------------------------


def test_without_a_chain_the_ledger_is_explained(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    desk.worker("ann")
    key = sent(desk, 7)
    desk.do(desk.ledger.note(key, **{"answer:0": broadcast_note("accepted", HASH, "http://node")}))
    before = desk.dump()

    result = cli("tx", "show", key, env=env)
    document = cli("tx", "show", key, "--json", env=env).json

    assert result.code == 0
    assert "Warning: only what the ledger tells: no RPC endpoint gave an answer" in result.stderr
    assert "signed: bytes of a call with its nonce may be anywhere" in result.stdout
    assert "offered to http://node: accepted" in result.stdout
    assert "held by ann, which is alive" in result.stdout
    assert f"autometa tx cancel {key}" in result.stdout
    assert (document["chain"], "no RPC endpoint" in document["chain_trouble"]) == (None, True)
    assert document["waits_for"] == "to be mined"
    assert desk.dump() == before, "a read changes nothing"


def test_who_is_needed_is_said(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    """Its worker is gone, and so is its key (REVIEW H15)."""
    desk.worker("ann")
    key = sent(desk, 7)
    desk.kill("ann")
    listed = cli("tx", "list", "--json", env=env).json
    assert listed[0]["waits_for"] == f"to be mined; nobody alive has the key of {ALICE} to raise or cancel it"
    shown = cli("tx", "show", key, "--json", env=env).json
    assert shown["next_steps"][0].startswith(f"start a worker with the key of {ALICE}")

    desk.do(desk.queue.workers.register("bob", {"address": ALICE}))
    assert cli("tx", "list", "--json", env=env).json[0]["waits_for"] == "to be mined"


def test_a_record_of_another_chain_is_explained_by_the_ledger(
    cli: Cli, env: Mapping[str, str], desk: Desk
) -> None:
    desk.worker("ann")
    key = sent(desk, 7)
    elsewhere = {**env, "CHAIN_ID": "1284"}
    shown = cli("tx", "show", key, env=elsewhere)
    assert shown.code == 0
    assert "its chain is 1287, and the configured one is" in shown.stderr
    for command in (("bump", key), ("cancel", key, "--yes"), ("reconcile", key)):
        result = cli("tx", *command, env=elsewhere)
        assert (result.code, result.stdout) == (3, "")
        assert "its chain is 1287" in result.stderr


def test_show_follows_a_transaction_from_the_pool_to_its_settlement(cli: Cli, network: LiveNetwork) -> None:
    env = network.environment(CONFIRMATIONS="3")

    async def shown(stage: Stage) -> Any:
        result = await asyncio.to_thread(cli, "tx", "show", "1", "--json", env=env)
        assert result.code == 0, result
        return result.json

    async def scenario() -> None:
        async with staged(network, CONFIRMATIONS="3") as stage:
            await stage.made(1)
            async with stage.hired() as hand, no_mining(network):
                await stage.enqueue(1)

                async def answered() -> bool:
                    return any(r.attempts_sent and r.attempts_sent[0].answer for r in await stage.records())

                await stage.until(answered, "the call to be offered")
                pooled = await shown(stage)
                assert pooled["attempts_sent"][0]["chain"]["in_pool"] is True
                assert any("in the pool of" in line for line in pooled["story"])
                assert pooled["chain"]["nonces"] == {"latest": 0, "final": 0, "pending": 1}
                assert pooled["waits_for"] == "to be mined"
                await asyncio.to_thread(network.anvil.mine, 1)
                mined = await shown(stage)
                assert mined["chain"]["mined"]["success"] is True
                assert mined["chain"]["blocks_to_final"] == 2
                assert mined["waits_for"] == "the block to be final"
                assert any("the action succeeded; 2 blocks from final" in line for line in mined["story"])
                await asyncio.to_thread(network.anvil.mine, 2)
                await stage.until(stage.settled([1]), "it to be settled")
                settled = await shown(stage)
                assert (settled["state"], settled["outcome"]) == ("settled", "executed")
                assert settled["fee_paid"] == settled["chain"]["mined"]["fee_paid"] != "0"
                assert settled["tx"] == settled["attempts_sent"][0]["hash"]
                assert (settled["waits_for"], settled["next_steps"]) == (None, [])
                await hand.leave()

    asyncio.run(scenario())


def test_what_is_no_job_and_what_fills_a_gap_are_shown_too(
    cli: Cli, env: Mapping[str, str], desk: Desk
) -> None:
    desk.worker("ann")
    desk.push(b"no job")
    raw = desk.do(desk.queue.entomb("ann", desk.take("ann"), "unreadable", "it is no JSON"))
    below = desk.bound("ann", 100, 1)
    sent(desk, 2)
    desk.release(below, "skipped")
    counts = Counts(0, 0, 0)
    found = desk.do(desk.ledger.fill_gap("ann", CHAIN, ALICE, counts, final=9))
    assert found is not None

    shown = cli("tx", "show", raw, "--json", env=env).json
    assert (shown["state"], shown["reason"], shown["chain_id"]) == ("dead", "unreadable", 0)
    assert shown["chain_trouble"] == "it is no job, so no chain knows of it"
    noop = cli("tx", "show", f"noop:{CHAIN}:{ALICE.upper().replace('0X', '0x')}:0", "--json", env=env).json
    assert noop["waits_for"] == f"a worker with the key of {ALICE} to use its nonce up"
    desk.write(found[1], b"noop", "0x1", cancel="gap", unwanted=True)
    result = cli("tx", "cancel", found[0].key, "--yes", env=env)
    assert result.code == 1
    assert "it pays nobody" in result.stderr


def test_a_ledger_in_doubt_is_said_to_be(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    desk.worker("ann")
    key = sent(desk, 7)
    desk.redis.hset(desk.keys.epoch, "recovering", "1")
    for command in (("list",), ("show", key)):
        result = cli("tx", *command, env=env)
        assert result.code == 0
        assert "Redis lost writes" in result.stderr
    desk.redis.hset(desk.keys.epoch, mapping={"recovering": "", "run": "another"})
    assert "Redis restarted" in cli("tx", "list", env=env).stderr


def test_show_names_the_explorer(cli: Cli, env: Mapping[str, str], desk: Desk) -> None:
    desk.worker("ann")
    key = sent(desk, 7)
    moonbase = {**env, "NETWORK": "moonbase", "RPC_URLS": NOWHERE}
    shown = cli("tx", "show", key, "--json", env=moonbase).json
    assert shown["attempts_sent"][0]["explorer"] == f"https://moonbase.moonscan.io/tx/{HASH}"
    assert json.dumps(shown)
