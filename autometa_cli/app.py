"""The root command. It knows every command's name and help text, and imports a command only to run it.

`run` is where errors become text and an exit code.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand
from typer.main import get_command

from autometa_cli import __version__
from autometa_cli.commands.context import Common, EnvFileOption, JsonOption, common
from autometa_cli.commands.help import App, Group, examples
from autometa_cli.console import Console
from autometa_cli.errors import AutometaError, ExitCode, UsageProblem
from autometa_cli.secrets import mask, scrub

RUN, LOOK, CHAIN, SETUP = "Run it", "The queue", "On chain", "Set it up"


@dataclass(frozen=True, slots=True)
class Command:
    """A command that is imported when it is needed.

    Attributes:
        module: of `autometa_cli.commands`, which holds its `app`.
        help: the same text as the command's own; a test compares them.
        panel: heading in `autometa --help`.
    """

    module: str
    help: str
    panel: str


COMMANDS = {
    "demo": Command("demo", "Show the whole system at work on a chain of its own.", RUN),
    "scheduler": Command("scheduler", "Run the scheduler: find due workflows and queue them.", RUN),
    "worker": Command("worker", "Run a worker: take jobs and execute them on chain.", RUN),
    "queue": Command("queue", "See and change the queue of pending jobs.", LOOK),
    "tx": Command("tx", "See, raise, cancel and reconcile the transactions on their way.", LOOK),
    "workflow": Command("workflow", "Create, list, show, pause, resume and delete workflows.", CHAIN),
    "escrow": Command("escrow", "See, fill and empty the escrow that pays for executions.", CHAIN),
    "role": Command("role", "Grant, revoke, check and list the roles of the contracts.", CHAIN),
    "wallet": Command("wallet", "Show the addresses and balances of the configured keys.", CHAIN),
    "contracts": Command("contracts", "Deploy and wire the three contracts.", SETUP),
    "devnet": Command("devnet", "Start and stop a local chain with everything on it.", SETUP),
    "bench": Command("bench", "Measure the parts of the system on this machine.", SETUP),
    "config": Command("config", "Show and check the configuration.", SETUP),
}


class Root(Group):
    """Lists the commands from the table, and imports the one that is named."""

    exit_code_without_command = 0

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in COMMANDS.items():
            # Enough for help, completion and suggestions, none of which may import the command.
            self.commands[name] = TyperCommand(
                name, help=entry.help, rich_help_panel=entry.panel, add_help_option=False
            )

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Puts the real command in the place of its entry, then goes on as usual."""
        if args and args[0] in COMMANDS:
            self.commands[args[0]] = load_command(args[0])
        return super().resolve_command(ctx, args)


def load_command(name: str) -> Any:
    """Imports a command of the table."""
    entry = COMMANDS[name]
    module = importlib.import_module(f"autometa_cli.commands.{entry.module}")
    command = get_command(module.app)
    command.name = name
    return command


root = App(
    name="autometa",
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "autometa demo                      # see it all, locally, in a minute",
        "autometa --env-file .env.devnet queue len",
        "autometa wallet balance --json     # every command takes --json",
    )
    + """

Exit codes:
  0 done, 1 failed, 2 wrong usage or a needed --yes, 3 configuration or keys,
  4 not permitted on chain, 5 Redis or RPC unreachable, 6 reverted,
  7 still pending, 8 a check answered no, 130 interrupted""",
)


def _version(wanted: bool) -> None:
    if wanted:
        Console(json=common.get().json).result({"version": __version__}, f"autometa {__version__}")
        raise typer.Exit


@root.callback()
def root_options(
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Show the version.", is_eager=True, callback=_version)
    ] = False,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Run on-chain workflows: every due occurrence executed, exactly once."""
    common.get().env_file = env_file


class _Bug(AutometaError):
    """An exception that nobody expected."""

    kind = "Bug"


class _Interrupted(AutometaError):
    """Ctrl-C."""

    kind = "Interrupted"
    exit_code = ExitCode.INTERRUPTED


def main() -> NoReturn:
    """The `autometa` program."""
    if sys.stdout is None:  # closed (`>&-`): a stream that refuses, so that only a command that writes fails
        sys.stdout = open(os.devnull, encoding="utf-8")  # noqa: SIM115  (until the end)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a letter is no error
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code. What goes wrong is printed, never raised."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    console = Console(json="--json" in own)
    common.set(Common(json=console.json))
    try:
        code = get_command(root).main(list(arguments), prog_name="autometa", standalone_mode=False) or 0
        sys.stdout.flush()
    except AutometaError as error:
        return _fail(console, error)
    except typer.TyperException as error:
        return _fail(console, _usage_problem(error))
    except typer.Abort:
        return _fail(console, AutometaError("aborted, nothing was changed"))
    except BrokenPipeError:
        return _reader_left()
    except SystemExit as stop:  # Typer's own answer to a closed pipe, and the end of shell completion
        return stop.code if isinstance(stop.code, int) else ExitCode.FAILED
    except Exception as error:
        if isinstance(error, OSError) and (why := _refusal(error)):
            return _no_stdout(why)
        return _fail(console, _bug(error))
    if code == ExitCode.INTERRUPTED:
        return _fail(console, _Interrupted("interrupted"))
    return int(code)


def _fail(console: Console, error: AutometaError) -> int:
    try:
        console.error(error)
    except BrokenPipeError:
        _reader_left()
    except OSError as refused:
        if not (why := _refusal(refused)):
            raise
        Console().error(error)
        _no_stdout(why)
    return error.exit_code


def _refusal(error: OSError) -> str:
    """Why stdout takes nothing, where that is what went wrong, else ""."""
    if isinstance(error, io.UnsupportedOperation) and not sys.stdout.writable():
        return "it is closed"
    if error.filename is None and error.errno in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EIO,
        errno.EBADF,
    ):
        return error.strerror or "it refuses"
    return ""


def _no_stdout(why: str) -> int:
    """The result could not be told."""
    error = AutometaError(
        f"cannot write to stdout: {why}", "the command itself may have done what it was asked for"
    )
    Console().error(error)
    _reader_left()
    return error.exit_code


def _usage_problem(error: typer.TyperException) -> UsageProblem:
    """Typer's complaint in our words. It repeats arguments, and one of them may be a secret gone astray."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "autometa"
    return UsageProblem(scrub(error.format_message()), f"{path} --help shows how it is used")


def _bug(error: Exception) -> AutometaError:
    """An unexpected exception: its kind and text without secrets; the traceback (no local variables, since
    they hold keys) only where AUTOMETA_DEBUG asks for it."""
    if os.environ.get("AUTOMETA_DEBUG", "0") not in ("", "0"):
        sys.stderr.write(mask("".join(traceback.format_exception(error))))
    text = scrub(mask(str(error)))[:500]
    return _Bug(
        f"unexpected {type(error).__name__}{text and ': ' + text}",
        "this is a bug in autometa; AUTOMETA_DEBUG=1 shows where it happened, for a report",
    )


def _reader_left() -> int:
    """The reader of stdout is gone (`| head`): say nothing, and let Python's last flush say nothing."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.FAILED
