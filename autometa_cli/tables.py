"""Tables in a terminal that is too narrow for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from autometa_cli.units import short

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.text import Text

#: An address, or a hash.
_HEX = re.compile(r"0x[0-9a-fA-F]{40,}")


def fitted(columns: Sequence[str], rows: list[list[Any]]) -> list[list[Any]]:
    """The rows as they are where they fit the terminal, else with addresses and hashes shortened."""
    if fits(columns, rows):
        return rows
    return [[shortened(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]


def shortened(text: str) -> str:
    """The text with its addresses and hashes shortened."""
    return _HEX.sub(lambda found: short(found[0]), text)


def fits(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bool:
    """Whether the terminal is as wide as each row on one line."""
    from rich.console import Console as RichConsole

    return sum(_widths(columns, rows)) + 2 * (len(columns) - 1) <= RichConsole().width


def stacked(columns: Sequence[str], rows: Sequence[Sequence[Any]], cell: Callable[[Any], Text]) -> Group:
    """Each row in two lines: the last column stands beneath the others, where there is anything in it.

    Args:
        cell: how one is shown.
    """
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    upper = [list(map(cell, row[:-1])) for row in rows]
    widths = _widths(columns[:-1], [[text.plain for text in line] for line in upper])
    lines: list[RenderableType] = []
    for texts in ([Text(name, style="bold") for name in columns[:-1]], *upper):
        for text, width in zip(texts, widths, strict=True):
            text.pad_right(width - text.cell_len)
        line = Text("  ").join(texts)
        line.rstrip()
        lines.append(line)
    for at in range(len(rows), 0, -1):
        if rows[at - 1][-1] not in (None, ""):
            lines.insert(at + 1, Padding(cell(rows[at - 1][-1]), (0, 0, 0, 4), expand=False))
    return Group(*lines)


def _widths(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[int]:
    return [
        max(len(name), *(len(str(cell)) if isinstance(cell, str | int | float) else 1 for cell in cells))
        for name, *cells in zip(columns, *rows, strict=True)
    ]
