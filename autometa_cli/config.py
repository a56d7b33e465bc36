"""The configuration: one frozen object of typed values, and where each of them comes from.

Strongest first: option, environment, `.env` (`./.env`, or `--env-file`), then the network's preset or the
default. An empty value counts as not set. `load` checks everything and reports all that is wrong at once.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from autometa_cli.confidential import conceal_values
from autometa_cli.errors import ConfigError
from autometa_cli.layers import Layers, Problem, Value, gather
from autometa_cli.networks import Network, network, public_rate, with_chain_id
from autometa_cli.options import BY_NAME, OPTIONS
from autometa_cli.secrets import KeySource

#: Attribute of the network preset that stands in for an address that is not set.
_PRESET_ADDRESSES = {
    "REGISTRY_ADDRESS": "registry",
    "ACTIONEXECUTOR_ADDRESS": "executor",
    "FEEESCROW_ADDRESS": "escrow",
}


class SettingsError(ConfigError):
    """One or more settings are wrong; `problems` has each of them."""

    kind = "ConfigError"

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        first = problems[0]
        if len(problems) == 1:
            super().__init__(first.message, first.hint or f"it is set in: {first.origin}")
            return
        lines = [f"  {problem.message} ({problem.origin})" for problem in problems]
        super().__init__(
            f"{len(problems)} settings are wrong:\n" + "\n".join(lines),
            "autometa config check tells how to mend",
        )


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """Every setting, checked. Amounts in wei, times in seconds; None means not set or no limit.

    Attributes:
        chain_id: of the chain that every endpoint must answer with; the same as `network.chain_id`.
        rpc_urls: tried in order; empty only on a chain without a preset. May hold API keys.
        rpc_rate_limit: requests a second to each endpoint; 0 for no limit; None for what `rpc_rate` knows.
        private_rpc_url: gets all that is sent; may hold an API key.
        confirmations: blocks deep that count as final; None for the chain's own `finalized` tag.
        price_feeds: address of the price feed, checksummed, by upper-case symbol.
        price_sources: `chain` and `http` in the order in which they are asked.
        price_max_age: seconds.
        allowed_owners, allowed_targets: lower-case; None allows all.
        warnings: for people, found while reading.
    """

    redis_url: str
    queue_name: str
    redis_min_replicas: int
    allow_lossy_redis: bool
    network: Network
    chain_id: int
    rpc_urls: tuple[str, ...]
    rpc_rate_limit: int | None
    broadcast_all: bool
    private_rpc_url: str | None
    confirmations: int | None
    registry_address: str | None
    actionexecutor_address: str | None
    feeescrow_address: str | None
    poll_interval: float
    resync_interval: float
    price_feed_url: str | None
    price_feed_key: str | None
    price_symbols: str | None
    price_feeds: Mapping[str, str] | None
    price_sources: tuple[str, ...]
    price_max_age: int
    max_concurrent_executions: int
    max_open_nonces: int
    max_retries: int
    retry_delay: float
    max_hold: int
    tx_timeout: float
    bump_after: float
    gas_multiplier: Decimal
    max_gas_per_tx: int
    max_fee_wei: int | None
    daily_gas_budget_wei: int | None
    max_value_wei: int | None
    allowed_owners: frozenset[str] | None
    allowed_targets: frozenset[str] | None
    charge: str
    min_worker_balance_wei: int
    metrics_port: int | None
    log_format: str
    log_level: str
    warnings: tuple[str, ...] = ()
    _values: Mapping[str, Value] = field(default_factory=dict)

    def __repr__(self) -> str:  # the URLs and keys of the other fields must not get into a log by accident
        return f"<Settings {self.network.name} chain {self.chain_id}>"

    def require(self, *names: str) -> None:
        """Raises ConfigError naming those of the variables that have no value, and how to set them."""
        missing = [name for name in names if not getattr(self, BY_NAME[name].attribute)]
        if missing:
            are = "are" if len(missing) > 1 else "is"
            raise ConfigError(
                f"{', '.join(missing)} {are} not set, and {self.network.title} has no preset for it",
                f"put {missing[0]}=… into .env or the environment; autometa config show lists what is set",
            )

    def origin(self, name: str) -> str:
        """Where a variable's value comes from: "option", "environment", a file's path, "network preset" or
        "default" (also where it has no value at all)."""
        value = self._values.get(BY_NAME[name].name)
        return value.origin if value else "default"

    def rpc_rate(self, url: str) -> int | None:
        """Requests a second that an endpoint may be asked: RPC_RATE_LIMIT, or what a public one is known to allow;
        None for no limit."""
        if self.rpc_rate_limit is None:
            return public_rate(url)
        return self.rpc_rate_limit or None

    def worker_key(self) -> KeySource:
        """Where the worker's key comes from; nothing is read yet."""
        return self._key("WORKER")

    def admin_key(self) -> KeySource:
        """Where the administrator's key comes from; nothing is read yet."""
        return self._key("ADMIN")

    def owner_key(self) -> KeySource:
        """Where a workflow owner's key comes from; nothing is read yet."""
        return self._key("OWNER")

    def _all_urls(self) -> tuple[str, ...]:
        return (*self.rpc_urls, *([self.private_rpc_url] if self.private_rpc_url else []))

    def _key(self, name: str) -> KeySource:
        mine = {key: value for key, value in self._values.items() if key.startswith(f"{name}_")}
        return KeySource(
            name,
            test_keys_allowed=self.network.local and all(map(_is_local, self._all_urls())),
            _values={key: value.text for key, value in mine.items()},
            _origins={key: value.origin for key, value in mine.items()},
        )


