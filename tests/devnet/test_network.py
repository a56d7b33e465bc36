"""The whole devnet, as a Python API."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from autometa_cli import config
from autometa_cli.chain.interfaces import interface
from autometa_cli.chain.roles import has_role
from autometa_cli.chain.rpc import Rpc
from autometa_cli.devnet.identity import Identity
from autometa_cli.devnet.info import MARK, DevnetInfo
from autometa_cli.devnet.network import Devnet, Up
from autometa_cli.devnet.process import HOST, PortTaken
from autometa_cli.errors import AutometaError, UsageProblem
from tests.devnet.test_identity import until


@pytest.fixture
def devnet(binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Devnet]:
    """In an empty directory, not up."""
    monkeypatch.setenv("AUTOMETA_ANVIL", str(binary))
    monkeypatch.chdir(tmp_path)
    devnet = Devnet()
    yield devnet
    devnet.down()


def up(devnet: Devnet, **options: Any) -> Up:
    return devnet.up(rpc_port=0, redis_port=0, **options)


def read(info: DevnetInfo, contract: str, address: str, function: str, *arguments: object) -> Any:
    async def call() -> Any:
        async with Rpc([info.rpc_url], chain_id=info.chain_id) as rpc:
            view = await rpc.view("finalized")
            found = interface(contract).functions[function]
            return found.decode(await view.call(address, found.encode(*arguments)))[0]

    return asyncio.run(call())


def test_everything_is_wired_and_paid_for_in_a_final_block(devnet: Devnet) -> None:
    info = up(devnet, workers=2).info
    worker, second, owner = (info.accounts[name].address for name in ("worker", "worker2", "owner"))

    async def roles() -> list[bool]:
        async with Rpc([info.rpc_url], chain_id=1287) as rpc:
            view = await rpc.view("finalized")
            return [
                await has_role(view, info.executor, "WORKER_ROLE", worker),
                await has_role(view, info.executor, "WORKER_ROLE", second),
                await has_role(view, info.escrow, "WORKER_ROLE", info.executor),
                await has_role(view, info.registry, "PROJECT_ADMIN", info.executor),
                await view.balance(info.executor) == 100 * 10**18,
                await view.balance(worker) == 1000 * 10**18,
            ]

    assert asyncio.run(roles()) == [True] * 6
    assert read(info, "ActionExecutor", info.executor, "registry") == info.registry.lower()
    assert read(info, "ActionExecutor", info.executor, "escrow") == info.escrow.lower()
    assert read(info, "FeeEscrow", info.escrow, "balances", owner) == 10 * 10**18
    assert read(info, "TestToken", info.test_contracts["TestToken"], "balanceOf", info.executor) == 10**24
    assert info.test_contracts.keys() >= {"TestPriceFeed", "Recorder", "RevertingTarget", "GasBurner"}


def test_the_settings_that_it_writes(devnet: Devnet, tmp_path: Path) -> None:
    info = up(devnet).info
    assert info.env_file == tmp_path / ".env.devnet"
    assert stat.S_IMODE(info.env_file.stat().st_mode) == 0o600
    settings = config.load(info.env_file, environ={})
    assert settings.warnings == ()
    assert settings.network.local
    assert settings.rpc_urls == (info.rpc_url,)
    assert settings.redis_url == info.redis_url
    assert settings.registry_address == info.registry
    assert settings.actionexecutor_address == info.executor
    assert settings.feeescrow_address == info.escrow
    assert settings.confirmations is None
    for name, source in (
        ("worker", settings.worker_key),
        ("admin", settings.admin_key),
        ("owner", settings.owner_key),
    ):
        assert source().load(chain_id=1287).address == info.accounts[name].address
    assert stat.S_IMODE((devnet.directory / "state.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(devnet.directory.stat().st_mode) == 0o700


def test_blocks_go_on_by_themselves(devnet: Devnet) -> None:
    up(devnet)
    block = devnet.anvil.block_number()
    until(lambda: devnet.anvil.block_number() >= block + 2)


def test_a_second_up_changes_nothing(devnet: Devnet) -> None:
    first = up(devnet)
    again = up(Devnet())
    assert (first.outcome, again.outcome) == ("started", "running")
    assert again.info == first.info
    assert not again.discarded


def test_a_second_up_writes_the_settings_again_if_they_are_gone(devnet: Devnet) -> None:
    env_file = up(devnet).info.env_file
    assert env_file is not None
    before = env_file.read_text()
    env_file.unlink()
    up(Devnet())
    assert env_file.read_text() == before


def test_keys_are_never_shown(devnet: Devnet) -> None:
    info = up(devnet).info
    keys = [account.private_key for account in info.accounts.values()]
    assert len(set(keys)) == 3
    assert not any(key[2:] in repr(info) + str(info.public()) for key in keys)


def test_down_leaves_nothing_but_logs(devnet: Devnet, tmp_path: Path) -> None:
    up(devnet)
    processes = [devnet.anvil.identity, devnet.valkey.identity]
    assert Devnet().down()
    assert not any(process.alive() for process in processes if process)
    assert not (tmp_path / ".env.devnet").exists()
    left = {path.name for path in devnet.directory.iterdir()}
    assert left <= {"anvil.log", "valkey.log", "valkey.conf", "lock", ".gitignore"}
    assert not Devnet().down()
    assert Devnet().status().condition == "stopped"


def test_status_writes_nothing(devnet: Devnet, tmp_path: Path) -> None:
    assert Devnet().status().condition == "stopped"
    assert list(tmp_path.iterdir()) == []
    up(devnet)
    before = {path: path.stat().st_mtime_ns for path in devnet.directory.iterdir() if path.suffix != ".log"}
    seen = Devnet().status()
    assert seen.condition == "running"
    assert seen.block_number is not None
    after = {path: path.stat().st_mtime_ns for path in devnet.directory.iterdir() if path.suffix != ".log"}
    assert before == after


def test_after_a_crash_of_the_chain_all_begins_anew(devnet: Devnet) -> None:
    first = up(devnet).info
    with redis.Redis.from_url(first.redis_url) as client:
        client.rpush("workflow_jobs", "of the old chain")
    old_queue = devnet.valkey.identity
    assert devnet.anvil.identity is not None
    os.kill(devnet.anvil.identity.pid, signal.SIGKILL)
    until(lambda: Devnet().status().condition == "damaged")
    again = up(Devnet())
    assert (again.outcome, again.discarded) == ("started", True)
    assert again.info.accounts != first.accounts
    with redis.Redis.from_url(again.info.redis_url) as client:
        assert client.dbsize() == 0
    assert old_queue is not None
    assert not old_queue.alive()


def test_after_a_crash_of_the_queue_it_goes_on_with_its_data(devnet: Devnet) -> None:
    first = up(devnet).info
    with redis.Redis.from_url(first.redis_url) as client:
        client.rpush("workflow_jobs", "kept")
        client.execute_command("WAITAOF", 1, 0, 5000)
        assert devnet.valkey.identity is not None
        os.kill(devnet.valkey.identity.pid, signal.SIGKILL)
        until(lambda: Devnet().status().condition == "damaged")
        again = up(Devnet())
        assert (again.outcome, again.info) == ("repaired", first)
        assert client.lrange("workflow_jobs", 0, -1) == [b"kept"]
    assert Devnet().status().condition == "running"


def test_the_pid_of_a_stranger_is_left_alone(devnet: Devnet) -> None:
    up(devnet)
    ours = devnet.anvil.identity
    assert ours is not None
    state = devnet._state.read()
    assert state is not None
    me = Identity.of(os.getpid())
    assert me is not None
    state["anvil"] |= {"pid": os.getpid(), "started": ours.started}  # as if our pid had been anvil's once
    devnet._state.write(state)
    assert Devnet().status().condition == "damaged"
    assert Devnet().down()  # and this test is still running
    devnet.anvil.kill()


@pytest.mark.parametrize("taken", ["rpc_port", "redis_port"])
def test_a_taken_port_leaves_nothing_running(devnet: Devnet, tmp_path: Path, taken: str) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        ports = {"rpc_port": 0, "redis_port": 0, taken: other.getsockname()[1]}
        with pytest.raises(PortTaken):
            devnet.up(**ports)
    assert not devnet.anvil.running
    assert not devnet.valkey.running
    assert not (tmp_path / ".env.devnet").exists()
    assert devnet.status().condition == "stopped"
    assert up(devnet).outcome == "started"


def test_a_failure_while_deploying_leaves_nothing_running(
    devnet: Devnet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from autometa_cli.devnet import contracts

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(contracts, "_pay_in", fail)
    with pytest.raises(KeyboardInterrupt):
        up(devnet)
    assert not devnet.anvil.running
    assert not devnet.valkey.running
    assert devnet.status().condition == "stopped"
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert up(devnet).outcome == "started"


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_settings_file_of_somebody_else_is_not_touched(devnet: Devnet, tmp_path: Path, kind: str) -> None:
    theirs = tmp_path / ("mine" if kind == "link" else ".env.devnet")
    theirs.write_text("NETWORK=moonbase\n")
    if kind == "link":
        (tmp_path / ".env.devnet").symlink_to(theirs)
    with pytest.raises(AutometaError, match="not written by"):
        up(devnet)
    assert theirs.read_text() == "NETWORK=moonbase\n"
    assert not devnet.valkey.running


def test_a_settings_file_that_was_replaced_survives_down(devnet: Devnet, tmp_path: Path) -> None:
    up(devnet)
    (tmp_path / ".env.devnet").unlink()
    (tmp_path / ".env.devnet").write_text("NETWORK=moonbase\n")
    devnet.down()
    assert (tmp_path / ".env.devnet").exists()


def test_two_devnets_do_not_share_a_settings_file(devnet: Devnet, tmp_path: Path) -> None:
    up(devnet)
    with pytest.raises(AutometaError, match="is running") as caught:
        up(Devnet(tmp_path / "other"))
    assert str(devnet.directory) in caught.value.hint
    other = Devnet(tmp_path / "other", env_file=tmp_path / "other.env")
    try:
        assert up(other, chain_id=31337).info.chain_id == 31337
    finally:
        other.down()
    assert devnet.status().condition == "running"


def test_a_settings_file_left_by_a_dead_devnet_is_replaced(devnet: Devnet, tmp_path: Path) -> None:
    (tmp_path / ".env.devnet").write_text(f"{MARK}\n# Devnet: {tmp_path / 'gone'}\nNETWORK=local\n")
    assert up(devnet).outcome == "started"


def test_block_time_has_limits(devnet: Devnet) -> None:
    with pytest.raises(UsageProblem):
        up(devnet, block_time=0.0)


def test_a_temporary_one_leaves_nothing(binary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOMETA_ANVIL", str(binary))
    with Devnet.temporary(block_time=0.2, keep_chain=True) as (devnet, info):
        processes = [devnet.anvil.identity, devnet.valkey.identity]
        devnet.anvil.stop()  # an outage of the chain
        devnet.anvil.start()
        devnet.valkey.kill()
        devnet.valkey.start()
        processes += [devnet.anvil.identity, devnet.valkey.identity]
        assert devnet.status().condition == "running"
        assert read(info, "ActionExecutor", info.executor, "registry") == info.registry.lower()
    assert not info.directory.exists()
    assert not any(process.alive() for process in processes if process)
