"""The table of every configuration variable; the rows of keys and of limits have files of their own.

`config` reads the layers and applies this table; `.env.example` and `autometa config show` follow it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from autometa_cli import parsers
from autometa_cli.addresses import parse_address
from autometa_cli.keyoptions import key_options
from autometa_cli.limitoptions import LIMIT_OPTIONS
from autometa_cli.networks import CHAIN_ID_MAX, network
from autometa_cli.option import Option


def _network(value: str, name: str) -> Any:
    return network(value)


_GROUPS: dict[str, tuple[Option, ...]] = {
    "Queue": (
        Option(
            "REDIS_URL",
            "redis_url",
            parsers.redis_url,
            "redis://127.0.0.1:6379/0",
            "the queue's server: redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://",
            "url",
        ),
        Option(
            "QUEUE_NAME", "queue_name", parsers.queue_name, "workflow_jobs", "Redis key of the pending list"
        ),
        Option(
            "REDIS_MIN_REPLICAS",
            "redis_min_replicas",
            parsers.whole(0, 100),
            "0",
            "replicas of Redis that must have a signed transaction before it is sent",
        ),
        Option(
            "ALLOW_LOSSY_REDIS",
            "allow_lossy_redis",
            parsers.flag,
            "0",
            "1: work even on a Redis that throws keys away when it is full; on a test system only",
        ),
    ),
    "Chain": (
        Option(
            "NETWORK",
            "network",
            _network,
            "moonbase",
            "moonbase, moonbeam, moonriver, local, or the chain id of another EVM chain",
        ),
        Option(
            "CHAIN_ID",
            "chain_id",
            parsers.whole(1, CHAIN_ID_MAX),
            "",
            "the network's, unless the chain is another",
        ),
        Option(
            "RPC_URLS",
            "rpc_urls",
            parsers.http_urls,
            "",
            "JSON-RPC endpoints, tried in order, separated by commas",
            "url",
        ),
        Option(
            "MOONBASE_RPC",
            "",
            parsers.http_urls,
            "",
            "used where RPC_URLS is not set: the endpoint of Moonbase Alpha",
            "url",
        ),
        Option(
            "RPC_RATE_LIMIT",
            "rpc_rate_limit",
            parsers.whole(0, 100_000, "requests a second"),
            "",
            "requests a second to each endpoint, batches count as their calls; 0: no limit; empty: a public one's own",
        ),
        Option(
            "BROADCAST_ALL",
            "broadcast_all",
            parsers.flag,
            "0",
            "1: send transactions to every healthy endpoint, not only to the first",
        ),
        Option(
            "PRIVATE_RPC_URL",
            "private_rpc_url",
            parsers.http_url,
            "",
            "an endpoint that alone gets what is sent; while it is away nothing is sent; empty: those of RPC_URLS",
            "url",
        ),
        Option(
            "CONFIRMATIONS",
            "confirmations",
            parsers.confirmations,
            "finalized",
            "when a block counts as final: 'finalized', or that many blocks deep (local chains)",
        ),
    ),
    "Contracts": (
        Option("REGISTRY_ADDRESS", "registry_address", parse_address, "", "WorkflowRegistry contract"),
        Option(
            "ACTIONEXECUTOR_ADDRESS", "actionexecutor_address", parse_address, "", "ActionExecutor contract"
        ),
        Option("FEEESCROW_ADDRESS", "feeescrow_address", parse_address, "", "FeeEscrow contract"),
    ),
    "Keys": key_options(),
    "Scheduler": (
        Option(
            "POLL_INTERVAL",
            "poll_interval",
            parsers.seconds("0", "86400", above=True),
            "10",
            "seconds between two passes of the scheduler",
        ),
        Option(
            "RESYNC_INTERVAL",
            "resync_interval",
            parsers.seconds("1", "2592000"),
            "3600",
            "seconds in which the scheduler compares the whole registry with what it knows of it",
        ),
        Option(
            "PRICE_FEED_URL",
            "price_feed_url",
            parsers.http_url,
            "",
            "a price service in the form of CoinGecko's /simple/price, for price triggers; empty: none",
            "url",
        ),
        Option(
            "PRICE_FEED_KEY",
            "price_feed_key",
            parsers.line,
            "",
            "the API key of that service, sent as a header",
            "secret",
        ),
        Option(
            "PRICE_SYMBOLS",
            "price_symbols",
            parsers.line,
            "",
            'path of a JSON file with more symbols and the ids that the service knows them by: {"DOT": "polkadot"}',
            "path",
        ),
        Option(
            "PRICE_FEEDS",
            "price_feeds",
            parsers.price_feeds,
            "",
            "Chainlink price feeds on the chain: DOT=0x…,ETH=0x…",
        ),
        Option(
            "PRICE_SOURCES",
            "price_sources",
            parsers.price_sources,
            "chain,http",
            "which of both is asked first; the other one where it has no usable price",
        ),
        Option(
            "PRICE_MAX_AGE",
            "price_max_age",
            parsers.whole(1, 604_800, "seconds"),
            "300",
            "seconds after which a price is too old to decide anything",
        ),
    ),
    "Worker": (
        Option(
            "MAX_CONCURRENT_EXECUTIONS",
            "max_concurrent_executions",
            parsers.whole(1, 10_000),
            "256",
            "jobs that one worker has in hand at a time",
        ),
        Option(
            "MAX_OPEN_NONCES",
            "max_open_nonces",
            parsers.whole(1, 100_000),
            "1024",
            "transactions that one key may have open past its finalized count",
        ),
        Option(
            "MAX_RETRIES", "max_retries", parsers.whole(0, 100), "3", "attempts after a job's own failure"
        ),
        Option(
            "RETRY_DELAY",
            "retry_delay",
            parsers.seconds("0", "86400"),
            "2",
            "seconds before the first retry; the next waits twice, then three times as long",
        ),
        Option(
            "MAX_HOLD",
            "max_hold",
            parsers.whole(0, 31_536_000, "seconds"),
            "86400",
            "seconds that a job whose action would fail is held before it counts as dead",
        ),
        Option(
            "TX_TIMEOUT",
            "tx_timeout",
            parsers.seconds("1", "86400"),
            "120",
            "seconds until an unmined transaction stops its key from taking more",
        ),
        Option(
            "BUMP_AFTER",
            "bump_after",
            parsers.seconds("1", "86400"),
            "30",
            "seconds until an unmined transaction is sent again with a higher fee",
        ),
    ),
    "Fees and limits": LIMIT_OPTIONS,
    "Observation": (
        Option(
            "METRICS_PORT",
            "metrics_port",
            parsers.whole(1, 65535),
            "",
            "serve metrics and health on this port; empty: off (not used yet)",
            idle=True,
        ),
        Option("LOG_FORMAT", "log_format", parsers.choice("text", "json"), "text", "text or json"),
        Option(
            "LOG_LEVEL",
            "log_level",
            parsers.choice("debug", "info", "warning", "error"),
            "info",
            "debug, info, warning or error",
        ),
    ),
}

OPTIONS: tuple[Option, ...] = tuple(
    replace(option, group=group) for group, options in _GROUPS.items() for option in options
)
BY_NAME = {option.name: option for option in OPTIONS}