def load(
    env_file: Path | None = None,
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Reads and checks the configuration.

    Args:
        env_file: a file that must exist; None reads `./.env` where there is one.
        overrides: values given as options, by the variable's name.
        environ: instead of the process's environment.

    Raises:
        ConfigError: the file cannot be read, or (`SettingsError`) values are wrong.
    """
    return build(gather(env_file, overrides, environ))


def build(layers: Layers) -> Settings:
    """Checks what was gathered. Raises SettingsError with everything that is wrong."""
    conceal_values(layers.values)
    problems = list(layers.problems)
    parsed: dict[str, Any] = {}
    for option in OPTIONS:
        value = layers.values.get(option.name) or Value(option.default, "default")
        text = value.text if option.secret else value.text.strip()
        if not text:
            continue
        try:
            parsed[option.name] = option.parser(text, option.name)
        except ConfigError as error:
            problems.append(Problem(option.name, value.origin, error.message, error.hint))
    chain = _chain(layers, parsed, problems)
    given: dict[str, Any] = {
        option.attribute: parsed.get(option.name) for option in OPTIONS if option.attribute
    }
    given |= {"network": chain, "chain_id": chain.chain_id}
    warnings = list(layers.warnings)
    warnings += [
        f"{option.name} is set, but this version does not use it yet"
        for option in OPTIONS
        if option.idle and option.name in layers.values
    ]
    given["rpc_urls"] = _rpc_urls(parsed, chain, warnings)
    for name, attribute in _PRESET_ADDRESSES.items():
        given[BY_NAME[name].attribute] = parsed.get(name) or getattr(chain, attribute)
    _compare(layers, given, problems, warnings)
    if problems:
        raise SettingsError(tuple(problems))
    return Settings(**given, warnings=tuple(warnings), _values=effective(layers, chain))


def effective(layers: Layers, chain: Network | None = None) -> dict[str, Value]:
    """Every variable that has a value, with presets and defaults filled in. Checks nothing."""
    if chain is None:
        try:
            chain = network(layers.values["NETWORK"].text if "NETWORK" in layers.values else "moonbase")
        except ConfigError:
            chain = None
    found = {option.name: Value(option.default, "default") for option in OPTIONS if option.default}
    if chain is not None:
        preset = {"CHAIN_ID": str(chain.chain_id), "RPC_URLS": ",".join(chain.rpc_urls)}
        preset |= {name: getattr(chain, attribute) or "" for name, attribute in _PRESET_ADDRESSES.items()}
        found |= {name: Value(text, "network preset") for name, text in preset.items() if text}
    if "MOONBASE_RPC" in layers.values and (chain is None or _takes_moonbase_rpc(chain)):
        moonbase = layers.values["MOONBASE_RPC"]
        found["RPC_URLS"] = Value(moonbase.text, f"MOONBASE_RPC, {moonbase.origin}")
    return found | dict(layers.values)


def _chain(layers: Layers, parsed: Mapping[str, Any], problems: list[Problem]) -> Network:
    preset: Network = parsed.get("NETWORK") or network("moonbase")
    chain_id = parsed.get("CHAIN_ID", preset.chain_id)
    if (
        "NETWORK" in layers.values
        and "NETWORK" in parsed
        and not preset.local
        and chain_id != preset.chain_id
    ):
        message = f"CHAIN_ID is {chain_id}, but NETWORK={preset.name} is chain {preset.chain_id}"
        problems.append(Problem("CHAIN_ID", layers.values["CHAIN_ID"].origin, message, "unset one of them"))
        return preset
    return with_chain_id(preset, chain_id)


def _takes_moonbase_rpc(chain: Network) -> bool:
    """MOONBASE_RPC serves Moonbase Alpha and chains of one's own, not the other public presets."""
    return chain.chain_id == 1287 or chain.local or chain.name.startswith("chain-")


def _rpc_urls(parsed: Mapping[str, Any], chain: Network, warnings: list[str]) -> tuple[str, ...]:
    # An endpoint that was given replaces the preset ones: falling back from somebody's own node to the public
    # network could mean another chain with the same id.
    if "RPC_URLS" in parsed:
        return tuple(parsed["RPC_URLS"])
    if "MOONBASE_RPC" in parsed:
        if _takes_moonbase_rpc(chain):
            return tuple(parsed["MOONBASE_RPC"])
        warnings.append(f"MOONBASE_RPC is not used on {chain.title}; set RPC_URLS")
    return chain.rpc_urls


def _compare(layers: Layers, given: Mapping[str, Any], problems: list[Problem], warnings: list[str]) -> None:
    """What is wrong with values together."""
    own = [name for name in _PRESET_ADDRESSES if name in layers.values]
    seen: dict[str, str] = {}
    for name in _PRESET_ADDRESSES:
        address = given[BY_NAME[name].attribute]
        if address and address in seen:
            origin = layers.values[name].origin if name in layers.values else "network preset"
            problems.append(Problem(name, origin, f"{name} and {seen[address]} are the same address"))
        elif address:
            seen[address] = name
    preset = [name for name in seen.values() if name not in own]
    if own and preset:
        chain: Network = given["network"]
        warnings.append(
            f"{', '.join(own)} is set, but {', '.join(preset)} is the one of {chain.title}'s preset; "
            "do these contracts belong together?"
        )
    if given["broadcast_all"] and given["private_rpc_url"]:
        message = "BROADCAST_ALL sends to every endpoint, PRIVATE_RPC_URL to that one alone"
        problems.append(
            Problem("BROADCAST_ALL", layers.values["BROADCAST_ALL"].origin, message, "unset one of them")
        )
    concurrent, nonces = given["max_concurrent_executions"], given["max_open_nonces"]
    if concurrent and nonces and concurrent > nonces:
        warnings.append(f"MAX_CONCURRENT_EXECUTIONS ({concurrent}) is limited by MAX_OPEN_NONCES ({nonces})")


def _is_local(url: str) -> bool:
    """Whether a URL leads to this machine or a private network."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal"))
