"""Configuration: layers, validation, presets, and the table against `.env.example`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autometa_cli import config
from autometa_cli.confidential import shown
from autometa_cli.config import Settings, SettingsError
from autometa_cli.errors import ConfigError
from autometa_cli.keyoptions import KEY_NAMES
from autometa_cli.layers import gather
from autometa_cli.networks import NETWORKS
from autometa_cli.options import BY_NAME, OPTIONS

EXAMPLE = Path(__file__).parent.parent / ".env.example"
OTHER = "0x" + "5" * 40


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current directory: no `.env` unless a test writes one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(**environ: str) -> Settings:
    return config.load(environ=environ)


def error(**environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(**environ)
    return caught.value.message


# --- defaults and presets


def test_without_anything_it_is_moonbase_alpha() -> None:
    settings = load()

    assert settings.network is NETWORKS["moonbase"]
    assert settings.chain_id == 1287
    assert settings.rpc_urls == NETWORKS["moonbase"].rpc_urls
    assert settings.registry_address == "0x87bb7A86E657f1dDd2e84946545b6686935E3a56"
    assert settings.actionexecutor_address == "0x1Cb45BceCC3f0CEd2875b49d4f6dd5543B2bD559"
    assert settings.feeescrow_address == "0x6a4E6dA8A8B9C1a178d7B1E4EE1279653A806C7e"
    assert (settings.queue_name, settings.redis_url) == ("workflow_jobs", "redis://127.0.0.1:6379/0")
    assert (settings.poll_interval, settings.max_retries, settings.retry_delay) == (10, 3, 2)
    assert (settings.max_concurrent_executions, settings.max_open_nonces) == (256, 1024)
    assert (settings.max_hold, settings.tx_timeout, settings.bump_after) == (86400, 120, 30)
    assert (settings.gas_multiplier, settings.max_gas_per_tx) == (Decimal("1.2"), 15_000_000)
    assert settings.confirmations is None
    assert settings.min_worker_balance_wei == 10**18
    assert (settings.max_fee_wei, settings.daily_gas_budget_wei, settings.max_value_wei) == (None, None, None)
    assert (settings.allowed_owners, settings.allowed_targets) == (None, None)
    assert (settings.price_feed_url, settings.metrics_port) == (None, None)
    assert (settings.log_format, settings.log_level, settings.charge) == ("text", "info", "budget")
    assert settings.warnings == ()


def test_every_default_passes_its_own_check() -> None:
    for option in OPTIONS:
        if option.default:
            option.parser(option.default, option.name)


def test_a_network_without_contracts_has_none() -> None:
    settings = load(NETWORK="moonbeam")

    assert settings.chain_id == 1284
    assert settings.registry_address is None
    with pytest.raises(ConfigError, match="REGISTRY_ADDRESS, FEEESCROW_ADDRESS are not set"):
        settings.require("RPC_URLS", "REGISTRY_ADDRESS", "FEEESCROW_ADDRESS")


def test_require_is_content_with_what_is_there() -> None:
    load().require("REGISTRY_ADDRESS", "ACTIONEXECUTOR_ADDRESS", "FEEESCROW_ADDRESS", "RPC_URLS", "REDIS_URL")


def test_an_unknown_chain_id_is_a_network_of_its_own() -> None:
    settings = load(CHAIN_ID="424242", RPC_URLS="http://127.0.0.1:9")

    assert (settings.network.name, settings.network.chain_id) == ("chain-424242", 424242)
    assert settings.registry_address is None
    with pytest.raises(ConfigError, match="RPC_URLS is not set"):
        load(CHAIN_ID="424242").require("RPC_URLS")


def test_local_takes_any_chain_id() -> None:
    settings = load(NETWORK="local", CHAIN_ID="31337")

    assert (settings.chain_id, settings.network.chain_id, settings.network.local) == (31337, 31337, True)
    assert settings.rpc_urls == ("http://127.0.0.1:8545",)


def test_a_chain_id_that_contradicts_the_network_is_refused() -> None:
    assert (
        error(NETWORK="moonbeam", CHAIN_ID="1287") == "CHAIN_ID is 1287, but NETWORK=moonbeam is chain 1284"
    )
    assert load(NETWORK="moonbeam", CHAIN_ID="1284").chain_id == 1284
    assert load(CHAIN_ID="1284").network.name == "moonbeam"


# --- endpoints


def test_rpc_urls_in_order_without_doubles() -> None:
    settings = load(RPC_URLS="https://a.example/1, https://b.example\thttps://a.example/1,")

    assert settings.rpc_urls == ("https://a.example/1", "https://b.example")
    assert settings.origin("RPC_URLS") == "environment"


def test_moonbase_rpc_replaces_the_preset_endpoints() -> None:
    """Falling back from somebody's own chain 1287 to the public one would execute on another chain."""
    settings = load(MOONBASE_RPC="http://127.0.0.1:8545")

    assert settings.rpc_urls == ("http://127.0.0.1:8545",)
    assert settings.origin("RPC_URLS") == "MOONBASE_RPC, environment"
    assert load(NETWORK="local", MOONBASE_RPC="http://127.0.0.1:1").rpc_urls == ("http://127.0.0.1:1",)
    assert load(CHAIN_ID="5", MOONBASE_RPC="http://127.0.0.1:1").rpc_urls == ("http://127.0.0.1:1",)


