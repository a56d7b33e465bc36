"""Finding workflows in the registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from autometa_cli.chain.actions import decode_action
from autometa_cli.chain.contracts import Registry, Workflow
from autometa_cli.chain.trigger_data import decode_trigger
from autometa_cli.chain.words import BadEncoding
from autometa_cli.chain.workflows import owned_by

if TYPE_CHECKING:
    from autometa_cli.chain.view import View

#: Workflows that are read at a time: a search that needs only the first page ends early.
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Search:
    """Which workflows are wanted. None takes all.

    Attributes:
        owner: checksummed.
        active: True for those that are not paused, False for the paused ones.
        due: only those that are active, and due at the view's block.
        trigger_type: the registry's number.
        unreadable: only those whose trigger or action nobody can read.
    """

    owner: str | None = None
    active: bool | None = None
    due: bool = False
    trigger_type: int | None = None
    unreadable: bool = False

    def takes(self, workflow: Workflow, now: int) -> bool:
        """Whether it is one of them; `now` is in seconds since 1970."""
        return (
            (self.owner is None or workflow.owner == self.owner)
            and (self.active is None or workflow.active == self.active)
            and (not self.due or is_due(workflow, now))
            and (self.trigger_type is None or workflow.trigger_type == self.trigger_type)
            and (not self.unreadable or not is_readable(workflow))
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Workflows by ascending id, and whether there are more behind them."""

    workflows: tuple[Workflow, ...]
    more: bool


async def search(
    registry: Registry, view: View, wanted: Search, *, limit: int | None = None, offset: int = 0
) -> Page:
    """One page of what is wanted, all at the view's block.

    Args:
        limit: None for all.
        offset: how many to leave out first.

    Raises:
        ConfigError: no registry stands at its address.
        RpcUnreachable: the endpoint failed.
    """
    total = await registry.total(view)
    ids = await owned_by(registry, view, wanted.owner) if wanted.owner else range(1, total + 1)
    end = None if limit is None else offset + limit
    found: list[Workflow] = []
    for start in range(0, len(ids), CHUNK):
        chunk = await registry.get_many(view, ids[start : start + CHUNK])
        found += [each for each in chunk.values() if each and wanted.takes(each, view.block.timestamp)]
        if end is not None and len(found) > end:
            break
    return Page(tuple(found[offset:end]), more=end is not None and len(found) > end)


def is_readable(workflow: Workflow) -> bool:
    """Whether its trigger and its action can be decoded."""
    try:
        decode_trigger(workflow.trigger_type, workflow.trigger_data)
        decode_action(workflow.action_data)
    except BadEncoding:
        return False
    return True


def is_due(workflow: Workflow, now: int) -> bool:
    """Whether its time has come. A price or event may still be waited for."""
    return workflow.active and workflow.next_run <= now
