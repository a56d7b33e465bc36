"""`autometa demo`, as a user types it: a real chain, real services, and nothing left of them."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autometa_cli.chain.actions import NativeTransfer, decode_action
from autometa_cli.chain.contracts import Registry
from autometa_cli.chain.rpc import Rpc
from autometa_cli.demo.workflows import script
from autometa_cli.devnet import anvil_binary
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.errors import AutometaError
from tests.conftest import unavailable
from tests.demo.stories import INFO
from tests.runner import Cli

SECONDS = 120.0
TITLES = [part.title for part in script(INFO)]


@pytest.fixture
def place(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the demo's temporary directory goes. Fails where anything of it is left, on disk or running."""
    try:
        monkeypatch.setenv("AUTOMETA_ANVIL", str(anvil_binary.find()))
    except AutometaError as error:
        unavailable(f"{error.message} {error.hint}")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    yield temporary
    running = processes(temporary)
    for pid in running:
        os.kill(pid, signal.SIGKILL)
    assert not running
    assert not list(temporary.iterdir())
    assert not [path.name for path in cli.directory.iterdir() if path != temporary]


def processes(directory: Path) -> dict[int, str]:
    """Command lines of what runs in the directory, or names it, by process id."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            if str(directory) in words or str(directory) in str((entry / "cwd").readlink()):
                found[int(entry.name)] = words
        except OSError:
            continue  # ended meanwhile, or another user's
    return found


def start(cli: Cli, *options: str, **settings: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        cli.command("demo", *options),
        cwd=cli.directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **settings,
    )


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """What it says until a line has these words."""
    said = ""
    assert process.stderr is not None
    for line in process.stderr:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it never said {words!r}, but:\n{said}")


def until(seen: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        found = seen()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.05)


# --- as it should go


def test_everything_and_looking_around_afterwards(cli: Cli, place: Path) -> None:
    """Settings of one's own, good or bad, are none of the demo's business."""
    mine = {
        "REDIS_URL": "redis://elsewhere.example/0",
        "CHAIN_ID": "nonsense",
        "WORKER_PRIVATE_KEY": "secret",
    }
    result = cli.process("demo", "--keep", "--env-file", "kept.env", env=mine, timeout=SECONDS)

    assert result.code == 0, result.stderr
    assert "expectations hold on the chain" in result.stderr
    for title in TITLES:
        assert title in result.stdout
    for words in (
        "executed once",
        "held: ",
        '"target is not healthy"',
        "buried as forbidden_target",
        "paused, never",
    ):
        assert words in result.stdout
    assert len(set(re.findall(r"0x[0-9a-f]{64}", result.stdout))) >= 4
    for number in (1, 2, 3):
        told = [line for line in result.stderr.splitlines() if f"  {number} {TITLES[number - 1]}" in line]
        steps = [step for line in told for step in re.findall(r"due|queued|claimed|signed|mined|final", line)]
        assert list(dict.fromkeys(steps)) == ["due", "queued", "claimed", "signed", "mined", "final"], told
    assert "PRIVATE" not in result.stdout + result.stderr

    (kept,) = place.iterdir()
    env_file = str(cli.directory / "kept.env")
    shown = re.findall(r"^  autometa (.*?)(?:    #.*)?$", result.stderr, re.MULTILINE)
    assert shown == [
        f"--env-file {env_file} workflow list",
        f"--env-file {env_file} worker",
        f"devnet down --dir {kept}",
    ]
    listed = cli("--env-file", env_file, "workflow", "list", "--json")
    assert [each["id"] for each in listed.json] == [1, 2, 3, 4, 5, 6]
    assert not any("autometa_cli" in words for words in processes(place).values())
    assert cli("devnet", "down", "--dir", kept).code == 0
    for path in sorted(kept.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    kept.rmdir()


def test_on_a_terminal_it_draws_and_hears_ctrl_c(cli: Cli, place: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cli.directory)
        os.environ.pop("NO_COLOR", None)
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": "100"}
        os.execv(sys.executable, cli.command("demo"))  # noqa: S606
    shown, typed, deadline = b"", False, time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                read = os.read(terminal, 65536)
            except OSError:
                break
            if not read:
                break
            shown += read
        if not typed and "●●●●●● final".encode() in re.sub(rb"\x1b\[[0-9;]*m", b"", shown):
            os.write(terminal, b"\x03")
            typed = True
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode(errors="replace"))

    assert typed, text
    assert os.waitstatus_to_exitcode(status) == 130
    assert "Error: interrupted" in text
    assert "Traceback" not in text
    for word in ("progress", "●●●○○○ held", "●●●○○○ buried", "paused", "in flight"):
        assert word in text
    assert b"\x1b[?25h" in shown  # the cursor is back


# --- the chain has the last word


async def _workflows(info: dict[str, Any]) -> dict[int, Any]:
    async with Rpc([info["rpc_url"]], chain_id=info["chain_id"]) as rpc:
        return dict(await Registry(info["registry"]).get_many(await rpc.view(), range(1, 7)))


def devnet_info(place: Path) -> dict[str, Any]:
    """Where the demo's chain is."""

    def seen() -> Any:
        for path in place.glob("autometa-demo-*/state.json"):
            return json.loads(path.read_text()).get("info")
        return None

    found: dict[str, Any] = until(seen)
    return found


