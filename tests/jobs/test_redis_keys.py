"""docs/redis-keys.md: a workload leaves no key, type or field in Redis that the page does not name."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from autometa_cli.executor.head import Counts
from autometa_cli.jobs.keys import Keys
from tests.jobs.desk import ALICE, BOB, CHAIN, EXECUTOR, Desk

PAGE = (Path(__file__).parents[2] / "docs" / "redis-keys.md").read_text(encoding="utf-8")
FIELDS = "## Fields of a record"


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading."""
    section = PAGE.split(heading, 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def pattern(name: str, queue: str) -> re.Pattern[str]:
    """`{q}:inflight:<worker>` as an expression for real keys."""
    escaped = re.escape(name).replace(re.escape("{q}"), re.escape(f"{{{queue}}}"))
    escaped = escaped.replace("<q>", re.escape(queue)).replace("<key>", ".+").replace("<worker>", ".+")
    return re.compile(re.sub(r"<[a-z]+>", "[^:]+", escaped))


def documented(queue: str = "workflow_jobs") -> dict[re.Pattern[str], str]:
    """Expression to type."""
    return {pattern(row[0].strip("`"), queue): row[1] for row in rows("## Keys")}


def fields(cell: str) -> list[re.Pattern[str]]:
    """The names in backticks."""
    names = re.findall(r"`([^`]+)`", cell)
    return [re.compile(re.sub(r"<[a-z]+>", ".+", re.escape(name))) for name in names]


def known_fields() -> dict[re.Pattern[str], list[re.Pattern[str]]]:
    """Expression of a hash's key to the expressions of its fields."""
    found = {
        pattern(row[0].strip("`"), "workflow_jobs"): fields(row[1]) for row in rows("## Fields of the other")
    }
    record = [name for row in rows(FIELDS) for name in fields(row[0])]
    return {**found, pattern("{q}:occurrence:<key>", "workflow_jobs"): record}


@pytest.fixture
def used(valkey_desk: Desk) -> Desk:
    """A queue in which everything happened at least once."""
    desk = valkey_desk
    ann = desk.worker("ann")
    desk.do(desk.queue.workers.beat(ann, {"state": "working", "trouble": "", "busy": "1", "open": "0"}))
    for number, verdict in enumerate(("executed", "action_failed", "reverted", "foreign", "uncertain"), 1):
        claim = desk.signed(ann, workflow=number, sender=(ALICE, BOB)[number % 2])
        seen: dict[str, str | int] = {
            "answer:0": "accepted",
            "mined_tx": "0x",
            "mined_block": 1,
            "said": "done",
        }
        desk.do(desk.ledger.note(claim.key, **seen))
        desk.settle(claim.key, verdict)
    desk.ask(desk.signed(ann, workflow=7, sender="0x" + "d0" * 20), "bump")
    desk.write(desk.signed(ann, workflow=6), b"c", "0xc", cancel="paused", unwanted=True)
    for number, to in enumerate(("queued", "delayed", "skipped", "dead"), 11):
        desk.release(desk.bound(ann, 0, number), to, delay=60, hold=True)
    desk.redis.delete(desk.keys.pending)
    lower = desk.bound(ann, workflow=20, sender="0x" + "c0" * 20)
    desk.signed(ann, workflow=21, sender="0x" + "c0" * 20)
    desk.release(lower, "delayed", sender="0x" + "c0" * 20)
    counts = Counts(0, 0, 0)
    desk.do(desk.ledger.fill_gap(ann, CHAIN, "0x" + "c0" * 20, counts, final=9))
    desk.claim(ann, 0, 30)
    desk.push(desk.payload(0, 30))
    desk.adopt(ann, desk.take(ann))  # a twin
    desk.push(b"garbage")
    desk.take(ann)
    desk.do(desk.queue.entomb(ann, b"garbage", "unreadable", "no JSON"))
    overtaken = desk.claim(ann, workflow=31)
    desk.bind(overtaken, BOB, latest=50)
    desk.do(
        desk.queue.transfers.note(
            CHAIN,
            EXECUTOR,
            since=None,
            upto=9,
            genesis="g",
            events=[(40, "0xaa:0:5", 1), (41, "0xbb:0:5", 1)],
        )
    )
    desk.enqueue(workflow=40, event=("0xaa:0:5:1", "0xaa:0"))
    desk.do(desk.queue.clear())
    desk.enqueue(workflow=42)
    desk.push(desk.payload(workflow=43))
    desk.do(desk.queue.pause("maintenance", "ann"))
    desk.silence(desk.worker("zoe"))
    desk.claim("zoe", workflow=50)
    desk.reap()  # while it was being checked
    for letter in desk.do(desk.inspector.dead(2)):
        desk.do(desk.letters.drop(letter, "ann"))
    desk.lead("take", "ann")
    desk.do(desk.queue.workers.leave(desk.worker("bob")))
    desk.kill(desk.worker("eve"))
    desk.redis.hset(desk.keys.seen, "run|ann", "5")
    desk.redis.hset(desk.keys.mirror(CHAIN, EXECUTOR), "meta", "packed")
    desk.call("recovery_begin", [desk.keys.epoch], [])
    desk.call("recovery_window", [desk.keys.epoch, desk.keys.cursor(CHAIN, EXECUTOR)], [ALICE, "7", 9])
    return desk


def test_every_key_and_type_is_documented(used: Desk) -> None:
    page = documented()
    met = set()
    for name in sorted(used.redis.keys("*")):
        found = [expression for expression in page if expression.fullmatch(name.decode())]
        assert len(found) == 1, f"{name.decode()} is not on the page, or twice"
        assert used.redis.type(name).decode().upper() == page[found[0]], name
        met.add(found[0])

    assert set(page) - met == set(), "on the page, but the workload made none"


def test_every_field_is_documented(used: Desk) -> None:
    page = known_fields()
    met: set[tuple[str, str]] = set()
    for name in used.redis.keys("*"):
        for expression in page:
            if not expression.fullmatch(name.decode()):
                continue
            for field in used.redis.hkeys(name):
                found = [known for known in page[expression] if known.fullmatch(field.decode())]
                assert found, f"field {field.decode()} of {name.decode()} is not on the page"
                met.update((expression.pattern, known.pattern) for known in found)
    record = pattern("{q}:occurrence:<key>", "workflow_jobs")
    missing = {known.pattern for known in page[record]} - {name for key, name in met if key == record.pattern}
    assert missing == set(), "on the page, but no record has it"


def test_history_is_documented(used: Desk) -> None:
    named = {name.pattern for name in fields(PAGE.split("## Fields of a history entry", 1)[1])}

    for _, entry in used.redis.xrange(used.keys.history):
        assert {name.decode() for name in entry} <= named


def test_every_name_that_the_code_knows_is_documented() -> None:
    keys, page = Keys("jobs.x"), documented("jobs.x")
    names = [
        value
        for name, value in vars(keys).items()
        if isinstance(value, str) and name != "queue" and not name.startswith("_")
    ]
    for _, method in inspect.getmembers(keys, inspect.ismethod):
        if not method.__name__.startswith("_"):
            names.append(method(*("7" for _ in inspect.signature(method).parameters)))

    for name in names:
        assert sum(bool(expression.fullmatch(name)) for expression in page) == 1, name


def test_all_keys_of_a_queue_share_a_slot(used: Desk) -> None:
    from redis.crc import key_slot

    assert len({key_slot(name) for name in used.redis.keys("*")}) == 1
