"""networks: presets, and addresses as people type them."""

import contextlib

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from autometa_cli.chain import networks
from autometa_cli.chain.networks import NETWORKS, Network, network, parse_address
from autometa_cli.errors import ConfigError

REGISTRY = "0x87bb7A86E657f1dDd2e84946545b6686935E3a56"
KEY = "4f3edf983ac636a65a842ce7c78d9aa706d3b113bce9c46f30d7d21715b23b1d"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("moonbase", "moonbase"),
        ("moonbase-alpha", "moonbase"),
        ("Moonbase Alpha", "moonbase"),
        ("MOONBASE_ALPHA", "moonbase"),
        (" moonbeam ", "moonbeam"),
        ("moonriver", "moonriver"),
        ("local", "local"),
        ("1284", "moonbeam"),
        ("1287", "moonbase"),
        (1285, "moonriver"),
    ],
)
def test_presets_are_found_by_name_alias_and_id(name: str | int, expected: str) -> None:
    assert network(name) is NETWORKS[expected]


def test_moonbase_has_the_live_deployment() -> None:
    moonbase = network("moonbase")
    assert moonbase.registry == REGISTRY
    assert moonbase.executor == "0x1Cb45BceCC3f0CEd2875b49d4f6dd5543B2bD559"
    assert moonbase.escrow == "0x6a4E6dA8A8B9C1a178d7B1E4EE1279653A806C7e"
    assert moonbase.rpc_urls[0] == "https://rpc.api.moonbase.moonbeam.network"
    assert moonbase.explorer == "https://moonbase.moonscan.io"
    assert moonbase.faucet == "https://faucet.moonbeam.network"
    assert (moonbase.chain_id, moonbase.symbol, moonbase.block_time) == (1287, "DEV", 6.0)
    assert not moonbase.local


@pytest.mark.parametrize("preset", NETWORKS.values(), ids=lambda preset: preset.name)
def test_presets_are_sound(preset: Network) -> None:
    for address in (preset.registry, preset.executor, preset.escrow, preset.multicall3):
        assert address is None or to_checksum_address(address) == address
    assert preset.min_priority_fee > 0
    assert preset.block_time > 0
    assert preset.rpc_urls
    assert not (preset.explorer or "").endswith("/")


def test_only_the_name_makes_a_chain_local() -> None:
    assert network("local").chain_id == network(1287).chain_id
    assert network("local").local
    assert not network(1287).local
    assert networks.with_chain_id(network("local"), 31337).local
    assert networks.with_chain_id(network("local"), 31337).chain_id == 31337


def test_another_chain_id_makes_a_public_network_another_one() -> None:
    assert networks.with_chain_id(network("moonbase"), 1284) is NETWORKS["moonbeam"]
    other = networks.with_chain_id(network("moonbase"), 8453)
    assert (other.chain_id, other.registry, other.rpc_urls) == (8453, None, ())


def test_any_other_chain_by_its_id() -> None:
    base = network("8453")
    assert (base.chain_id, base.symbol, base.rpc_urls, base.registry) == (8453, "ETH", (), None)
    assert networks.custom(137, "POL").symbol == "POL"


@pytest.mark.parametrize("wrong", [0, -1, 2**64, True, "0", "99999999999999999999"])
def test_what_is_no_chain_id_is_refused(wrong: int | str) -> None:
    with pytest.raises(ConfigError, match="chain id"):
        network(wrong)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("moonbeem", "did you mean 'moonbeam'?"),
        ("mombase", "did you mean 'moonbase'?"),
        ("locl", "did you mean 'local'?"),
        ("zzzzzz", ""),
    ],
)
def test_an_unknown_name_gets_a_suggestion(text: str, hint: str) -> None:
    with pytest.raises(ConfigError, match="moonbase, moonbeam, moonriver, local") as caught:
        network(text)
    assert repr(text) in caught.value.message
    assert caught.value.hint == hint


@pytest.mark.parametrize("text", [KEY, "0x" + KEY])
def test_a_key_in_the_wrong_line_is_not_repeated(text: str) -> None:
    for read in (network, lambda key: parse_address(key, "REGISTRY_ADDRESS")):
        with pytest.raises(ConfigError) as caught:
            read(text)
        shown = caught.value.message + caught.value.hint
        assert not any(KEY[at : at + 5] in shown for at in range(len(KEY) - 5))


def test_explorer_links() -> None:
    assert networks.explorer_tx(network("moonbase"), "0xab") == "https://moonbase.moonscan.io/tx/0xab"
    assert networks.explorer_address(network("moonbeam"), REGISTRY) == (
        f"https://moonbeam.moonscan.io/address/{REGISTRY}"
    )
    assert networks.explorer_tx(network("local"), "0xab") is None
    assert networks.explorer_address(network("local"), REGISTRY) is None


def test_the_address_of_the_older_notes_is_one_digit_short() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_address("0x742d35Cc6634C0532925a3b844Bc9e7595f0bEb", "REGISTRY_ADDRESS")
    assert caught.value.message == (
        "REGISTRY_ADDRESS has 41 characters, an address has 42 (0x and 40 hex digits)"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "X is empty; an address is 0x and 40 hex digits"),
        ("   ", "X is empty; an address is 0x and 40 hex digits"),
        ("0", "X has 1 character, an address has 42 (0x and 40 hex digits)"),
        (REGISTRY[2:], "X has 40 characters, an address has 42 (0x and 40 hex digits)"),
        (REGISTRY + "a", "X has 43 characters, an address has 42 (0x and 40 hex digits)"),
        ("ab" + REGISTRY[2:], "X does not begin with 0x"),
        (REGISTRY[:-1] + "g", "X has 'g' at position 42, which is no hex digit"),
        (REGISTRY[:-1] + "６", "X has '６' at position 42, which is no hex digit"),  # noqa: RUF001
        ("0x" + "0" * 40, "X is the zero address"),
    ],
)
def test_a_wrong_address_is_told_its_exact_fault(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_address(text, "X")
    assert caught.value.message == message


def test_a_wrong_checksum_is_named_and_not_mended() -> None:
    wrong = REGISTRY[:-1] + "7"
    with pytest.raises(ConfigError, match="X has a wrong checksum") as caught:
        parse_address(wrong, "X")
    assert to_checksum_address(wrong.lower()) not in caught.value.message + caught.value.hint


def test_the_zero_address_where_it_means_something() -> None:
    assert parse_address("0x" + "0" * 40, "X", allow_zero=True) == "0x" + "0" * 40


@given(st.binary(min_size=20, max_size=20).filter(any))
def test_every_spelling_of_an_address_is_one_address(raw: bytes) -> None:
    right = to_checksum_address(raw)
    assert networks.checksum("0x" + raw.hex()) == right
    for text in (right, raw.hex().join(("0x", "")), "0x" + raw.hex().upper(), right.upper(), f" {right}\n"):
        assert parse_address(text, "X") == right


@given(st.binary(min_size=20, max_size=20).filter(any), st.integers(0, 39))
def test_one_letter_in_the_wrong_case_is_noticed(raw: bytes, at: int) -> None:
    right = to_checksum_address(raw)[2:]
    wrong = right[:at] + right[at].swapcase() + right[at + 1 :]
    if wrong in (right, right.lower(), right.upper()):
        return
    with pytest.raises(ConfigError, match="wrong checksum"):
        parse_address("0x" + wrong, "X")


@given(st.text(max_size=60))
def test_no_text_raises_anything_but_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert parse_address(text, "X") == to_checksum_address(text.strip().lower())
    with contextlib.suppress(ConfigError):
        assert network(text).chain_id
