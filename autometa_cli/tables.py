"""Tables in a terminal that is too narrow for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from autometa_cli.units import short

#: An address, or a hash.
_HEX = re.compile(r"0x[0-9a-fA-F]{40,}")


def fitted(columns: Sequence[str], rows: list[list[Any]]) -> list[list[Any]]:
    """The rows as they are where they fit the terminal, else with addresses and hashes shortened."""
    from rich.console import Console as RichConsole

    widths = [
        max(len(name), *(len(cell) if isinstance(cell, str) else 0 for cell in cells))
        for name, *cells in zip(columns, *rows, strict=True)
    ]
    if sum(widths) + 2 * (len(widths) - 1) <= RichConsole().width:
        return rows
    return [
        [_HEX.sub(lambda found: short(found[0]), cell) if isinstance(cell, str) else cell for cell in row]
        for row in rows
    ]
