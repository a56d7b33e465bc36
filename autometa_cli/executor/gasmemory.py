"""What calls of the same shape were estimated to need."""

from __future__ import annotations

from dataclasses import dataclass

#: What the executor contract spends around the inner call: charge, registry, event; measured below 150,000 gas.
OUTER_OVERHEAD_GAS = 200_000
#: Estimates are made anew after so many blocks.
_KEPT_BLOCKS = 300
#: Shapes that are remembered.
_MOST = 1000

#: Kind of action, its target, and the length of the call data.
Shape = tuple[type, str, int]


@dataclass(frozen=True, slots=True)
class Estimates:
    """Of one call: gas of the action by itself, and of the whole."""

    inner: int
    outer: int

    @property
    def least(self) -> int:
        """Gas without which the call, or the action within, may fail.

        An inner call that runs out of gas is swallowed by the contract, so the outer estimate alone can be too low; the
        EVM hands 63/64 of the gas to an inner call.
        """
        return max(self.outer, self.inner * 64 // 63 + OUTER_OVERHEAD_GAS)

    def like(self, inner: int) -> bool:
        """Whether an action that needs so much is covered, without a limit that is far too high for it."""
        return inner <= self.inner <= inner * 5 // 4 + 10_000


class GasMemory:
    """The newest estimates of each shape. They are hints: whoever uses one proves that it is enough."""

    def __init__(self) -> None:
        self._known: dict[Shape, tuple[Estimates, int]] = {}

    def get(self, shape: Shape, height: int) -> Estimates | None:
        """As estimated not long before a block of this height."""
        estimates, made = self._known.get(shape, (None, 0))
        return estimates if abs(height - made) <= _KEPT_BLOCKS else None

    def put(self, shape: Shape, estimates: Estimates, height: int) -> None:
        """Remember what was estimated at a block of this height."""
        if len(self._known) >= _MOST and shape not in self._known:
            del self._known[next(iter(self._known))]
        self._known[shape] = (estimates, height)
