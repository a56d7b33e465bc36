"""Where the primary is: asked anew for every connection, of all Sentinels or Cluster nodes at once.

The answer is a hint. `jobs.connection` looks at the server that it leads to, and the run that it finds there decides
whether anything may be done (`jobs.epoch`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, Protocol

import redis.exceptions as rex
from redis.asyncio import Redis
from redis.asyncio.connection import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot

from autometa_cli.jobs.address import Address, Login, Place
from autometa_cli.jobs.faults import Misconfigured, NotOurPrimary
from autometa_cli.jobs.wire import TcpConnection

#: One that does not answer within this time has no vote, seconds.
_ASK_SECONDS = 1.0


class Locator(Protocol):
    """Finds the primary."""

    async def primary(self) -> Place:
        """Host and port of the server that holds the queue. Raises redis.exceptions.RedisError."""

    def moved(self, place: Place) -> None:
        """A server said where the queue is now."""


class _Seen(NamedTuple):
    epoch: int
    place: Place


class Sentinels:
    """The primary as the Sentinels name it: the newest configuration that any of them knows wins.

    A Sentinel that is cut off from the others together with the old primary still names that one; its configuration
    is older than what the majority agreed on.
    """

    def __init__(self, address: Address) -> None:
        self._address = address

    async def primary(self) -> Place:
        """Raises Misconfigured: no Sentinel knows the service. redis.exceptions.ConnectionError: none answers."""
        answers = await _ask_all(self._address.hosts, self._ask)
        found = [answer for answer in answers if isinstance(answer, _Seen)]
        if found:
            return max(found, key=lambda seen: seen.epoch).place
        for place, answer in zip(self._address.hosts, answers, strict=True):
            says = str(answer).lower() if isinstance(answer, rex.ResponseError) else ""
            if "unknown command" in says:
                raise Misconfigured(
                    f"{_shown(place)} is no Sentinel", "write redis://host:port/0 as REDIS_URL"
                )
            if "no such master" in says:
                raise Misconfigured(
                    f"the Sentinels know no service {self._address.service!r}",
                    "REDIS_URL is redis+sentinel://host:port,host:port/service",
                )
        raise _no_answer("Sentinel", self._address.hosts, answers)

    def moved(self, place: Place) -> None:
        """The Sentinels decide, whatever a server says."""

    async def _ask(self, place: Place) -> _Seen:
        async with _client(place, self._address, self._address.sentinel_login) as client:
            state = await client.execute_command("SENTINEL MASTER", self._address.service)
        return _Seen(int(state["config-epoch"]), (state["ip"], int(state["port"])))


class ClusterNodes:
    """The node that serves the queue's slot, as most nodes see it, or as the last `MOVED` said.

    A node that is cut off from the others still names itself; the majority knows better.
    """

    def __init__(self, address: Address, queue: str) -> None:
        self._address = address
        self._known = list(address.hosts)
        self._hint: Place | None = None
        self.slot = key_slot(queue.encode())

    async def primary(self) -> Place:
        """Raises Misconfigured: no Cluster there. redis.exceptions.ConnectionError: nobody answers."""
        if self._hint is not None:
            hint, self._hint = self._hint, None
            return hint
        asked = list(self._known)
        answers = await _ask_all(asked, self._ask)
        votes: Counter[Place] = Counter()
        known = list(self._address.hosts)
        for answer in answers:
            if isinstance(answer, BaseException):
                continue
            known += [place for places in answer.values() for place in places]
            votes.update(places[0] for (low, high), places in answer.items() if low <= self.slot <= high)
        self._known = list(dict.fromkeys(known)) if len(known) > len(self._address.hosts) else asked
        if votes:
            return votes.most_common(1)[0][0]
        for answer in answers:
            if isinstance(answer, rex.ResponseError) and "cluster support disabled" in str(answer).lower():
                raise Misconfigured("this is no Redis Cluster", "write redis://host:port/0 as REDIS_URL")
        if all(isinstance(answer, BaseException) for answer in answers):
            raise _no_answer("Cluster node", asked, answers)
        raise NotOurPrimary(f"no node of the Cluster serves slot {self.slot}, where the queue is")

    def moved(self, place: Place) -> None:
        """Go there next, without asking anybody."""
        self._hint = place

    async def _ask(self, place: Place) -> dict[tuple[int, int], list[Place]]:
        async with _client(place, self._address, self._address.login) as client:
            rows = await client.execute_command("CLUSTER SLOTS")
        # A node that does not know its own address gives none: it is the one that we asked.
        return {
            (int(low), int(high)): [
                ((host or b"").decode() or place[0], int(port)) for host, port, *_ in nodes
            ]
            for low, high, *nodes in rows
        }


def locator(address: Address, queue: str) -> Locator | None:
    """How to find the primary; None where the address says it."""
    if address.kind == "sentinel":
        return Sentinels(address)
    return ClusterNodes(address, queue) if address.kind == "cluster" else None


async def _ask_all(places: Sequence[Place], ask: Callable[[Place], Awaitable[Any]]) -> list[Any]:
    async def asked(place: Place) -> Any:
        try:
            return await asyncio.wait_for(ask(place), 2 * _ASK_SECONDS)
        except (rex.RedisError, OSError, TimeoutError, KeyError, ValueError) as error:
            return error

    return list(await asyncio.gather(*(asked(place) for place in places)))


def _client(place: Place, address: Address, login: Login) -> Any:
    options: dict[str, Any] = {
        **login.options,
        "host": place[0],
        "port": place[1],
        "tls": address.tls,
        "protocol": 2,
        "driver_info": None,
        "socket_timeout": _ASK_SECONDS,
        "socket_connect_timeout": _ASK_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    return Redis.from_pool(ConnectionPool(TcpConnection, **options))


def _no_answer(what: str, places: Sequence[Place], answers: Sequence[Any]) -> rex.RedisError:
    """Why nobody told us; of the kind that says most: a wrong password or certificate is not a server that is away."""
    order = (rex.AuthenticationError, rex.NoPermissionError)
    worst = min(
        answers, key=lambda answer: next((n for n, k in enumerate(order) if isinstance(answer, k)), 9)
    )
    if isinstance(worst, order):
        return type(worst)(f"{what} {_shown(places[answers.index(worst)])}: {worst}")
    why = "; ".join(
        f"{_shown(place)}: {str(answer) or 'no answer in time'}"
        for place, answer in zip(places, answers, strict=True)
    )
    error = rex.ConnectionError(f"no {what} answers ({why})")
    error.__cause__ = next((answer for answer in answers if isinstance(answer, BaseException)), None)
    return error


def _shown(place: Place) -> str:
    return f"{place[0]}:{place[1]}"
