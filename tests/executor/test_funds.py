"""Money that is on its way is not there for anybody else."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

from autometa_cli.executor.funds import Funds, Need
from tests.executor.fakes import head

EXECUTOR, ESCROW, OWNER, TOKEN = ("0x" + pair * 20 for pair in ("ee", "e5", "0a", "70"))


def _out_of(amount: int) -> tuple[Need, ...]:
    return (Need("executor", EXECUTOR, amount),)


def _uint(value: int) -> str:
    return "0x" + f"{value:064x}"


def test_two_that_fit_alone_do_not_fit_together() -> None:
    async def scenario() -> None:
        funds = Funds(ESCROW, EXECUTOR)
        now = head(executor_balance=10)
        assert await funds.reserve("a", _out_of(6), now) is None
        short = await funds.reserve("b", _out_of(6), now)
        assert short is not None
        assert short.ours, "it is there, only on its way out"
        assert short.text.endswith("6 wei of it on its way out; needed: 6 wei")
        assert await funds.reserve("c", _out_of(4), now) is None
        funds.free("a")
        assert await funds.reserve("b", _out_of(6), now) is None

    asyncio.run(scenario())


def test_what_is_not_there_at_all_is_not_ours() -> None:
    async def scenario() -> None:
        short = await Funds(ESCROW, EXECUTOR, "DEV").reserve("a", _out_of(11), head(executor_balance=10**17))
        assert short is None
        short = await Funds(ESCROW, EXECUTOR, "DEV").reserve(
            "a", _out_of(5 * 10**18), head(executor_balance=10**17)
        )
        assert short is not None
        assert not short.ours
        assert short.text == "the executor contract's balance is 0.1 DEV; needed: 5 DEV"

    asyncio.run(scenario())


def test_the_same_record_asks_again_without_counting_twice() -> None:
    async def scenario() -> None:
        funds = Funds(ESCROW, EXECUTOR)
        for _ in range(3):
            assert await funds.reserve("a", _out_of(6), head(executor_balance=10)) is None

    asyncio.run(scenario())


def test_a_mined_transaction_still_counts_for_decisions_at_older_blocks() -> None:
    async def scenario() -> None:
        funds = Funds(ESCROW, EXECUTOR)
        assert await funds.reserve("a", _out_of(8), head(10, executor_balance=10)) is None
        funds.spent("a", 12)
        # A job that is still being checked at block 11 sees the old balance there.
        assert await funds.reserve("b", _out_of(8), head(11, executor_balance=10)) is not None
        assert await funds.reserve("b", _out_of(2), head(12, executor_balance=2)) is None

    asyncio.run(scenario())


def test_a_transaction_that_a_reorg_took_back_counts_again() -> None:
    async def scenario() -> None:
        funds = Funds(ESCROW, EXECUTOR)
        assert await funds.reserve("a", _out_of(8), head(10, executor_balance=10)) is None
        funds.spent("a", 12)
        funds.waits("a")
        assert await funds.reserve("b", _out_of(8), head(12, executor_balance=10)) is not None

    asyncio.run(scenario())


def test_what_was_spent_long_ago_is_forgotten() -> None:
    async def scenario() -> None:
        funds = Funds(ESCROW, EXECUTOR)
        for number in range(50):
            assert await funds.reserve(str(number), _out_of(1), head(10)) is None
            funds.spent(str(number), 11)
        assert await funds.reserve("last", _out_of(1), head(500)) is None
        assert len(funds._taken) == 1

    asyncio.run(scenario())


def test_each_purse_is_read_where_it_is() -> None:
    def call(params: Sequence[Any]) -> str:
        return _uint({ESCROW: 50, TOKEN: 70}[params[0]["to"]])

    async def scenario() -> None:
        funds = Funds(ESCROW, EXECUTOR)
        now = head(eth_call=call)
        assert await funds.reserve("a", (Need("escrow", OWNER, 30), Need("token", TOKEN, 70)), now) is None
        other = await funds.reserve("b", (Need("escrow", "0x" + "0b" * 20, 30),), now)
        assert other is None, "another owner has his own deposit"
        same = await funds.reserve("c", (Need("escrow", OWNER.upper().replace("X", "x"), 30),), now)
        assert same is not None
        assert same.need.purse == "escrow"
        token = await funds.reserve("d", (Need("token", TOKEN, 1),), now)
        assert token is not None
        assert "token" in token.text
        assert await funds.reserve("e", (Need("token", TOKEN, 0),), now) is None

    asyncio.run(scenario())


def test_a_failed_read_sets_nothing_aside() -> None:
    async def scenario() -> None:
        funds = Funds(ESCROW, EXECUTOR)
        broken = head(eth_call=RuntimeError("no answer"))
        try:
            await funds.reserve("a", (*_out_of(6), Need("token", TOKEN, 1)), broken)
        except RuntimeError:
            assert await funds.reserve("b", _out_of(10), head(executor_balance=10)) is None
        else:
            raise AssertionError

    asyncio.run(scenario())


def test_the_running_sums_are_those_of_the_parts() -> None:
    """Whatever happens in whatever order, the same is free as when everything is added up each time."""
    dice = random.Random(7)

    async def scenario() -> None:
        funds, taken, spent = Funds(ESCROW, EXECUTOR), dict[str, int](), dict[str, int]()
        for _ in range(3000):
            key, height = dice.choice("abcdefgh"), dice.randrange(100, 105)
            match dice.randrange(4):
                case 0:
                    amount, balance = dice.randrange(1, 9), dice.randrange(30)
                    others = sum(
                        taken[each] for each in taken if each != key and spent.get(each, height + 1) > height
                    )
                    short = await funds.reserve(key, _out_of(amount), head(height, executor_balance=balance))
                    assert (short is None) == (balance - others >= amount)
                    if short is None:
                        taken[key] = amount
                        spent.pop(key, None)
                case 1:
                    funds.free(key)
                    taken.pop(key, None)
                    spent.pop(key, None)
                case 2:
                    funds.spent(key, height)
                    if key in taken:
                        spent.setdefault(key, height)
                case _:
                    funds.waits(key)
                    spent.pop(key, None)

    asyncio.run(scenario())
