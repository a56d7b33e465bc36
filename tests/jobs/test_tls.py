"""TLS with certificates on both sides: one server, Sentinel, Cluster; and what is said when something does not fit."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
import trustme

from autometa_cli.devnet.process import HOST, port_free
from autometa_cli.errors import AutometaError, ConfigError, RedisUnreachable
from autometa_cli.jobs.connection import Connections
from tests.jobs.desk import Desk
from tests.jobs.fleet import SERVICE, Node, SentinelProcess, binary, start, wait_for


@dataclass(frozen=True)
class Papers:
    """A CA of our own and what it signed; a second CA, and a certificate of that."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> Papers:
        for name in ("ours", "theirs"):
            ca = trustme.CA()
            ca.cert_pem.write_to_path(str(folder / f"{name}-ca.pem"))
            leaf = ca.issue_cert(HOST, "worker")
            leaf.private_key_pem.write_to_path(str(folder / f"{name}.key"))
            leaf.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))
            elsewhere = ca.issue_cert("redis.example.org")
            elsewhere.private_key_and_cert_chain_pem.write_to_path(str(folder / f"{name}-elsewhere.pem"))
        return cls(folder)

    def __getattr__(self, name: str) -> str:
        return str(self.folder / name.replace("__", "-").replace("_pem", ".pem").replace("_key", ".key"))

    def server(self, port: int) -> dict[str, str]:
        """Lines of a server's configuration: clients must show a certificate."""
        return {
            "tls-port": str(port),
            "tls-cert-file": self.ours_pem,
            "tls-key-file": self.ours_key,
            "tls-ca-cert-file": self.ours__ca_pem,
            "tls-replication": "yes",
        }

    def query(self, **changed: str | None) -> str:
        """Behind the question mark of REDIS_URL; None leaves one out."""
        given = {
            "ssl_ca_certs": self.ours__ca_pem,
            "ssl_certfile": self.ours_pem,
            "ssl_keyfile": self.ours_key,
            **changed,
        }
        return urlencode({name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True)
class Guarded:
    """A server with a TLS port."""

    papers: Papers
    node: Node
    port: int

    def url(self, **changed: str | None) -> str:
        return f"rediss://{HOST}:{self.port}/0?{self.papers.query(**changed)}"


def _port() -> int:
    return next(port for port in iter(lambda: random.randrange(22_000, 25_000), 0) if port_free(port))


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers.made(tmp_path_factory.mktemp("papers"))


@pytest.fixture(scope="module")
def guarded(papers: Papers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    port = _port()
    with ExitStack() as stack:
        node = Node(tmp_path_factory.mktemp("tls"), binary("redis-7"), papers.server(port))
        start(node, stack)
        yield Guarded(papers, node, port)


def _connect(url: str) -> None:
    async def scenario() -> None:
        connections = Connections(url)
        try:
            await connections.connect()
        finally:
            await connections.close()

    asyncio.run(scenario())


# -- it works ----------------------------------------------------------------------------------------------


def test_the_life_of_a_job(guarded: Guarded, runner: asyncio.Runner) -> None:
    with Desk(runner, guarded.url(), guarded.node.url) as desk:
        ann = desk.worker("ann")
        desk.push(desk.payload(300, workflow=3))
        assert len(desk.do(desk.queue.take(ann, 10))) == 1
        assert desk.settle(desk.signed(ann).key).word == "ok"
        assert desk.do(desk.inspector.counts()).inflight == 1


def test_sentinel(papers: Papers, tmp_path: Path) -> None:
    port, query = _port(), papers.query(ssl="true")
    with ExitStack() as stack:
        node = Node(tmp_path / "node", binary("redis-7"), papers.server(port))
        start(node, stack)
        tls_port = _port()
        lines = [f"{name} {value}" for name, value in papers.server(tls_port).items()]
        sentinel = SentinelProcess(tmp_path / "sentinel", binary("redis-7"), port, *lines, quorum=1)
        start(sentinel, stack)

        _connect(f"redis+sentinel://{HOST}:{tls_port}/{SERVICE}?{query}")
        with pytest.raises(ConfigError, match="not trusted"):
            _connect(
                f"redis+sentinel://{HOST}:{tls_port}/{SERVICE}?{papers.query(ssl='true', ssl_ca_certs=None)}"
            )


def test_cluster(papers: Papers, tmp_path: Path) -> None:
    port, lines = _port(), {"cluster-enabled": "yes", "tls-cluster": "yes", "cluster-announce-ip": HOST}
    with ExitStack() as stack:
        plain = next(p for p in iter(_port, 0) if port_free(p + 10_000) and port_free(port + 10_000))
        node = Node(tmp_path, binary("redis-7"), {**papers.server(port), **lines}, port=plain)
        start(node, stack)
        node.client.execute_command("CLUSTER", "ADDSLOTS", *range(16384))
        wait_for(lambda: node.client.execute_command("CLUSTER INFO")["cluster_state"] == "ok", "the Cluster")

        _connect(f"redis+cluster://{HOST}:{port}?{papers.query(ssl='true')}")


def test_a_server_without_certificate_check(guarded: Guarded) -> None:
    _connect(guarded.url(ssl_ca_certs=None, ssl_cert_reqs="none"))


# -- it does not -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "kind", "says"),
    [
        ({"ssl_ca_certs": None}, ConfigError, "shows a certificate that is not trusted"),
        ({"ssl_ca_certs": "theirs-ca.pem"}, ConfigError, "shows a certificate that is not trusted"),
        ({"ssl_certfile": "theirs.pem"}, ConfigError, "the key does not belong to the certificate"),
        ({"ssl_certfile": "absent.pem"}, ConfigError, "which is no file that can be read"),
        ({"ssl_certfile": "ours.key"}, ConfigError, "are no certificate and key"),
        ({"ssl_ca_certs": "ours.key"}, ConfigError, "holds no certificate"),
        ({"ssl_certfile": None}, ConfigError, "ssl_keyfile without ssl_certfile"),
        ({"ssl_cert_reqs": "maybe"}, ConfigError, "neither required nor none"),
        ({"ssl_check_hostname": "perhaps"}, ConfigError, "neither true nor false"),
        ({"ssl_verify": "1"}, ConfigError, "unknown parameter behind its question mark: ssl_verify"),
    ],
)
def test_what_does_not_fit(
    guarded: Guarded, changed: dict[str, str | None], kind: type[AutometaError], says: str
) -> None:
    folder = guarded.papers.folder
    files = {
        name: str(folder / value) if value and value.endswith((".pem", ".key")) else value
        for name, value in changed.items()
    }

    with pytest.raises(kind) as caught:
        _connect(guarded.url(**files))
    assert says in caught.value.message
    assert caught.value.hint or "REDIS_URL" in caught.value.message


@pytest.mark.parametrize("name", [None, "theirs"])
def test_our_certificate_is_not_accepted(guarded: Guarded, name: str | None) -> None:
    """The server says why and hangs up; who comes too late for its reason sees only that."""
    folder = guarded.papers.folder
    files = {
        "ssl_certfile": str(folder / f"{name}.pem") if name else None,
        "ssl_keyfile": str(folder / f"{name}.key") if name else None,
    }

    with pytest.raises((ConfigError, RedisUnreachable)) as caught:
        _connect(guarded.url(**files))
    assert re.search("certificate of ours|our certificate", caught.value.message + caught.value.hint)
    assert "ssl_certfile" in caught.value.hint


def test_another_hosts_certificate(papers: Papers, tmp_path: Path) -> None:
    port = _port()
    lines = papers.server(port) | dict.fromkeys(
        ("tls-cert-file", "tls-key-file"), str(papers.folder / "ours-elsewhere.pem")
    )
    with ExitStack() as stack:
        start(Node(tmp_path, binary("redis-7"), lines), stack)
        url = f"rediss://{HOST}:{port}/0?{papers.query()}"

        with pytest.raises(ConfigError, match=r"not trusted: .*not valid for '127\.0\.0\.1'"):
            _connect(url)
        _connect(url + "&ssl_check_hostname=false")


def test_in_the_clear_to_a_tls_port(guarded: Guarded) -> None:
    with pytest.raises(RedisUnreachable) as caught:
        _connect(f"redis://{HOST}:{guarded.port}/0")
    assert "rediss://" in caught.value.hint


def test_tls_to_a_port_in_the_clear(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autometa_cli.jobs.connection._TIMEOUT_SECONDS", 0.3)

    with pytest.raises(RedisUnreachable) as caught:
        _connect(f"rediss://{HOST}:{guarded.node.port}/0?{guarded.papers.query()}")
    assert "does that port speak TLS?" in caught.value.hint


def test_certificates_without_tls(papers: Papers) -> None:
    with pytest.raises(ConfigError, match="does not ask for TLS"):
        Connections(f"redis://{HOST}/0?{papers.query()}")