def test_rpc_urls_are_stronger_than_moonbase_rpc() -> None:
    assert load(MOONBASE_RPC="http://127.0.0.1:1", RPC_URLS="http://127.0.0.1:2").rpc_urls == (
        "http://127.0.0.1:2",
    )


def test_moonbase_rpc_is_not_used_on_another_public_network() -> None:
    settings = load(NETWORK="moonbeam", MOONBASE_RPC="http://127.0.0.1:8545")

    assert settings.rpc_urls == NETWORKS["moonbeam"].rpc_urls
    assert settings.warnings == ("MOONBASE_RPC is not used on Moonbeam; set RPC_URLS",)


def test_the_limit_of_public_endpoints_is_known_and_a_set_one_holds_for_all() -> None:
    public, onfinality = NETWORKS["moonbase"].rpc_urls
    settings = load()

    assert (settings.rpc_rate(public), settings.rpc_rate(onfinality)) == (25, 40)
    assert settings.rpc_rate(onfinality + "?apikey=1234567890") is None
    assert load(RPC_URLS="http://127.0.0.1:8545").rpc_rate("http://127.0.0.1:8545") is None
    assert load(RPC_RATE_LIMIT="7").rpc_rate(public) == 7
    assert load(RPC_RATE_LIMIT="0").rpc_rate(public) is None
    assert "whole number" in error(RPC_RATE_LIMIT="2.5")


def test_every_preset_endpoint_has_its_limit() -> None:
    for preset in NETWORKS.values():
        for url in preset.rpc_urls:
            assert preset.local or load().rpc_rate(url), url


def test_sending_to_all_and_to_one_alone_is_a_contradiction() -> None:
    private = "https://relay.example/0123456789abcdef"

    assert load(PRIVATE_RPC_URL=private).private_rpc_url == private
    assert load(BROADCAST_ALL="yes").broadcast_all
    assert "PRIVATE_RPC_URL" in error(PRIVATE_RPC_URL=private, BROADCAST_ALL="1")
    assert shown("PRIVATE_RPC_URL", private) == "https://relay.example/…"


def test_test_keys_are_not_for_a_private_endpoint_elsewhere() -> None:
    url = "https://relay.example/0123456789abcdef"
    assert load(NETWORK="local").worker_key().test_keys_allowed
    assert not load(NETWORK="local", PRIVATE_RPC_URL=url).worker_key().test_keys_allowed
    assert load(NETWORK="local", PRIVATE_RPC_URL="http://127.0.0.1:1").worker_key().test_keys_allowed


# --- layers


def test_option_over_environment_over_file_over_default(directory: Path) -> None:
    (directory / ".env").write_text("POLL_INTERVAL=4\nMAX_RETRIES=7\nQUEUE_NAME=from_file\n")

    settings = config.load(
        environ={"POLL_INTERVAL": "5", "MAX_RETRIES": "8"}, overrides={"POLL_INTERVAL": "6"}
    )

    assert (settings.poll_interval, settings.max_retries) == (6, 8)
    assert (settings.queue_name, settings.retry_delay) == ("from_file", 2)
    origins = {name: settings.origin(name) for name in ("POLL_INTERVAL", "MAX_RETRIES", "QUEUE_NAME")}
    assert origins == {"POLL_INTERVAL": "option", "MAX_RETRIES": "environment", "QUEUE_NAME": ".env"}
    assert settings.origin("RETRY_DELAY") == "default"
    assert settings.origin("REGISTRY_ADDRESS") == "network preset"


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_value_counts_as_not_set(directory: Path, empty: str | None) -> None:
    (directory / ".env").write_text("QUEUE_NAME=from_file\nMAX_RETRIES=\n")

    settings = config.load(environ={"QUEUE_NAME": ""} if empty is not None else {})

    assert (settings.queue_name, settings.max_retries) == ("from_file", 3)


