"""How each answer of each script is reached. A case prepares a queue and gives back the call that gets the answer."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

from autometa_cli.jobs.claim import Claim
from tests.jobs.desk import Desk

Act = Callable[[], object]
Case = Callable[[Desk], Act]

#: By script, answer and what is special about it.
CASES: dict[tuple[str, str, str], Case] = {}


def case(script: str, word: str, note: str = "") -> Callable[[Case], Case]:
    """Registers how an answer is reached."""

    def register(function: Case) -> Case:
        CASES[script, word, note] = function
        return function

    return register


def doubted(desk: Desk) -> None:
    """The ledger belongs to another Redis process."""
    desk.redis.hset(desk.keys.epoch, "run", "another")


def recovery(script: str, prepare: Case) -> None:
    """Registers that the script does nothing while the ledger is in doubt."""

    def in_doubt(desk: Desk) -> Act:
        act = prepare(desk)
        doubted(desk)
        return act

    def rebuilding(desk: Desk) -> Act:
        act = prepare(desk)
        desk.redis.hset(desk.keys.epoch, "recovering", "1")
        return act

    CASES[script, "recovery", "other process"] = in_doubt
    CASES[script, "recovery", "being rebuilt"] = rebuilding


def claimed(desk: Desk, next_run: int = 100) -> Claim:
    """A claim of workflow 1 by ann."""
    desk.worker("ann")
    return desk.claim("ann", next_run)


def taken(desk: Desk, next_run: int = 100) -> bytes:
    """A raw element in ann's list."""
    desk.worker("ann")
    desk.push(desk.payload(next_run))
    return desk.take("ann")


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")  # registers its cases
