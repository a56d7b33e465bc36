"""The three contracts on a test chain, with the roles that a working system needs."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from eth_typing import ChecksumAddress
from hexbytes import HexBytes
from web3 import Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction
from web3.exceptions import ContractLogicError
from web3.types import TxParams, TxReceipt

ABI_DIRECTORY = Path(__file__).resolve().parents[2] / "abi"
BUILT_IN_ERRORS = {"Error": ["string"], "Panic": ["uint256"]}
GAS_PRICE = 10 * 10**9  # wei; above what an empty chain asks for
GAS_LIMIT = 2_000_000  # given, because an estimate does not see an action that runs out of gas inside

WORKER_ROLE = Web3.keccak(text="WORKER_ROLE")
ADMIN_ROLE = Web3.keccak(text="ADMIN_ROLE")
PROJECT_ADMIN = Web3.keccak(text="PROJECT_ADMIN")
DEFAULT_ADMIN_ROLE = bytes(32)
NOBODY = Web3.to_checksum_address("0x" + "00" * 20)


def artifact(name: str) -> dict[str, Any]:
    """The committed build artifact of a contract, such as ``FeeEscrow`` or ``test/Recorder``."""
    return cast("dict[str, Any]", json.loads((ABI_DIRECTORY / f"{name}.json").read_text()))


@dataclass(frozen=True, slots=True)
class Accounts:
    """Accounts of the test chain, each with one part to play."""

    deployer: ChecksumAddress
    admin: ChecksumAddress
    worker: ChecksumAddress
    owner: ChecksumAddress
    stranger: ChecksumAddress


class System:
    """A freshly deployed, wired system; every test has its own."""

    def __init__(self, web3: Web3) -> None:
        self.web3 = web3
        deployer, admin, worker, owner, stranger = list(web3.eth.accounts)[:5]
        self.accounts = Accounts(deployer, admin, worker, owner, stranger)
        self.registry = self.deploy("WorkflowRegistry", admin)
        self.escrow = self.deploy("FeeEscrow", admin)
        self.executor = self.deploy("ActionExecutor", admin, self.registry.address, self.escrow.address)
        self.send(self.executor.functions.grantRole(WORKER_ROLE, self.accounts.worker), admin)
        self.send(self.escrow.functions.grantRole(WORKER_ROLE, self.executor.address), admin)
        self.send(self.registry.functions.grantRole(PROJECT_ADMIN, self.executor.address), admin)

    def deploy(self, name: str, *arguments: Any) -> Contract:
        """Deploy a contract from its artifact, by the deployer."""
        made = artifact(name)
        factory = self.web3.eth.contract(abi=made["abi"], bytecode=made["bytecode"])
        sent = factory.constructor(*arguments).transact(
            self._transaction(self.accounts.deployer, 0, 6_000_000)
        )
        receipt = self._receipt(sent)
        assert receipt["status"] == 1
        address = receipt["contractAddress"]
        assert address is not None
        return self.web3.eth.contract(address=address, abi=made["abi"])

    def mine(
        self, call: ContractFunction, sender: ChecksumAddress, value: int = 0, gas: int = GAS_LIMIT
    ) -> TxReceipt:
        """Send a call and return its receipt, whatever its status."""
        return self._receipt(call.transact(self._transaction(sender, value, gas)))

    def send(
        self, call: ContractFunction, sender: ChecksumAddress, value: int = 0, gas: int = GAS_LIMIT
    ) -> TxReceipt:
        """Send a call that must not revert."""
        receipt = self.mine(call, sender, value, gas)
        assert receipt["status"] == 1
        return receipt

    def rejected(self, call: ContractFunction, sender: ChecksumAddress, value: int = 0) -> tuple[Any, ...]:
        """Send a call that must revert; its error as ``(name, *arguments)``, ``()`` if it gave none."""
        error = self.error_of(call, sender, value)
        assert self.mine(call, sender, value)["status"] == 0
        return error

    def error_of(self, call: ContractFunction, sender: ChecksumAddress, value: int = 0) -> tuple[Any, ...]:
        """The error of a call that must revert, without sending it."""
        try:
            call.call({"from": sender, "value": self.web3.to_wei(value, "wei"), "gas": GAS_LIMIT})
        except ContractLogicError as reverted:
            return self.decode_error(bytes.fromhex(str(reverted.data or "0x").removeprefix("0x")))
        raise AssertionError(f"{call} did not revert")

    def decode_error(self, data: bytes) -> tuple[Any, ...]:
        """Revert data as ``(name, *arguments)``, by the errors of every artifact."""
        if not data:
            return ()
        known = dict(BUILT_IN_ERRORS)
        for path in ABI_DIRECTORY.rglob("*.json"):
            for entry in json.loads(path.read_text())["abi"]:
                if entry["type"] == "error":
                    known[entry["name"]] = [item["type"] for item in entry["inputs"]]
        for name, types in known.items():
            if data[:4] == Web3.keccak(text=f"{name}({','.join(types)})")[:4]:
                return (name, *self.web3.codec.decode(types, data[4:]))
        raise AssertionError(f"unknown error {data.hex()}")

    def workflow(self, *, owner: ChecksumAddress | None = None, next_run: int = 1_000) -> int:
        """Create a workflow and return its id."""
        call = self.registry.functions.createWorkflow(1, b"", 1, b"", next_run, 3_600, 10**15)
        receipt = self.send(call, owner or self.accounts.owner)
        return int(
            self.registry.events.WorkflowCreated().process_log(receipt["logs"][0])["args"]["workflowId"]
        )

    def execution(
        self,
        action: bytes,
        *,
        workflow: int,
        next_run: int = 5_000,
        user: ChecksumAddress | None = None,
        charge: int = 0,
    ) -> ContractFunction:
        """The call that runs an action."""
        return self.executor.functions.executeWorkflow(
            workflow, action, next_run, user or self.accounts.owner, charge
        )

    def events(self, contract: Contract, receipt: TxReceipt) -> list[tuple[str, dict[str, Any]]]:
        """Name and arguments of each event that the contract emitted, in order."""
        names = {
            Web3.keccak(text=f"{entry['name']}({','.join(item['type'] for item in entry['inputs'])})"): entry[
                "name"
            ]
            for entry in contract.abi
            if entry["type"] == "event"
        }
        logs = [log for log in receipt["logs"] if log["address"] == contract.address]
        found = [(names[log["topics"][0]], log) for log in logs]
        return [(name, dict(contract.events[name]().process_log(log)["args"])) for name, log in found]

    def executed(self, receipt: TxReceipt) -> dict[str, Any]:
        """Arguments of the one ``WorkflowExecuted`` of a receipt."""
        ((name, arguments),) = self.events(self.executor, receipt)
        assert name == "WorkflowExecuted"
        return arguments

    def fund_executor(self, amount: int) -> None:
        """Send native tokens (wei) to the executor contract."""
        receipt = self._receipt(
            self.web3.eth.send_transaction(
                {**self._transaction(self.accounts.admin, amount, 100_000), "to": self.executor.address}
            )
        )
        assert receipt["status"] == 1

    def balance(self, address: ChecksumAddress) -> int:
        """Native balance, in wei."""
        return self.web3.eth.get_balance(address)

    def native(self, to: str, amount: int) -> bytes:
        """The action that sends native tokens."""
        return b"\x01" + self.web3.codec.encode(["address", "uint256"], [to, amount])

    def token(self, token: str, to: str, amount: int) -> bytes:
        """The action that sends ERC-20 tokens."""
        return b"\x02" + self.web3.codec.encode(["address", "address", "uint256"], [token, to, amount])

    def call(self, target: str, data: bytes, value: int = 0) -> bytes:
        """The action that calls a contract."""
        return b"\x03" + self.web3.codec.encode(["address", "uint256", "bytes"], [target, value, data])

    def _receipt(self, transaction: HexBytes) -> TxReceipt:
        return self.web3.eth.wait_for_transaction_receipt(transaction, timeout=30, poll_latency=0.01)

    def _transaction(self, sender: ChecksumAddress, value: int, gas: int) -> TxParams:
        return {
            "from": sender,
            "value": self.web3.to_wei(value, "wei"),
            "gas": gas,
            "gasPrice": self.web3.to_wei(GAS_PRICE, "wei"),
        }


def calldata(contract: Contract, function: str, *arguments: Any) -> bytes:
    """The call data of a function call."""
    return bytes.fromhex(contract.encode_abi(function, args=list(arguments)).removeprefix("0x"))
