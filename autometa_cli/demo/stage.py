"""Where the demo plays: a devnet in a temporary directory, with a scheduler and a worker beside it."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from autometa_cli import config
from autometa_cli.demo.service import Service, ServiceDied
from autometa_cli.devnet.network import ENV_FILE, Devnet
from autometa_cli.interrupts import undisturbed

if TYPE_CHECKING:
    from autometa_cli.config import Settings
    from autometa_cli.devnet.info import DevnetInfo

#: Longest time for the services to finish what is on its way, seconds.
FINISH_SECONDS = 20.0


class Stage:
    """What runs.

    Attributes:
        info: addresses and keys of the devnet.
        env_file: settings with which every command works on it.
        services: the scheduler and the worker.
    """

    def __init__(self, devnet: Devnet, info: DevnetInfo, env_file: Path) -> None:
        self.devnet = devnet
        self.info = info
        self.env_file = env_file
        self.scheduler = Service("scheduler", devnet.directory, env_file)
        self.worker = Service("worker", devnet.directory, env_file)
        self.services = (self.scheduler, self.worker)

    @cached_property
    def settings(self) -> Settings:
        """The same settings as the services have."""
        return config.load(self.env_file, environ={})

    def check(self) -> None:
        """Raises ServiceDied where anything that should run has ended; the message holds the end of its log."""
        for service in self.services:
            service.check()
        for server in (self.devnet.anvil, self.devnet.valkey):
            if not server.running:
                lines = (
                    server.log.read_text(errors="replace").splitlines()[-12:] if server.log.exists() else []
                )
                raise ServiceDied("\n".join([f"{server.name} ended by itself; its last lines:", *lines]))

    async def finish(self) -> list[Service]:
        """Let both services finish what is on its way and leave; returns those that did not in time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + FINISH_SECONDS
        for service in self.services:
            service.tell()
        while True:
            left = [service for service in self.services if service.running]
            if not left or loop.time() >= deadline:
                return left
            await asyncio.sleep(0.05)


@contextmanager
def stage(
    notify: Callable[[str], None] = lambda _: None, *, keep: bool = False, env_file: Path | None = None
) -> Iterator[Stage]:
    """A devnet that is up, with services that are not started yet. Nothing of it is left afterwards.

    Args:
        notify: told, in a sentence, what takes long.
        keep: the devnet (not the services) goes on running, unless the demo was interrupted or never came up.
        env_file: where its settings go instead of a file in the temporary directory.

    Raises:
        AutometaError: no anvil, no network to install one from, a server that does not start …
    """
    directory: Path | None = None
    opened: Stage | None = None
    kept = False
    try:
        with undisturbed():
            directory = Path(tempfile.mkdtemp(prefix="autometa-demo-"))
        settings = (env_file or directory / ENV_FILE).absolute()  # the services run elsewhere
        devnet = Devnet(directory, env_file=settings, notify=notify)
        info = devnet.up(rpc_port=0, redis_port=0).info
        opened = Stage(devnet, info, settings)
        kept = keep
        yield opened
    except Exception:
        if kept:
            notify(f"Left as it is, with its logs: autometa devnet status --dir {directory}")
        raise
    except BaseException:
        kept = False
        raise
    finally:
        with undisturbed():
            for service in opened.services if opened is not None else ():
                service.kill()
            if directory is not None and not kept:
                _clear(directory, env_file)


def _clear(directory: Path, env_file: Path | None) -> None:
    """Stop what runs there, also where `up` was cut short, and remove the directory."""
    try:
        Devnet(directory, env_file=env_file or directory / ENV_FILE).down()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
