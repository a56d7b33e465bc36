"""The end of a worker's loops."""

from __future__ import annotations

import asyncio
import logging

from autometa_cli.working.membership import Buried

_log = logging.getLogger(__name__)


async def ended(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel tasks until they are done: redis-py can swallow a cancellation that meets it while it reconnects."""
    while tasks:
        for task in tasks:
            task.cancel()
        done, tasks = await asyncio.wait(tasks, timeout=1.0)
        for task in done:
            if not task.cancelled() and (error := task.exception()) and not isinstance(error, Buried):
                _log.debug("while ending: %r", error)
