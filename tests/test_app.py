"""The root command: lazy, quick, and the place where errors become exit codes."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_command

from autometa_cli import __version__, app, errors
from autometa_cli.app import COMMANDS, load_command
from autometa_cli.commands.context import begin, command_group, single_command
from autometa_cli.errors import AutometaError, ExitCode
from tests.runner import Cli

HEAVY = ("web3", "redis", "eth_account", "eth_abi", "aiohttp", "eth_keys", "rich", "dotenv")
COMMAND_MODULES = sorted(
    path.stem
    for path in Path(app.__file__).parent.joinpath("commands").glob("*.py")
    if path.stem not in ("__init__", "context", "help")
)


def imported_by(code: str) -> set[str]:
    """Which heavy modules a fresh interpreter has after running the code."""
    report = f"import sys; print(*(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)"
    script = f"{textwrap.dedent(code)}\n{report}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


# --- what is imported


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], [], ["no-such-command"], ["--json"]])
def test_the_root_command_imports_nothing_heavy(arguments: list[str]) -> None:
    found = imported_by(f"from autometa_cli import app; app.run({arguments!r})")

    # an error message is printed with rich; nothing else is needed even then
    assert found <= ({"rich"} if arguments == ["no-such-command"] else set())


def test_completion_imports_nothing_heavy(cli: Cli) -> None:
    code = """
        import os
        os.environ |= {"_AUTOMETA_COMPLETE": "complete_bash", "COMP_WORDS": "autometa w", "COMP_CWORD": "1"}
        from autometa_cli import app
        app.run([])
    """
    assert imported_by(code) == set()


def test_completion_offers_the_commands(cli: Cli) -> None:
    completing = {"_AUTOMETA_COMPLETE": "complete_bash", "COMP_WORDS": "autometa w", "COMP_CWORD": "1"}
    assert cli.process(env=completing).stdout.split() == ["worker", "workflow", "wallet"]
    deeper = completing | {"COMP_WORDS": "autometa config s", "COMP_CWORD": "2"}
    assert cli.process(env=deeper).stdout.split() == ["show"]


@pytest.mark.parametrize("module", COMMAND_MODULES)
def test_a_command_module_imports_nothing_heavy(module: str) -> None:
    assert imported_by(f"import autometa_cli.commands.{module}") == set()


def test_no_light_module_names_a_heavy_one_at_its_top() -> None:
    package = Path(app.__file__).parent
    light = [
        *("addresses", "app", "confidential", "config", "console", "errors", "keyoptions", "keys"),
        *("layers", "limitoptions", "networks", "option", "options", "parsers", "secrets", "units"),
    ]
    for path in [*(package / f"{name}.py" for name in light), *(package / "commands").glob("*.py")]:
        for node in ast.parse(path.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.partition(".")[0] for name in names} & set(HEAVY), path.name


# --- the table


@pytest.mark.parametrize("name", COMMANDS)
def test_an_entry_of_the_table_is_the_real_command(name: str) -> None:
    command = load_command(name)

    assert command.name == name
    assert COMMANDS[name].help == (command.help or "").split("\n\n")[0].replace("\n", " ")


def _leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, child in getattr(command, "commands", {}).items():
        yield from _leaves(child, (*path, name))
    if not getattr(command, "commands", None):
        yield path, command


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_common_options_help_and_examples(name: str, cli: Cli) -> None:
    for path, command in _leaves(load_command(name), (name,)):
        title = " ".join(("autometa", *path))
        options = {option for parameter in command.params for option in parameter.opts}
        assert {"--json", "--env-file"} <= options, title
        assert command.help, title
        assert f"Examples:\n  {title}" in (command.epilog or ""), title
        for parameter in command.params:
            assert parameter.help or parameter.hidden, f"{title}: {parameter.name}"
        shown = cli(*path, "--help")
        assert (shown.code, shown.stderr) == (0, ""), title
        assert max(map(len, shown.stdout.splitlines())) <= 80, title
        assert "\\[" not in shown.stdout, title


@pytest.mark.parametrize("name", COMMANDS)
def test_every_group_has_help_and_examples(name: str, cli: Cli) -> None:
    command = load_command(name)
    if not hasattr(command, "commands"):
        return
    assert "Examples:\n  autometa" in (command.epilog or "")
    bare, asked = cli(name), cli(name, "-h")
    assert (bare.code, asked.code) == (2, 0)
    assert bare.stdout == asked.stdout
    assert max(map(len, asked.stdout.splitlines())) <= 80


def test_help_lists_every_command(cli: Cli) -> None:
    for result in (cli(), cli("--help"), cli("-h")):
        assert (result.code, result.stderr) == (0, "")
        for name, entry in COMMANDS.items():
            assert f"  {name:<10} {entry.help}" in result.stdout.replace("  ", " " * 2)


# --- version, options, usage


def test_version(cli: Cli) -> None:
    assert cli("--version").stdout == f"autometa {__version__}\n"
    assert cli("-V").stdout == f"autometa {__version__}\n"
    assert cli("--version", "--json").json == {"version": __version__}
    assert cli("--json", "--version").json == {"version": __version__}


def test_it_runs_as_a_program_and_as_a_module(cli: Cli) -> None:
    program = Path(sys.executable).parent / "autometa"
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)

    assert done.stdout == cli.process("--version").stdout == f"autometa {__version__}\n"
    assert "Usage: autometa [OPTIONS]" in cli.process("--help").stdout


def test_common_options_work_before_and_after_the_command(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.env").write_text("QUEUE_NAME=from_a\n")
    (tmp_path / "b.env").write_text("QUEUE_NAME=from_b\n")

    for arguments in (
        ("--json", "--env-file", "a.env", "config", "show"),
        ("config", "show", "--json", "--env-file", "a.env"),
        ("--env-file", "b.env", "config", "show", "--json", "--env-file=a.env"),  # the nearer one counts
    ):
        shown = {entry["name"]: entry for entry in cli(*arguments).json["variables"]}
        assert shown["QUEUE_NAME"]["value"] == "from_a"
    # and nothing of one run is left for the next
    assert cli("config", "show").stdout.startswith("VARIABLE")


@pytest.mark.parametrize(
    ("arguments", "said", "hint"),
    [
        (("quue",), "No such command 'quue'. Did you mean 'queue'?", "autometa --help"),
        (("config", "shw"), "No such command 'shw'. Did you mean 'show'?", "autometa config --help"),
        (
            ("config", "show", "--jsn"),
            "No such option: --jsn (Possible options: --json)",
            "config show --help",
        ),
        (("config", "show", "x"), "Got unexpected extra argument(s) (x)", "autometa config show --help"),
        (("config", "show", "--env-file"), "Option '--env-file' requires an argument.", "autometa --help"),
        (("--no-such",), "No such option: --no-such", "autometa --help"),
    ],
)
def test_wrong_usage(cli: Cli, arguments: tuple[str, ...], said: str, hint: str) -> None:
    result = cli(*arguments)

    assert (result.code, result.stdout) == (2, "")
    assert result.stderr == f"Error: {said}\nHint: {result.stderr.partition('Hint: ')[2]}"
    assert hint in result.stderr
    as_json = cli("--json", *arguments)
    assert as_json.code == 2
    assert as_json.json["error"]["code"] == 2
    assert as_json.json["error"]["kind"] == "UsageProblem"


@pytest.mark.parametrize("secret", ["ab" * 32, "0x" + "ab" * 32, "redis://:hunter22@h:6379/0"])
def test_wrong_usage_does_not_repeat_a_secret(cli: Cli, secret: str) -> None:
    for arguments in ((secret,), ("config", secret), ("config", "show", secret), (f"--{secret}",)):
        result = cli(*arguments)
        assert result.code == 2
        assert "abababab" not in result.stderr
        assert "hunter22" not in result.stderr


# --- errors


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Adds a command `fail` that raises what `failing(error)` was given."""
    raised: list[BaseException] = []

    def fail(as_json: bool = typer.Option(False, "--json")) -> None:
        """Fail."""
        begin(as_json)
        raise raised[0]

    test_app = single_command(fail, epilog="")
    monkeypatch.setitem(COMMANDS, "fail", app.Command("fail", "Fail.", ""))
    real = app.load_command
    monkeypatch.setattr(
        app, "load_command", lambda name: get_command(test_app) if name == "fail" else real(name)
    )

    def prepare(error: BaseException) -> None:
        raised[:] = [error]

    return prepare


