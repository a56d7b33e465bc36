"""How far a deployment has come, in a file. It is a memory aid: the chain decides what is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autometa_cli.errors import AutometaError, ConfigError
from autometa_cli.privatefile import StateFile

VERSION = 1


@dataclass(frozen=True, slots=True)
class Attempt:
    """The transaction that a step uses.

    Attributes:
        nonce: of the deployer.
        hashes: every hash that was signed for this nonce, oldest first; all but one can never be mined.
        address: where a contract comes to stand, for deployments.
    """

    nonce: int
    hashes: tuple[str, ...] = ()
    address: str | None = None


class Journal:
    """The steps of one deployment: by one deployer, on one chain.

    Args:
        path: the file; made with the first entry, its folder too.
        chain_id, genesis: which chain; genesis is the hash of block 0.
        deployer: checksummed address.

    Raises:
        ConfigError: the file belongs to another chain or deployer, or is no journal.
    """

    def __init__(self, path: Path, *, chain_id: int, genesis: str, deployer: str) -> None:
        self._file = StateFile(path)
        self._head = {"version": VERSION, "chain_id": chain_id, "genesis": genesis, "deployer": deployer}
        self._steps: dict[str, Attempt] = {}
        data = self._file.read()
        if data is None:
            if path.exists():
                raise _unreadable(path)
            return
        for name, mine in self._head.items():
            if data.get(name) != mine:
                raise ConfigError(
                    f"{path} is of another deployment: its {name} is {data.get(name)}, not {mine}",
                    "give another file with --state",
                )
        try:
            self._steps = {key: _attempt(entry) for key, entry in data["steps"].items()}
        except (AttributeError, KeyError, TypeError, ValueError) as fault:
            raise _unreadable(path) from fault

    @property
    def path(self) -> Path:
        """The file."""
        return self._file.path

    def attempt(self, step: str) -> Attempt | None:
        """The newest attempt at a step; None if it was never begun."""
        return self._steps.get(step)

    def begin(self, step: str, nonce: int, address: str | None) -> None:
        """Note, before anything is signed, which nonce a step is going to use."""
        self._steps[step] = Attempt(nonce, (), address)
        self._write()

    def signed(self, step: str, hash: str) -> None:
        """Note, before it is sent, what was signed for a step that was begun."""
        before = self._steps[step]
        self._steps[step] = Attempt(before.nonce, (*before.hashes, hash), before.address)
        self._write()

    def _write(self) -> None:
        steps = {
            key: {"nonce": each.nonce, "hashes": list(each.hashes), "address": each.address}
            for key, each in self._steps.items()
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file.write({**self._head, "steps": steps})
        except OSError as fault:
            raise AutometaError(
                f"cannot write {self.path}: {fault.strerror}; nothing more was sent",
                "give a place that can be written to with --state",
            ) from fault


def _attempt(entry: Any) -> Attempt:
    return Attempt(int(entry["nonce"]), tuple(map(str, entry["hashes"])), entry["address"])


def _unreadable(path: Path) -> ConfigError:
    return ConfigError(f"{path} holds no deployment that can be read", "give another file with --state")