def test_env_file_replaces_the_one_in_the_directory(directory: Path) -> None:
    (directory / ".env").write_text("QUEUE_NAME=ordinary\nMAX_RETRIES=9\n")
    (directory / "other").write_text("QUEUE_NAME=other\n")

    settings = config.load(directory / "other", environ={})

    assert (settings.queue_name, settings.max_retries) == ("other", 3)
    assert settings.origin("QUEUE_NAME") == str(directory / "other")


def test_a_missing_env_file_is_an_error(directory: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.env does not exist"):
        config.load(directory / "nowhere.env", environ={})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        config.load(directory, environ={})


def test_env_file_that_is_not_text(directory: Path) -> None:
    (directory / ".env").write_bytes(b"QUEUE_NAME=\xff\xfe\n")

    with pytest.raises(ConfigError, match=r"\.env is not a text file"):
        load()


def test_forms_that_a_dotenv_file_may_take(directory: Path) -> None:
    (directory / ".env").write_text(
        "\ufeff# a comment\n\n"
        "export QUEUE_NAME='with_quotes' # and a comment\n"
        'WORKER_KEYSTORE_PASSWORD=" p#a${HOME}s "\r\n'
        "MAX_RETRIES = 4\n"
    )

    settings = load()

    assert (settings.queue_name, settings.max_retries) == ("with_quotes", 4)
    # Nothing is replaced inside a value: a password may hold ${…}
    assert gather(environ={}).values["WORKER_KEYSTORE_PASSWORD"].text == " p#a${HOME}s "


def test_a_line_that_is_no_assignment_is_told_by_its_number_only(directory: Path) -> None:
    key = "ab" * 32
    (directory / ".env").write_text(f"MAX_RETRIES=4\n\n\n{key}\nsome words here\nPOLL_INTERVAL=0\n")

    message = error()

    assert "line 4 of .env is not NAME=value" in message
    assert "line 5 of .env is not NAME=value" in message
    assert "POLL_INTERVAL" in message
    assert key[:8] not in message
    assert "words" not in message


def test_a_misspelt_name_gets_a_suggestion(directory: Path) -> None:
    (directory / ".env").write_text("REGISTRY_ADRESS=x\nworker_private_key=y\nDJANGO_SETTINGS=z\n")

    layers = gather(environ={})

    assert layers.unknown == ("REGISTRY_ADRESS", "worker_private_key", "DJANGO_SETTINGS")
    assert layers.warnings == (
        "REGISTRY_ADRESS in .env is not a variable of autometa; did you mean REGISTRY_ADDRESS?",
        "worker_private_key in .env is not a variable of autometa; did you mean WORKER_PRIVATE_KEY?",
    )


def test_a_file_with_a_key_that_others_may_read_is_told(directory: Path) -> None:
    file = directory / ".env"
    file.write_text("WORKER_PRIVATE_KEY=x\n")

    file.chmod(0o644)
    assert gather(environ={}).warnings == (
        ".env holds WORKER_PRIVATE_KEY and others on this machine may read it; chmod 600 .env",
    )
    file.chmod(0o600)
    assert gather(environ={}).warnings == ()
    file.write_text("MAX_RETRIES=4\nWORKER_PRIVATE_KEY=\n")
    file.chmod(0o644)
    assert gather(environ={}).warnings == ()


# --- validation


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "REGISTRY_ADDRESS",
            "0x742d35Cc6634C0532925a3b844Bc9e7595f0bEb",
            "has 41 characters, an address has 42",
        ),
        ("FEEESCROW_ADDRESS", "0x6A4E6dA8A8B9C1a178d7B1E4EE1279653A806C7e", "wrong checksum"),
        ("ACTIONEXECUTOR_ADDRESS", "0x" + "0" * 40, "zero address"),
        ("POLL_INTERVAL", "0", "'0'; it must be a number above 0, at most 86400 seconds"),
        ("POLL_INTERVAL", "nan", "'nan'; it must be a number above 0"),
        ("POLL_INTERVAL", "-1", "it must be a number above 0"),
        ("POLL_INTERVAL", "1e3", "it must be a number above 0"),
        ("POLL_INTERVAL", "ten", "it must be a number above 0"),
        ("RETRY_DELAY", "inf", "from 0 to 86400 seconds"),
        ("MAX_RETRIES", "3.5", "a whole number from 0 to 100"),
        ("MAX_RETRIES", "٣", "a whole number from 0 to 100"),
        ("MAX_RETRIES", "1_0", "a whole number from 0 to 100"),
        ("MAX_RETRIES", "101", "a whole number from 0 to 100"),
        ("MAX_CONCURRENT_EXECUTIONS", "0", "a whole number from 1 to 10000"),
        ("MAX_OPEN_NONCES", "0", "a whole number from 1 to"),
        ("MAX_HOLD", "-1", "a whole number from 0 to 31536000 seconds"),
        ("GAS_MULTIPLIER", "0.9", "from 1 to 10"),
        ("MAX_GAS_PER_TX", "21", "a whole number from 50000"),
        ("CONFIRMATIONS", "0", "'finalized' or a number from 1 to 10000"),
        ("CONFIRMATIONS", "10001", "'finalized' or a number from 1 to 10000"),
        ("CONFIRMATIONS", "safe", "'finalized' or a number from 1 to 10000"),
        ("CHAIN_ID", "0", "a whole number from 1"),
        ("CHAIN_ID", "0x507", "a whole number from 1"),
        ("NETWORK", "moonbas", "is not known"),
        ("MAX_FEE_GWEI", "0", "is 0; it must be more, or empty for no limit"),
        ("MAX_FEE_GWEI", "1 gwei", "it must be an amount in gwei"),
        ("DAILY_GAS_BUDGET", "-5", "it must be an amount of the native token"),
        ("MAX_VALUE", "0.0000000000000000001", "decimal places"),
        ("MIN_WORKER_BALANCE", "some", "it must be an amount"),
        ("ALLOWED_OWNERS", f"{OTHER},0x12", "(number 2) has 4 characters"),
        ("ALLOWED_TARGETS", ",", "holds no address"),
        ("METRICS_PORT", "65536", "a whole number from 1 to 65535"),
        ("LOG_FORMAT", "xml", "'xml'; it must be text or json"),
        ("LOG_LEVEL", "loud", "debug or info or warning or error"),
        ("CHARGE", "actual", "'actual'; it must be budget"),
        ("QUEUE_NAME", "a{b}", "holds a brace"),
        ("QUEUE_NAME", "a b", "holds a blank"),
        ("QUEUE_NAME", "a\nb", "holds a blank or a control character"),
        ("QUEUE_NAME", "q" * 201, "has 201 characters"),
        ("PRICE_FEED_URL", "example.org", "does not begin with http"),
        ("RPC_URLS", "wss://h", "WebSocket"),
        ("RPC_URLS", "https://", "no host name"),
        ("RPC_URLS", "https://h:99999", "malformed host or port"),
        ("RPC_URLS", "https://h, ftp://h", "(number 2) does not begin with http"),
        ("RPC_URLS", ",", "holds no address"),
        ("REDIS_URL", "localhost:6379", "does not begin with redis://, rediss://"),
        ("REDIS_URL", "http://localhost", "does not begin with redis://"),
        ("REDIS_URL", "redis://", "missing or malformed host or port"),
        ("REDIS_URL", "redis://h:port", "missing or malformed host or port"),
        ("REDIS_URL", "redis://h:0", "missing or malformed host or port"),
        ("REDIS_URL", "redis://h:70000", "missing or malformed host or port"),
        ("REDIS_URL", "redis://h/name", "has no database number"),
        ("REDIS_URL", "redis://:a/b@h", "in its password"),
        ("REDIS_URL", "redis://:a b@h", "has a blank in it"),
        ("REDIS_URL", "unix://relative.sock", "needs an absolute path"),
        ("REDIS_URL", "redis+sentinel://h:26379", "must name the service"),
        ("REDIS_URL", "redis+sentinel://h:26379,:1/main", "missing or malformed host"),
        ("REDIS_URL", "redis+cluster://h:1,", "missing or malformed host"),
        ("WORKER_PRIVATE_KEY", "a\nb", "has a line break"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(name: str, value: str, said: str) -> None:
    message = error(**{name: value})

    assert message.startswith(name)
    assert said in message


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (
            "REGISTRY_ADDRESS",
            "0x87bb7a86e657f1ddd2e84946545b6686935e3a56",
            "0x87bb7A86E657f1dDd2e84946545b6686935E3a56",
        ),
        ("POLL_INTERVAL", " 0.25 ", 0.25),
        ("POLL_INTERVAL", ".5", 0.5),
        ("CONFIRMATIONS", "Finalized", None),
        ("CONFIRMATIONS", "1", 1),
        ("GAS_MULTIPLIER", "1", Decimal(1)),
        ("LOG_LEVEL", "DEBUG", "debug"),
        ("NETWORK", "Moonriver", NETWORKS["moonriver"]),
        ("NETWORK", "1284", NETWORKS["moonbeam"]),
        ("METRICS_PORT", "9100", 9100),
        ("REDIS_URL", "unix:///run/redis.sock?db=1", None),
        ("REDIS_URL", "unix://:pw@/run/redis.sock", None),
        ("REDIS_URL", "rediss://user:p%40ss@h.example:6380/2?ssl_cert_reqs=none", None),
        ("REDIS_URL", "redis://[::1]:6379", None),
        ("REDIS_URL", "redis://h/", None),
        ("REDIS_URL", "redis+sentinel://:pw@a:26379,b/mymaster/0", None),
        ("REDIS_URL", "redis+cluster://a:7000,b:7001,[::1]:7002", None),
        ("PRICE_FEED_URL", "https://h.example/v1?key=x", None),
    ],
)
def test_right_values(name: str, value: str, expected: object) -> None:
    found = getattr(load(**{name: value}), BY_NAME[name].attribute)

    assert found == (value if expected is None and name.endswith("_URL") else expected)