@pytest.mark.parametrize("kind", [kind for kind in vars(errors).values() if isinstance(kind, type)])
def test_every_error_becomes_its_exit_code(kind: type[Any], cli: Cli, failing: Any) -> None:
    if not issubclass(kind, AutometaError):
        return
    failing(kind("what is wrong", "what to do"))

    result = cli("fail")
    as_json = cli("fail", "--json")

    assert result.code == as_json.code == kind.exit_code
    assert (result.stdout, result.stderr) == ("", "Error: what is wrong\nHint: what to do\n")
    assert as_json.json == {
        "error": {
            "code": int(kind.exit_code),
            "kind": kind.__name__,
            "message": "what is wrong",
            "hint": "what to do",
        }
    }
    assert as_json.stderr == ""


def test_exit_codes_are_a_promise() -> None:
    assert {code.name: code.value for code in ExitCode} == {
        "DONE": 0,
        "FAILED": 1,
        "USAGE": 2,
        "CONFIG": 3,
        "NOT_PERMITTED": 4,
        "UNREACHABLE": 5,
        "REVERTED": 6,
        "PENDING": 7,
        "NEGATIVE": 8,
        "INTERRUPTED": 130,
    }


def test_exit_sets_the_code_without_a_word(cli: Cli, failing: Any) -> None:
    failing(typer.Exit(8))

    result = cli("fail")

    assert (result.code, result.stdout, result.stderr) == (8, "", "")


