"""The embedded server of the Redis protocol."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from autometa_cli.devnet.process import HOST, PortTaken
from autometa_cli.devnet.server import ValkeyProcess, find_binary
from autometa_cli.errors import AutometaError


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ValkeyProcess]:
    """In a folder whose name needs care. Not started."""
    server = ValkeyProcess(tmp_path / 'a "folder" with blanks', fsync="always")
    yield server
    server.kill()


def test_what_was_written_survives_a_crash(server: ValkeyProcess) -> None:
    server.start()
    with redis.Redis.from_url(server.url) as client:
        client.rpush("workflow_jobs", "one", "two")
        run_id = server.info("server")["run_id"]
        server.kill()
        server.start()
        assert client.lrange("workflow_jobs", 0, -1) == [b"one", b"two"]
    assert server.info("server")["run_id"] != run_id


def test_how_it_is_set_up(server: ValkeyProcess) -> None:
    server.start()
    with redis.Redis.from_url(server.url) as client:
        for name, value in {
            "appendonly": "yes",
            "maxmemory-policy": "noeviction",
            "bind": HOST,
            "save": "",
        }.items():
            assert client.config_get(name) == {name: value}


def test_a_taken_port(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        server = ValkeyProcess(tmp_path, port=other.getsockname()[1])
        with pytest.raises(PortTaken) as caught:
            server.start()
    assert "--redis-port" in caught.value.hint


def test_a_stopped_server_answers_nothing(server: ValkeyProcess) -> None:
    server.start()
    server.stop()
    server.stop()  # again: no error
    assert server.info("server") == {}
    assert not server.answers()


def test_a_binary_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "valkey-server"
    monkeypatch.setenv("AUTOMETA_VALKEY", str(own))
    with pytest.raises(AutometaError, match="AUTOMETA_VALKEY"):
        find_binary()
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    assert find_binary() == own
