"""Does the chain agree with what was promised? Pure: facts before, facts after, the ledger; nothing is read here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autometa_cli.chain.actions import ContractCall, NativeTransfer, TokenTransfer, native_value
from autometa_cli.demo.facts import Execution, Facts
from autometa_cli.times import LAST_SECOND, utc
from autometa_cli.units import amount, from_wei

if TYPE_CHECKING:
    from autometa_cli.demo.workflows import Cast, Part
    from autometa_cli.jobs.record import Record

SYMBOL, TOKEN = "DEV", "TEST"


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation.

    Attributes:
        what: is compared.
        expected, found: exact, as text; amounts in wei.
        said: what holds where they agree, for people.
        brief: a summary mentions it, too.
    """

    what: str
    expected: str
    found: str
    said: str
    brief: bool = False

    @property
    def holds(self) -> bool:
        """Whether it is as expected."""
        return self.expected == self.found

    @property
    def sentence(self) -> str:
        """For people, whichever way it went."""
        return self.said if self.holds else f"{self.what}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one workflow.

    Attributes:
        outcome: in a few words, as it was found.
        executions: that the chain shows of it.
    """

    id: int
    part: Part
    outcome: str
    executions: tuple[Execution, ...]
    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether everything is as expected."""
        return all(check.holds for check in self.checks)


@dataclass(frozen=True, slots=True)
class Verdict:
    """All of it.

    Attributes:
        block: the final block that was read.
        books: what concerns no single workflow: the money, and the worker's transactions.
    """

    block: int
    workflows: tuple[Judged, ...]
    books: tuple[Check, ...]

    @property
    def checks(self) -> list[tuple[str, Check]]:
        """Every expectation, with what it is about."""
        mine = [
            (f"workflow {each.id} ({each.part.title})", check)
            for each in self.workflows
            for check in each.checks
        ]
        return [*mine, *(("the books", check) for check in self.books)]

    @property
    def failures(self) -> list[str]:
        """A sentence for each expectation that the chain does not agree with."""
        return [f"{where}: {check.sentence}" for where, check in self.checks if not check.holds]


def judge(cast: Cast, before: Facts, after: Facts, records: Sequence[Record]) -> Verdict:
    """Compare.

    Args:
        before: read when the workflows were there and nothing had run.
        after: read at a final block, when the services had finished.
        records: the ledger, at that time.
    """
    judged = tuple(_Judge(id, part, cast, before, after, records).judged() for id, part in cast.members)
    return Verdict(after.block, judged, tuple(_books(cast, before, after)))


