"""What README, docs/ and deploy/ tell people to type exists, and their links lead somewhere."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from typer.main import get_command

from autometa_cli.app import COMMANDS, load_command, root
from autometa_cli.chain.contracts import ROLE_IDS
from autometa_cli.executor.ruling import Verdict
from autometa_cli.jobs.record import OPEN_STATES
from autometa_cli.options import BY_NAME

TREE = Path(__file__).parents[1]
README = (TREE / "README.md").read_text(encoding="utf-8")
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "contracts/*.md", "deploy/*")
    for path in TREE.glob(pattern)
    if path.is_file()
)
#: Named in capitals between backticks, and no variables of ours.
OTHER_NAMES = {
    *ROLE_IDS,
    "SIGTERM",
    "SIGINT",
    "SIGKILL",
    "SIGHUP",
    "BLMOVE",
    "LLEN",
    "LRANGE",
    "RPUSH",
    "INFO",
}


def blocks(page: str) -> Iterator[str]:
    """The shell commands in its fenced blocks, a line each."""
    for language, block in re.findall(r"^ *```(\w*)\n(.*?)^ *```", page, flags=re.MULTILINE | re.DOTALL):
        if language in ("sh", "bash", "console", ""):
            yield from (line.strip().removeprefix("$ ") for line in block.splitlines())


def typed(line: str) -> Iterator[list[str]]:
    """The words behind each `autometa` of a line, up to a pipe or the like."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return  # no shell
    for index, word in enumerate(words):
        first = index == 0 or words[index - 1] in ("&&", "||", "|", ";") or words[index - 1].endswith("=")
        if (word == "autometa" and first) or word.endswith("/autometa"):
            rest = words[index + 1 :]
            ends = [at for at, each in enumerate(rest) if each in ("|", "||", "&&", ";", "<", ">", "2>")]
            yield rest[: ends[0]] if ends else rest


def parse(words: list[str], *, whole: bool) -> None:
    """Reads a command line as the program would, without running it. Raises typer.TyperException.

    Args:
        whole: arguments and values are there, too; else only the command and its options.
    """
    command: Any = get_command(root)
    context = command.make_context("autometa", [*words] or ["--help"], resilient_parsing=True)
    left = [*words]
    while left and left[0].startswith("-"):  # the root's own options
        left = left[2:] if left[0] == "--env-file" else left[1:]
    if not left:
        return
    if left[0].isupper():
        return  # `autometa COMMAND --help`: any
    if left[0] not in COMMANDS:
        raise typer.BadParameter(f"no such command: {left[0]}")
    command = load_command(left.pop(0))
    while left and getattr(command, "commands", None):
        if left[0] not in command.commands:
            raise typer.BadParameter(f"no such command: {left[0]}")
        command = command.commands[left.pop(0)]
    if getattr(command, "commands", None):
        return
    if whole:
        command.make_context(command.name, left, parent=context)
        return
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    for word in left:
        if word.startswith("--") and word.partition("=")[0] not in {*known, "--help"}:
            raise typer.BadParameter(f"no such option: {word}")


def test_the_two_commands_are_the_same_everywhere() -> None:
    first, second = [
        line for line in blocks(README) if "python3 -m venv .venv && .venv/bin/pip install -q" in line
    ]
    assert first == "python3 -m venv .venv && .venv/bin/pip install -q '.[devnet]' && .venv/bin/autometa demo"
    assert (
        second
        == "python3 -m venv .venv && .venv/bin/pip install -q -e '.[dev]' && .venv/bin/python -m pytest -q"
    )
    for place in (".ci/run", "CONTRIBUTING.md"):
        assert second in (TREE / place).read_text(encoding="utf-8").splitlines(), place
    makefile = (TREE / "Makefile").read_text(encoding="utf-8")
    for part in second.replace(".venv/bin", "$(VENV)").split(" && "):
        assert f"\t{part}\n" in makefile
    assert "\t$(VENV)/autometa demo\n" in makefile
    extras = tomllib.loads((TREE / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    assert {"dev", "devnet"} <= set(extras)


def test_readme_says_what_it_is_in_its_first_lines() -> None:
    title, _, *lines = README.splitlines()
    assert title == "# Autometa"
    assert 3 <= lines.index("") <= 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TREE)))
def test_what_one_is_told_to_type_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    wrong = []
    whole = [words for line in blocks(text) for words in typed(line)]
    inline = [words for code in re.findall(r"`(autometa [^`\n]+)`", text) for words in typed(code)]
    units = [
        words for line in re.findall(r"^ExecStart=(.*)$", text, flags=re.MULTILINE) for words in typed(line)
    ]
    for words, is_whole in [
        *((each, True) for each in (*whole, *units)),
        *((each, False) for each in inline),
    ]:
        try:
            parse(words, whole=is_whole)
        except typer.TyperException as error:
            wrong.append(f"autometa {' '.join(words)}: {error.format_message()}")
    assert wrong == []


def test_the_check_itself_finds_what_is_wrong() -> None:
    for good in (
        "queue len",
        "--env-file x --json queue dead list",
        "workflow show 1",
        "scheduler --poll-interval 2",
    ):
        parse(good.split(), whole=True)
    for bad in (
        "quue len",
        "queue lenn",
        "queue len --jsn",
        "queue len extra",
        "scheduler --poll-interval soon",
    ):
        with pytest.raises(typer.TyperException):
            parse(bad.split(), whole=True)
    parse(["workflow", "show"], whole=False)
    with pytest.raises(typer.TyperException):
        parse(["workflow", "show"], whole=True)
    with pytest.raises(typer.TyperException):
        parse(["workflow", "show", "--jsn"], whole=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TREE)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize(
    "page", [TREE / "README.md", TREE / "docs" / "operations.md"], ids=lambda page: page.name
)
def test_variables_that_are_named_exist(page: Path) -> None:
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)(?:=[^`]*)?`", text))
    assert named - set(BY_NAME) - OTHER_NAMES - {"PATH"} == set()
    assert named & set(BY_NAME)


def test_pages_that_the_program_names_exist() -> None:
    """With the section, where it names one."""
    missing = []
    for path in sorted((TREE / "autometa_cli").rglob("*")):
        if path.suffix not in (".py", ".lua"):
            continue
        for name, section in re.findall(
            r"(docs/[\w-]+\.md)(?:, '([^']+)')?", path.read_text(encoding="utf-8")
        ):
            page = TREE / name
            if not page.exists() or (
                section and not re.search(rf"^#+ {section}$", page.read_text(), re.MULTILINE)
            ):
                missing.append((path.name, name, section))
    assert missing == []


def test_the_state_machine_knows_every_state_and_script() -> None:
    text = (TREE / "docs" / "state-machine.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    states = {*OPEN_STATES, "settled", "skipped", "dead"}
    assert {row for row in rows if row in states} == states
    assert set(rows) - states == set(get_args(Verdict)) | {"foreign", "uncertain"}
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)*)`", text))
    moves = {path.stem for path in (TREE / "autometa_cli" / "jobs" / "scripts").glob("*.lua")} - named
    assert not moves & {
        "adopt",
        "bind",
        "write_signed",
        "settle",
        "release",
        "takeover",
        "reap",
        "promote",
        "enqueue",
    }
