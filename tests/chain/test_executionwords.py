"""What is written and read fast is what eth_abi writes and reads."""

from __future__ import annotations

import random
from typing import Any

import pytest

from autometa_cli.chain.executionwords import execution_call, read_executed
from autometa_cli.chain.interfaces import Codec, interface
from autometa_cli.chain.words import BadEncoding

OWNER = "0x" + "0a" * 20
LARGEST = 2**256 - 1


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 64, 65, 1000])
def test_it_writes_what_eth_abi_writes(size: int) -> None:
    encode = interface("ActionExecutor").functions["executeWorkflow"].encode
    dice = random.Random(size)
    for _ in range(50):
        numbers = [
            dice.choice([0, 1, LARGEST, dice.getrandbits(256), dice.getrandbits(32)]) for _ in range(3)
        ]
        owner = "0x" + dice.randbytes(20).hex()
        arguments = (numbers[0], dice.randbytes(size), numbers[1], owner, numbers[2])
        assert execution_call(*arguments) == encode(*arguments)


@pytest.mark.parametrize(
    "wrong",
    [
        {0: -1},
        {0: LARGEST + 1},
        {2: LARGEST + 1},
        {4: LARGEST + 1},
        {3: OWNER[:-2]},
        {3: "0x"},
        {3: "nobody"},
    ],
)
def test_what_does_not_fit_is_refused(wrong: dict[int, Any]) -> None:
    arguments: list[Any] = [1, b"\x01", 2, OWNER, 3]
    for place, value in wrong.items():
        arguments[place] = value
    with pytest.raises(BadEncoding, match="executeWorkflow"):
        execution_call(*arguments)


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 64, 1000])
def test_it_reads_what_eth_abi_reads(size: int) -> None:
    codec = Codec(("bool", "uint256", "bytes"), "the event")
    dice = random.Random(size)
    for _ in range(50):
        values = (dice.random() < 0.5, dice.choice([0, 1, LARGEST]), dice.randbytes(size))
        assert read_executed(codec.encode(values)) == values == codec.decode(codec.encode(values))


def test_what_is_laid_out_otherwise_is_left_to_eth_abi() -> None:
    good = Codec(("bool", "uint256", "bytes"), "the event").encode((True, 7, b"abc"))
    assert read_executed(good) == (True, 7, b"abc")
    for place, value in [(0, 1), (31, 2), (95, 128), (127, 200), (127, 33), (131, 1), (64, 1)]:
        assert read_executed(good[:place] + bytes([value]) + good[place + 1 :]) is None, place
    for data in (b"", good[:-1], good + b"\x00", good[:100]):
        assert read_executed(data) is None
