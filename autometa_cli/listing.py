"""A list that is printed while it is read, however long it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TextIO

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
    """

    def __init__(
        self,
        columns: Sequence[str],
        empty: str,
        out: TextIO,
        printable: Callable[[str], str],
        dump: Callable[[Any], str] | None,
    ) -> None:
        self._columns = list(columns)
        self._empty = empty
        self._out = out
        self._printable = printable
        self._dump = dump
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
            lines = [self._columns, *lines]
            self._widths = [max(len(line[at]) for line in lines) for at in range(len(self._columns))]
        for line in lines:
            padded = (cell.ljust(width) for cell, width in zip(line, self._widths, strict=True))
            self._out.write("  ".join(padded).rstrip() + "\n")
