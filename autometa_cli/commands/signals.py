"""How a long-running command is told to stop: once nicely, twice at once."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import typer

from autometa_cli.errors import ExitCode

if TYPE_CHECKING:
    import asyncio

    from autometa_cli.commands.context import State

Result = TypeVar("Result")

_log = logging.getLogger(__name__)

_CANCEL_AGAIN_SECONDS = 0.5


def serve(state: State, work: Callable[[asyncio.Event], Awaitable[Result]]) -> Result:
    """Runs a service to its end.

    The first SIGTERM or SIGINT (Ctrl-C) sets the event that `work` is given: it finishes what it is at and
    returns. The second one cancels it, and the command ends with 130.
    """
    import asyncio
    import signal

    async def run() -> Result:
        loop, task, stop = asyncio.get_running_loop(), asyncio.current_task(), asyncio.Event()

        def leave() -> None:
            if task is not None:
                task.cancel()
            # redis-py swallows a cancellation that meets it while it connects.
            loop.call_later(_CANCEL_AGAIN_SECONDS, leave)

        def told() -> None:
            if stop.is_set():
                leave()
            else:
                _log.info("stopping; a second signal ends it at once")
                stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told)
        return await work(stop)

    try:
        return state.run(run())
    except asyncio.CancelledError:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
