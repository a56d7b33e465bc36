"""What many who look at one head ask for in the same moment is read once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autometa_cli.chain.view import View


class SharedReads:
    """Answers at one view, until somebody asks at another. A read that failed is made again."""

    def __init__(self) -> None:
        self._view: View | None = None
        self._tasks: dict[Hashable, asyncio.Task[Any]] = {}

    async def get(self, view: View, key: Hashable, read: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """What `read` gives for this key at this view. Raises what it raises."""
        if view is not self._view:
            self._view, self._tasks = view, {}
        task = self._tasks.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = self._tasks[key] = asyncio.create_task(read())
            # One that everybody stopped waiting for must not complain when it is collected.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task.result() if task.done() else await asyncio.shield(task)
