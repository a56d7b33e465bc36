"""The networks known by name, and any other EVM chain by its id."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from urllib.parse import urlsplit

from autometa_cli.errors import ConfigError

MOONBEAM_MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11"
CHAIN_ID_MAX = 2**64 - 1  # more than any chain uses; keeps a pasted key from passing as a chain id


@dataclass(frozen=True, slots=True)
class Network:
    """What is known about a chain before the first request to it. Configuration overrides any of it.

    Attributes:
        name: what NETWORK is set to.
        title: the name for people.
        symbol: the native token.
        rpc_urls: JSON-RPC endpoints, tried in order; empty when none is known.
        explorer: base URL of the block explorer, without a slash at the end.
        faucet: where test tokens come from.
        registry, executor, escrow: our contracts, checksummed, where they are deployed.
        block_time: seconds between blocks.
        min_priority_fee: wei per gas; the lowest tip we offer. Never 0: Moonbeam replaces by tip alone.
        local: a development chain, where well-known test keys may be used. The chain id cannot tell:
            a local chain may use the id of Moonbase Alpha.
        multicall3: address of Multicall3, where it is deployed.
        log_range: blocks that one eth_getLogs may span.
    """

    name: str
    title: str
    chain_id: int
    symbol: str
    rpc_urls: tuple[str, ...] = ()
    explorer: str | None = None
    faucet: str | None = None
    registry: str | None = None
    executor: str | None = None
    escrow: str | None = None
    block_time: float = 12.0
    min_priority_fee: int = 10**9
    local: bool = False
    multicall3: str | None = None
    log_range: int = 1000


_MOONBASE = Network(
    name="moonbase",
    title="Moonbase Alpha",
    chain_id=1287,
    symbol="DEV",
    rpc_urls=(
        "https://rpc.api.moonbase.moonbeam.network",
        "https://moonbeam-alpha.api.onfinality.io/public",
    ),
    explorer="https://moonbase.moonscan.io",
    faucet="https://faucet.moonbeam.network",
    registry="0x87bb7A86E657f1dDd2e84946545b6686935E3a56",
    executor="0x1Cb45BceCC3f0CEd2875b49d4f6dd5543B2bD559",
    escrow="0x6a4E6dA8A8B9C1a178d7B1E4EE1279653A806C7e",
    block_time=6.0,
    min_priority_fee=10**7,
    multicall3=MOONBEAM_MULTICALL3,
    log_range=1024,
)
_MOONBEAM = Network(
    name="moonbeam",
    title="Moonbeam",
    chain_id=1284,
    symbol="GLMR",
    rpc_urls=("https://rpc.api.moonbeam.network", "https://moonbeam.api.onfinality.io/public"),
    explorer="https://moonbeam.moonscan.io",
    block_time=6.0,
    min_priority_fee=10**9,
    multicall3=MOONBEAM_MULTICALL3,
    log_range=1024,
)
_MOONRIVER = Network(
    name="moonriver",
    title="Moonriver",
    chain_id=1285,
    symbol="MOVR",
    rpc_urls=("https://rpc.api.moonriver.moonbeam.network", "https://moonriver.api.onfinality.io/public"),
    explorer="https://moonriver.moonscan.io",
    block_time=6.0,
    min_priority_fee=10**7,
    multicall3=MOONBEAM_MULTICALL3,
    log_range=1024,
)
_LOCAL = Network(
    name="local",
    title="local chain",
    chain_id=1287,
    symbol="DEV",
    rpc_urls=("http://127.0.0.1:8545",),
    block_time=1.0,
    min_priority_fee=10**9,
    local=True,
    log_range=10_000,
)

NETWORKS: Mapping[str, Network] = MappingProxyType(
    {preset.name: preset for preset in (_MOONBASE, _MOONBEAM, _MOONRIVER, _LOCAL)}
)
#: Requests a second that public endpoints allow, by host (docs.moonbeam.network, "API providers").
PUBLIC_RATES: Mapping[str, int] = MappingProxyType(
    {
        "rpc.api.moonbase.moonbeam.network": 25,
        "rpc.api.moonbeam.network": 25,
        "rpc.api.moonriver.moonbeam.network": 25,
        "moonbeam-alpha.api.onfinality.io": 40,
        "moonbeam.api.onfinality.io": 40,
        "moonriver.api.onfinality.io": 40,
    }
)
ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "moonbase-alpha": "moonbase",
        "moonbasealpha": "moonbase",
        "devnet": "local",
        "localhost": "local",
        "anvil": "local",
    }
)


def network(name_or_chain_id: str | int) -> Network:
    """The preset of a name or chain id; for an id without a preset, `custom` of it.

    1287 is Moonbase Alpha, never the local chain: only the name `local` gives that one.

    Raises:
        ConfigError: an unknown name, or a number that is no chain id.
    """
    if isinstance(name_or_chain_id, int):
        return _by_chain_id(name_or_chain_id)
    name = "-".join(name_or_chain_id.strip().lower().replace("_", " ").split())
    if re.fullmatch(r"[0-9]{1,20}", name):
        return _by_chain_id(int(name))
    preset = NETWORKS.get(ALIASES.get(name, name))
    if preset is not None:
        return preset
    near = difflib.get_close_matches(name, [*NETWORKS, *ALIASES], n=1)
    # A long text is not shown at all: it may be a key, pasted into the wrong line.
    shown = repr(name_or_chain_id) if len(name) <= 24 else f"of {len(name)} characters"
    raise ConfigError(
        f"NETWORK {shown} is not known; the networks are {', '.join(NETWORKS)}, "
        "or the chain id of another EVM chain",
        f"did you mean {ALIASES.get(near[0], near[0])!r}?" if near else "",
    )


def _by_chain_id(chain_id: int) -> Network:
    for preset in NETWORKS.values():
        if preset.chain_id == chain_id and not preset.local:
            return preset
    return custom(chain_id)


def custom(chain_id: int, symbol: str = "ETH") -> Network:
    """A network without a preset: endpoints and addresses come from the configuration.

    Raises:
        ConfigError: the id is not a whole number from 1 to 2**64 - 1.
    """
    if isinstance(chain_id, bool) or not 1 <= chain_id <= CHAIN_ID_MAX:
        raise ConfigError("the chain id must be a whole number from 1 to 2**64 - 1")
    return Network(name=f"chain-{chain_id}", title=f"chain {chain_id}", chain_id=chain_id, symbol=symbol)


def with_chain_id(preset: Network, chain_id: int) -> Network:
    """`preset` on another chain id. Only a local chain keeps the rest; the others are then another chain."""
    if chain_id == preset.chain_id:
        return preset
    if preset.local:
        return replace(preset, chain_id=custom(chain_id).chain_id)
    return _by_chain_id(chain_id)


def public_rate(url: str) -> int | None:
    """Requests a second that a public endpoint is known to allow; None for any other. A URL with a key of one's own
    in it (OnFinality takes it as `apikey`) has its plan's limit, which is not known here."""
    parts = urlsplit(url)
    return None if parts.query else PUBLIC_RATES.get((parts.hostname or "").lower())


def explorer_tx(network: Network, hash: str) -> str | None:
    """Link to a transaction (0x and 64 digits), or None without an explorer."""
    return f"{network.explorer}/tx/{hash}" if network.explorer else None


def explorer_address(network: Network, address: str) -> str | None:
    """Link to an address, or None without an explorer."""
    return f"{network.explorer}/address/{address}" if network.explorer else None
