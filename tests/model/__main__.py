"""One exploration, with its counterexamples: `python -m tests.model --keys 2 --kinds reap --without fence`."""

from __future__ import annotations

import argparse
import sys

from tests.model.explore import explore
from tests.model.setup import FAULTS, RULES, Setup


def _names(text: str) -> frozenset[str]:
    return frozenset(name for name in text.split(",") if name)


def main() -> None:
    """Read the arguments, explore, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2, choices=(1, 2))
    parser.add_argument("--keys", type=int, default=1, choices=(1, 2))
    parser.add_argument("--faults", type=int, default=2)
    parser.add_argument("--kinds", default="", help="of " + ", ".join(FAULTS))
    parser.add_argument("--without", default="", help="of " + ", ".join(RULES))
    parser.add_argument("--now", default="", help='occurrences that are "now" jobs: X, Y')
    parser.add_argument("--dead-key", type=int)
    parser.add_argument("--window", type=int, default=3)
    parser.add_argument("--old-views", action="store_true")
    parser.add_argument("--limit", type=int, default=3_000_000)
    parser.add_argument("--all", action="store_true", help="do not stop at the first thing that is wrong")
    given = parser.parse_args()
    setup = Setup(
        jobs=given.jobs,
        keys=given.keys,
        faults=given.faults,
        kinds=_names(given.kinds) or Setup().kinds,
        without=_names(given.without),
        now=frozenset("XY".index(name) for name in _names(given.now)),
        dead_key=given.dead_key,
        window=given.window,
        old_views=given.old_views,
    )
    sys.stdout.write(f"{explore(setup, limit=given.limit, stop=not given.all)}\n")


if __name__ == "__main__":
    main()
