"""Our three contracts: what they store, what their events say, and the roles that they know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from eth_hash.auto import keccak

from autometa_cli.addresses import checksum
from autometa_cli.chain.blocks import Log, Receipt
from autometa_cli.chain.executionwords import read_executed
from autometa_cli.chain.faults import RpcFault, is_revert, revert_data
from autometa_cli.chain.interfaces import (
    interface,
)
from autometa_cli.chain.words import BadEncoding
from autometa_cli.chain.workflowwords import read_fields
from autometa_cli.errors import ConfigError

if TYPE_CHECKING:
    from autometa_cli.chain.view import View

#: Roles by name; OpenZeppelin gives the first one the id 0.
ROLE_IDS: Mapping[str, bytes] = MappingProxyType(
    {
        "DEFAULT_ADMIN_ROLE": bytes(32),
        "ADMIN_ROLE": keccak(b"ADMIN_ROLE"),
        "PROJECT_ADMIN": keccak(b"PROJECT_ADMIN"),
        "WORKER_ROLE": keccak(b"WORKER_ROLE"),
    }
)

#: Selector of `Error(string)`, in which Solidity wraps the reason of a `require`.
ERROR_STRING = bytes.fromhex("08c379a0")

# Calls of one `Registry.get_many` that are made at a time: enough to fill the batches under way, few
# enough not to hold a task for each workflow of a large registry.
_CHUNK = 2000

#: How a topic begins that holds an address and nothing else.
_NO_MORE = "0x" + "00" * 12

_checksum = lru_cache(maxsize=65536)(checksum)


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow as the registry stores it.

    Attributes:
        id: counts up from 1.
        owner: checksummed; pays for executions.
        trigger_type, trigger_data: see trigger_data.decode_trigger.
        action_type: a label only; the first byte of `action_data` decides.
        action_data: see actions.decode_action.
        next_run: seconds since 1970; due from then on.
        interval: seconds; 0: once.
        active: False while paused.
        gas_budget: wei that the owner is charged for an execution.
    """

    id: int
    owner: str
    trigger_type: int
    trigger_data: bytes
    action_type: int
    action_data: bytes
    next_run: int
    interval: int
    active: bool
    gas_budget: int


class Registry:
    """Reads of the WorkflowRegistry at `address` (checksummed)."""

    def __init__(self, address: str) -> None:
        self.address = address
        functions = interface("WorkflowRegistry").functions
        self._get = functions["getWorkflow"]
        self._total = functions["totalWorkflows"]
        self._missing = interface("WorkflowRegistry").errors["WorkflowNotFound"].selector

    async def get(self, view: View, id: int) -> Workflow | None:
        """The workflow, or None where it was deleted or never made.

        Raises:
            RpcUnreachable: as the view's reads.
            ConfigError: no registry stands at this address.
        """
        try:
            output = await view.call(self.address, self.call_data(id))
        except RpcFault as fault:
            if self._not_found(fault):
                return None
            raise
        return self.parse(id, output)

    async def get_many(self, view: View, ids: Iterable[int]) -> dict[int, Workflow | None]:
        """Many workflows at the view's block, in batches. Raises as `get`."""
        from autometa_cli.chain.view import together

        wanted = list(dict.fromkeys(ids))
        found: dict[int, Workflow | None] = {}
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            found.update(
                zip(chunk, await together(*(self.get(view, number) for number in chunk)), strict=True)
            )
        return found

    async def total(self, view: View) -> int:
        """Workflows ever created; the highest id. Raises as `get`."""
        try:
            return int(self._total.decode(await view.call(self.address, self._total.encode()))[0])
        except (BadEncoding, RpcFault) as fault:
            if isinstance(fault, RpcFault) and not is_revert(fault):
                raise
            raise self._none_here() from None

    def call_data(self, id: int) -> bytes:
        """What `get` sends, for a call that wraps it."""
        return self._get.selector + id.to_bytes(32, "big")

    def parse(self, id: int, output: bytes) -> Workflow:
        """What `get` receives. Raises ConfigError where no registry would answer so."""
        fields = read_fields(output)
        if fields is not None:
            owner = "0x" + fields.owner.hex()
            return Workflow(id, _checksum(owner), *fields[1:])
        try:
            owner, *rest = self._get.decode(output)
        except BadEncoding:
            raise self._none_here() from None
        return Workflow(id, _checksum(owner), *rest)

    def says_missing(self, data: bytes) -> bool:
        """Whether a revert with this data says that there is no such workflow; an empty one may be anything."""
        return data[:4] in (self._missing, ERROR_STRING)

    def _not_found(self, fault: RpcFault) -> bool:
        # A revert without data, or with a reason string, is taken for it as well: older registries have
        # those. A panic, or another contract's error, is not.
        data = revert_data(fault)
        return is_revert(fault) and (data is None or self.says_missing(data))

    def _none_here(self) -> ConfigError:
        return ConfigError(
            f"there is no WorkflowRegistry at {self.address}",
            "check REGISTRY_ADDRESS, and that NETWORK or CHAIN_ID is the chain it was deployed on",
        )


@dataclass(frozen=True, slots=True)
class Executed:
    """One `WorkflowExecuted` event.

    Attributes:
        workflow: its id.
        user: who was charged, checksummed.
        success: whether the action did what it should; False does not revert the transaction.
        gas_used: wei charged, not gas.
        result: what the action returned, or reverted with.
        log: where it was found.
    """

    workflow: int
    user: str
    success: bool
    gas_used: int
    result: bytes
    log: Log


def executed_events(receipt: Receipt, executor_address: str) -> list[Executed]:
    """The executions that a receipt shows: events of our executor contract only, in order.

    An event of that contract that cannot be decoded raises BadEncoding: it is not the contract we know.
    """
    event = interface("ActionExecutor").events["WorkflowExecuted"]
    executor = executor_address.lower()
    return [
        executed(log) for log in receipt.logs if log.address == executor and log.topics[:1] == (event.topic,)
    ]


def executed(log: Log) -> Executed:
    """One log as an execution; the caller has checked its address. Raises BadEncoding."""
    event = interface("ActionExecutor").events["WorkflowExecuted"]
    plain = read_executed(log.data)
    if plain and len(log.topics) == 3 and log.topics[0] == event.topic and log.topics[2].startswith(_NO_MORE):
        workflow, user = int(log.topics[1], 16), _checksum("0x" + log.topics[2][26:])
        return Executed(workflow, user, *plain, log=log)
    fields = event.decode(log)
    return Executed(
        workflow=fields["workflowId"],
        user=_checksum(fields["user"]),
        success=fields["success"],
        gas_used=fields["gasUsed"],
        result=fields["result"],
        log=log,
    )
