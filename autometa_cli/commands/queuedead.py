"""`autometa queue dead retry` and `drop`."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from autometa_cli.commands.context import EnvFileOption, JsonOption, State, YesOption, begin
from autometa_cli.commands.help import examples
from autometa_cli.commands.queueask import ReasonOption, WorkflowOption, ask, operator, wanted
from autometa_cli.errors import AutometaError, UsageProblem
from autometa_cli.jobs.occurrence import label

if TYPE_CHECKING:
    from autometa_cli.jobs.deadletters import Wanted
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.record import Record
    from autometa_cli.jobs.script import Answer

_SHOWN = 100  # jobs that are named in an answer; the rest is counted
_NAMED = "name jobs, or choose them with --all, --workflow or --reason"

NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="JOB", help="Names in the list, keys or ids.", show_default=False),
]
AllOption = Annotated[bool, typer.Option("--all", help="All of them.")]


def register(dead: typer.Typer) -> None:
    """Add these commands to `autometa queue dead`."""
    dead.command(
        "retry",
        epilog=examples(
            "autometa queue dead retry 7@1767225600", "autometa queue dead retry --reason would_fail"
        ),
    )(retry)
    dead.command(
        "drop",
        epilog=examples("autometa queue dead drop 7@1767225600", "autometa queue dead drop --all --yes"),
    )(drop)


def retry(
    names: NamesArgument = None,
    everything: AllOption = False,
    reason: ReasonOption = None,
    workflow: WorkflowOption = None,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Put dead letters back on the list; their attempts count from 0.

    Never one whose transaction may still be mined. One that may have
    been executed (uncertain), or whose twin was (duplicate), only by name or
    with --reason.
    """
    state = begin(as_json, env_file)
    choice = _choice(names, everything, workflow, reason)
    done = ask(state, lambda queue: _each(queue, "retry", names or [], choice))
    _tell(state, "retried", done)


def drop(
    names: NamesArgument = None,
    everything: AllOption = False,
    reason: ReasonOption = None,
    workflow: WorkflowOption = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Give dead letters up for good.

    A line stays in `autometa queue history`. A workflow that was halted
    by one stays halted until its owner changes it.
    """
    state = begin(as_json, env_file)
    choice = _choice(names, everything, workflow, reason)
    count = ask(state, lambda queue: _count(queue, names or [], choice))
    nothing_to_ask = count == 0 and state.console.interactive
    if not nothing_to_ask and not state.console.confirm(f"Drop {count} dead letters for good?", yes=yes):
        raise AutometaError("nothing was changed")
    done = ask(state, lambda queue: _each(queue, "drop", names or [], choice))
    _tell(state, "dropped", done)


#: Reasons of letters that may pay a second time when they are tried again.
_TWICE = ("uncertain", "duplicate")


@dataclass
class _Done:
    """What became of dead letters.

    Attributes:
        jobs: keys that they go by now, the first of them.
        left: key and why of those that stay, the first of them.
    """

    count: int = 0
    jobs: list[str] = field(default_factory=list)
    kept: Counter[str] = field(default_factory=Counter)
    left: list[tuple[str, str]] = field(default_factory=list)

    def note(self, record: Record, answer: Answer | None) -> None:
        """One more."""
        if answer is not None and answer.word == "ok":
            self.count += 1
            if len(self.jobs) < _SHOWN:
                self.jobs.append(answer.rest[0] if answer.rest else record.key)
            return
        why = _why(answer)
        self.kept[why] += 1
        if len(self.left) < _SHOWN:
            self.left.append((record.key, why))


def _why(answer: Answer | None) -> str:
    if answer is None:
        return "it may be paid twice (uncertain, duplicate); name it, or say --reason"
    other = answer.rest[0] if answer.rest else ""
    return {
        "already": f"it was opened again ({other or 'and closed'}); drop what is left of it",
        "held": "its transaction may still be mined",
        "busy": f'another "now" job of its workflow is open: {label(other)}',
        "never": "it is no job",
        "recovery": "Redis restarted and its ledger is in doubt; a worker puts that right",
    }.get(answer.word, answer.word)


def _choice(names: list[str] | None, everything: bool, workflow: str | None, reason: str | None) -> Wanted:
    chosen = wanted(workflow, reason)
    filtered = everything or workflow is not None or bool(chosen.reason)
    if bool(names) == filtered:
        raise UsageProblem(_NAMED)
    return chosen


async def _pages(queue: JobQueue, names: list[str], choice: Wanted) -> AsyncIterator[list[Record]]:
    from autometa_cli.jobs.deadletters import DeadLetters
    from autometa_cli.jobs.inspector import Inspector

    if not names:
        async for page in DeadLetters(queue).select(choice):
            yield page
        return
    found: dict[str, Record] = {}
    for name in names:
        record = await Inspector(queue).dead_letter(name)
        if record is None:
            raise AutometaError(
                f"nothing was changed: there is no dead letter {name}", "autometa queue dead list shows them"
            )
        found[record.key] = record
    yield list(found.values())


async def _count(queue: JobQueue, names: list[str], choice: Wanted) -> int:
    return sum([len(page) async for page in _pages(queue, names, choice)])


async def _each(queue: JobQueue, what: str, names: list[str], choice: Wanted) -> _Done:
    from autometa_cli.jobs.deadletters import DeadLetters

    letters, by, done = DeadLetters(queue), operator(), _Done()
    uncertain = bool(names) or what == "drop" or choice.reason in _TWICE
    act = letters.retry if what == "retry" else letters.drop
    async for page in _pages(queue, names, choice):
        sure = [record for record in page if uncertain or record.reason not in _TWICE]
        answers = dict(
            zip(
                (record.key for record in sure),
                await asyncio.gather(*(act(record, by) for record in sure)),
                strict=True,
            )
        )
        for record in page:
            done.note(record, answers.get(record.key))
    return done


def _tell(state: State, word: str, done: _Done) -> None:
    """Print it; exits with 1 where something that was meant stays."""
    document = {
        word: done.count,
        "jobs": done.jobs,
        "left": sum(done.kept.values()),
        "left_jobs": [{"key": key, "job": label(key), "why": why} for key, why in done.left],
    }
    state.console.result(document, f"{word} {done.count}")
    for why, count in done.kept.items():
        state.console.warn(f"{count} left: {why}")
    if done.kept:
        raise typer.Exit(1)
