"""A service's process: its settings, its end, its last words."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from autometa_cli.demo.service import Service, ServiceDied


def until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """A scheduler without a Redis: it waits for one."""
    env_file = tmp_path / ".env"
    env_file.write_text(
        "NETWORK=local\nRPC_URLS=http://127.0.0.1:1\nREDIS_URL=redis://127.0.0.1:1/0\n"
        f"WORKER_PRIVATE_KEY={'ab' * 32}\n"
        f"REGISTRY_ADDRESS=0x{'a1' * 20}\nACTIONEXECUTOR_ADDRESS=0x{'a2' * 20}\nFEEESCROW_ADDRESS=0x{'a3' * 20}\n"
    )
    env_file.chmod(0o600)
    return Service("scheduler", tmp_path, env_file)


def test_one_that_ends_by_itself_shows_its_last_words(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("CHAIN_ID=nonsense\n")
    service.check()  # not started: nothing to complain about
    assert not service.running
    service.start()
    until(lambda: not service.running)

    with pytest.raises(ServiceDied) as caught:
        service.check()
    assert "the scheduler ended by itself (exit code 3)" in caught.value.message
    assert "CHAIN_ID" in caught.value.message


def test_it_is_told_to_leave(service: Service) -> None:
    service.start()
    try:
        until(lambda: "127.0.0.1:1" in service.log.read_text())
        service.check()
        service.tell()
        until(lambda: not service.running)
        service.check()  # it was told: no complaint
    finally:
        service.kill()


def test_it_is_killed(service: Service) -> None:
    service.kill()
    service.start()
    assert service.pid is not None
    assert Path(f"/proc/{service.pid}").exists()
    service.kill()
    assert not service.running
    service.check()
    assert not Path(f"/proc/{service.pid}").exists()


def test_settings_of_ones_own_do_not_reach_it(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere.example:6379/0")
    monkeypatch.setenv("WORKER_PRIVATE_KEY", "cd" * 32)
    monkeypatch.setenv("MARK", "mine")
    service.start()
    try:
        there = Path(f"/proc/{service.pid}/environ")
        until(lambda: "MARK=mine" in there.read_text())  # empty while the process becomes another program
        environment = there.read_text()
        assert "elsewhere" not in environment
        assert "cd" * 32 not in environment
        command = Path(f"/proc/{service.pid}/cmdline").read_text()
        assert "PRIVATE" not in command
        assert os.getsid(service.pid or 0) == service.pid  # out of reach of this terminal's Ctrl-C
    finally:
        service.kill()
