"""The steps of a deployment, what is left of them, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from eth_hash.auto import keccak

from autometa_cli.addresses import checksum

CONTRACTS = ("WorkflowRegistry", "FeeEscrow", "ActionExecutor")
#: What granting a role costs, in gas: for steps whose contract is not there yet to be asked.
GRANT_GAS = 55_000


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction of a deployment.

    Attributes:
        contract: which contract is made, or gives the role.
        role, holder: the role that is given, and who gets it; empty for a deployment.
    """

    contract: str
    role: str = ""
    holder: str = ""

    @property
    def kind(self) -> Literal["deploy", "grant"]:
        """What it does."""
        return "grant" if self.role else "deploy"

    @property
    def title(self) -> str:
        """What it does, for people."""
        if not self.role:
            return f"Deploy {self.contract}"
        return f"Give {self.role} on {self.contract} to {self.holder}"

    @property
    def key(self) -> str:
        """Its name in the journal."""
        return f"{self.contract} {self.role} {self.holder}".strip()


@dataclass(frozen=True, slots=True)
class Planned:
    """A step, and how it stands on chain.

    Attributes:
        done: nothing is left to do.
        address: of the contract; of one that is not there yet, where it will be if nobody else uses the key.
        gas: estimated need, 0 if done.
    """

    step: Step
    done: bool
    address: str
    gas: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a deployment will do.

    Attributes:
        gas_price: wei per gas that one has to reckon with.
        balance: of the deployer, in wei.
    """

    steps: tuple[Planned, ...]
    gas_price: int
    balance: int

    @property
    def gas(self) -> int:
        """What all steps that are left need."""
        return sum(planned.gas for planned in self.steps)

    @property
    def cost(self) -> int:
        """wei; an estimate."""
        return self.gas * self.gas_price

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return all(planned.done for planned in self.steps)

    @property
    def addresses(self) -> Mapping[str, str]:
        """Of the three contracts, by name."""
        return {
            planned.step.contract: planned.address for planned in self.steps if planned.step.kind == "deploy"
        }


def created_address(deployer: str, nonce: int) -> str:
    """Where a contract comes to stand that `deployer` creates with `nonce`; checksummed."""
    number = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    coded = number if 0 < nonce < 0x80 else bytes([0x80 + len(number)]) + number
    body = b"\x94" + bytes.fromhex(deployer[2:]) + coded
    return checksum("0x" + keccak(bytes([0xC0 + len(body)]) + body)[12:].hex())
