"""The two plain ways to execute: a loop that waits for each receipt, and bytes that were signed beforehand.

The loop is what one writes first: BLPOP, build, estimate, sign, send, wait. It forgets what it holds when it dies. The
bytes are a limit: nothing is left to do but to send them.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from autometa_cli.chain.interfaces import interface

if TYPE_CHECKING:
    from autometa_cli.bench.executionchain import Call, ExecutionChain

_SECONDS = 120.0


class Wire:
    """JSON-RPC over one connection, one request after the other."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port or 80, timeout=_SECONDS
        )
        self._connection.connect()

    def ask(self, method: str, *params: Any) -> Any:
        """The result of one request. Raises RuntimeError for an error: nothing goes wrong in a benchmark."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        self._connection.request("POST", "/", body, {"Content-Type": "application/json"})
        answer = json.loads(self._connection.getresponse().read())
        if answer.get("error"):
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def presigned(wire: Wire, sender: str, calls: Sequence[Call]) -> tuple[float, float]:
    """Send them one by one; seconds until the last is accepted, and until the last is mined."""
    upto = int(wire.ask("eth_getTransactionCount", sender, "latest"), 16) + len(calls)
    raws = ["0x" + call.raw.hex() for call in calls]
    started = time.perf_counter()
    for raw in raws:
        wire.ask("eth_sendRawTransaction", raw)
    sent = time.perf_counter() - started
    wait_for_count(wire, sender, upto)
    return sent, time.perf_counter() - started


def wait_for_count(wire: Wire, sender: str, count: int) -> None:
    """Until so many transactions of a sender are mined. Raises RuntimeError where that takes too long."""
    deadline = time.monotonic() + _SECONDS
    while int(wire.ask("eth_getTransactionCount", sender, "latest"), 16) < count:
        if time.monotonic() > deadline:
            raise RuntimeError("the chain mines no more")
        time.sleep(0.01)


def loop(chain: ExecutionChain, wire: Wire, redis: Any, queue: str, name: str, count: int) -> float:
    """Execute so many jobs of a list in the plain way; seconds."""
    sender = chain.signers[name].address
    encode = interface("ActionExecutor").functions["executeWorkflow"].encode
    registry = interface("WorkflowRegistry").functions["getWorkflow"]
    started = time.perf_counter()
    for _ in range(count):
        job = json.loads(redis.blpop([queue], 10)[1])
        call = {"to": chain.registry, "data": "0x" + registry.encode(job["workflowId"]).hex()}
        fields = registry.decode(bytes.fromhex(wire.ask("eth_call", call, "latest")[2:]))
        next_run = chain_time(wire) + fields[6]
        data = encode(job["workflowId"], fields[4], next_run, fields[0], fields[8])
        call = {"from": sender, "to": chain.executor, "data": "0x" + data.hex()}
        gas = int(wire.ask("eth_estimateGas", call), 16)
        nonce = int(wire.ask("eth_getTransactionCount", sender, "pending"), 16)
        signed = chain.call(name, nonce, job["workflowId"], next_run, gas * 12 // 10)
        wire.ask("eth_sendRawTransaction", "0x" + signed.raw.hex())
        while (receipt := wire.ask("eth_getTransactionReceipt", signed.hash)) is None:
            time.sleep(0.005)
        if receipt["status"] != "0x1":
            raise RuntimeError("an execution of the benchmark failed")
    return time.perf_counter() - started


def chain_time(wire: Wire) -> int:
    """The newest block's timestamp, seconds since 1970."""
    return int(wire.ask("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
