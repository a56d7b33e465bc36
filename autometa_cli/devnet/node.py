"""A local EVM chain: anvil as a server process, mining at an even pace."""

from __future__ import annotations

import http.client
import json
import secrets
import socket
from pathlib import Path
from typing import Any

from autometa_cli.devnet.process import HOST, Server
from autometa_cli.errors import RpcUnreachable

BLOCK_GAS_LIMIT = 60_000_000  # as on Moonbeam
KEPT_STATES = 1000
BASE_FEE = 10**9  # wei, of the first block; the chain lets it fall from there


class AnvilProcess(Server):
    """anvil on the loopback interface, without accounts of its own.

    The `finalized` tag trails the head by two blocks, so that code which waits for it really waits.

    Args:
        directory: for the log and, with `keep_state`, the state.
        binary: path of anvil, see `anvil_binary.find`.
        port: 0 takes a free one.
        chain_id: what the chain says it is.
        block_time: seconds between blocks; None mines each transaction at once.
        keep_state: the chain survives `stop` and `start` (not `kill`). Otherwise each start is a new chain.
    """

    name = "anvil"
    port_option = "--rpc-port"

    def __init__(
        self,
        directory: Path,
        binary: Path,
        *,
        port: int = 0,
        chain_id: int = 1287,
        block_time: float | None = 1.0,
        keep_state: bool = False,
    ) -> None:
        super().__init__(directory, port=port)
        self.binary = binary
        self.chain_id = chain_id
        self.block_time = block_time
        self.keep_state = keep_state
        self._base_fee = BASE_FEE

    @property
    def url(self) -> str:
        """The JSON-RPC endpoint."""
        return f"http://{HOST}:{self.port}"

    @property
    def state_file(self) -> Path:
        """Where the chain is kept between `stop` and `start`, with `keep_state`."""
        return self.directory / "chain.json"

    def command(self) -> list[str]:
        """The command line of this start."""
        # The odd wei in the first base fee is how `answers` knows our anvil from one that was quicker
        # to take the same free port.
        self._base_fee = BASE_FEE + secrets.randbelow(10**6)
        command = [str(self.binary), "--host", HOST, "--port", str(self.port), "--quiet"]
        command += ["--chain-id", str(self.chain_id), "--gas-limit", str(BLOCK_GAS_LIMIT)]
        command += ["--base-fee", str(self._base_fee), "--order", "fees", "--slots-in-an-epoch", "1"]
        # With a number: without one anvil answers no read at an older block, `finalized` included.
        command += ["--prune-history", str(KEPT_STATES), "--accounts", "0"]
        if self.block_time is not None:
            command += ["--block-time", f"{self.block_time:g}"]
        if self.keep_state:
            command += ["--preserve-historical-states", "--dump-state", str(self.state_file)]
            if self.state_file.exists():
                command += ["--load-state", str(self.state_file)]
        return command

    def answers(self) -> bool:
        """Whether our anvil answers JSON-RPC."""
        try:
            if self.keep_state and self.state_file.exists():
                return int(self.request("eth_chainId", timeout=1.0), 16) == self.chain_id
            first = self.request("eth_getBlockByNumber", "0x0", False, timeout=1.0)
            return int(first["baseFeePerGas"], 16) == self._base_fee
        except (RpcUnreachable, TypeError, KeyError, ValueError):
            return False

    def responds(self) -> bool:
        """Whether an anvil answers at all: enough for one whose process is known to be ours."""
        try:
            return self.block_number() >= 0
        except RpcUnreachable:
            return False

    def says_port_taken(self, output: str) -> bool:
        """Whether anvil's last words are that its port was taken."""
        return "address already in use" in output.lower()

    def block_number(self) -> int:
        """The number of the newest block. Raises RpcUnreachable."""
        return int(self.request("eth_blockNumber"), 16)

    def mine(self, blocks: int = 1) -> None:
        """Mine this many blocks now. Raises RpcUnreachable."""
        self.request("anvil_mine", hex(blocks))

    def set_balance(self, address: str, wei: int) -> None:
        """Give an account this much of the native token. Raises RpcUnreachable."""
        self.request("anvil_setBalance", address, hex(wei))

    def mine_at_once(self) -> None:
        """From now on, mine each transaction as it comes. Raises RpcUnreachable."""
        self.request("evm_setAutomine", True)

    def mine_every(self, seconds: int) -> None:
        """From now on, mine a block every so many seconds. Raises RpcUnreachable."""
        self.request("evm_setIntervalMining", seconds)

    def request(self, method: str, *params: Any, timeout: float = 5.0) -> Any:
        """One JSON-RPC request with the standard library, for setting up and looking in; returns `result`.

        Raises:
            RpcUnreachable: no answer within `timeout` seconds, or an error as answer.
        """
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        connection = http.client.HTTPConnection(HOST, self.port, timeout=timeout)
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as fault:
            reason = "does not answer in time" if isinstance(fault, socket.timeout) else "does not answer"
            raise RpcUnreachable(f"anvil at {self.url} {reason}") from fault
        finally:
            connection.close()
        if not isinstance(answer, dict) or "result" not in answer:
            raise RpcUnreachable(f"anvil at {self.url} refuses {method}: {str(answer)[:200]}")
        return answer["result"]
