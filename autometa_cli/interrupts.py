"""Ctrl-C and its relatives, for commands that start other processes and must not leave them behind."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

#: A terminal's Ctrl-C, a polite `kill`, a terminal that was closed.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ending_like_ctrl_c() -> Iterator[None]:
    """A closed terminal or a `kill` ends what is being done as Ctrl-C does (KeyboardInterrupt), to be cleaned up."""

    def end(number: int, frame: Any) -> None:
        if callable(signal.getsignal(signal.SIGINT)):
            # By way of Ctrl-C itself: an event loop has a handler of its own for that, and ends in good order.
            signal.raise_signal(signal.SIGINT)
        else:
            signal.default_int_handler(number, frame)  # Ctrl-C is ignored: in the background of a script

    with _handlers(SIGNALS[1:], end):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """A signal that comes in here takes effect at the end: nothing is left half done in between.

    For short things only: starting a process and noting which one it is, or cleaning up.
    """
    arrived: list[int] = []
    try:
        with _handlers(SIGNALS, lambda number, _: arrived.append(number)):
            yield
    finally:
        if arrived:
            signal.raise_signal(arrived[0])


@contextmanager
def _handlers(numbers: Iterable[signal.Signals], handler: Any) -> Iterator[None]:
    kept: dict[int, Any] = {}
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled by the main thread; nothing disturbs this one
        return
    try:
        for number in numbers:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
                kept[number] = signal.signal(number, handler)
        yield
    finally:
        for changed, before in kept.items():
            signal.signal(changed, before)
