"""What one key may spend on gas a day (DAILY_GAS_BUDGET): what is settled, plus what is on its way at its dearest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from autometa_cli.units import from_wei


class Budget:
    """Counts the gas of one key, and says when the next transaction does not fit any more.

    Args:
        limit: wei a day (UTC, by Redis's clock), or None.
        spent: how much wei settled transactions cost today.
        symbol: the native token's.
    """

    def __init__(self, limit: int | None, spent: Callable[[], Awaitable[int]], symbol: str) -> None:
        self._limit = limit
        self._spent = spent
        self._symbol = symbol
        self._under_way: dict[str, int] = {}
        self._sum = 0

    def free(self, key: str) -> None:
        """A record's transaction is settled, and thus counted, or will never be sent."""
        self._sum -= self._under_way.pop(key, 0)

    async def reserve(self, key: str, cost: int, balance: int) -> tuple[str, str] | None:
        """Set aside the most that a record's transaction may cost, or say why not: (reason, text).

        Args:
            cost: wei, gas limit times the highest fee.
            balance: wei that the key has.
        """
        spent = await self._spent() if self._limit is not None else 0
        others = self._sum - self._under_way.get(key, 0)
        if others + cost > balance:
            return "no_gas_money", (
                f"this worker's key has {from_wei(balance)} {self._symbol}; its open transactions may cost "
                f"{from_wei(others)}, the next one {from_wei(cost)}"
            )
        if self._limit is not None and spent + others + cost > self._limit:
            return "gas_budget", (
                f"DAILY_GAS_BUDGET is {from_wei(self._limit)} {self._symbol}: {from_wei(spent)} are spent today (UTC), "
                f"open transactions may cost {from_wei(others)}, the next one {from_wei(cost)}"
            )
        self._sum = others + cost  # no await since the sum above: nobody came in between
        self._under_way[key] = cost
        return None