def test_amounts_are_exact() -> None:
    settings = load(MAX_FEE_GWEI="0.125", DAILY_GAS_BUDGET="2.5", MAX_VALUE="0", MIN_WORKER_BALANCE="0.1")

    assert settings.max_fee_wei == 125_000_000
    assert settings.daily_gas_budget_wei == 25 * 10**17
    assert settings.max_value_wei == 0  # only actions that move nothing
    assert settings.min_worker_balance_wei == 10**17


def test_allowed_addresses_are_lower_case() -> None:
    settings = load(ALLOWED_OWNERS="0x87bb7A86E657f1dDd2e84946545b6686935E3a56 " + OTHER)

    assert settings.allowed_owners == frozenset({"0x87bb7a86e657f1ddd2e84946545b6686935e3a56", OTHER})


def test_all_errors_are_reported_together() -> None:
    with pytest.raises(SettingsError) as caught:
        load(POLL_INTERVAL="0", REDIS_URL="nothing", REGISTRY_ADDRESS="0x1")

    assert [problem.variable for problem in caught.value.problems] == [
        "REDIS_URL",
        "REGISTRY_ADDRESS",
        "POLL_INTERVAL",
    ]
    assert caught.value.message.startswith("3 settings are wrong:\n  REDIS_URL")
    assert "(environment)" in caught.value.message


