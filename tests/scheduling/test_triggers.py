"""Triggers: when a workflow is due, and what is said about those that this version cannot tell."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from autometa_cli.chain.contracts import Workflow
from autometa_cli.chain.trigger_abi import encode_trigger
from autometa_cli.chain.triggers import PriceTrigger, TimeTrigger, WalletTrigger
from autometa_cli.scheduling.triggers import Oddity, Triggers, examine

NOW = 1_700_000_000
GARBAGE = b"\x01\x02\x03"


def made(trigger_type: int = 1, trigger_data: bytes = b"", next_run: int = NOW) -> Workflow:
    return Workflow(
        id=1,
        owner="0x" + "11" * 20,
        trigger_type=trigger_type,
        trigger_data=trigger_data,
        action_type=1,
        action_data=b"",
        next_run=next_run,
        interval=60,
        active=True,
        gas_budget=0,
    )


def evaluate(workflow: Workflow) -> str | None:
    return asyncio.run(Triggers().evaluate(workflow, cast("Any", None), NOW))


@pytest.mark.parametrize("next_run", [0, 1, NOW - 1, NOW])
def test_due(next_run: int) -> None:
    assert evaluate(made(next_run=next_run)) is None


@pytest.mark.parametrize(
    ("next_run", "text"), [(NOW + 1, "due in 1s"), (NOW + 90_000, "due in 1d 1h"), (2**256 - 1, "due in ")]
)
def test_not_due(next_run: int, text: str) -> None:
    assert (evaluate(made(next_run=next_run)) or "").startswith(text)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        encode_trigger(TimeTrigger(interval=60)),
        encode_trigger(TimeTrigger(start=NOW + 999, interval=1)),
        GARBAGE,
    ],
)
def test_only_next_run_decides_for_time_triggers(data: bytes) -> None:
    assert evaluate(made(trigger_data=data)) is None


def test_unreadable_time_data_is_told_and_blocks_nothing() -> None:
    finding = examine(1, GARBAGE)

    assert finding is not None
    assert finding.oddity is Oddity.UNREADABLE
    assert not finding.blocks
    assert "3 bytes" in finding.text


def test_a_price_that_no_source_tells_blocks_and_is_told() -> None:
    workflow = made(2, encode_trigger(PriceTrigger("DOT", ">", 10**18)))
    finding = Triggers().examine(workflow)

    assert finding is not None
    assert finding.oddity is Oddity.UNSUPPORTED
    assert finding.blocks
    assert finding.text.startswith("no source of prices is configured")
    assert "no source of prices" in (evaluate(workflow) or "")


def test_a_wallet_trigger_waits_for_its_transfer() -> None:
    workflow = made(3, encode_trigger(WalletTrigger("incoming")))

    assert Triggers().examine(workflow) is None
    assert evaluate(workflow) == "no transfer that fires it waits for its run"


@pytest.mark.parametrize("trigger_type", [0, 2, 3, 4, 255])
def test_unreadable_ones_never_fire(trigger_type: int) -> None:
    finding = examine(trigger_type, GARBAGE)

    assert finding is not None
    assert finding.oddity is Oddity.UNREADABLE
    assert finding.blocks
    assert evaluate(made(trigger_type, GARBAGE)) == finding.text


def test_readable_ones_are_not_odd() -> None:
    assert examine(1, b"") is None
