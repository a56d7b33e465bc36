"""What a command says, and where: stdout is data, stderr is prose.

Made once per invocation. With `json` stdout holds one JSON document and nothing else, an error included. Text
from outside (job payloads, revert reasons) is shown with its control characters escaped, so that it cannot
drive the terminal; markup in it has no meaning.
"""

from __future__ import annotations

import io
import json as json_module
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autometa_cli.errors import AutometaError, UsageProblem
from autometa_cli.tables import fits, fitted, stacked

if TYPE_CHECKING:
    import rich.console
    from rich.console import RenderableType
    from rich.live import Live

    Render = Callable[[], RenderableType] | RenderableType | None

#: A table that is piped is never cut to a terminal's width.
_PIPE_WIDTH = 10_000
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
#: What turns the direction of writing, or breaks a line: text is shown in the order in which it stands.
_CONTROL |= {
    code: f"\\u{code:04x}"
    for code in (0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))
}


def printable(text: str) -> str:
    """The text with control characters (escape sequences above all) shown as `\\x1b`."""
    return text.translate(_CONTROL)


class Console:
    """Prints results, and says what is going on.

    Attributes:
        json: stdout gets one JSON document.
    """

    def __init__(self, *, json: bool = False) -> None:
        self.json = json
        self._result_printed = False
        self._stderr: rich.console.Console | None = None

    @property
    def interactive(self) -> bool:
        """Whether a person is there to answer, or to watch a live view."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    @property
    def draws(self) -> bool:
        """Whether stderr is a terminal on which a view can be drawn again and again."""
        screen = self._rich_stderr()
        return screen.is_terminal and not screen.is_dumb_terminal

    def result(self, data: Any, render: Render = None) -> None:
        """Prints what the command was asked for.

        Args:
            data: for `--json`: plain values, lists, mappings with string keys, dataclasses, Decimal, bytes
                (as 0x hex). Amounts and anything that may reach 2**53 must come as decimal strings.
            render: for people: a text or rich renderable, or a function that makes one (called only when
                it is shown). An empty text prints nothing; None prints `data` plainly, one `key  value` a line.
        """
        if self.json:
            self._result_printed = True
            self._write(json_module.dumps(data, indent=2, default=_plain))
            return
        shown = render() if callable(render) else render
        if shown is None:
            shown = self.fields(data.items()) if isinstance(data, Mapping) else str(data)
        if isinstance(shown, str):
            if shown:
                self._write(printable(shown))
            return
        from rich.console import Console as RichConsole

        if sys.stdout.isatty():
            RichConsole(highlight=False).print(shown)
            sys.stdout.flush()
            return
        page = RichConsole(file=io.StringIO(), width=_PIPE_WIDTH, color_system=None, highlight=False)
        with page.capture() as captured:
            page.print(shown)
        self._write("\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n")))

    def status(self, text: str) -> None:
        """What is being done, on stderr."""
        self._say(text, style="dim")

    def success(self, text: str) -> None:
        """What was done, on stderr."""
        self._say(text, style="green")

    def warn(self, text: str, hint: str = "") -> None:
        """Something that may need attention but stops nothing, on stderr."""
        self._say(text, prefix="Warning: ", style="yellow")
        if hint:
            self._say(hint, prefix="Hint: ", style="cyan")

    def error(self, error: AutometaError) -> None:
        """An error: with `json` a document on stdout (unless a result is there already), else on stderr."""
        if self.json and not self._result_printed:
            self.result({"error": error_document(error)})
            return
        self._say(error.message, prefix="Error: ", style="bold red")
        if error.hint:
            self._say(error.hint, prefix="Hint: ", style="cyan")

    def table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        *,
        title: str = "",
        empty: str = "nothing",
        beneath: bool = False,
    ) -> RenderableType:
        """A table for `result`. Cells are text or rich renderables; columns of numbers go to the right.

        In a terminal that is too narrow for it, addresses and hashes are shortened, and what is still too long folds.
        A pipe gets everything.

        Args:
            empty: what is shown when there are no rows.
            beneath: in a terminal that is too narrow the last column, which has long words, stands beneath each row.
        """
        from rich.table import Table
        from rich.text import Text

        listed = [list(row) for row in rows]
        if not listed:
            return empty
        if sys.stdout.isatty():
            listed = fitted(columns, listed)
            if beneath and not fits(columns, listed) and fits(columns[:-1], [row[:-1] for row in listed]):
                return stacked(columns, listed, _cell)
        table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, padding=(0, 1))
        for index, name in enumerate(columns):
            cells = [row[index] for row in listed]
            number = all(isinstance(cell, int | float | Decimal) for cell in cells)
            table.add_column(Text(name), justify="right" if number else "left", overflow="fold")
        for row in listed:
            table.add_row(*(_cell(cell) for cell in row))
        return table

    @contextmanager
    def listing(self, columns: Sequence[str], *, empty: str = "nothing") -> Iterator[Callable[..., None]]:
        """For lists of any length: yields `add(document, cells)`, and prints while it goes on (see `Listing`)."""
        from autometa_cli.listing import Listing

        dump = (lambda document: json_module.dumps(document, indent=2, default=_plain)) if self.json else None
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
        out = Listing(columns, empty, sys.stdout, printable, dump, width)
        try:
            yield out.add
        except BaseException:
            if out.begun:
                self._result_printed = True
                out.end()
            raise
        self._result_printed = True
        out.end()

    def fields(self, pairs: Iterable[tuple[str, Any]]) -> RenderableType:
        """Names and values, one a line, for `result`."""
        from rich.table import Table

        grid = Table.grid(padding=(0, 2))
        grid.add_column(no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in pairs:
            grid.add_row(_cell(name), _cell(value))
        return grid

    def confirm(self, question: str, *, yes: bool = False) -> bool:
        """Asks on stderr; True only for y or yes.

        Args:
            question: without the "[y/N]".
            yes: the command's `--yes`: do not ask.

        Raises:
            UsageProblem: nobody is there to answer, and `--yes` was not given.
        """
        if yes:
            return True
        if not self.interactive:
            raise UsageProblem(
                "this needs a yes, and there is no terminal to ask on", "add --yes to go ahead"
            )
        sys.stderr.write(printable(f"{question} [y/N] "))
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    @contextmanager
    def live(self, render: Callable[[], RenderableType], *, refresh_per_second: float = 4) -> Iterator[Live]:
        """A view on stderr that is drawn again and again. Without a terminal only its last state is printed."""
        from rich.live import Live

        screen = self._rich_stderr()
        with Live(get_renderable=render, console=screen, refresh_per_second=refresh_per_second) as view:
            yield view
        if not screen.is_terminal:
            screen.print()  # rich leaves the last line open

    def _say(self, text: str, *, prefix: str = "", style: str = "") -> None:
        from rich.text import Text

        # The first line tells the kind; prose wraps in the terminal itself, so that it can be copied.
        line = Text(prefix, style=style) + Text(printable(text), style="" if prefix else style)
        self._rich_stderr().print(line, soft_wrap=True)

    def _rich_stderr(self) -> rich.console.Console:
        if self._stderr is None:
            from rich.console import Console as RichConsole

            self._stderr = RichConsole(stderr=True, highlight=False, markup=False, emoji=False)
        return self._stderr

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def error_document(error: AutometaError) -> dict[str, Any]:
    """The value of `error` in the JSON document of a failed command."""
    kind = getattr(error, "kind", type(error).__name__)
    return {"code": int(error.exit_code), "kind": kind, "message": error.message, "hint": error.hint}


def _cell(value: Any) -> Any:
    from rich.text import Text

    if value is None:
        return Text("-", style="dim")
    if isinstance(value, str | int | float | Decimal | Path):
        return Text(printable(str(value)))
    return value


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Decimal | Path):
        return str(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} cannot be put into a JSON document")
