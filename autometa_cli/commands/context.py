"""How every command is written. Copy this:

    from __future__ import annotations

    from autometa_cli.commands.context import EnvFileOption, JsonOption, begin, command_group
    from autometa_cli.commands.help import examples

    app = command_group("Look into the queue of pending jobs.")     # a noun; COMMANDS in app.py lists it

    @app.command("len", epilog=examples("autometa queue len", "autometa queue len --json"))
    def length(as_json: JsonOption = False, env_file: EnvFileOption = None) -> None:
        \"\"\"Count the pending jobs.\"\"\"                              # the help text, one sentence first
        state = begin(as_json, env_file)
        from autometa_cli.jobs.queue import JobQueue                # heavy imports here, never at the top

        async def count() -> int:
            async with JobQueue.of(state.settings) as queue:
                return await queue.length()

        found = state.run(count())
        state.console.result({"length": found}, str(found))        # stdout; status/warn/success: stderr

- Every leaf takes `as_json` and `env_file`; a destructive one takes `yes: YesOption = False` and begins with
  `if not state.console.confirm("Clear 12 jobs?", yes=yes): raise AutometaError("nothing was changed")`.
- Failures are raised as `AutometaError`s, never printed; `app.run` prints them and sets the exit code.
  A check that answers no raises `CheckNegative`, or prints its result and then `raise typer.Exit(8)`.
- An option that overrides a variable: `begin(as_json, env_file, POLL_INTERVAL=seconds)` (None: not given).
- A single command (`worker`, `scheduler`, `demo`) is `app = single_command(function, epilog=...)`.
- Help texts are plain text, wrapped to the terminal; examples stay as they are: at most 76 characters a line.
- Sub-nouns (`queue dead list`): `app.add_typer(command_group("…"), name="dead")`.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from autometa_cli.commands.help import COMMON_PANEL, App
from autometa_cli.console import Console
from autometa_cli.errors import UsageProblem

if TYPE_CHECKING:
    from autometa_cli.config import Settings

Result = TypeVar("Result")
#: The options that stand for a variable.
_OPTIONS = {
    "MAX_CONCURRENT_EXECUTIONS": "--concurrency",
    "POLL_INTERVAL": "--poll-interval",
    "TX_TIMEOUT": "--timeout",
}

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one JSON document.", rich_help_panel=COMMON_PANEL)
]
EnvFileOption = Annotated[
    Path | None,
    typer.Option(
        "--env-file",
        metavar="FILE",
        help="Read settings from FILE instead of ./.env.",
        rich_help_panel=COMMON_PANEL,
        show_default=False,
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]


@dataclass(slots=True)
class Common:
    """What was given before the command's name; the root callback fills it."""

    json: bool = False
    env_file: Path | None = None


common: ContextVar[Common] = ContextVar("common")


@dataclass
class State:
    """What a command works with.

    Attributes:
        console: where it prints.
        env_file: the file named by --env-file, if any.
        overrides: values given as options, by variable.
    """

    console: Console
    env_file: Path | None = None
    overrides: dict[str, str] = field(default_factory=dict)

    @cached_property
    def settings(self) -> Settings:
        """The configuration, read at first use; warns on stderr. Raises ConfigError, and UsageProblem where it is
        only an option that is wrong."""
        from autometa_cli import config

        try:
            settings = config.load(self.env_file, self.overrides)
        except config.SettingsError as error:
            first = error.problems[0]
            if any(problem.origin != "option" for problem in error.problems):
                raise
            option = _OPTIONS[first.variable]
            raise UsageProblem(first.message.replace(first.variable, option, 1), first.hint) from None
        for warning in settings.warnings:
            self.console.warn(warning)
        return settings

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Runs a coroutine to its end. Ctrl-C cancels it; cancelled, the command ends with 130."""
        import asyncio

        try:
            return asyncio.run(work)
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


def begin(as_json: bool = False, env_file: Path | None = None, **overrides: object) -> State:
    """The first line of every command.

    Args:
        as_json, env_file: the command's own options; those before the command's name count too.
        overrides: options that stand for a variable, e.g. `POLL_INTERVAL=5.0`; None is left out.
    """
    before = common.get(Common())
    given = {
        name: str(int(value) if isinstance(value, float) and value.is_integer() else value)
        for name, value in overrides.items()
        if value is not None
    }
    return State(Console(json=as_json or before.json), env_file or before.env_file, given)


def empty(without: str, *filters: object) -> str:
    """What a list says that has no rows: `without`, unless a filter may be why."""
    return "none that match" if any(each not in (None, False, 0, "") for each in filters) else without


def command_group(help: str, *, epilog: str | None = None) -> typer.Typer:
    """A noun, to which commands are added with `@app.command(...)`."""

    def callback() -> None:
        """Nothing: it makes a group of an app that has only one command."""

    group = App(help=help, epilog=epilog, add_completion=False)
    group.callback(help=help)(callback)
    return group


def single_command(function: Callable[..., None], *, epilog: str) -> typer.Typer:
    """A command without a noun."""
    single = App(add_completion=False)
    single.command(epilog=epilog)(function)
    return single
