"""A demo that went as it should, made up: what the tests of this folder then bend."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autometa_cli.chain.actions import ContractCall, encode_action
from autometa_cli.chain.contracts import Workflow
from autometa_cli.demo.facts import Execution, Facts
from autometa_cli.demo.verdict import Verdict, judge
from autometa_cli.demo.workflows import PAUSED_DUE_IN, Cast, Part, script
from autometa_cli.devnet.contracts import TEST_CONTRACTS
from autometa_cli.devnet.info import DevnetAccount, DevnetInfo
from autometa_cli.jobs.record import Record, read_record
from autometa_cli.times import LAST_SECOND
from autometa_cli.units import WEI_PER_ETHER

NOW = 1_700_000_000
ETHER = WEI_PER_ETHER
INFO = DevnetInfo(
    directory=Path("/nowhere"),
    env_file=None,
    chain_id=1287,
    block_time=1.0,
    rpc_url="http://127.0.0.1:1",
    redis_url="redis://127.0.0.1:1/0",
    registry="0x" + "a1" * 20,
    executor="0x" + "a2" * 20,
    escrow="0x" + "a3" * 20,
    test_contracts={name: f"0x{number:040x}" for number, name in enumerate(TEST_CONTRACTS, 0xB000)},
    accounts={
        name: DevnetAccount(f"0x{number:040x}", "0x" + "11" * 32)
        for number, name in enumerate(("worker", "admin", "owner"), 0xC000)
    },
)


def tx(number: int) -> str:
    """A transaction's hash."""
    return f"0x{number:064x}"


def workflow(id: int, part: Part, next_run: int, *, active: bool = True) -> Workflow:
    """A part as the registry has it."""
    data = encode_action(part.action)
    owner = INFO.accounts["owner"].address
    return Workflow(id, owner, 1, b"", data[0], data, next_run, part.interval, active, part.gas_budget)


def record(id: int, next_run: int, state: str, **fields: Any) -> Record:
    """One of the ledger."""
    stored = {
        "kind": "due", "workflow": id, "nextRun": next_run, "gen": 0, "st": state, "executor": INFO.executor, **fields,
    }  # fmt: skip
    found = read_record(f"key:{id}:{next_run}", {k.encode(): str(v).encode() for k, v in stored.items()})
    assert found is not None
    return found


@dataclass
class Story:
    """Everything that `judge` is given."""

    cast: Cast
    before: Facts
    after: Facts
    records: list[Record]

    def verdict(self) -> Verdict:
        return judge(self.cast, self.before, self.after, self.records)

    def change(self, **after: Any) -> None:
        """Let the chain say something else."""
        self.after = replace(self.after, **after)

    def parts(self) -> dict[str, tuple[int, Part]]:
        return {part.name: (id, part) for id, part in self.cast.members}


def _payee(part: Part) -> str:
    return part.action.target if isinstance(part.action, ContractCall) else part.action.to


def good_story() -> Story:
    """All as promised: the recurring one ran twice, the token transfer and the call once."""
    parts = script(INFO)
    members = tuple(enumerate(parts, 1))
    next_runs = {id: NOW + part.due_in for id, part in members}
    cast = Cast(members, NOW, next_runs)
    payees = [_payee(part) for part in parts]
    before = Facts(
        block=10, timestamp=NOW, executions=(), workflows={},
        balances=dict.fromkeys(payees, 0), tokens=dict.fromkeys(payees, 0),
        executor_balance=100 * ETHER, executor_tokens=1000 * ETHER,
        deposit=10 * ETHER, escrow_balance=10 * ETHER,
        calls={payees[2]: 0, payees[3]: 0}, worker_transactions=0,
    )  # fmt: skip
    worker = INFO.accounts["worker"].address
    milli = ETHER // 1000
    executions = (
        Execution(1, tx(1), 12, NOW + 2, True, milli, NOW + 6, worker),
        Execution(2, tx(2), 12, NOW + 2, True, 2 * milli, LAST_SECOND, worker),
        Execution(3, tx(3), 12, NOW + 2, True, 3 * milli, LAST_SECOND, worker),
        Execution(1, tx(4), 17, NOW + 7, True, milli, NOW + 12, worker),
    )
    left = {1: NOW + 12, 2: LAST_SECOND, 3: LAST_SECOND}
    after = replace(
        before, block=20, timestamp=NOW + PAUSED_DUE_IN + 3, executions=executions,
        workflows={
            id: workflow(id, part, left.get(id, next_runs[id]), active=part.name != "paused") for id, part in members
        },
        balances=dict(before.balances) | {payees[0]: ETHER // 2, payees[2]: ETHER // 100},
        tokens=dict(before.tokens) | {payees[1]: 120 * ETHER},
        executor_balance=100 * ETHER - 51 * ETHER // 100 + 7 * milli,
        executor_tokens=880 * ETHER,
        deposit=10 * ETHER - 7 * milli, escrow_balance=10 * ETHER - 7 * milli,
        calls=dict(before.calls) | {payees[2]: 1}, worker_transactions=4,
    )  # fmt: skip
    records = [
        record(1, NOW, "settled", outcome="executed", tx=tx(1)),
        record(1, NOW + 6, "settled", outcome="executed", tx=tx(4)),
        record(2, NOW, "settled", outcome="executed", tx=tx(2)),
        record(3, NOW, "settled", outcome="executed", tx=tx(3)),
        record(4, NOW, "delayed", reason="would_fail", text='it reverted: "target is not healthy"', holds=1),
        record(5, NOW, "dead", reason="forbidden_target", text="contract call to the escrow"),
    ]
    return Story(cast, before, after, records)
