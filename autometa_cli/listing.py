"""A list that is printed while it is read, however long it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TextIO

from autometa_cli.tables import shortened

#: Lines that are looked at for the width of the columns.
_HELD_BACK = 200


class Listing:
    """One list: a JSON array of documents, or lines of cells that are as wide as the first of them need.

    Where what is read fails half-way, what was printed is ended like any other list, so that it can be parsed; the
    exit code tells that it is not whole.

    Args:
        empty: the line for people where there is nothing.
        printable: makes a text fit for a terminal.
        dump: a document as JSON; None prints for people.
        width: of the terminal, characters; 0 for a pipe, which gets everything. Where lines are longer, addresses and
            hashes are shortened, and where that is not enough the last columns go beneath the others.
    """

    def __init__(
        self,
        columns: Sequence[str],
        empty: str,
        out: TextIO,
        printable: Callable[[str], str],
        dump: Callable[[Any], str] | None,
        width: int = 0,
    ) -> None:
        self._columns = list(columns)
        self._empty = empty
        self._out = out
        self._printable = printable
        self._dump = dump
        self._width = width
        self._short = False
        self._upper = len(self._columns)
        self._held: list[list[str]] = []
        self._widths: list[int] = []
        #: Whether there was anything yet.
        self.begun = False

    def add(self, document: Any, cells: Sequence[Any]) -> None:
        """One more: for --json, and for people; None and "" are shown as a dash."""
        first, self.begun = not self.begun, True
        if self._dump is not None:
            text = self._dump(document).replace("\n", "\n  ")
            self._out.write(("[\n  " if first else ",\n  ") + text)
            return
        self._held.append(["-" if cell in (None, "") else self._printable(str(cell)) for cell in cells])
        if self._widths or len(self._held) >= _HELD_BACK:
            self._release()

    def end(self) -> None:
        """No more."""
        if self._dump is not None:
            self._out.write("\n]\n" if self.begun else "[]\n")
        elif self.begun:
            self._release()
        else:
            self._out.write(self._empty + "\n")
        self._out.flush()

    def _release(self) -> None:
        lines, self._held = self._held, []
        if not self._widths:
            self._short = self._too_wide(lines)
            lines = [self._columns, *(map(self._cut, lines))]
            self._widths = self._needed(lines)
            while self._width and self._upper > 1 and self._length(self._widths[: self._upper]) > self._width:
                self._upper -= 1
        else:
            lines = [self._cut(line) for line in lines]
        for line in lines:
            padded = [cell.ljust(width) for cell, width in zip(line, self._widths, strict=True)]
            self._out.write("  ".join(padded[: self._upper]).rstrip() + "\n")
            beneath = "  ".join(cell for cell in line[self._upper :] if cell != "-")
            if beneath:
                self._out.write(f"    {beneath}\n")

    def _cut(self, line: list[str]) -> list[str]:
        return [shortened(cell) for cell in line] if self._short else line

    def _too_wide(self, lines: list[list[str]]) -> bool:
        return 0 < self._width < self._length(self._needed([self._columns, *lines]))

    @staticmethod
    def _length(widths: list[int]) -> int:
        return sum(widths) + 2 * (len(widths) - 1)

    def _needed(self, lines: list[list[str]]) -> list[int]:
        return [max(len(line[at]) for line in lines) for at in range(len(self._columns))]
