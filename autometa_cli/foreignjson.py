"""JSON that strangers wrote: job payloads, trigger data on chain, answers of servers.

Importing eth_account or web3 raises Python's recursion limit to 100,000 (py_ecc does it). In Python 3.11 that
limit is all that keeps `json.loads` from running out of the C stack: a payload of 100,000 brackets would then
end the process, and so would the next worker that takes it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

#: Nesting that is still read, together with the frames of the caller. No honest document comes near it.
DEEPEST = 2000


def loads(text: str | bytes, **options: Any) -> Any:
    """`json.loads`, safe for any input.

    Raises:
        ValueError: it is no JSON.
        RecursionError: it is nested too deeply.
    """
    return guarded(partial(json.loads, **options), text)


def guarded(read: Callable[[Any], Any], text: str | bytes) -> Any:
    """`read(text)`, whose nesting ends in a RecursionError and not in the end of the process."""
    limit = sys.getrecursionlimit()
    if limit <= DEEPEST:
        return read(text)
    sys.setrecursionlimit(DEEPEST)
    try:
        return read(text)
    finally:
        sys.setrecursionlimit(limit)
