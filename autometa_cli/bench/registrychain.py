"""A local chain with a registry of any size on it, made as fast as the chain can."""

from __future__ import annotations

import time
from typing import Any

from autometa_cli.addresses import checksum
from autometa_cli.chain.actions import NativeTransfer, encode_action
from autometa_cli.chain.interfaces import interface
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.networks import MOONBEAM_MULTICALL3

_MAKER = "0x00000000000000000000000000000000000be4c4"
#: Workflows in one transaction; a block's gas limit is raised to fit them.
_AT_ONCE = 5000
_GAS_EACH = 400_000
_ACTION = encode_action(NativeTransfer("0x00000000000000000000000000000000000a11ce", 1))
_SECONDS = 300.0


class RegistryChain:
    """Workflows in bulk.

    Attributes:
        registry: address, checksummed.
        size: workflows made.
    """

    def __init__(self, anvil: AnvilProcess) -> None:
        self.anvil = anvil
        self.size = 0
        request = anvil.request
        request("anvil_autoImpersonateAccount", True)
        request("evm_setBlockGasLimit", hex(2 * _AT_ONCE * _GAS_EACH))
        anvil.set_balance(_MAKER, 10**30)
        registry = interface("WorkflowRegistry")
        self.registry = self._deploy(registry.deploy_data(_MAKER))
        self._bulk = self._deploy(interface("BulkCreator").deploy_data())
        self._functions = interface("BulkCreator").functions

    def add_multicall3(self) -> str:
        """Put Multicall3 where public networks have it; its address."""
        code = self.anvil.request(
            "eth_call",
            {"data": "0x" + interface("Multicall3").deploy_data().hex()},
            "latest",
            timeout=_SECONDS,
        )
        self.anvil.request("anvil_setCode", MOONBEAM_MULTICALL3, code, timeout=_SECONDS)
        return MOONBEAM_MULTICALL3

    def mine(self, blocks: int = 1) -> None:
        """Mine blocks; with a large registry that takes its time."""
        self.anvil.request("anvil_mine", hex(blocks), timeout=_SECONDS)

    def now(self) -> int:
        """The newest block's timestamp, seconds since 1970."""
        return int(
            self.anvil.request("eth_getBlockByNumber", "latest", False, timeout=_SECONDS)["timestamp"], 16
        )

    def grow(self, size: int, next_run: int) -> None:
        """Make workflows until there are `size`, due at `next_run` and a second later each."""
        while self.size < size:
            count = min(_AT_ONCE, size - self.size)
            call = self._functions["create"].encode(self.registry, count, _ACTION, next_run + self.size, 3600)
            self._send(self._bulk, call, count * _GAS_EACH)
            self.size += count

    def set_due(self, first: int, count: int, next_run: int) -> None:
        """Let `count` workflows from `first` on be due at `next_run`."""
        call = self._functions["update"].encode(self.registry, first, count, _ACTION, next_run)
        self._send(self._bulk, call, count * _GAS_EACH)

    def _deploy(self, data: bytes) -> str:
        return checksum(str(self._send(None, data, 10_000_000)["contractAddress"]))

    def _send(self, to: str | None, data: bytes, gas: int) -> Any:
        request = self.anvil.request
        transaction = {"from": _MAKER, "data": "0x" + data.hex(), "gas": hex(gas), "gasPrice": hex(10**11)}
        if to is not None:
            transaction["to"] = to
        hash = request("eth_sendTransaction", transaction, timeout=_SECONDS)
        deadline = time.monotonic() + _SECONDS
        while (receipt := request("eth_getTransactionReceipt", hash, timeout=_SECONDS)) is None:
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        if receipt is None or receipt["status"] != "0x1":
            raise RuntimeError(f"a transaction of the benchmark failed: {receipt}")
        return receipt
