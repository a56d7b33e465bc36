"""Arrows point down: no import of the package runs in a circle, or up to a higher layer (docs/architecture.md).

Imports for types, and imports inside functions, count like any other.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import autometa_cli

PACKAGE = Path(autometa_cli.__file__).parent
ARCHITECTURE = Path(__file__).parents[1] / "docs" / "architecture.md"


def _module(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _arrows() -> Mapping[str, frozenset[str]]:
    """Each module of the package, and those of it that it imports."""
    modules = {_module(path): path for path in sorted(PACKAGE.rglob("*.py"))}
    arrows = {}
    for module, path in modules.items():
        named = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{module}: imports are written in full"
                whole = {f"{node.module}.{alias.name}" for alias in node.names}
                named |= whole & modules.keys() or {node.module or ""}
        arrows[module] = frozenset(named & modules.keys())
    return arrows


def _circle(arrows: Mapping[str, frozenset[str]]) -> list[str]:
    """The modules of a circle, the first one again at its end; empty where there is none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def _floors() -> dict[str, int]:
    """The parts of the package that the table of the layers names, with its row, from the top."""
    page = ARCHITECTURE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", page.partition("## Layers")[2], flags=re.MULTILINE)
    return {part.strip("/"): floor for floor, row in enumerate(rows) for part in re.findall(r"`(\S+?)`", row)}


def _part(module: str) -> str:
    path = PACKAGE / module.split(".")[1]
    return path.name if path.is_dir() else f"{path.name}.py"


def test_no_import_runs_in_a_circle() -> None:
    assert " -> ".join(_circle(_arrows())) == ""


def test_every_part_has_its_place_in_the_table_of_layers() -> None:
    parts = {_part(module) for module in _arrows() if module != "autometa_cli"}
    assert parts == _floors().keys()


def test_no_import_runs_up_to_a_higher_layer() -> None:
    floors = _floors()
    up = [
        f"{module} -> {other}"
        for module, others in _arrows().items()
        for other in others
        if "autometa_cli" not in (module, other) and floors[_part(other)] < floors[_part(module)]
    ]
    assert up == []