def test_interrupt_is_130(cli: Cli, failing: Any) -> None:
    failing(KeyboardInterrupt())

    assert (cli("fail").code, cli("fail").stderr) == (130, "Error: interrupted\n")
    assert cli("fail", "--json").json["error"] == {
        "code": 130,
        "kind": "Interrupted",
        "message": "interrupted",
        "hint": "",
    }


def test_a_cancelled_command_counts_as_interrupted() -> None:
    async def work() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(10)

    with pytest.raises(KeyboardInterrupt):
        begin().run(work())


def test_abort_is_1(cli: Cli, failing: Any) -> None:
    failing(typer.Abort())

    assert cli("fail").code == 1


def test_an_unexpected_exception_is_a_bug_without_a_traceback(
    failing: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(ValueError("cannot parse redis://:hunter22@h:6379/0 and " + "ab" * 32))

    assert app.run(["fail"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "Error: unexpected ValueError: cannot parse redis://h:6379/0 and …\n"
        "Hint: this is a bug in autometa; AUTOMETA_DEBUG=1 shows where it happened, for a report\n"
    )
    assert app.run(["fail", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["error"]["kind"] == "Bug"


def test_debug_shows_the_traceback_without_secrets(
    failing: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from autometa_cli import secrets

    monkeypatch.setenv("AUTOMETA_DEBUG", "1")
    secrets.conceal("open sesame")
    try:
        raise KeyError("open sesame")
    except KeyError as cause:
        error = ValueError("at redis://:hunter22@h:6379/0")
        error.__cause__ = cause
    failing(error)

    assert app.run(["fail"]) == 1
    err = capsys.readouterr().err
    assert "Traceback (most recent call last):" in err
    assert "in fail" in err
    assert "hunter22" not in err
    assert "open sesame" not in err


# --- processes


def test_a_reader_that_leaves_is_no_error(cli: Cli, tmp_path: Path) -> None:
    for arguments in (["config", "show"], ["config", "show", "--json"], ["--help"]):
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(
            cli.command(*arguments),
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        os.close(write)
        assert (done.returncode, done.stderr) == (1, "")


def test_an_ascii_terminal_is_no_error(cli: Cli) -> None:
    ascii_only = {"PYTHONIOENCODING": "ascii", "RPC_URLS": "https://h.example/key"}

    result = cli.process("config", "show", env=ascii_only)

    assert result.code == 0
    assert "https://h.example/\\u2026" in result.stdout


def test_begin_merges_what_was_given_before_the_command() -> None:
    app.run(["--version"])
    state = begin(False, None, POLL_INTERVAL=2.5, MAX_RETRIES=None)

    assert state.overrides == {"POLL_INTERVAL": "2.5"}
    assert state.settings.poll_interval == 2.5
    assert state.settings.origin("POLL_INTERVAL") == "option"


def test_a_group_with_one_command_stays_a_group() -> None:
    group = command_group("A noun.")

    @group.command("only")
    def only() -> None:
        """Do it."""

    command = get_command(group)
    assert isinstance(command, TyperGroup)
    assert list(command.commands) == ["only"]


@pytest.mark.parametrize("arguments", ["--version", "--version --json", "--help", "config show --json"])
@pytest.mark.parametrize("stdout", [">&-", "> /dev/full"])
def test_a_stdout_that_takes_nothing_is_named(arguments: str, stdout: str, tmp_path: Path) -> None:
    if "full" in stdout and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    line = ["sh", "-c", f'"{sys.executable}" -m autometa_cli {arguments} {stdout}']
    done = subprocess.run(line, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: cannot write to stdout: ")
    assert "bug" not in done.stderr
    assert "Traceback" not in done.stderr


def test_what_else_went_wrong_is_told_with_a_closed_stdout(tmp_path: Path) -> None:
    code = """
        import os, sys
        from autometa_cli import app
        def broken(*_): raise FileNotFoundError(2, "No such file or directory", "somewhere")
        app.load_command = broken
        sys.argv = ["autometa", "queue", "len"]
        app.main()
    """
    (tmp_path / "run.py").write_text(textwrap.dedent(code))
    line = ["sh", "-c", f'"{sys.executable}" run.py >&-']
    done = subprocess.run(line, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "somewhere" in done.stderr
    assert "stdout" not in done.stderr
