"""docs/cli.md names every command, and none that does not exist; what it says of options exists too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autometa_cli.app import COMMANDS, load_command

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The paths of all commands below one."""
    below = getattr(command, "commands", None)
    if not below:
        yield path
        return
    for name, each in below.items():
        yield from leaves(each, (*path, name))


EVERY = sorted(path for name in COMMANDS for path in leaves(load_command(name), (name,)))


def documented() -> set[tuple[str, ...]]:
    """The commands in the first column of the tables, without arguments and options."""
    rows = re.findall(r"^\| `autometa ([^`]+)` \|", PAGE, flags=re.MULTILINE)
    return {tuple(word for word in row.split() if re.fullmatch(r"[a-z]+", word)) for row in rows}


def test_every_command_is_documented_and_no_other() -> None:
    assert documented() == set(EVERY)


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_every_command_takes_json_and_has_examples(path: tuple[str, ...]) -> None:
    command = load_command(path[0])
    for name in path[1:]:
        command = command.commands[name]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {"--json", "--env-file"} <= options
    assert command.help
    lines = (command.epilog or "").splitlines()
    assert lines[0] == "Examples:"
    assert any(f"autometa {' '.join(path)}" in line or "autometa --env-file" in line for line in lines[1:])
    assert max(map(len, lines)) <= 80