class _Judge:
    """Of one workflow."""

    def __init__(
        self, id: int, part: Part, cast: Cast, before: Facts, after: Facts, records: Sequence[Record]
    ) -> None:
        self.id = id
        self.part = part
        self.created = cast.next_runs[id]
        self.before = before
        self.after = after
        self.records = [each for each in records if each.workflow == id]
        self.executions = tuple(each for each in after.executions if each.workflow == id)
        self.workflow = after.workflows.get(id)

    def judged(self) -> Judged:
        checks = {
            "executed": self._executed,
            "held": self._held,
            "forbidden": self._forbidden,
            "paused": self._paused,
        }[self.part.destiny]()
        return Judged(self.id, self.part, self._outcome(), self.executions, tuple(checks))

    def _outcome(self) -> str:
        count = len(self.executions)
        if count:
            failed = sum(not each.success for each in self.executions)
            times = "once" if count == 1 else f"{count} times"
            return f"executed {times}" + (f", {failed} of them failed" if failed else "")
        last = self.records[-1] if self.records else None
        if last is None:
            return "paused, never queued" if self.workflow and not self.workflow.active else "never queued"
        if last.state == "delayed":
            return f"held: {last.text}" if last.holds else f"delayed: {last.text}"
        return f"buried as {last.reason}" if last.state == "dead" else last.state

    # -- destinies ------------------------------------------------------------------------------------

    def _executed(self) -> Iterator[Check]:
        part, count = self.part, len(self.executions)
        if part.interval:
            enough = count if count >= part.runs else part.runs
            said = f"{count} executions, each due date once"
            yield Check("executions", str(enough), str(count), f"{count} executions on chain")
            yield self._each_due_date_once(said)
        else:
            yield Check("executions", "1", str(count), "1 execution on chain")
            yield self._each_due_date_once("not before it was due")
        good = sum(each.success for each in self.executions)
        yield Check("executions that succeeded", str(count), str(good), "its event says success")
        yield from self._payment(max(count, part.runs) if part.interval else 1)
        charged = sum(each.charged for each in self.executions)
        due = part.gas_budget * count
        yield Check(
            "charged to the escrow, wei",
            str(due),
            str(charged),
            f"escrow charged {amount(due, SYMBOL)}",
            brief=True,
        )
        yield self._next_run()
        settled = sorted(each.tx for each in self.records if each.outcome == "executed")
        on_chain = sorted(each.tx for each in self.executions)
        said = "the ledger has the same"
        yield Check("transactions in the ledger", ", ".join(on_chain), ", ".join(settled), said)

    def _held(self) -> Iterator[Check]:
        yield from self._untouched()
        yield self._queue("held", "delayed", "would_fail", f"held: {self.part.reason}")

    def _forbidden(self) -> Iterator[Check]:
        yield from self._untouched()
        yield self._queue("buried", "dead", self.part.reason, f"buried: {self.part.reason}")

    def _paused(self) -> Iterator[Check]:
        yield from self._untouched(active=False)
        past = self.after.timestamp > self.created
        yield Check("past its due date", "yes", _yes(past), "its due date has passed")
        yield Check("jobs", "0", str(len(self.records)), "never queued")

    # -- parts ----------------------------------------------------------------------------------------

    def _untouched(self, active: bool = True) -> Iterator[Check]:
        yield Check("executions", "0", str(len(self.executions)), "nothing executed", brief=True)
        yield from self._payment(0)
        workflow = self.workflow
        found = "gone" if workflow is None else str(workflow.next_run)
        yield Check("next run", str(self.created), found, "next run as it was", brief=True)
        state = "gone" if workflow is None else _yes(workflow.active)
        yield Check("active", _yes(active), state, "still active" if active else "still paused")

    def _payment(self, count: int) -> Iterator[Check]:
        """What the action moved, to the smallest unit."""
        match self.part.action:
            case NativeTransfer(to=to, amount=each):
                yield self._received(to, each * count)
            case TokenTransfer(to=to, amount=each):
                got = self.after.tokens[to] - self.before.tokens[to]
                said = f"payee received {from_wei(each * count)} {TOKEN}"
                yield Check("received, smallest units", str(each * count), str(got), said, brief=True)
            case ContractCall(target=target, value=value) if target in self.after.calls:
                if value:
                    yield self._received(target, value * count)
                got = self.after.calls[target] - self.before.calls[target]
                said = "the contract counted no call" if not count else f"the contract counted {count} call"
                yield Check("calls that the contract counted", str(count), str(got), said, brief=True)

    def _received(self, who: str, wei: int) -> Check:
        got = self.after.balances[who] - self.before.balances[who]
        what = "payee" if isinstance(self.part.action, NativeTransfer) else "contract"
        said = f"{what} received {amount(wei, SYMBOL)}" if wei else f"{what} received nothing"
        return Check("received, wei", str(wei), str(got), said, brief=True)

    def _each_due_date_once(self, said: str) -> Check:
        """Each execution served the date that the one before it wrote, not before it, and wrote a later one."""
        due, wrong = self.created, []
        for each in self.executions:
            if each.timestamp < due:
                wrong.append(f"block {each.block} came before the due date {utc(due)}")
            if each.new_next_run <= each.timestamp:
                wrong.append(f"block {each.block} wrote a date that had passed")
            if self.part.interval and (each.new_next_run - self.created) % self.part.interval:
                wrong.append(f"block {each.block} wrote a date outside the interval")
            due = each.new_next_run
        return Check("each due date once", "yes", "; ".join(wrong) or "yes", said)

    def _next_run(self) -> Check:
        expected = self.executions[-1].new_next_run if self.executions else "later"
        found = "gone" if self.workflow is None else str(self.workflow.next_run)
        never = expected == LAST_SECOND
        when = "never again" if never else f"{str(utc(int(found)))[11:]}" if found.isdigit() else found
        return Check("next run", str(expected), found, f"next run: {when}", brief=True)

    def _queue(self, what: str, state: str, reason: str, said: str) -> Check:
        last = self.records[-1] if self.records else None
        expected = f"{state} as {reason}" + (f": {self.part.reason}" if self.part.reason != reason else "")
        if last is None:
            return Check(what, expected, "no job", said)
        fits = last.state == state and last.reason == reason
        fits = fits and (self.part.reason == reason or self.part.reason in last.text)
        return Check(
            what, expected, expected if fits else f"{last.state} as {last.reason}: {last.text}", said
        )


def _books(cast: Cast, before: Facts, after: Facts) -> Iterator[Check]:
    """What must add up over all workflows."""
    parts = dict(cast.members)
    runs = [(parts.get(each.workflow), each) for each in after.executions]
    strangers = sum(part is None for part, _ in runs)
    yield Check("executions of other workflows", "0", str(strangers), "no execution of anything else")
    paid = sum(native_value(part.action) for part, _ in runs if part)
    charged = sum(each.charged for each in after.executions)
    expected = before.executor_balance - paid + charged
    yield Check(
        "the executor contract's balance, wei",
        str(expected),
        str(after.executor_balance),
        f"{amount(paid, SYMBOL)} left the executor contract, {amount(charged, SYMBOL)} came in",
        brief=True,
    )
    tokens = sum(part.action.amount for part, _ in runs if part and isinstance(part.action, TokenTransfer))
    yield Check(
        "the executor contract's tokens, smallest units",
        str(before.executor_tokens - tokens),
        str(after.executor_tokens),
        f"{from_wei(tokens)} {TOKEN} left it",
        brief=True,
    )
    for what, was, is_ in (
        ("the owner's deposit", before.deposit, after.deposit),
        ("the escrow's balance", before.escrow_balance, after.escrow_balance),
    ):
        yield Check(f"{what}, wei", str(was - charged), str(is_), f"{what}: {amount(charged, SYMBOL)} less")
    sent = after.worker_transactions - before.worker_transactions
    yield Check(
        "transactions of the worker",
        str(len(after.executions)),
        str(sent),
        f"the worker sent {sent} transactions, each one execution",
        brief=True,
    )


def _yes(value: bool) -> str:
    return "yes" if value else "no"
