"""The devnet: a local chain with our contracts on it, and a queue; up, down, status."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from autometa_cli.devnet.anvil_binary import VERSION, find
from autometa_cli.devnet.filelock import locked
from autometa_cli.devnet.info import DevnetInfo, env_file_owner, write_env_file
from autometa_cli.devnet.node import AnvilProcess
from autometa_cli.devnet.process import adopt, saved_process
from autometa_cli.devnet.server import ValkeyProcess
from autometa_cli.errors import AutometaError, RpcUnreachable, UsageProblem
from autometa_cli.interrupts import undisturbed
from autometa_cli.privatefile import StateFile

DIRECTORY = Path(".autometa") / "devnet"
ENV_FILE = Path(".env.devnet")
RPC_PORT = 8545
REDIS_PORT = 6390  # not 6379, where a Redis of the user's own may listen
LOCK_SECONDS = 60.0

Condition = Literal["running", "damaged", "stopped"]


@dataclass(frozen=True, slots=True)
class Up:
    """What `Devnet.up` did.

    Attributes:
        outcome: "started"; "running" if it was there already; "repaired" if only the queue's server had to
            be started again, with all its data.
        discarded: an earlier chain was found dead, and the queue that went with it was thrown away.
    """

    info: DevnetInfo
    outcome: Literal["started", "running", "repaired"]
    discarded: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """What `Devnet.status` saw.

    Attributes:
        condition: "damaged" if one of the two servers does not answer, or a start was cut short.
        anvil, valkey: pid (None if it does not run), port, whether it answers, log.
        block_number: None without a chain.
        info: None unless the devnet was once complete.
    """

    condition: Condition
    anvil: dict[str, Any] | None = None
    valkey: dict[str, Any] | None = None
    block_number: int | None = None
    info: DevnetInfo | None = None


class Devnet:
    """One devnet in one directory. Synchronous: from a coroutine use `asyncio.to_thread`.

    Args:
        directory: for state, logs and data; `.autometa/devnet` here by default.
        env_file: what `up` writes and `down` removes; `.env.devnet` here by default, None for no file.
        anvil_version: of the anvil that is installed where none is found.
        notify: told, in a sentence, what takes long.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        env_file: Path | None = ENV_FILE,
        anvil_version: str = VERSION,
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.directory = (directory or DIRECTORY).absolute()
        self.env_file = None if env_file is None else env_file.absolute()
        self.anvil_version = anvil_version
        self.notify = notify
        self.anvil = AnvilProcess(self.directory, Path())
        self.valkey = ValkeyProcess(self.directory)
        self._workers = 1
        self._state = StateFile(self.directory / "state.json")

    @classmethod
    @contextmanager
    def temporary(
        cls,
        *,
        chain_id: int = 1287,
        block_time: float = 1.0,
        workers: int = 1,
        keep_chain: bool = False,
        notify: Callable[[str], None] = lambda _: None,
    ) -> Iterator[tuple[Devnet, DevnetInfo]]:
        """A devnet on free ports in a temporary directory; nothing of it is left afterwards. See `up`."""
        with tempfile.TemporaryDirectory(prefix="autometa-devnet-") as name:
            devnet = cls(Path(name), env_file=Path(name) / ENV_FILE, notify=notify)
            try:
                up = devnet.up(
                    rpc_port=0,
                    redis_port=0,
                    chain_id=chain_id,
                    block_time=block_time,
                    workers=workers,
                    keep_chain=keep_chain,
                )
                yield devnet, up.info
            finally:
                devnet.down()

    def up(
        self,
        *,
        rpc_port: int = RPC_PORT,
        redis_port: int = REDIS_PORT,
        chain_id: int = 1287,
        block_time: float = 1.0,
        workers: int = 1,
        keep_chain: bool = False,
    ) -> Up:
        """Start what does not run. Whatever goes wrong, or Ctrl-C, leaves nothing running.

        Args:
            rpc_port, redis_port: 0 takes a free one.
            chain_id: what the chain says it is.
            block_time: seconds between blocks.
            workers: accounts with WORKER_ROLE: "worker", "worker2", "worker3" and so on.
            keep_chain: the chain survives `anvil.stop()` and `anvil.start()`, for tests of an outage.

        Raises:
            AutometaError: a port is taken, anvil is missing, a server does not start, another program's
                file is where the environment file goes.
        """
        if not 0.05 <= block_time <= 3600:
            raise UsageProblem(f"a block every {block_time:g} s is not possible; 0.05 to 3600 is")
        self._make_directory()
        with self._lock():
            saved = self._adopt()
            info = _info(saved)
            if info is not None and self.anvil.running and self.anvil.responds():
                return self._go_on(info)
            self._check_env_file()
            self._clear()
            self.anvil = AnvilProcess(
                self.directory,
                find(self.anvil_version, self.notify),
                port=rpc_port,
                chain_id=chain_id,
                block_time=block_time,
                keep_state=keep_chain,
            )
            self.valkey = ValkeyProcess(self.directory, port=redis_port)
            try:
                info = self._start(workers)
            except BaseException:
                with undisturbed():
                    self._clear()
                raise
            return Up(info, "started", discarded=saved is not None)

    def down(self) -> bool:
        """Stop both servers, forget the chain and its queue; the logs stay. False if there was nothing.

        Raises:
            AutometaError: a server does not end.
        """
        if self._state.read() is None:
            return False
        with self._lock():
            if self._adopt() is None:
                return False
            self._clear()
        return True

    def status(self) -> Status:
        """What runs. Changes nothing."""
        saved = self._adopt()
        if saved is None:
            return Status("stopped")
        try:
            block_number = self.anvil.block_number() if self.anvil.running else None
        except RpcUnreachable:
            block_number = None
        anvil = saved_process(self.anvil) | {"answers": block_number is not None}
        valkey = saved_process(self.valkey) | {"answers": self.valkey.running and self.valkey.answers()}
        info = _info(saved)
        whole = info is not None and anvil["answers"] and valkey["answers"]
        some = self.anvil.running or self.valkey.running
        condition: Condition = "running" if whole else "damaged" if some else "stopped"
        return Status(condition, anvil, valkey, block_number, info)

    def _start(self, workers: int) -> DevnetInfo:
        from autometa_cli.devnet import contracts

        self.anvil.spawned = self.valkey.spawned = self._save
        self.notify(f"Starting the chain ({self.anvil.binary.name}) and the queue's server")
        self.valkey.start()
        self.anvil.start()
        self.notify("Deploying the contracts")
        contents = contracts.set_up(self.anvil, workers)
        info = DevnetInfo(
            directory=self.directory,
            env_file=self.env_file,
            chain_id=self.anvil.chain_id,
            block_time=self.anvil.block_time or 0.0,
            rpc_url=self.anvil.url,
            redis_url=self.valkey.url,
            registry=contents.registry,
            executor=contents.executor,
            escrow=contents.escrow,
            test_contracts=contents.test_contracts,
            accounts=contents.accounts,
        )
        write_env_file(info)
        self._save(info)
        # a server that is started again has another pid
        self.anvil.spawned = self.valkey.spawned = lambda: self._save(info)
        return info

    def _go_on(self, info: DevnetInfo) -> Up:
        repaired = not (self.valkey.running and self.valkey.answers())
        if repaired:
            self.valkey.stop()
            self.valkey.spawned = lambda: self._save(info)
            self.valkey.start()
        if info.env_file is not None and not info.env_file.exists():
            write_env_file(info)
        return Up(info, "repaired" if repaired else "running")

    def _clear(self) -> None:
        """Stop what runs and remove what belongs to it: state, data, environment file. The logs stay."""
        self.valkey.stop()
        self.anvil.stop()
        saved = self._state.read() or {}
        written = (saved.get("info") or {}).get("env_file") or self.env_file
        if written is not None and env_file_owner(Path(written)) == self.directory:
            Path(written).unlink(missing_ok=True)
        shutil.rmtree(self.valkey.data, ignore_errors=True)
        self._state.remove()

    def _check_env_file(self) -> None:
        if self.env_file is None or not (self.env_file.exists() or self.env_file.is_symlink()):
            return
        owner = env_file_owner(self.env_file)
        if owner is None:
            raise AutometaError(
                f"{self.env_file} is there and was not written by `autometa devnet`; it is left as it is",
                "move it away, or start the devnet in another directory",
            )
        if owner != self.directory and Devnet(owner).status().condition != "stopped":
            raise AutometaError(
                f"{self.env_file} belongs to the devnet in {owner}, which is running",
                f"stop that one first: autometa devnet down --dir {owner}",
            )

    def _adopt(self) -> dict[str, Any] | None:
        saved = self._state.read()
        if saved is not None:
            adopt(self.anvil, saved.get("anvil"))
            adopt(self.valkey, saved.get("valkey"))
        return saved

    def _save(self, info: DevnetInfo | None = None) -> None:
        state: dict[str, Any] = {"anvil": saved_process(self.anvil), "valkey": saved_process(self.valkey)}
        if info is not None:
            state["info"] = info.to_json()
        self._state.write(state)

    def _make_directory(self) -> None:
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            ignore = self.directory / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n")
        except OSError as fault:
            raise AutometaError(f"cannot make {self.directory}: {fault.strerror}") from fault

    def _lock(self) -> AbstractContextManager[None]:
        busy = f"another `autometa devnet` is at work in {self.directory}"
        return locked(self.directory / "lock", wait=LOCK_SECONDS, otherwise=busy)


def _info(saved: dict[str, Any] | None) -> DevnetInfo | None:
    try:
        return DevnetInfo.from_json((saved or {})["info"])
    except (KeyError, TypeError, AttributeError):
        return None  # never complete, or written by another version
