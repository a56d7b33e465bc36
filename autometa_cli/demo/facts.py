"""What the chain says, read at one block: the executions, and everything that they should have moved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autometa_cli.chain.actions import ContractCall, NativeTransfer, TokenTransfer
from autometa_cli.chain.blocks import Block, Log
from autometa_cli.chain.contracts import Registry, Workflow, executed
from autometa_cli.chain.escrow import Escrow
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.view import together
from autometa_cli.units import from_hex

if TYPE_CHECKING:
    from autometa_cli.chain.view import View
    from autometa_cli.demo.workflows import Part
    from autometa_cli.devnet.info import DevnetInfo


@dataclass(frozen=True, slots=True)
class Execution:
    """One `WorkflowExecuted`, and the transaction that it stands in.

    Attributes:
        tx: hash.
        timestamp: of its block, seconds since 1970.
        success: what the event says of the action.
        charged: wei out of the owner's escrow deposit.
        new_next_run: what the call wrote into the registry.
        sender: checksummed, whose transaction it was.
    """

    workflow: int
    tx: str
    block: int
    timestamp: int
    success: bool
    charged: int
    new_next_run: int
    sender: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The chain at one block.

    Attributes:
        timestamp: of that block, seconds since 1970.
        executions: of every workflow, in the chain's order.
        workflows: by id; None where there is none.
        balances: wei of everybody who is paid, by address in lower case.
        tokens: of the test token, the same, in its smallest unit.
        executor_balance, executor_tokens: of the executor contract, out of which all is paid.
        deposit: wei that the owner has in the escrow.
        escrow_balance: wei that the escrow contract has.
        calls: how often each called contract counted a call, by address.
        worker_transactions: that the worker's key has had mined, of whatever kind.
    """

    block: int
    timestamp: int
    executions: tuple[Execution, ...]
    workflows: Mapping[int, Workflow | None]
    balances: Mapping[str, int]
    tokens: Mapping[str, int]
    executor_balance: int
    executor_tokens: int
    deposit: int
    escrow_balance: int
    calls: Mapping[str, int]
    worker_transactions: int


async def read(view: View, info: DevnetInfo, parts: Iterable[Part], ids: Iterable[int]) -> Facts:
    """Everything at the view's block. Raises RpcUnreachable, RpcFault."""
    payees, targets = _places(info, parts)
    people = [*payees, info.executor]
    balance_of = interface("IERC20").functions["balanceOf"]
    token = info.test_contracts["TestToken"]
    counted = interface("Recorder").functions["calls"]  # RevertingTarget has the same
    executions, workflows, balances, tokens, calls, deposit, escrow, transactions = await together(
        _executions(view, info.executor),
        Registry(info.registry).get_many(view, ids),
        together(*(view.balance(address) for address in people)),
        together(*(view.call(token, balance_of.encode(address)) for address in people)),
        together(*(view.call(address, counted.encode()) for address in targets)),
        Escrow(info.escrow).balance(view, info.accounts["owner"].address),
        view.balance(info.escrow),
        view.nonce(info.accounts["worker"].address),
    )
    units = [int(balance_of.decode(output)[0]) for output in tokens]
    return Facts(
        block=view.block.number,
        timestamp=view.block.timestamp,
        executions=executions,
        workflows=workflows,
        balances=dict(zip(payees, balances, strict=False)),
        tokens=dict(zip(payees, units, strict=False)),
        executor_balance=balances[-1],
        executor_tokens=units[-1],
        deposit=deposit,
        escrow_balance=escrow,
        calls={where: int(counted.decode(out)[0]) for where, out in zip(targets, calls, strict=True)},
        worker_transactions=transactions,
    )


def _places(info: DevnetInfo, parts: Iterable[Part]) -> tuple[list[str], list[str]]:
    """Who is paid, and what is called and counts it."""
    payees, targets = [], []
    for part in parts:
        match part.action:
            case NativeTransfer(to=to) | TokenTransfer(to=to):
                payees.append(to)
            case ContractCall(target=target) if target != info.escrow.lower():
                targets.append(target)
                payees.append(target)
    return payees, targets


async def _executions(view: View, executor: str) -> tuple[Execution, ...]:
    event = interface("ActionExecutor").events["WorkflowExecuted"]
    criteria = {
        "address": executor,
        "topics": [event.topic],
        "fromBlock": "0x0",
        "toBlock": hex(view.block.number),
    }
    logs = [Log.parse(entry) for entry in await view.request("eth_getLogs", (criteria,))]
    found = await together(*(_execution(view, log) for log in logs))
    return tuple(found)


async def _execution(view: View, log: Log) -> Execution:
    answer, transaction = await together(
        view.request("eth_getBlockByNumber", (hex(log.block_number), False)),
        view.request("eth_getTransactionByHash", (log.transaction_hash,)),
    )
    call = interface("ActionExecutor").functions["executeWorkflow"]
    _, _, new_next_run, _, _ = call.decode_inputs(from_hex(transaction["input"]))
    event = executed(log)
    return Execution(
        workflow=event.workflow,
        tx=log.transaction_hash,
        block=log.block_number,
        timestamp=Block.parse(answer).timestamp,
        success=event.success,
        charged=event.gas_used,
        new_next_run=new_next_run,
        sender=transaction["from"].lower(),
    )
