"""The fast way to put a transaction together makes the very bytes that eth_account makes, or stands aside."""

from __future__ import annotations

import random
from typing import Any

import pytest
from eth_account import Account

from autometa_cli.feetransaction import FeeTransaction
from autometa_cli.secrets import Signer

KEY = bytes(31) + b"\x07"
PLAIN = {
    "type": 2, "chainId": 1287, "nonce": 0, "to": "0x" + "1f" * 20, "value": 0, "data": b"", "gas": 21_000,
    "maxFeePerGas": 10, "maxPriorityFeePerGas": 1,
}  # fmt: skip


def test_they_are_eth_accounts_bytes() -> None:
    signer, account, dice = Signer(KEY, chain_id=1287), Account.from_key(KEY), random.Random(1)
    for size in [0, 1, 1, 1, 1, 1, 2, 54, 55, 56, 57, 228, 255, 256, 257, 66_000]:
        fields = PLAIN | {
            "nonce": dice.choice([0, 1, 127, 128, 2**32, 2**63]),
            "to": Account.from_key(dice.randbytes(32)).address,
            "value": dice.choice([0, 1, 2**255]),
            "data": dice.randbytes(size),
            "gas": dice.choice([21_000, 15_000_000]),
            "maxFeePerGas": dice.getrandbits(70),
            "maxPriorityFeePerGas": dice.getrandbits(8),
        }
        assert FeeTransaction.of(fields) is not None
        ours, theirs = signer.sign(fields), account.sign_transaction(fields)
        assert ours.raw == bytes(theirs.raw_transaction)
        assert ours.hash == "0x" + bytes(theirs.hash).hex()


@pytest.mark.parametrize(
    "change",
    [
        {"type": 0}, {"nonce": -1}, {"nonce": 2**64}, {"nonce": True}, {"nonce": "0x1"}, {"value": 2**256},
        {"gas": 1.0}, {"to": "0x1f"}, {"to": "0x" + "1g" * 20}, {"to": "1f" * 21}, {"to": None}, {"data": "0x"},
        {"accessList": ()},
    ],
)  # fmt: skip
def test_what_is_not_plain_is_left_to_eth_account(change: dict[str, Any]) -> None:
    assert FeeTransaction.of(PLAIN | change) is None
    assert FeeTransaction.of({name: PLAIN[name] for name in PLAIN if name != "gas"}) is None


def test_a_mistyped_address_is_refused_as_before() -> None:
    address = Account.from_key(KEY).address
    wrong = next(address[:2] + address[2:].replace(c, c.swapcase(), 1) for c in address[2:] if c.isalpha())
    with pytest.raises(TypeError):
        Signer(KEY, chain_id=1287).sign(PLAIN | {"to": wrong})