def test_two_contracts_with_the_same_address_are_refused() -> None:
    assert "are the same address" in error(REGISTRY_ADDRESS=OTHER, FEEESCROW_ADDRESS=OTHER)
    assert "are the same address" in error(REGISTRY_ADDRESS="0x6a4E6dA8A8B9C1a178d7B1E4EE1279653A806C7e")


def test_own_and_preset_addresses_mixed_are_told() -> None:
    (warning,) = load(REGISTRY_ADDRESS=OTHER).warnings

    assert "ACTIONEXECUTOR_ADDRESS, FEEESCROW_ADDRESS is the one of Moonbase Alpha's preset" in warning


def test_more_executions_than_nonces_is_told() -> None:
    (warning,) = load(MAX_CONCURRENT_EXECUTIONS="100", MAX_OPEN_NONCES="10").warnings

    assert "limited by MAX_OPEN_NONCES" in warning


# --- nothing secret comes out


SECRET = "hunter2-correct-horse"


@pytest.mark.parametrize(
    "environ",
    [
        {"REDIS_URL": f"redis://:{SECRET}@h:port/0"},
        {"REDIS_URL": f"redis://:{SECRET}/x@h:1/0"},
        {"REDIS_URL": SECRET},
        {"RPC_URLS": f"ftp://h/{SECRET}"},
        {"RPC_URLS": f"https://u:{SECRET}@h:99999/"},
        {"PRICE_FEED_URL": f"h/{SECRET}"},
        {"MAX_RETRIES": f"{SECRET}-and-more"},
        {"CHAIN_ID": "a" * 64},
        {"NETWORK": "a" * 64},
        {"REGISTRY_ADDRESS": "0x" + "a" * 64},
        {"GAS_MULTIPLIER": "a" * 64},
        {"MIN_WORKER_BALANCE": "a" * 64},
        {"LOG_LEVEL": "a" * 64},
        {"ALLOWED_OWNERS": "a" * 64},
    ],
)
def test_no_message_repeats_what_may_be_secret(environ: Mapping[str, str]) -> None:
    message = error(**environ)

    assert SECRET not in message
    assert "aaaa" not in message


