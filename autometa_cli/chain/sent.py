"""What a person's own transaction came to, once it is mined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from autometa_cli.chain.blocks import Receipt


@dataclass(frozen=True, slots=True)
class Sent:
    """A transaction that was mined and did not revert.

    Attributes:
        hash: 0x and 64 digits.
        gas_used: gas.
        fee_paid: wei.
        contract_address: of the contract that it created, checksummed, or None.
        explorer: link to it, where the network has an explorer.
    """

    hash: str
    block_number: int
    gas_used: int
    fee_paid: int
    receipt: Receipt
    contract_address: str | None = None
    explorer: str | None = None