def test_a_chain_that_disagrees_is_believed(cli: Cli, place: Path) -> None:
    """One wei that should not be there; all else goes well."""
    with start(cli, "--json") as process:
        said = read_until(process, "at it")
        info = devnet_info(place)
        workflow = until(lambda: asyncio.run(_workflows(info))[6])
        action = decode_action(workflow.action_data)
        assert isinstance(action, NativeTransfer)
        chain = AnvilProcess(place, Path(), port=int(info["rpc_url"].rpartition(":")[2]))
        chain.set_balance(action.to, 1)
        out, err = process.communicate(timeout=SECONDS)

    assert process.returncode == 1, said + err
    document = json.loads(out)
    assert document["ok"] is False
    assert document["failures"] == [f"workflow 6 ({TITLES[5]}): received, wei: expected 0, found 1"]
    assert [each["ok"] for each in document["workflows"]] == [True] * 5 + [False]
    assert all(check["ok"] for check in document["books"])
    assert "the chain does not agree with what was expected:\n  workflow 6" in err
    assert "--keep" in err


# --- as it should not go


def test_a_worker_that_dies_shows_its_log(cli: Cli, place: Path) -> None:
    with start(cli, "--json") as process:
        read_until(process, "at it")
        worker = until(
            lambda: [pid for pid, words in processes(place).items() if words.rstrip().endswith(" worker")]
        )
        until(lambda: any("ready" in path.read_text() for path in place.glob("*/worker.log")))
        os.kill(worker[0], signal.SIGKILL)
        out, err = process.communicate(timeout=SECONDS)

    assert process.returncode == 1, err
    error = json.loads(out)["error"]
    assert error["kind"] == "ServiceDied"
    assert "the worker ended by itself (signal 9); the worker's last lines:" in error["message"]
    assert "ready" in error["message"]


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("on this machine", signal.SIGINT),
        ("Starting the chain", signal.SIGINT),
        ("Deploying", signal.SIGTERM),
        ("Starting a scheduler", signal.SIGINT),
        ("at it", signal.SIGHUP),
        ("signed", signal.SIGINT),
        ("Letting both finish", signal.SIGINT),
    ],
)
def test_interrupted_at_any_moment_it_leaves_nothing(
    cli: Cli, place: Path, moment: str, number: signal.Signals
) -> None:
    with start(cli, "--keep" if moment == "signed" else "--json") as process:
        read_until(process, moment)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)

    assert process.returncode == 130, err
    assert "Traceback" not in err
    if moment != "signed":
        assert json.loads(out)["error"]["kind"] == "Interrupted"


def test_without_a_chain_to_be_had(cli: Cli, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = cli.process("demo", env={"AUTOMETA_ANVIL": "/no/such/anvil"})
    assert (missing.code, missing.stdout) == (1, "")
    assert "AUTOMETA_ANVIL is /no/such/anvil" in missing.stderr
    as_json = cli.process("demo", "--json", env={"AUTOMETA_ANVIL": "/no/such/anvil"})
    assert as_json.json["error"]["kind"] == "AnvilMissing"


def test_without_a_network_to_install_it_from(
    cli: Cli, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUTOMETA_ANVIL")
    nowhere = {
        "npm_config_registry": "http://127.0.0.1:1/",
        "XDG_CACHE_HOME": str(place / "cache"),
        "PATH": "/nowhere",
    }
    result = cli.process("demo", env=nowhere)
    assert result.code == 5, result.stderr
    assert "Installing anvil" in result.stderr
    assert "check the network" in result.stderr
    for path in sorted((place / "cache").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (place / "cache").rmdir()


def test_it_reads_no_settings(cli: Cli) -> None:
    result = cli("demo", "--env-file", "mine.env")
    assert (result.code, result.stdout) == (2, "")
    assert "makes its own settings" in result.stderr
