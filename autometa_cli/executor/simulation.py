"""Would it work? The action by itself, and the whole call as it would be sent, at one pinned block.

A failed native transfer or contract call does not revert the transaction around it, so the outer call alone proves
nothing of the action; and the action alone proves nothing of the roles, the charge and the registry.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autometa_cli.chain import reverts, roles
from autometa_cli.chain.actions import Action, ContractCall, NativeTransfer, TokenTransfer
from autometa_cli.chain.faults import RpcFault, is_revert
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.view import together
from autometa_cli.errors import AutometaError
from autometa_cli.executor.decision import Refusal, held, pause
from autometa_cli.executor.gasmemory import Estimates, GasMemory, Shape

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from decimal import Decimal

    from autometa_cli.executor.head import Head

#: How nodes say that the code itself failed, where it did not revert (anvil, geth, Frontier).
_MACHINE_FAILURES = (
    "evm error",
    "out of gas",
    "outofgas",
    "gas required exceeds",
    "invalid opcode",
    "invalid jump",
    "stack underflow",
    "stack limit",
    "vm exception",
)


@dataclass(frozen=True, slots=True)
class Gas:
    """What a call needs.

    Attributes:
        limit: to send it with.
        expected: that it will use.
        proven: the call was simulated with exactly this limit already.
    """

    limit: int
    expected: int
    proven: bool = False


class Simulator:
    """Asks a node what would come of executing an action with one key.

    Args:
        executor: address of the ActionExecutor.
        sender: address of the key.
        gas_multiplier: of what is estimated.
        max_gas: MAX_GAS_PER_TX.
    """

    def __init__(self, *, executor: str, sender: str, gas_multiplier: Decimal, max_gas: int) -> None:
        self._executor = executor
        self._sender = sender
        self._gas_multiplier = gas_multiplier
        self._max_gas = max_gas
        self._memory = GasMemory()

    async def gas(
        self, action: Action, data: bytes, head: Head, holds: int, *, spare: int = 0
    ) -> Gas | Refusal:
        """The gas that the call needs, or why it would fail. Raises RpcUnreachable.

        Args:
            data: call data of `executeWorkflow`.
            holds: how often the job was held before.
            spare: gas by which the call that is sent may need more than `data` does.
        """
        shape = (type(action), inner_call(action)[0], len(data))
        known = None if spare else self._memory.get(shape, head.number)
        alike = await self._alike(action, data, head, known) if known else None
        return alike or await self._estimate(action, data, head, holds, spare, shape)

    async def _alike(self, action: Action, data: bytes, head: Head, known: Estimates) -> Gas | None:
        """The limit of a call of the same shape, where this one proves to need no more; all asked for at once.

        The estimate of the whole call is what costs a node most, ten times a simulation. What may differ unseen is the
        action, of which running out of gas does not revert: that is estimated each time.
        """
        limit = self._limit(known.least, head)
        target, inner_data, value = inner_call(action)
        inner_gas, fails = await asyncio.gather(
            _answer(head.view.estimate_gas(target, inner_data, sender=self._executor, value=value)),
            self.run(action, data, limit, head, 0),
        )
        if fails or isinstance(inner_gas, RpcFault) or not known.like(inner_gas):
            return None
        return Gas(limit, known.outer, proven=True)

    async def _estimate(
        self, action: Action, data: bytes, head: Head, holds: int, spare: int, shape: Shape
    ) -> Gas | Refusal:
        target, inner_data, value = inner_call(action)
        inner_gas, outer_gas = await asyncio.gather(
            _answer(head.view.estimate_gas(target, inner_data, sender=self._executor, value=value)),
            _answer(head.view.estimate_gas(self._executor, data, sender=self._sender)),
        )
        if isinstance(inner_gas, RpcFault):
            return would_fail("the action would fail", inner_gas, holds)
        if isinstance(outer_gas, RpcFault):
            return await self._call_would_fail("the call would revert", outer_gas, head, holds)
        found = Estimates(inner_gas, outer_gas + spare)
        least = found.least
        if least > self._max_gas:
            return Refusal(
                "dead",
                "over_gas",
                f"it needs {least} gas, MAX_GAS_PER_TX is {self._max_gas}",
                block=head.final_number,
            )
        if not spare:
            self._memory.put(shape, found, head.number)
        return Gas(self._limit(least, head), found.outer)

    def _limit(self, least: int, head: Head) -> int:
        return min(int(least * self._gas_multiplier), self._max_gas, head.view.block.gas_limit)

    async def run(self, action: Action, data: bytes, gas: int, head: Head, holds: int) -> Refusal | None:
        """Why the call would fail with exactly this gas limit, or None. Raises RpcUnreachable."""
        target, inner_data, value = inner_call(action)
        try:
            returned, _ = await together(
                head.view.call(
                    target, inner_data, sender=self._executor, value=value, gas=min(gas, 63 * gas // 64)
                ),
                head.view.call(self._executor, data, sender=self._sender, gas=gas, fees=head.fees),
            )
        except RpcFault as fault:
            return await self._call_would_fail("the call would fail with its gas limit", fault, head, holds)
        if isinstance(action, TokenTransfer) and returned and not int.from_bytes(returned[:32], "big"):
            return held("would_fail", "the token's transfer answers false", holds)
        return None

    async def _call_would_fail(self, what: str, fault: RpcFault, head: Head, holds: int) -> Refusal:
        """Of a call by our own key: is it the job that fails, or is it that key (I6)?

        A node that is just mining has been seen to answer for the pinned block out of the next one, so that `permitted`
        was true a block too early. What it says of the role now is asked again, of that block and of the newest.
        """
        if is_revert(fault) and not await self._permitted(head):
            return Refusal("queued", "no_role", "this worker's key has no WORKER_ROLE", trouble=True)
        return would_fail(what, fault, holds)

    async def _permitted(self, head: Head) -> bool:
        return all(
            await together(
                *(
                    roles.has_role(view, self._executor, "WORKER_ROLE", self._sender)
                    for view in (head.view, head.view.newest())
                )
            )
        )


def inner_call(action: Action) -> tuple[str, bytes, int]:
    """What the executor contract itself does for an action: (target, call data, wei)."""
    match action:
        case NativeTransfer(to, amount):
            return to, b"", amount
        case TokenTransfer(token, to, amount):
            return token, interface("IERC20").functions["transfer"].encode(to, amount), 0
        case ContractCall(target, value, call_data):
            return target, call_data, value
    raise AutometaError(f"unknown action {action!r}")


def would_fail(what: str, fault: RpcFault, holds: int) -> Refusal:
    """What a node's refusal to simulate `what` means: the job's own failure is held, the node's is waited for."""
    # A revert's words are the target's own: they are shown, and never believed ("your worker has no role").
    if is_revert(fault):
        return held("would_fail", f"{what}: {reverts.explain_fault(fault).text}", holds)
    if any(words in fault.text.lower() for words in _MACHINE_FAILURES):
        return held("would_fail", f"{what}: {fault.text}", holds)
    # Not the contract's doing but the node's: an unknown method, a fault of its own.
    return Refusal("delayed", "rpc_refused", f"{what}: {fault.message}", delay=pause(holds))


async def _answer(read: Awaitable[int]) -> int | RpcFault:
    try:
        return await read
    except RpcFault as fault:
        return fault
