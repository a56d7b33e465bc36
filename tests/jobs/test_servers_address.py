"""What a REDIS_URL may look like, and what is said of one that may not."""

from __future__ import annotations

import pytest

from autometa_cli.errors import ConfigError
from autometa_cli.jobs.address import Login, parse
from autometa_cli.jobs.connection import Connections


@pytest.mark.parametrize(
    ("url", "kind", "hosts", "service", "db", "login"),
    [
        ("redis://h", "server", [("h", 6379)], "", 0, ("", "")),
        ("redis://h:1/3", "server", [("h", 1)], "", 3, ("", "")),
        ("redis://h?db=4", "server", [("h", 6379)], "", 4, ("", "")),
        ("redis://:p%40ss@[::1]:7/0", "server", [("::1", 7)], "", 0, ("", "p@ss")),
        ("REDIS://u:p@h", "server", [("h", 6379)], "", 0, ("u", "p")),
        ("redis://h?username=u&password=p%26q", "server", [("h", 6379)], "", 0, ("u", "p&q")),
        ("redis+sentinel://a,b:5/svc", "sentinel", [("a", 26379), ("b", 5)], "svc", 0, ("", "")),
        ("redis+sentinel://u:p@a:1/svc/2", "sentinel", [("a", 1)], "svc", 2, ("u", "p")),
        ("redis+cluster://a,b:5", "cluster", [("a", 6379), ("b", 5)], "", 0, ("", "")),
        ("redis+cluster://a/0", "cluster", [("a", 6379)], "", 0, ("", "")),
    ],
)
def test_addresses(
    url: str, kind: str, hosts: list[tuple[str, int]], service: str, db: int, login: tuple[str, str]
) -> None:
    found = parse(url)

    assert (found.kind, list(found.hosts), found.service, found.db) == (kind, hosts, service, db)
    assert found.login == Login(*login)
    assert found.tls is None


def test_a_sockets_address() -> None:
    found = parse("unix://u:p@/run/a%20b.sock?db=2")

    assert (found.kind, found.path, found.db, found.login) == ("socket", "/run/a b.sock", 2, Login("u", "p"))


def test_tls_is_asked_for() -> None:
    for url in ("rediss://h", "redis+cluster://h?ssl=true", "redis+sentinel://h/svc?ssl=1"):
        assert parse(url).tls is not None
    assert parse("redis+cluster://h?ssl=false").tls is None


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://h", "does not begin with redis://"),
        ("redis://a,b", "names several servers"),
        ("redis://h/x", "other than a database number"),
        ("redis://h/1/2", "other than a database number"),
        ("redis://h:99999/0", "malformed host or port"),
        ("redis://", "malformed host or port"),
        ("redis+sentinel://h", "must name the service"),
        ("redis+cluster://h/1", "a Redis Cluster has database 0 only"),
        ("redis://h?socket_timeout=1", "unknown parameter behind its question mark: socket_timeout"),
        ("redis+cluster://h?sentinel_password=topsecret", "unknown parameter"),
        ("redis://u:topsecret@h?ssl_ca_certs=/x", "does not ask for TLS"),
    ],
)
def test_malformed_addresses(url: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Connections(url)
    assert says in caught.value.message
    assert "topsecret" not in caught.value.message + caught.value.hint


def test_no_secret_in_what_is_shown_of_an_address() -> None:
    found = parse("redis+sentinel://user:topsecret@h:1/svc?sentinel_password=hidden-too")

    assert "topsecret" not in repr(found)
    assert "hidden-too" not in repr(found)
    assert "user" not in repr(found).replace("sentinel", "")
