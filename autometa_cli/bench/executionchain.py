"""A local chain with our contracts and workflows that are due: what executions are measured on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autometa_cli.addresses import checksum
from autometa_cli.chain.actions import NativeTransfer, encode_action
from autometa_cli.chain.interfaces import interface
from autometa_cli.devnet.contracts import set_up
from autometa_cli.secrets import Signer

if TYPE_CHECKING:
    from autometa_cli.devnet.node import AnvilProcess

_MAKER = "0x00000000000000000000000000000000000be4c4"
#: Workflows in one transaction, and gas for each.
_AT_ONCE, _GAS_EACH = 2000, 400_000
#: Ample, so that the chain's limits are not what is measured: a block of the devnet has room for 600 executions.
_BLOCK_GAS = 4 * 10**9
#: What each workflow is charged, wei.
_CHARGE = 10**12
ACTION = encode_action(NativeTransfer("0x00000000000000000000000000000000000a11ce", 1))


@dataclass(frozen=True, slots=True)
class Call:
    """A signed `executeWorkflow`, as the plain ways send it."""

    raw: bytes
    hash: str


class ExecutionChain:
    """Contracts and workflows on a running anvil.

    Attributes:
        owner: of all workflows; its deposit in the escrow is ample.
        signers: keys with WORKER_ROLE, by name: `worker` and `worker2`.
    """

    def __init__(self, anvil: AnvilProcess) -> None:
        self.anvil = anvil
        contents = set_up(anvil, workers=2)
        self.registry, self.executor, self.escrow = contents.registry, contents.executor, contents.escrow
        self.keys = {name: contents.accounts[name].private_key for name in ("worker", "worker2")}
        self.signers = {
            name: Signer(bytes.fromhex(key[2:]), chain_id=anvil.chain_id) for name, key in self.keys.items()
        }
        anvil.request("anvil_autoImpersonateAccount", True)
        anvil.request("evm_setBlockGasLimit", hex(_BLOCK_GAS))
        anvil.set_balance(_MAKER, 10**30)
        anvil.mine()
        self.owner = self._send(None, interface("BulkCreator").deploy_data(), 10_000_000)["contractAddress"]
        self.owner = checksum(str(self.owner))
        anvil.set_balance(self.owner, 10**30)
        anvil.mine()
        deposit = interface("FeeEscrow").functions["depositGas"].encode()
        self._send(self.escrow, deposit, 1_000_000, sender=self.owner, value=10**27)

    def now(self) -> int:
        """The newest block's timestamp, seconds since 1970."""
        return int(self.anvil.request("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def grow(self, count: int) -> range:
        """Make so many workflows that are due; their ids."""
        function = interface("BulkCreator").functions["create"]
        first, due = self._total() + 1, self.now() - 10**6
        for start in range(0, count, _AT_ONCE):
            some = min(_AT_ONCE, count - start)
            call = function.encode(self.registry, some, ACTION, due + start, 3600)
            self._send(self.owner, call, some * _GAS_EACH)
        return range(first, first + count)

    def call(self, name: str, nonce: int, workflow: int, new_next_run: int, gas: int) -> Call:
        """Sign one execution with one of the keys, as a worker would have sent it."""
        function = interface("ActionExecutor").functions["executeWorkflow"]
        signed = self.signers[name].sign(
            {
                "type": 2, "chainId": self.anvil.chain_id, "nonce": nonce, "to": self.executor, "value": 0,
                "data": function.encode(workflow, ACTION, new_next_run, self.owner, _CHARGE), "gas": gas,
                "maxFeePerGas": 10**11, "maxPriorityFeePerGas": 10**9,
            }
        )  # fmt: skip
        return Call(signed.raw, signed.hash)

    def _total(self) -> int:
        data = interface("WorkflowRegistry").functions["totalWorkflows"].encode()
        return int(
            self.anvil.request("eth_call", {"to": self.registry, "data": "0x" + data.hex()}, "latest"), 16
        )

    def _send(
        self, to: str | None, data: bytes, gas: int, *, sender: str = _MAKER, value: int = 0
    ) -> dict[str, Any]:
        request = self.anvil.request
        transaction = {
            "from": sender, "data": "0x" + data.hex(), "gas": hex(gas), "gasPrice": hex(10**11), "value": hex(value),
        }  # fmt: skip
        if to is not None:
            transaction["to"] = to
        hash = request("eth_sendTransaction", transaction, timeout=60.0)
        self.anvil.mine()
        receipt: dict[str, Any] | None = request("eth_getTransactionReceipt", hash, timeout=60.0)
        if receipt is None or receipt["status"] != "0x1":
            raise RuntimeError(f"a transaction of the benchmark failed: {receipt}")
        return receipt