def test_neither_repr_nor_str_shows_anything() -> None:
    settings = load(
        REDIS_URL=f"redis://:{SECRET}@h:1/0", WORKER_KEYSTORE_PASSWORD=SECRET, WORKER_KEYSTORE="f"
    )

    for thing in (settings, settings.worker_key(), gather(environ={"REDIS_URL": SECRET})):
        assert SECRET not in repr(thing) + str(thing) + f"{thing}"


def test_shown_values() -> None:
    assert shown("WORKER_PRIVATE_KEY", "0xabc") == "(hidden)"
    assert shown("WORKER_KEY_COMMAND", "op read x") == "(hidden)"
    assert shown("REDIS_URL", f"redis://u:{SECRET}@h:1/2") == "redis://h:1/2"
    assert shown("RPC_URLS", "https://h/v2/key,https://i") == "https://h/…,https://i"
    assert shown("QUEUE_NAME", "ab" * 32) == "(hidden: looks like a key)"
    assert shown("REGISTRY_ADDRESS", OTHER) == OTHER


@given(st.dictionaries(st.sampled_from(sorted(BY_NAME)), st.text(max_size=80), max_size=6))
def test_any_text_gives_settings_or_a_config_error(environ: dict[str, str]) -> None:
    try:
        load(**environ)
    except ConfigError as refused:
        said = refused.message
        assert said


# --- .env.example


def _example() -> dict[str, str]:
    lines = re.findall(r"^#?([A-Z][A-Z0-9_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE)
    assert len(lines) == len(dict(lines)), "a variable stands there twice"
    return dict(lines)


def test_env_example_has_exactly_the_variables_of_the_table() -> None:
    assert list(_example()) == [option.name for option in OPTIONS]


def test_env_example_shows_the_defaults() -> None:
    moonbase = NETWORKS["moonbase"]
    preset = {
        "CHAIN_ID": "1287",
        "RPC_URLS": ",".join(moonbase.rpc_urls),
        "MOONBASE_RPC": moonbase.rpc_urls[0],
        "REGISTRY_ADDRESS": "0x87bb7A86E657f1dDd2e84946545b6686935E3a56",
        "ACTIONEXECUTOR_ADDRESS": "0x1Cb45BceCC3f0CEd2875b49d4f6dd5543B2bD559",
        "FEEESCROW_ADDRESS": "0x6a4E6dA8A8B9C1a178d7B1E4EE1279653A806C7e",
    }
    assert _example() == {option.name: preset.get(option.name, option.default) for option in OPTIONS}


def test_env_example_has_the_groups_of_the_table() -> None:
    groups = re.findall(r"^# --- (.*?) -+$", EXAMPLE.read_text(), re.MULTILINE)

    assert groups == list(dict.fromkeys(option.group for option in OPTIONS))


def test_env_example_copied_as_it_is_changes_nothing(directory: Path) -> None:
    (directory / ".env").write_text(EXAMPLE.read_text())
    copied = config.load(environ={})
    (directory / ".env").unlink()
    plain = config.load(environ={})

    for option in OPTIONS:
        if option.attribute:
            assert getattr(copied, option.attribute) == getattr(plain, option.attribute), option.name
    assert copied.warnings == ()


def test_the_table_is_consistent() -> None:
    assert len(BY_NAME) == len(OPTIONS)
    for option in OPTIONS:
        assert option.help
        assert option.group
        assert not option.attribute or option.attribute in Settings.__dataclass_fields__
    keys = {option.name for option in OPTIONS if option.secret}
    assert all(name.startswith((*KEY_NAMES, "PRICE_FEED_KEY")) for name in keys)


def test_a_variable_that_nothing_reads_yet_warns_that_it_is_idle(directory: Path) -> None:
    settings = config.load(environ={"METRICS_PORT": "9100"})
    assert any("METRICS_PORT" in warning and "not use it yet" in warning for warning in settings.warnings)
    assert not any("not use it yet" in warning for warning in config.load(environ={}).warnings)
