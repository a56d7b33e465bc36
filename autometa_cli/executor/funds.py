"""Is there enough money for it, given what is already on its way? All workflows pay out of the same purses."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from autometa_cli.addresses import checksum
from autometa_cli.chain.interfaces import interface
from autometa_cli.executor.sharedreads import SharedReads
from autometa_cli.units import from_wei

if TYPE_CHECKING:
    from autometa_cli.executor.head import Head

#: No decision is made at a head that is older than this, blocks.
_OLDEST_HEAD = 100

Purse = Literal["executor", "escrow", "token"]
_Sums = defaultdict[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Need:
    """An amount (wei, or the token's smallest unit) out of one purse: the executor contract's native balance
    (`who` is the contract), an owner's escrow deposit (`who` is the owner), or the executor's balance of a token
    (`who` is the token)."""

    purse: Purse
    who: str
    amount: int


@dataclass(frozen=True, slots=True)
class Shortage:
    """What is missing. `ours`: there is enough, but transactions on their way have first call on it."""

    need: Need
    text: str
    ours: bool


class Funds:
    """Balances minus what this worker's unfinished transactions will take.

    Two jobs that each fit the balance may not fit together, and a native transfer that fails for want of money is
    mined as `success=false` and never comes back. Other workers' transactions are not known here; for those the
    simulation at the latest block has to do.

    Args:
        symbol: the native token's, for words; "" tells wei.
    """

    def __init__(self, escrow: str, executor: str, symbol: str = "") -> None:
        self._escrow = escrow
        self._symbol = symbol
        self._executor = executor
        self._taken: dict[str, tuple[Need, ...]] = {}
        self._sum: _Sums = defaultdict(int)
        #: Height at which a transaction's money had left; decisions at older blocks still see it in the purse.
        self._spent: dict[str, int] = {}
        self._spent_at: dict[int, tuple[set[str], _Sums]] = {}
        self._balances = SharedReads()

    def free(self, key: str) -> None:
        """Its transaction will never be mined."""
        self.waits(key)
        _add(self._sum, self._taken.pop(key, ()), -1)

    def spent(self, key: str, block: int) -> None:
        """Its transaction is mined, as a head at height `block` shows."""
        if key in self._taken and key not in self._spent:
            self._spent[key] = block
            keys, total = self._spent_at.setdefault(block, (set(), defaultdict(int)))
            keys.add(key)
            _add(total, self._taken[key], 1)
            _add(self._sum, self._taken[key], -1)

    def waits(self, key: str) -> None:
        """It is not mined after all: its block was reorganised away."""
        block = self._spent.pop(key, None)
        if block is not None:
            keys, total = self._spent_at[block]
            keys.discard(key)
            _add(total, self._taken[key], -1)
            _add(self._sum, self._taken[key], 1)

    async def reserve(self, key: str, needs: tuple[Need, ...], head: Head) -> Shortage | None:
        """Set aside what a record's transaction will take, or say which need cannot be met at `head`.

        Raises RpcUnreachable; nothing is set aside then.
        """
        wanted = [need for need in needs if need.amount]
        balances = [await self._balance(need, head) for need in wanted]
        for old in [block for block in self._spent_at if block + _OLDEST_HEAD < head.number]:
            for other in list(self._spent_at[old][0]):
                self.free(other)
            del self._spent_at[old]
        for need, balance in zip(wanted, balances, strict=True):
            on_its_way = self._on_its_way(key, _purse(need), head.number)
            if balance - on_its_way < need.amount:
                return Shortage(
                    need, _text(need, balance, on_its_way, self._symbol), ours=balance >= need.amount
                )
        self.free(key)
        self._taken[key] = needs  # no await since the sums above: nobody came in between
        _add(self._sum, needs, 1)
        return None

    def _on_its_way(self, key: str, purse: tuple[str, str], height: int) -> int:
        """What others than `key` will still take out of a purse, as a head at this height shows it."""
        total = self._sum[purse]
        for block, (_, spent) in self._spent_at.items():
            if block > height:  # mined later than what is decided on
                total += spent[purse]
        if self._spent.get(key, height + 1) > height:
            total -= sum(need.amount for need in self._taken.get(key, ()) if _purse(need) == purse)
        return total

    async def _balance(self, need: Need, head: Head) -> int:
        if need.purse == "executor":
            return head.executor_balance
        return int(await self._balances.get(head.view, _purse(need), partial(self._read, need, head)))

    async def _read(self, need: Need, head: Head) -> int:
        if need.purse == "escrow":
            function = interface("FeeEscrow").functions["balances"]
            return int(function.decode(await head.view.call(self._escrow, function.encode(need.who)))[0])
        function = interface("IERC20").functions["balanceOf"]
        answer = await head.view.call(need.who, function.encode(self._executor))
        return int.from_bytes(answer[:32], "big")


def _purse(need: Need) -> tuple[str, str]:
    return need.purse, need.who.lower()


def _add(sums: _Sums, needs: tuple[Need, ...], sign: int) -> None:
    for need in needs:
        sums[_purse(need)] += sign * need.amount


def _text(need: Need, balance: int, on_its_way: int, symbol: str) -> str:
    whose = {
        "executor": "the executor contract's balance is",
        "escrow": f"the escrow deposit of {checksum(need.who)} is",
        "token": f"the executor contract's balance of token {checksum(need.who)} is",
    }[need.purse]

    def told(value: int) -> str:
        if need.purse == "token":
            return f"{value} smallest units"  # what they are worth, only the token can say
        return f"{from_wei(value)} {symbol}" if symbol else f"{value} wei"

    note = f", {told(on_its_way)} of it on its way out" if on_its_way else ""
    return f"{whose} {told(balance)}{note}; needed: {told(need.amount)}"
