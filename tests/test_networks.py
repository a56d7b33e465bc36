"""networks: presets, and any other chain."""

import contextlib

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from autometa_cli import networks
from autometa_cli.addresses import parse_address
from autometa_cli.errors import ConfigError
from autometa_cli.networks import NETWORKS, Network, network

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


@given(st.text(max_size=60))
def test_no_text_raises_anything_but_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert network(text).chain_id
