"""Is this Redis fit for a ledger of money? Read only; where CONFIG is denied, what INFO tells has to do."""

from __future__ import annotations

import logging
import re
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import redis.exceptions as rex

from autometa_cli.errors import ConfigError
from autometa_cli.jobs.connection import Client

_log = logging.getLogger(__name__)

#: The oldest that has BLMOVE.
_OLDEST = (6, 2)
#: A round trip above this slows everything down, seconds.
_SLOW_SECONDS = 0.05
_PINGS = 5

Severity = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact about the server.

    Attributes:
        code: version, role, memory, persistence, replicas or latency.
        severity: "error" forbids to work with it.
        hint: what to do; "" where nothing has to be done.
    """

    code: str
    severity: Severity
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """What Redis uses, bytes.

    Attributes:
        limit: its maxmemory; None where it has none.
    """

    used: int
    limit: int | None

    @property
    def full(self) -> bool:
        """Whether it refuses what needs more."""
        return self.limit is not None and self.used > self.limit


async def memory(redis: Client) -> Memory:
    """Ask how full Redis is. Raises redis.exceptions.RedisError."""
    info = await redis.info("memory")
    # What it does not count against its limit: buffers for its replicas and its append-only file.
    used = int(info.get("used_memory", 0)) - int(info.get("mem_not_counted_for_evict", 0))
    return Memory(max(0, used), int(info.get("maxmemory", 0)) or None)


async def examine(redis: Client, *, min_replicas: int = 0, failover: bool = False) -> list[Finding]:
    """Look at the server behind a client.

    Args:
        min_replicas: REDIS_MIN_REPLICAS.
        failover: Sentinel or a Cluster may put a replica in its place.

    Raises:
        redis.exceptions.RedisError: it does not answer.
    """
    info: dict[str, Any] = {}
    for section in ("server", "memory", "persistence", "replication"):
        info |= await redis.info(section)
    return [
        _version(info),
        _role(info),
        _memory(info, await _setting(redis, "maxmemory-policy")),
        _persistence(info, await _setting(redis, "appendonly"), await _setting(redis, "appendfsync")),
        _replicas(info, min_replicas, failover),
        await _latency(redis),
    ]


def judge(findings: Iterable[Finding], *, lossy_allowed: bool) -> None:
    """Log what is not as it should be.

    Raises:
        ConfigError: a worker or scheduler must not use this server; with `lossy_allowed` (ALLOW_LOSSY_REDIS) only
            where it cannot.
    """
    for finding in findings:
        if finding.severity == "error" and not (lossy_allowed and finding.code == "memory"):
            raise ConfigError(finding.text, finding.hint)
        if finding.severity != "ok":
            _log.warning("%s%s", finding.text, f" ({finding.hint})" if finding.hint else "")


async def _setting(redis: Client, name: str) -> str:
    """A value of CONFIG; "" where we may not ask."""
    try:
        found = await redis.config_get(name)
    except rex.ResponseError:
        return ""
    return str(found.get(name, ""))


def _version(info: dict[str, Any]) -> Finding:
    version = str(info.get("redis_version", ""))
    valkey = info.get("valkey_version")
    name = f"Valkey {valkey}" if valkey else f"Redis {version or 'of unknown version'}"
    numbers = tuple(int(part) for part in re.findall(r"[0-9]+", version)[:2])
    if numbers and numbers < _OLDEST:
        return Finding("version", "error", f"{name} is too old", "Redis 6.2 and Valkey 7.2 or newer will do")
    return Finding("version", "ok" if numbers else "warning", name)


def _role(info: dict[str, Any]) -> Finding:
    if info.get("role") == "master":
        return Finding("role", "ok", "Redis is a primary")
    return Finding(
        "role", "warning", f"Redis is a {info.get('role', 'server of unknown role')}, which takes no writes",
        "let REDIS_URL name the primary",
    )  # fmt: skip


def _memory(info: dict[str, Any], setting: str) -> Finding:
    policy = setting or str(info.get("maxmemory_policy", ""))
    if not policy:
        return Finding(
            "memory", "warning", "Redis does not say whether it evicts keys when it is full",
            "its maxmemory-policy must be noeviction",
        )  # fmt: skip
    if policy != "noeviction":
        return Finding(
            "memory", "error", f"Redis throws keys away when it is full (maxmemory-policy {policy})",
            "set maxmemory-policy noeviction: a lost record may be a second payment; ALLOW_LOSSY_REDIS=1 overrides",
        )  # fmt: skip
    limit, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    if limit and used > 0.9 * limit:
        return Finding("memory", "warning", f"Redis is {used / limit:.0%} full", "raise its maxmemory")
    return Finding("memory", "ok", "Redis refuses writes rather than throwing keys away (noeviction)")


def _persistence(info: dict[str, Any], appendonly: str, appendfsync: str) -> Finding:
    on = appendonly == "yes" if appendonly else int(info.get("aof_enabled", 0)) == 1
    if not on:
        return Finding(
            "persistence", "warning", "Redis keeps no append-only file: a restart loses what came after its last "
            "snapshot, and workers have to recover", "set appendonly yes, appendfsync always or everysec",
        )  # fmt: skip
    if info.get("aof_last_write_status", "ok") != "ok":
        return Finding(
            "persistence", "warning", "Redis could not write its append-only file", "its own log says why"
        )
    if appendfsync == "no":
        return Finding(
            "persistence", "warning", "Redis leaves it to the system when to write to disk (appendfsync no)",
            "set appendfsync always or everysec",
        )  # fmt: skip
    how = {"always": "always", "everysec": "every second"}.get(appendfsync, "at times that it does not tell")
    return Finding("persistence", "ok", f"Redis writes an append-only file, to disk {how}")


def _replicas(info: dict[str, Any], needed: int, failover: bool) -> Finding:
    there = int(info.get("connected_slaves", 0))
    text = f"Redis has {there} {'replica' if there == 1 else 'replicas'}"
    if needed > there:
        return Finding(
            "replicas", "warning", f"{text}; REDIS_MIN_REPLICAS asks for {needed}, so nothing will be sent",
            "add replicas, or lower REDIS_MIN_REPLICAS",
        )  # fmt: skip
    if failover and not needed:
        return Finding(
            "replicas", "warning", f"{text}, and a failover may lose what they do not have yet",
            "set REDIS_MIN_REPLICAS=1, and min-replicas-to-write 1 on the servers; docs/redis.md says why",
        )  # fmt: skip
    return Finding(
        "replicas", "ok", text + (f", {needed} must have each signed transaction" if needed else "")
    )


async def _latency(redis: Client) -> Finding:
    times = []
    for _ in range(_PINGS):
        started = time.perf_counter()
        await redis.ping()
        times.append(time.perf_counter() - started)
    took = statistics.median(times)
    text = f"Redis answers within {took * 1000:.1f} ms"
    slow = took > _SLOW_SECONDS
    return Finding("latency", "warning" if slow else "ok", text, "run workers near Redis" if slow else "")
