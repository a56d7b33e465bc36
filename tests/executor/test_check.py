"""The pure parts of the check, and what stops a job before anything is simulated."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from autometa_cli.chain.actions import ContractCall, NativeTransfer, TokenTransfer
from autometa_cli.chain.contracts import Workflow
from autometa_cli.chain.faults import RpcFault
from autometa_cli.chain.interfaces import interface
from autometa_cli.executor.check import Checker
from autometa_cli.executor.decision import Refusal, held
from autometa_cli.executor.head import Head
from autometa_cli.executor.simulation import inner_call, would_fail
from autometa_cli.executor.wanted import contradiction, digest, unwanted
from autometa_cli.jobs.job import parse_job
from autometa_cli.jobs.occurrence import Occurrence
from tests.executor.fakes import CHAIN, EXECUTOR, head

OWNER = "0x" + "0a" * 20
WORKFLOW = Workflow(7, OWNER, 1, b"", 1, b"\x01\x02", 100, 60, True, 5)
DUE = Occurrence(CHAIN, EXECUTOR.lower(), 7, 100)
NOW = replace(DUE, next_run=0, now_id="x")


def test_the_digest_changes_with_everything_that_a_decision_rests_on() -> None:
    changed = [
        replace(WORKFLOW, **change)
        for change in (
            {"owner": "0x" + "0b" * 20}, {"action_data": b"\x01"}, {"next_run": 101}, {"interval": 61},
            {"active": False},
        )
    ]  # fmt: skip
    assert len({digest(each) for each in (WORKFLOW, *changed)}) == 6
    assert digest(replace(WORKFLOW, owner=OWNER.upper().replace("X", "x"))) == digest(WORKFLOW)
    assert digest(None) == ""


@pytest.mark.parametrize(
    ("payload", "contradicts"),
    [
        (b'{"workflowId":7,"nextRun":100}', False),
        (b'{"workflowId":7,"nextRun":100,"owner":"","actionData":""}', False),
        (b'{"workflowId":7,"nextRun":100,"owner":null,"actionData":null}', False),
        (b'{"workflowId":7,"nextRun":100,"actionData":"0102"}', False),
        (b'{"workflowId":7,"nextRun":100,"actionData":"0x0102"}', False),
        (b'{"workflowId":7,"nextRun":100,"actionData":"0103"}', True),
        (b'{"workflowId":7,"nextRun":100,"owner":"0x%s"}' % (b"0A" * 20), False),
        (b'{"workflowId":7,"nextRun":100,"owner":"0x%s"}' % (b"0b" * 20), True),
        (b'{"workflowId":7,"nextRun":100,"gasBudget":99,"interval":1,"triggerType":3}', False),
    ],
)
def test_a_payload_is_compared_where_it_says_something(payload: bytes, contradicts: bool) -> None:
    assert bool(contradiction(parse_job(payload), WORKFLOW)) == contradicts
    assert contradiction(parse_job(payload), None) is None


def test_what_the_chain_asks_for() -> None:
    assert unwanted(DUE, WORKFLOW) is None
    assert unwanted(NOW, WORKFLOW) is None
    for occurrence in (DUE, NOW):
        assert (unwanted(occurrence, None) or ("",))[0] == "gone"
        assert (unwanted(occurrence, replace(WORKFLOW, active=False)) or ("",))[0] == "paused"
    assert (unwanted(DUE, replace(WORKFLOW, next_run=160)) or ("",))[0] == "moved_on"
    assert unwanted(NOW, replace(WORKFLOW, next_run=160)) is None


def test_what_the_executor_contract_itself_does() -> None:
    to, token = "0x" + "12" * 20, "0x" + "34" * 20
    assert inner_call(NativeTransfer(to, 5)) == (to, b"", 5)
    transfer = interface("IERC20").functions["transfer"].encode(to, 5)
    assert inner_call(TokenTransfer(token, to, 5)) == (token, transfer, 0)
    assert inner_call(ContractCall(to, 5, b"abcd")) == (to, b"abcd", 5)


class _Registry:
    """One workflow, as of each height."""

    def __init__(self, *states: tuple[int, Workflow | None]) -> None:
        self._states = states

    async def get(self, view: Any, id: int) -> Workflow | None:
        return [state for since, state in self._states if since <= view.block.number][-1]


def _checker(registry: _Registry) -> Checker:
    unused: Any = None
    return Checker(
        registry=registry,  # type: ignore[arg-type]
        executor=EXECUTOR, network=_network(), policy=unused, triggers=unused, funds=unused, budget=unused,
        simulator=unused, charge=unused,
    )  # fmt: skip


def _network() -> Any:
    from autometa_cli.networks import network

    return network("moonbase")


def _decide(registry: _Registry, at: Head, occurrence: Occurrence = DUE, seen: int = 0) -> Refusal:
    async def scenario() -> Any:
        workflow = await registry.get(at.view, 7)
        return await _checker(registry).check(occurrence, workflow, at, holds=0, seen=seen)

    decision = asyncio.run(scenario())
    assert isinstance(decision, Refusal)
    return decision


PAUSED = replace(WORKFLOW, active=False)


def test_a_skip_needs_a_final_block_that_agrees() -> None:
    registry = _Registry((0, WORKFLOW), (50, PAUSED))
    waits = _decide(registry, head(55, final=45))
    assert (waits.to, waits.reason) == ("delayed", "paused")
    assert not waits.hold, "waiting for finality does not count against MAX_HOLD"
    skips = _decide(registry, head(55, final=52))
    assert (skips.to, skips.reason, skips.block) == ("skipped", "paused", 52)


def test_a_skip_needs_a_final_block_that_is_not_older_than_the_wish() -> None:
    """An old block tells of a workflow that does not exist yet, is not resumed yet, or had another nextRun."""
    for before in (None, PAUSED, replace(WORKFLOW, next_run=40)):
        registry = _Registry((0, before), (60, WORKFLOW))
        at = head(55, final=52)  # the endpoint lags behind block 60, at which the job was made
        assert _decide(registry, at, seen=60).to == "delayed"
        assert _decide(registry, at, seen=52).to == "skipped"


def test_without_the_role_nothing_is_decided() -> None:
    refusal = _decide(_Registry((0, None)), head(permitted=False))
    assert (refusal.to, refusal.reason, refusal.trouble) == ("queued", "no_role", True)


def test_a_workflow_that_is_gone_is_skipped_for_now_jobs_too() -> None:
    assert _decide(_Registry((0, None)), head(), NOW).to == "skipped"
    assert _decide(_Registry((0, PAUSED)), head(), NOW).to == "skipped"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (RpcFault(3, "execution reverted: no"), "would_fail"),
        (RpcFault(-32000, "out of gas"), "would_fail"),
        (RpcFault(-32000, "gas required exceeds allowance (60000000)"), "would_fail"),
        (RpcFault(-32000, "invalid opcode: INVALID"), "would_fail"),
        (RpcFault(-32603, "EVM error InvalidFEOpcode"), "would_fail"),
        (RpcFault(-32603, "evm error: OutOfGas"), "would_fail"),
        (RpcFault(-32601, "the method eth_estimateGas does not exist"), "rpc_refused"),
        (RpcFault(-32603, "internal error"), "rpc_refused"),
    ],
)
def test_the_machines_failure_is_the_jobs_and_the_nodes_is_ours(fault: RpcFault, reason: str) -> None:
    refusal = would_fail("it", fault, 0)
    assert refusal.reason == reason
    assert refusal.hold == (reason == "would_fail")


def test_a_held_job_looks_again_ever_more_rarely() -> None:
    pauses = [held("r", "t", holds).delay for holds in range(20)]
    assert pauses[:3] == [30, 60, 120]
    assert pauses == sorted(pauses)
    assert max(pauses) == 3600
