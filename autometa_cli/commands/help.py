"""How `--help` looks: sections, options that every command has last, and examples exactly as written.

Plain text, made without rich: importing that would take longer than all the rest of `autometa --help`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

COMMON_PANEL = "Common options"
_COLUMN_MAX = 30  # a longer left column gets its explanation on the next line

Rows = list[tuple[str, str]]


def examples(*lines: str) -> str:
    """The `epilog` of a command: one command a line, with `# why` where it helps. At most 76 characters."""
    return "\n".join(("Examples:", *(f"  {line}" for line in lines)))


def _heading(text: str) -> str:
    """Bold on a terminal that wants it."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty()
    return text if plain else typer.style(text, bold=True)


def _write_sections(formatter: Any, sections: Iterable[tuple[str, Rows]]) -> None:
    """Definition lists under headings, their right columns in line with each other."""
    filled = [(title, rows) for title, rows in sections if rows]
    lengths = [len(left) for _, rows in filled for left, _ in rows if len(left) <= _COLUMN_MAX]
    width = max(lengths, default=0)
    for title, rows in filled:
        formatter.write_paragraph()
        formatter.write(_heading(f"{title}:") + "\n")
        with formatter.indentation():
            formatter.write_dl([(left.ljust(width), right) for left, right in rows], col_max=_COLUMN_MAX)


def _options(command: Any, context: Any) -> list[tuple[str, Rows]]:
    sections: dict[str, Rows] = {"Arguments": [], "Options": [], COMMON_PANEL: []}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None:
            continue
        section = "Arguments" if parameter.param_type_name == "argument" else "Options"
        if "--help" in parameter.opts:
            section = COMMON_PANEL
        sections.setdefault(getattr(parameter, "rich_help_panel", None) or section, []).append(record)
    # Those of one command first, those of every command last.
    return sorted(sections.items(), key=lambda item: item[0] == COMMON_PANEL)


def _write_epilog(command: Any, formatter: Any) -> None:
    if command.epilog:
        formatter.write_paragraph()
        for line in command.epilog.splitlines():
            formatter.write((_heading(line) if re.fullmatch(r"\S.*:", line) else line) + "\n")


class Command(TyperCommand):
    """A command with our help."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments and options by section."""
        _write_sections(formatter, _options(self, ctx))

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The examples, line by line."""
        _write_epilog(self, formatter)


class Group(TyperGroup):
    """A group of commands with our help, which it shows when no command is named."""

    #: A person who types only `autometa` gets help; a script whose `$SUBCOMMAND` is empty must not succeed.
    exit_code_without_command = 2

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Shows the help where nothing was given."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help(), color=ctx.color)
            raise typer.Exit(self.exit_code_without_command)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Commands by section, then the options."""
        sections: dict[str, Rows] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                section = getattr(command, "rich_help_panel", None) or "Commands"
                sections.setdefault(section, []).append((name, command.get_short_help_str(limit=90)))
        _write_sections(formatter, sections.items())
        _write_sections(formatter, _options(self, ctx))

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The examples, line by line."""
        _write_epilog(self, formatter)


class App(typer.Typer):
    """A Typer app whose commands have our help."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(rich_markup_mode=None, pretty_exceptions_enable=False, **({"cls": Group} | settings))

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        """As in Typer."""
        return super().command(name, **({"cls": Command} | settings))
