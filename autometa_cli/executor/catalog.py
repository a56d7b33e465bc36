"""Every record of the ledger: found by whatever it is called, or walked one page after the other. Reads only (I8)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autometa_cli.errors import AutometaError, UsageProblem
from autometa_cli.jobs.deadletters import Wanted
from autometa_cli.jobs.inspector import Inspector
from autometa_cli.jobs.occurrence import Occurrence, label
from autometa_cli.jobs.record import OPEN_STATES, SIGNED_STATES, Record
from autometa_cli.jobs.retention import HISTORY_LENGTH
from autometa_cli.jobs.states import STATES

if TYPE_CHECKING:
    from autometa_cli.jobs.queue import JobQueue

#: Records, or entries of the history, that are read at a time.
_PAGE = 500
#: States of records that hold a nonce; they stand in the index of open records.
HOLDING = frozenset({"bound", *SIGNED_STATES})
_HASH = re.compile(r"0x[0-9a-f]{64}")
_LABEL = re.compile(r"([0-9]{1,78})@([0-9]{1,78})(?:\+([0-9]{1,9}))?")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which records are meant.

    Attributes:
        states: any of these.
        workflow: only of this one; None for any.
        sender: only bound to this address, in lower case; "" for any.
    """

    states: frozenset[str] = HOLDING
    workflow: int | None = None
    sender: str = ""

    def fits(self, record: Record) -> bool:
        """Whether this one is."""
        return (
            record.state in self.states
            and self.workflow in (None, record.workflow)
            and self.sender in ("", record.sender.lower())
        )


class Catalog:
    """The records of one queue.

    Args:
        chain_id, executor: what a short name (`7@1700000000`, a workflow's number) is about; "" where no executor
            contract is configured.
    """

    def __init__(self, queue: JobQueue, chain_id: int, executor: str) -> None:
        self._queue = queue
        self._chain_id = chain_id
        self._executor = executor.lower()

    async def find(self, name: str) -> Record:
        """The record with this key, short name, transaction hash or id; for a workflow's number the one that holds a
        nonce, else an open "now" job, else the latest that was closed.

        Raises:
            UsageProblem: the text can be no such name.
            AutometaError: there is none, or several have that id.
            redis.exceptions.RedisError
        """
        name = _checked(name)
        if _HASH.fullmatch(name.lower()):
            found = await self._by_hash(name.lower())
            if found is None:
                raise AutometaError(
                    f"the ledger knows no transaction {name}",
                    "autometa tx list --all shows what it knows; records of settled runs stay for 30 days",
                )
            return found
        for key in self._keys(name):
            if record := await self._queue.record(key):
                return record
        if name.isdigit():
            return await self._of_workflow(int(name))
        same = await self._named(name)
        if len(same) > 1:
            raise AutometaError(
                f"{len(same)} records go by the name {name!r}: {', '.join(each.key for each in same[:3])} …",
                "name one by its key",
            )
        if not same:
            raise AutometaError(
                f"the ledger has no record {name!r}",
                "autometa tx list --all shows all of them; a job that no worker took yet has none "
                "(autometa queue peek)",
            )
        return same[0]

    async def walk(self, chosen: Chosen) -> AsyncIterator[list[Record]]:
        """All that are chosen, page by page: those that hold a nonce, the oldest first; then what waits for its time,
        the next due first; the dead letters, the oldest first; the others in no order. Each once, though what moves
        meanwhile may be left out."""
        k, seen = self._queue.keys, set[str]()
        for states, index in ((HOLDING, k.open), ({"delayed"}, k.delayed), ({"dead"}, k.dead)):
            if not chosen.states & states:
                continue
            async for page in self._indexed(index):
                found = [record for record in page if chosen.fits(record) and record.key not in seen]
                seen.update(record.key for record in found)
                if found:
                    yield found
        if chosen.states <= HOLDING | {"delayed"}:
            return
        async for page in self._scanned():
            found = [record for record in page if chosen.fits(record) and record.key not in seen]
            seen.update(record.key for record in found)
            if found:
                yield found

    def _keys(self, name: str) -> list[str]:
        """Keys that the name may be, or stand for."""
        keys = [name]
        parts = name.split(":")
        if len(parts) > 3:  # an address as people copy it
            place = 2 if parts[0] == "noop" else 1
            keys.append(":".join([*parts[:place], parts[place].lower(), *parts[place + 1 :]]))
        if self._executor:
            about = Occurrence(self._chain_id, self._executor, 0, 0)
            if short := _LABEL.fullmatch(name):
                workflow, next_run, generation = (int(part or 0) for part in short.groups())
                keys.append(Occurrence(about.chain, about.executor, workflow, next_run, generation).key)
            workflow_text, mark, id = name.partition("!")
            if mark and workflow_text.isdigit():
                keys.append(Occurrence(about.chain, about.executor, int(workflow_text), 0, now_id=id).key)
        return keys

    async def _of_workflow(self, workflow: int) -> Record:
        k = self._queue.keys
        name = k.workflow(self._chain_id, self._executor, workflow)
        stored = await self._queue.scripts.command("HMGET", name, "open", "now_open", "last", "gen")
        opened, now_open, last, generation = ((field or b"").decode("utf-8", "replace") for field in stored)
        keys = [*opened.split(), *now_open.split()]
        for key in keys:
            if record := await self._queue.record(key):
                return record
        # A run "now" that is closed is named by the history alone; the workflow's own key knows scheduled ones.
        keys = await self._in_history(workflow)
        if last.isdigit() and generation.isdigit():
            closed = Occurrence(self._chain_id, self._executor, workflow, int(last), int(generation))
            keys.append(closed.key)
        for key in keys:
            if record := await self._queue.record(key):
                return record
        raise AutometaError(
            f"workflow {workflow} has no transaction on its way, nor had one lately",
            f"autometa tx list --all --workflow {workflow} shows its records",
        )

    async def _in_history(self, workflow: int) -> list[str]:
        """Keys of its records that were closed, retried or dropped, the latest first."""
        about = f"{self._chain_id}:{self._executor}:{workflow}:"
        rows = await Inspector(self._queue).history(2 * HISTORY_LENGTH, wanted=Wanted(workflow=workflow))
        return list(dict.fromkeys(e["key"] for _, e in rows if e.get("key", "").startswith(about)))

    async def _named(self, name: str) -> list[Record]:
        """All that have this id or short name; only ids are read of the others."""
        found: list[str] = []
        async for keys in self._key_pages():
            pipe = self._queue.redis.pipeline(transaction=False)
            for key in keys:
                pipe.hget(self._queue.keys.occurrence(key), "id")
            ids = await pipe.execute()
            found += [
                key for key, id in zip(keys, ids, strict=True) if label(key) == name or id == name.encode()
            ]
        return [record for record in await self._queue.records(list(dict.fromkeys(found))) if record]

    async def _by_hash(self, hash: str) -> Record | None:
        async for page in self._indexed(self._queue.keys.open):
            for record in page:
                if _has(record, hash):
                    return record
        last = "+"
        while rows := await self._queue.redis.xrevrange(self._queue.keys.history, max=last, count=_PAGE):
            for _, fields in rows:
                if fields.get(b"tx", b"").decode("utf-8", "replace").lower() == hash:
                    return await self._queue.record(fields.get(b"key", b"").decode("utf-8", "replace"))
            last = "(" + rows[-1][0].decode()
        async for page in self._scanned():
            for record in page:
                if _has(record, hash):
                    return record
        return None

    async def _indexed(self, index: str) -> AsyncIterator[list[Record]]:
        offset = 0
        while names := await self._queue.redis.zrange(index, offset, offset + _PAGE - 1):
            offset += len(names)
            found = await self._queue.records([name.decode("utf-8", "replace") for name in names])
            yield [record for record in found if record is not None]

    async def _scanned(self) -> AsyncIterator[list[Record]]:
        async for keys in self._key_pages():
            yield [record for record in await self._queue.records(keys) if record is not None]

    async def _key_pages(self) -> AsyncIterator[list[str]]:
        """The keys of all records, in no order; some may come twice."""
        prefix, keys = self._queue.keys.occurrence(""), list[str]()
        async for name in self._queue.redis.scan_iter(match=_escaped(prefix) + "*", count=_PAGE):
            keys.append(name.decode("utf-8", "replace")[len(prefix) :])
            if len(keys) >= _PAGE:
                yield keys
                keys = []
        if keys:
            yield keys


