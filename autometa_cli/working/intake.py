"""What a worker does with one element of the queue, from the raw bytes to the broadcast."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING

import redis.exceptions as rex

from autometa_cli.chain.faults import RpcFault
from autometa_cli.errors import AutometaError, RpcUnreachable
from autometa_cli.executor import faultpoints
from autometa_cli.executor.decision import Lost, Refusal
from autometa_cli.executor.ledger import Hold
from autometa_cli.executor.wanted import contradiction, digest, unwanted
from autometa_cli.jobs.claim import Claim, Sighting
from autometa_cli.jobs.faults import wrong_type
from autometa_cli.jobs.job import BadJob, Job, open_envelope, parse_job
from autometa_cli.jobs.occurrence import Occurrence, label
from autometa_cli.jobs.queue import JobQueue
from autometa_cli.jobs.record import CLOSED_STATES, SIGNED_STATES
from autometa_cli.jobs.workers import element_for_list

if TYPE_CHECKING:
    from autometa_cli.chain.contracts import Workflow
    from autometa_cli.executor.executor import EVMExecutor
    from autometa_cli.executor.head import Head
    from autometa_cli.working.house import House

_log = logging.getLogger(__name__)
#: Of so many jobs that wait it is remembered what was said last.
_REMEMBERED = 10_000
_SPOILT = (
    "a key in Redis that the record of this run, or of its workflow, should have holds something else (redis-cli TYPE "
    "tells; docs/redis-keys.md has the names); remove that, and retry this letter"
)


class Intake:
    """Elements on their way through one worker.

    Attributes:
        raws: raw elements being worked on (a multiset: two may be equal).
        keys: records being worked on.
    """

    def __init__(self, queue: JobQueue, executor: EVMExecutor, house: House, worker: str) -> None:
        self._queue = queue
        self._executor = executor
        self._house = house
        self._worker = worker
        self.raws: Counter[bytes] = Counter()
        self.keys: set[str] = set()
        #: What was said last of jobs that wait, by record.
        self._said: dict[str, str] = {}

    @property
    def unsigned(self) -> int:
        """How many are worked on that are no signed transactions yet."""
        tracker = self._executor.tracker
        return sum(self.raws.values()) + sum(key not in tracker for key in self.keys)

    async def take(self, raw: bytes) -> None:
        """Work on a raw element of our in-flight list.

        Raises redis.exceptions.RedisError: it stays in the list, and the worker's audit finds it there.
        """
        self.raws[raw] += 1
        try:
            claim, workflow, head = await self._claimed(raw)
        except rex.ResponseError as error:
            # Its record or its workflow's key: in its way, and in no other's.
            if not wrong_type(error) or not await self._queue.sound(self._worker):
                raise
            await self._bury(raw, "unreadable", _SPOILT)
            return
        finally:
            self.raws[raw] -= 1
            if not self.raws[raw]:
                del self.raws[raw]
        if claim is not None and head is not None:
            await self._execute(claim, workflow, head)

    async def resume(self, element: bytes) -> None:
        """Go on with an envelope of ours that nobody works on: the same path as a new claim, from where it stands."""
        opened = open_envelope(element)
        if opened is None:
            return
        id, key, raw = opened
        record = await self._queue.record(key)
        if record is None:
            await self._queue.retreat(self._worker, element, raw)
        elif record.holder != self._worker:
            await self._queue.discard(self._worker, element)
        elif record.state in SIGNED_STATES:
            if key not in self._executor.tracker:
                self._executor.tracker.add(record, Hold(key, self._worker, record.fence), sent=False)
        else:
            claim = Claim(
                parse_job(raw), record.occurrence, id, self._worker, record.fence, record.state == "bound"
            )
            try:
                head = await self._executor.heads.current()
                workflow = await self._executor.registry.get(head.view, record.workflow)
            except (RpcUnreachable, RpcFault) as error:
                await self._rpc_failed(error, claim)
            else:
                await self._execute(claim, workflow, head)

    async def _claimed(self, raw: bytes) -> tuple[Claim | None, Workflow | None, Head | None]:
        try:
            job = parse_job(raw)
        except BadJob as error:
            await self._bury(raw, "unreadable", error.message)
            return None, None, None
        taken = asyncio.get_running_loop().time()
        try:
            head = await self._executor.heads.current()
            workflow = await self._executor.registry.get(head.view, job.workflow)
            if (
                workflow is None
                or not workflow.active
                or contradiction(job, workflow)
                or job.next_run not in (0, workflow.next_run)
            ):
                # What we know of the chain may be older than the job.
                head = await self._executor.heads.since(taken)
                workflow = await self._executor.registry.get(head.view, job.workflow)
            claim = await self._adopt(job, workflow, head)
        except (RpcUnreachable, RpcFault) as error:
            self._house.rpc_failed(error)
            await self._queue.retreat(self._worker, raw)
            return None, None, None
        if claim is not None:
            faultpoints.reached(faultpoints.CLAIMED)
        return claim, workflow, head

    async def _adopt(self, job: Job, workflow: Workflow | None, head: Head) -> Claim | None:
        occurrence, id = await self._executor.identity.of(job, workflow)
        wrong = contradiction(job, workflow)
        if wrong and await self._is_foreign(job, occurrence.key):
            # No record is made or closed for it: a lie must not stand in the way of the true occurrence.
            await self._bury(job.raw, "mismatch", wrong)
            return None
        answer = await self._queue.adopt(
            self._worker, job, occurrence, id, await self._sighting(occurrence, workflow, head)
        )
        if not isinstance(answer, Claim) and answer.word == "unfinal":
            # Nobody may open a generation on what may still be reorganised away; the scheduler will, when it is final.
            closed = occurrence.at_generation(max(0, occurrence.generation - 1))
            answer = await self._queue.adopt(
                self._worker, job, closed, id, Sighting(head.number, False, digest(workflow))
            )
        if isinstance(answer, Claim):
            if wrong:
                await self._release(answer, Refusal("dead", "mismatch", wrong, block=head.final_number))
                return None
            return answer
        if answer.word == "unfinal":
            # Of its forerunner nobody knows either: left in our list it would wait for ever, and be seen by nobody.
            text = f"it names generation {occurrence.generation} of a run whose earlier ones nobody knows"
            await self._bury(job.raw, "mismatch", text)
        elif answer.word in ("stale", "recovery"):
            await asyncio.sleep(self._executor.heads.patience)
            await self._queue.retreat(self._worker, job.raw)
        elif answer.word == "twin":
            _log.warning(
                "%s buried as duplicate: another extra run of workflow %d is open (%s); push with --force to have both",
                label(occurrence.key), job.workflow, ", ".join(label(key) for key in answer.rest[0].split()),
            )  # fmt: skip
        elif answer.word == "duplicate":
            self._tell_dropped(job, occurrence, answer.rest[0] if answer.rest else "")
        return None

    async def _bury(self, raw: bytes, reason: str, text: str) -> None:
        key = await self._queue.entomb(self._worker, raw, reason, text)
        _log.warning("buried as %s: %s", key, text)

    @staticmethod
    def _tell_dropped(job: Job, occurrence: Occurrence, state: str) -> None:
        """Of a run that is on its way a second element is nothing much; one for a closed run will never do anything."""
        name = label(occurrence.key)
        if state not in CLOSED_STATES:
            _log.info("%s dropped: it is %s", name, state or "there")
        elif occurrence.now_id is not None:
            _log.warning("%s dropped: that id is closed (%s); push it under another id", name, state)
        else:
            _log.warning("%s dropped: that run is closed (%s)", name, state)

    async def _is_foreign(self, job: Job, key: str) -> bool:
        """Whether these bytes are not those of the occurrence's own record, or of one that can be told apart.

        What is held or closed needs no telling: `adopt` drops the second element.
        """
        record = await self._queue.record(key)
        if record is None:
            return True
        waits = record.state in ("queued", "delayed", "bound") and not record.holder
        return waits and job.raw not in (record.job, element_for_list(record.id, key, record.job))

    async def _sighting(self, occurrence: Occurrence, workflow: Workflow | None, head: Head) -> Sighting:
        if occurrence.generation:
            finally_ = await self._executor.registry.get(head.final, occurrence.workflow)
            if unwanted(occurrence, finally_) is None:
                return Sighting(head.final_number, True, digest(finally_))
        return Sighting(head.number, False, digest(workflow))

    async def _execute(self, claim: Claim, workflow: Workflow | None, head: Head) -> None:
        self.keys.add(claim.key)
        try:
            if not self._house.in_order:
                await self._release(claim, Refusal("queued", "trouble", self._house.summary()))
                return
            result = await self._executor.execute_workflow(claim, workflow, head)
        except (RpcUnreachable, RpcFault) as error:
            await self._rpc_failed(error, claim)
        else:
            if isinstance(result, Refusal):
                await self._release(claim, result)
            elif isinstance(result, Lost):
                _log.info("%s: %s", label(claim.key), result.why)
        finally:
            self.keys.discard(claim.key)

    def _is_news(self, key: str, refusal: Refusal) -> bool:
        """A job that waits for as long as something lasts is looked at again and again; the same words are no news."""
        said = f"{refusal.to} ({refusal.reason}): {refusal.text}"
        if refusal.to != "delayed" or refusal.hold:
            self._said.pop(key, None)
            return True
        if len(self._said) >= _REMEMBERED and key not in self._said:
            del self._said[next(iter(self._said))]
        before, self._said[key] = self._said.get(key), said
        return before != said

    async def _rpc_failed(self, error: AutometaError, claim: Claim) -> None:
        self._house.rpc_failed(error)
        if claim.key not in self._executor.tracker:  # else it is signed, and the tracker goes on with it
            await self._release(claim, Refusal("queued", "rpc", error.message))

    async def _release(self, claim: Claim, refusal: Refusal) -> None:
        if refusal.trouble:
            self._house.job_met(refusal.reason, refusal.text)
        if self._is_news(claim.key, refusal):
            level = logging.WARNING if refusal.to == "dead" or refusal.hold else logging.INFO
            _log.log(level, "%s: %s (%s): %s", label(claim.key), refusal.to, refusal.reason, refusal.text)
        await self._executor.ledger.release(
            claim,
            refusal.to,
            refusal.reason,
            refusal.text,
            sender=self._executor.address,
            block=refusal.block,
            delay=refusal.delay,
            hold=refusal.hold,
            gives_back=refusal.gives_back,
        )
