"""anvil as a server process."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from autometa_cli.devnet.identity import Identity
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.devnet.process import HOST, PortTaken, StartFailed, adopt, saved_process
from autometa_cli.errors import RpcUnreachable
from tests.devnet.test_identity import until

WALLET = "0x" + "ab" * 20


@pytest.fixture
def node(binary: Path, tmp_path: Path) -> Iterator[AnvilProcess]:
    """A chain that mines on demand; not started."""
    node = AnvilProcess(tmp_path, binary, block_time=None)
    yield node
    node.kill()


def balance(node: AnvilProcess, block: str = "latest") -> int:
    return int(node.request("eth_getBalance", WALLET, block), 16)


def test_a_chain_of_ones_own(node: AnvilProcess) -> None:
    node.start()
    assert node.url == f"http://{HOST}:{node.port}"
    assert int(node.request("eth_chainId"), 16) == 1287
    assert node.request("eth_accounts") == []  # no key that everybody knows has money here
    assert int(node.request("eth_getBlockByNumber", "latest", False)["gasLimit"], 16) == 60_000_000
    node.set_balance(WALLET, 77)
    assert balance(node) == 77


def test_the_final_block_trails_the_newest_and_can_be_read(node: AnvilProcess) -> None:
    node.start()
    node.set_balance(WALLET, 5)
    node.mine(10)
    final = int(node.request("eth_getBlockByNumber", "finalized", False)["number"], 16)
    assert node.block_number() - final == 2
    assert balance(node, "finalized") == 5
    assert balance(node, hex(final - 3)) == 5


def test_blocks_come_at_an_even_pace(binary: Path, tmp_path: Path) -> None:
    node = AnvilProcess(tmp_path, binary, block_time=0.1, chain_id=31337)
    node.start()
    try:
        first = node.block_number()
        until(lambda: node.block_number() >= first + 3)
        assert int(node.request("eth_chainId"), 16) == 31337
    finally:
        node.stop()


def test_stop_ends_it_and_start_makes_a_new_chain_on_the_same_port(node: AnvilProcess) -> None:
    node.start()
    port = node.port
    node.mine(4)
    node.stop()
    assert not node.running
    assert not node.responds()
    node.start()
    assert (node.port, node.block_number()) == (port, 0)


def test_with_keep_state_the_chain_survives_a_stop(binary: Path, tmp_path: Path) -> None:
    node = AnvilProcess(tmp_path, binary, block_time=None, keep_state=True)
    try:
        node.start()
        node.set_balance(WALLET, 9)
        node.mine(6)
        node.stop()
        node.start()
        assert (node.block_number(), balance(node, "finalized")) == (6, 9)
    finally:
        node.stop()


def test_starting_twice_is_refused(node: AnvilProcess) -> None:
    node.start()
    with pytest.raises(StartFailed, match="running already"):
        node.start()


def test_a_taken_port_is_named_with_the_option_that_changes_it(binary: Path, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]
        node = AnvilProcess(tmp_path, binary, port=port)
        with pytest.raises(PortTaken, match=f"port {port}") as caught:
            node.start()
    assert "--rpc-port" in caught.value.hint
    assert not node.running


def test_a_free_port_that_somebody_takes_first_is_given_up(
    node: AnvilProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        taken = other.getsockname()[1]
        offered = iter([taken])
        from autometa_cli.devnet import process

        real = process.free_port
        monkeypatch.setattr(process, "free_port", lambda: next(offered, None) or real())
        node.start()
        assert node.port != taken
        assert node.answers()


def test_another_chain_on_the_port_is_not_taken_for_ours(
    node: AnvilProcess, binary: Path, tmp_path: Path
) -> None:
    node.start()
    stranger = AnvilProcess(tmp_path / "stranger", binary, port=node.port)
    stranger.command()  # settles what it would answer
    assert stranger.responds()
    assert not stranger.answers()


def test_what_it_says_when_it_ends_at_once_is_shown(tmp_path: Path, binary: Path) -> None:
    node = AnvilProcess(tmp_path, binary, block_time=-1.0)
    with pytest.raises(StartFailed, match="ended at its start") as caught:
        node.start()
    assert "unexpected argument '-1'" in caught.value.message  # anvil's own words
    assert str(node.log) in caught.value.hint


def test_a_program_that_never_answers_is_ended(tmp_path: Path) -> None:
    script = tmp_path / "anvil"
    script.write_text("#!/bin/sh\nexec sleep 600\n")
    script.chmod(0o755)
    node = AnvilProcess(tmp_path, script)
    started: list[Identity | None] = []
    node.spawned = lambda: started.append(node.identity)
    with pytest.raises(StartFailed, match="did not answer within"):
        node.start(timeout=0.3)
    assert started[0] is not None
    assert not started[0].alive()


def test_a_program_that_cannot_be_run(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="cannot run"):
        AnvilProcess(tmp_path, tmp_path / "missing").start()


def test_no_variable_of_ours_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_PRIVATE_KEY", "0x" + "11" * 32)
    script = tmp_path / "anvil"
    script.write_text("#!/bin/sh\nenv\nexit 1\n")
    script.chmod(0o755)
    with pytest.raises(StartFailed) as caught:
        AnvilProcess(tmp_path, script).start()
    assert "PATH=" in caught.value.message
    assert "PRIVATE_KEY" not in caught.value.message


def test_a_paused_chain_does_not_answer_and_can_be_stopped(node: AnvilProcess) -> None:
    node.start()
    node.pause()
    with pytest.raises(RpcUnreachable, match="in time"):
        node.request("eth_chainId", timeout=0.2)
    node.resume()
    assert node.responds()
    node.pause()
    node.stop()
    assert not node.running


def test_another_command_takes_it_over_by_what_was_saved(
    node: AnvilProcess, binary: Path, tmp_path: Path
) -> None:
    node.start()
    later = AnvilProcess(tmp_path, binary)
    adopt(later, saved_process(node))
    assert later.running
    assert later.url == node.url
    later.stop()
    assert not node.running
    again = AnvilProcess(tmp_path, binary)
    adopt(again, saved_process(node))
    assert not again.running