def states_named(names: list[str]) -> frozenset[str]:
    """What `--state` chooses: states, or `open` for all that may still lead to a transaction. Raises UsageProblem."""
    found: set[str] = set()
    for name in names:
        typed = name.strip().lower()
        if typed == "open":
            found |= OPEN_STATES
        elif typed in STATES:
            found.add(typed)
        else:
            raise UsageProblem(
                f"there is no state {typed[:24]!r}", f"the states are {', '.join(STATES)}, and open"
            )
    return frozenset(found)


def _has(record: Record, hash: str) -> bool:
    return hash in {record.tx.lower(), *(attempt.hash.lower() for attempt in record.attempts_sent)}


def _checked(name: str) -> str:
    """What was typed, where it may be a name. What may be a key is not repeated."""
    name = name.strip()
    hint = "a transaction's hash is 0x and 64 hexadecimal digits; autometa tx list shows keys and hashes"
    if not name or len(name) > 400 or not name.isprintable():
        raise UsageProblem(f"a text of {len(name)} characters names no transaction", hint)
    prefixed = name[:2] in ("0x", "0X")
    digits = name[2:] if prefixed else name
    hexadecimal = re.fullmatch(r"[0-9a-fA-F]*", digits) is not None
    if prefixed and not hexadecimal:
        raise UsageProblem("this is no transaction's hash: what follows 0x is not hexadecimal", hint)
    if hexadecimal and (prefixed or len(digits) >= 40) and not _HASH.fullmatch(name.lower()):
        without = "" if prefixed else ", without 0x"
        raise UsageProblem(f"this is no transaction's hash: it has {len(digits)} digits{without}", hint)
    return name


def _escaped(prefix: str) -> str:
    """A name as a pattern of SCAN that means itself."""
    return re.sub(r"([\[\]*?\\])", r"\\\1", prefix)
