"""policy: the executor's powers are not for hire (I10), and the operator's own limits."""

import pytest
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from autometa_cli.chain.actions import Action, ContractCall, NativeTransfer, TokenTransfer, encode_action
from autometa_cli.chain.words import BadEncoding
from autometa_cli.executor.policy import FORBIDDEN_FUNCTIONS, MAX_ACTION_SIZE, Policy, judge

REGISTRY = to_checksum_address("0x" + "1a" * 20)
EXECUTOR = to_checksum_address("0x" + "2b" * 20)
ESCROW = to_checksum_address("0x" + "3c" * 20)
OWNER = to_checksum_address("0x" + "4d" * 20)
OTHER = "0x" + "5e" * 20
POLICY = Policy(REGISTRY, EXECUTOR, ESCROW)
LAST_PRECOMPILE = "0x" + "0" * 37 + "fff"
FIRST_ORDINARY = "0x" + "0" * 36 + "1000"


def selector(signature: str) -> bytes:
    return keccak(text=signature)[:4]


def reason(action: Action, policy: Policy = POLICY, owner: str = OWNER) -> str | None:
    verdict = judge(policy, owner, encode_action(action))
    if verdict is None:
        return None
    assert verdict.text
    return verdict.reason


def call(data: bytes, target: str = OTHER, value: int = 0) -> ContractCall:
    return ContractCall(target, value, data)


@pytest.mark.parametrize(
    "action",
    [
        NativeTransfer(OTHER, 5),
        NativeTransfer(EXECUTOR, 5),
        TokenTransfer(OTHER, OWNER, 5),
        TokenTransfer(OTHER, ESCROW, 5),
        call(b""),
        call(b"\x09\x5e\xa7"),
        call(selector("ping()")),
        call(selector("transfer(address,uint256)") + bytes(64)),
        call(b"\0" + selector("approve(address,uint256)")),
        call(b"", FIRST_ORDINARY),
    ],
)
def test_ordinary_actions_may_run(action: Action) -> None:
    assert reason(action) is None


@pytest.mark.parametrize("address", [REGISTRY, EXECUTOR, ESCROW, LAST_PRECOMPILE, "0x" + "0" * 40])
@pytest.mark.parametrize("data", [b"", b"\x01", selector("chargeGas(address,uint256)") + bytes(64)])
def test_a_call_to_our_contracts_or_a_precompile_is_forbidden(address: str, data: bytes) -> None:
    assert reason(call(data, address)) == "forbidden_target"


@pytest.mark.parametrize("address", [REGISTRY, ESCROW, LAST_PRECOMPILE, "0x" + "0" * 39 + "1"])
def test_a_native_transfer_to_one_of_them_is_forbidden(address: str) -> None:
    assert reason(NativeTransfer(address, 5)) == "forbidden_target"


@pytest.mark.parametrize("address", [REGISTRY, EXECUTOR, ESCROW, "0x" + "0" * 37 + "802"])
def test_a_token_that_is_one_of_them_is_forbidden(address: str) -> None:
    assert reason(TokenTransfer(address, OTHER, 5)) == "forbidden_target"


@pytest.mark.parametrize(
    ("signature", "known"),
    [
        ("approve(address,uint256)", "095ea7b3"),
        ("increaseAllowance(address,uint256)", "39509351"),
        ("setApprovalForAll(address,bool)", "a22cb465"),
        ("transferFrom(address,address,uint256)", "23b872dd"),
        ("safeTransferFrom(address,address,uint256)", "42842e0e"),
        ("burnFrom(address,uint256)", "79cc6790"),
    ],
)
def test_the_selectors_are_the_well_known_ones(signature: str, known: str) -> None:
    assert signature in FORBIDDEN_FUNCTIONS
    verdict = judge(POLICY, OWNER, encode_action(call(bytes.fromhex(known) + bytes(64))))
    assert verdict is not None
    assert verdict.reason == "forbidden_target"
    assert signature in verdict.text


@pytest.mark.parametrize("signature", FORBIDDEN_FUNCTIONS)
@pytest.mark.parametrize("arguments", [b"", b"\0", bytes(96), b"\xff" * 200])
def test_a_forbidden_function_is_forbidden_whatever_its_arguments(signature: str, arguments: bytes) -> None:
    assert reason(call(selector(signature) + arguments)) == "forbidden_target"


@pytest.mark.parametrize("outer", ["multicall(bytes[])", "multicall(uint256,bytes[])"])
@given(
    before=st.binary(max_size=70), after=st.binary(max_size=70), inner=st.sampled_from(FORBIDDEN_FUNCTIONS)
)
def test_a_multicall_does_not_hide_one(outer: str, before: bytes, after: bytes, inner: str) -> None:
    assert reason(call(selector(outer) + before + selector(inner) + after)) == "forbidden_target"


