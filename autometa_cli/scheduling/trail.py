"""The blocks at which the mirror stood, by which a reorg is noticed, and what was touched on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from autometa_cli.chain.blocks import Log

#: Steps that are kept: a reorg deeper than that is answered by reading everything again.
MOST_STEPS = 128
#: Blocks before the last one whose events are asked for again: some nodes show a block before they index its events.
OVERLAP = 4


@dataclass(frozen=True, slots=True)
class Step:
    """The mirror stood at this block.

    Attributes:
        number, hash: of the block.
        touched: workflows that were read anew on the way here from the step before.
    """

    number: int
    hash: str
    touched: frozenset[int]


class Trail:
    """The last steps, oldest first, and the events seen in the blocks that are asked for again."""

    def __init__(self, steps: Iterable[Step] = ()) -> None:
        self.steps: deque[Step] = deque(steps, maxlen=MOST_STEPS)
        self._seen: dict[tuple[str, int], int] = {}

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def last(self) -> Step:
        """Where the mirror stands. The trail must not be empty."""
        return self.steps[-1]

    def since(self, ancestor: Step) -> set[int]:
        """Workflows touched after a step."""
        return {id for step in self.steps if step.number > ancestor.number for id in step.touched}

    def back_to(self, ancestor: Step) -> None:
        """Forget what came after a step."""
        while self.steps and self.steps[-1].number > ancestor.number:
            self.steps.pop()
        self._seen = {key: number for key, number in self._seen.items() if number <= ancestor.number}

    def news(self, logs: Iterable[Log]) -> list[Log]:
        """Those that were not seen before."""
        return [log for log in logs if (log.block_hash, log.index) not in self._seen]

    def forward(self, step: Step, logs: Iterable[Log]) -> None:
        """The mirror stands at `step` now, after these events."""
        if self.steps and self.last.hash == step.hash:
            step = Step(step.number, step.hash, self.steps.pop().touched | step.touched)
        self.steps.append(step)
        for log in logs:
            self._seen[log.block_hash, log.index] = log.block_number
        horizon = step.number - OVERLAP
        if any(number < horizon for number in self._seen.values()):
            self._seen = {key: number for key, number in self._seen.items() if number >= horizon}
