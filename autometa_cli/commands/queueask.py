"""What the `queue` commands share: how Redis is asked, and the options that choose among many jobs."""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from autometa_cli.commands.context import State, empty
from autometa_cli.commands.workflowoptions import parse_id

if TYPE_CHECKING:
    from autometa_cli.jobs.deadletters import Wanted
    from autometa_cli.jobs.queue import JobQueue

Result = TypeVar("Result")

CountOption = Annotated[int, typer.Option("-n", "--count", min=1, max=100_000, help="How many.")]
OffsetOption = Annotated[int, typer.Option("--offset", min=0, max=10**12, help="Leave out so many first.")]
WorkflowOption = Annotated[
    str | None,
    typer.Option("--workflow", "-w", metavar="ID", help="Only of this workflow.", show_default=False),
]
ReasonOption = Annotated[
    str | None,
    typer.Option(
        "--reason",
        "--error",
        metavar="TEXT",
        help="Only with this reason, or with this in its words.",
        show_default=False,
    ),
]


def ask(state: State, work: Callable[[JobQueue], Awaitable[Result]]) -> Result:
    """Do something with the configured queue. Raises RedisUnreachable, ConfigError."""
    from autometa_cli.jobs.connection import redis_errors
    from autometa_cli.jobs.queue import JobQueue

    async def asked() -> Result:
        async with redis_errors(state.settings.redis_url), JobQueue.of(state.settings) as queue:
            return await work(queue)

    return state.run(asked())


def wanted(workflow: str | None, reason: str | None) -> Wanted:
    """What `--workflow` and `--reason` choose. Raises UsageProblem."""
    from autometa_cli.jobs.deadletters import Wanted

    return Wanted(None if workflow is None else parse_id(workflow), (reason or "").strip())


async def nothing(
    without: str,
    page: Sequence[object],
    offset: int,
    listed: Callable[[int], Awaitable[Sequence[object]]],
    *filters: object,
) -> str:
    """What is said of a page without rows: that there is none, none that matches, or none so far down.

    Args:
        without: what a list says that is empty.
        listed: the first so many of what is chosen.
    """
    total = len(await listed(offset)) if offset and not page else 0
    if not total:
        return empty(without, *filters)
    return f"none from {offset} on; {total} {'match' if any(filters) else 'in all'}"


def operator() -> str:
    """Who gives the order, as the machine knows him."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # no such user id in /etc/passwd, as in many containers
        user = f"user {os.getuid()}"
    return f"{user}@{platform.node()}"