def test_a_multicall_of_ordinary_calls_may_run() -> None:
    assert reason(call(selector("multicall(bytes[])") + bytes(64) + selector("ping()"))) is None


def test_the_encoding_cannot_hide_a_target() -> None:
    # The call data may stand anywhere, its padding may be missing: judged is what the contract would read.
    head = bytes(12) + bytes.fromhex(OTHER[2:]) + bytes(32) + (160).to_bytes(32, "big")
    approve = selector("approve(address,uint256)")
    data = b"\x03" + head + bytes(64) + (4).to_bytes(32, "big") + approve
    verdict = judge(POLICY, OWNER, data)
    assert verdict is not None
    assert verdict.reason == "forbidden_target"


@pytest.mark.parametrize("data", [b"", b"\0", b"\x04" + bytes(96), b"\x01", b"\x01" + b"\xff" * 64])
def test_what_cannot_be_read_is_not_executed(data: bytes) -> None:
    verdict = judge(POLICY, OWNER, data)
    assert verdict is not None
    assert verdict.reason == "unreadable_action"
    assert "actionData" in verdict.text


def test_size_has_a_limit() -> None:
    size = len(encode_action(call(b"")))
    fits = encode_action(call(b"")) + bytes(MAX_ACTION_SIZE - size)
    assert judge(POLICY, OWNER, fits) is None
    verdict = judge(POLICY, OWNER, fits + b"\0")
    assert verdict is not None
    assert verdict.reason == "oversized_action"


def test_owners_may_be_limited() -> None:
    policy = Policy(REGISTRY, EXECUTOR, ESCROW, allowed_owners=frozenset({OWNER}))
    for spelling in (OWNER, OWNER.lower(), "0x" + OWNER[2:].upper()):
        assert reason(NativeTransfer(OTHER, 5), policy, spelling) is None
    assert reason(NativeTransfer(OTHER, 5), policy, OTHER) == "owner_not_allowed"
    nobody = Policy(REGISTRY, EXECUTOR, ESCROW, allowed_owners=frozenset())
    assert reason(NativeTransfer(OTHER, 5), nobody) == "owner_not_allowed"


def test_targets_may_be_limited() -> None:
    policy = Policy(
        REGISTRY, EXECUTOR, ESCROW, allowed_targets=frozenset({to_checksum_address(OTHER), REGISTRY})
    )
    for action in (NativeTransfer(OTHER, 5), TokenTransfer(OTHER, OWNER, 5), call(b"", OTHER)):
        assert reason(action, policy) is None
    for action in (NativeTransfer(OWNER, 5), TokenTransfer(OWNER, OTHER, 5), call(b"", OWNER)):
        assert reason(action, policy) == "forbidden_target"
    # Being allowed does not lift what is forbidden to all.
    assert reason(call(b"", REGISTRY), policy) == "forbidden_target"
    assert reason(call(selector("approve(address,uint256)"), OTHER), policy) == "forbidden_target"


def test_native_value_may_be_limited() -> None:
    policy = Policy(REGISTRY, EXECUTOR, ESCROW, max_value_wei=10)
    assert reason(NativeTransfer(OTHER, 10), policy) is None
    assert reason(NativeTransfer(OTHER, 11), policy) == "over_value"
    assert reason(call(b"", value=10), policy) is None
    assert reason(call(b"", value=11), policy) == "over_value"
    assert reason(TokenTransfer(OTHER, OWNER, 11), policy) is None
    assert reason(NativeTransfer(OTHER, 0), Policy(REGISTRY, EXECUTOR, ESCROW, max_value_wei=0)) is None


@pytest.mark.parametrize("wrong", ["", REGISTRY[:-1], "0x" + "aB" * 20])
def test_a_policy_with_a_misspelt_address_cannot_be_made(wrong: str) -> None:
    with pytest.raises(BadEncoding):
        Policy(wrong, EXECUTOR, ESCROW)
    with pytest.raises(BadEncoding):
        Policy(REGISTRY, EXECUTOR, ESCROW, allowed_owners=frozenset({wrong}))


@given(st.binary(max_size=300))
def test_any_bytes_get_a_verdict(data: bytes) -> None:
    verdict = judge(POLICY, OWNER, data)
    assert verdict is None or verdict.reason in ("forbidden_target", "unreadable_action")


@given(st.binary(max_size=100), st.sampled_from([REGISTRY, EXECUTOR, ESCROW]), st.integers(0, 2**256 - 1))
def test_nothing_calls_our_contracts(data: bytes, target: str, value: int) -> None:
    assert reason(call(data, target, value)) == "forbidden_target"
