"""Finding anvil, and installing it with an npm that is played by a script."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import threading
from pathlib import Path

import pytest

from autometa_cli.devnet import anvil_binary
from autometa_cli.devnet.anvil_binary import AnvilMissing, InstallUnreachable, find
from autometa_cli.errors import ExitCode

ANVIL = "#!/bin/sh\necho anvil Version: 9.9.9\n"
#: Makes what npm makes of the package it is asked for, and counts how often.
NPM = """#!/bin/sh
[ "$1" = --version ] && echo 11.0.0 && exit 0
echo "$@" >> "$COUNT"
while [ $# -gt 0 ]; do
  [ "$1" = --prefix ] && into=$2
  package=$1
  shift
done
mkdir -p "$into/node_modules/${package%@*}/bin"
printf '#!/bin/sh\\necho anvil Version: 9.9.9\\n' > "$into/node_modules/${package%@*}/bin/anvil"
chmod +x "$into/node_modules/${package%@*}/bin/anvil"
"""


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No anvil, no npm, an empty home, and a folder `bin` that is first on PATH."""
    monkeypatch.delenv("AUTOMETA_ANVIL", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COUNT", str(tmp_path / "count"))
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "mkdir", "chmod", "printf", "sleep"):
        (tools / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{tools}")
    monkeypatch.setattr(anvil_binary, "_npm_of_wheel", lambda: None)
    return tmp_path


def test_the_one_that_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(place / "bin" / "anvil", ANVIL)
    mine = program(place / "mine", ANVIL)
    monkeypatch.setenv("AUTOMETA_ANVIL", str(mine))
    assert find() == mine


@pytest.mark.parametrize("text", [None, "#!/bin/sh\nexit 1\n", "#!/bin/sh\necho chisel\n"])
def test_a_named_one_that_does_not_work_is_no_reason_to_take_another(
    place: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    program(place / "bin" / "anvil", ANVIL)
    if text:
        program(place / "mine", text)
    monkeypatch.setenv("AUTOMETA_ANVIL", str(place / "mine"))
    with pytest.raises(AnvilMissing, match="AUTOMETA_ANVIL"):
        find()


@pytest.mark.parametrize("where", ["anvil-{}", "anvil/node_modules/@foundry-rs/anvil-{}"])
def test_behind_the_script_that_npm_makes_stands_the_program(place: Path, where: str) -> None:
    """Whoever kills only the script leaves a chain running."""
    modules = place / "node_modules" / "@foundry-rs"
    target = anvil_binary.PLATFORMS[(sys.platform, platform.machine().lower())]
    there = program(modules / where.format(target) / "bin" / "anvil", ANVIL)
    script = program(modules / "anvil" / "bin.mjs", ANVIL)
    (place / "bin").mkdir()
    (place / "bin" / "anvil").symlink_to(script)
    assert find() == there


def test_the_one_on_path(place: Path) -> None:
    there = program(place / "bin" / "anvil", ANVIL)
    assert find() == there


def test_a_shim_that_fails_is_passed_over_and_npm_installs_one(place: Path) -> None:
    program(place / "bin" / "anvil", "#!/bin/sh\necho no version set >&2\nexit 126\n")
    program(place / "bin" / "npm", NPM)
    told: list[str] = []
    found = find("1.7.1", told.append)
    assert found.is_relative_to(place / "home" / ".cache" / "autometa" / "anvil-1.7.1")
    assert anvil_binary.answers(found)
    assert len(told) == 1
    asked = (place / "count").read_text()
    assert "@1.7.1" in asked
    assert "--ignore-scripts" in asked
    program(place / "bin" / "npm", "#!/bin/sh\nexit 1\n")
    assert find("1.7.1", told.append) == found  # from the cache
    assert len(told) == 1
    assert sorted(path.name for path in found.parents[5].iterdir()) == ["anvil-1.7.1", "anvil-1.7.1.lock"]


def test_two_at_once_install_one(place: Path) -> None:
    program(place / "bin" / "npm", NPM.replace("mkdir", "sleep 0.3; mkdir"))
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(find())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1
    assert len((place / "count").read_text().splitlines()) == 1


def test_neither_anvil_nor_npm() -> None:
    with pytest.raises(AnvilMissing, match="no npm") as caught:
        find()
    assert "pip install '.[devnet]'" in caught.value.hint


def test_a_broken_npm_gives_way_to_the_node_of_the_wheel(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(place / "bin" / "npm", "#!/bin/sh\nexit 1\n")
    wheel = program(place / "wheel-npm", NPM)
    monkeypatch.setattr(anvil_binary, "_npm_of_wheel", lambda: [str(wheel)])
    assert anvil_binary.answers(find())


def test_what_npm_says_is_shown_short_and_without_passwords(place: Path) -> None:
    said = "npm error code E401\nnpm error 401 https://me:secret@registry.example/x\nnpm error    at f (x.js:1)\n"
    program(
        place / "bin" / "npm", f"#!/bin/sh\n[ \"$1\" = --version ] && exit 0\nprintf '{said}' >&2\nexit 1\n"
    )
    with pytest.raises(AnvilMissing) as caught:
        find()
    assert "code E401" in caught.value.message
    assert "secret" not in caught.value.message
    assert "x.js" not in caught.value.message
    assert not list((place / "home" / ".cache" / "autometa").glob("anvil-*[!k]"))


def test_no_network_is_told_apart(place: Path) -> None:
    script = "#!/bin/sh\n[ \"$1\" = --version ] && exit 0\nprintf 'npm error code EAI_AGAIN\\n'\nexit 1\n"
    program(place / "bin" / "npm", script)
    with pytest.raises(InstallUnreachable, match="EAI_AGAIN") as caught:
        find()
    assert caught.value.exit_code is ExitCode.UNREACHABLE
    assert "network" in caught.value.hint


def test_a_package_whose_anvil_does_not_run_is_not_kept(place: Path) -> None:
    program(place / "bin" / "npm", NPM.replace("echo anvil Version: 9.9.9", "exit 127"))
    with pytest.raises(AnvilMissing, match="does not run"):
        find()
    assert not list((place / "home" / ".cache" / "autometa").glob("anvil-*[!k]"))


def test_a_platform_without_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(AnvilMissing, match="riscv64"):
        find()


def test_a_cache_that_cannot_be_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(place / "bin" / "npm", NPM)
    (place / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "file"))
    with pytest.raises(AnvilMissing, match="cannot install") as caught:
        find()
    assert "XDG_CACHE_HOME" in caught.value.hint


def test_a_version_that_is_a_path(place: Path) -> None:
    program(place / "bin" / "npm", NPM)
    with pytest.raises(AnvilMissing, match="no version"):
        find("../../x")


@pytest.mark.skipif(shutil.which("npm") is None, reason="no npm here")
def test_a_real_npm_without_its_registry(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.defpath + os.pathsep + str(Path(sys.executable).parent))
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    if anvil_binary._npm_on_path() is None or shutil.which("anvil"):
        pytest.skip("no npm that works, or an anvil beside it")
    with pytest.raises(InstallUnreachable, match="ECONNREFUSED"):
        find()
