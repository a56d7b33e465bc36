"""What is to be known of a running devnet, and how it is kept between two commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from autometa_cli.privatefile import write_private

QUEUE_NAME = "workflow_jobs"
#: The first words of an environment file that this program wrote, and may replace or remove.
MARK = "# Written by `autometa devnet up`, removed by `autometa devnet down`"
_DIRECTORY_LINE = "# Devnet: "


@dataclass(frozen=True, slots=True)
class DevnetAccount:
    """An account of the devnet. Its key is random, made for this chain, and worth nothing anywhere else."""

    address: str
    private_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DevnetInfo:
    """Where everything is.

    Attributes:
        directory: logs, state and the append-only file.
        env_file: what `--env-file` takes; None if none was asked for.
        block_time: seconds.
        registry, executor, escrow: the three contracts, checksummed, with all roles in place.
        test_contracts: addresses by name, of what stands under abi/test: "TestToken" and others.
        accounts: "worker", "admin", "owner"; all with native tokens.
    """

    directory: Path
    env_file: Path | None
    chain_id: int
    block_time: float
    rpc_url: str
    redis_url: str
    registry: str
    executor: str
    escrow: str
    test_contracts: Mapping[str, str]
    accounts: Mapping[str, DevnetAccount]

    def environment(self) -> dict[str, str]:
        """The variables with which every command works on this devnet. Holds the keys."""
        return {
            "NETWORK": "local",
            "CHAIN_ID": str(self.chain_id),
            "RPC_URLS": self.rpc_url,
            "REDIS_URL": self.redis_url,
            "QUEUE_NAME": QUEUE_NAME,
            "REGISTRY_ADDRESS": self.registry,
            "ACTIONEXECUTOR_ADDRESS": self.executor,
            "FEEESCROW_ADDRESS": self.escrow,
            "WORKER_PRIVATE_KEY": self.accounts["worker"].private_key,
            "ADMIN_PRIVATE_KEY": self.accounts["admin"].private_key,
            "OWNER_PRIVATE_KEY": self.accounts["owner"].private_key,
            "CONFIRMATIONS": "finalized",
            "POLL_INTERVAL": "1",
        }

    def public(self) -> dict[str, Any]:
        """For people and `--json`: everything but the keys."""
        return {
            "directory": str(self.directory),
            "env_file": None if self.env_file is None else str(self.env_file),
            "chain_id": self.chain_id,
            "block_time": self.block_time,
            "rpc_url": self.rpc_url,
            "redis_url": self.redis_url,
            "contracts": {
                "WorkflowRegistry": self.registry,
                "ActionExecutor": self.executor,
                "FeeEscrow": self.escrow,
            },
            "test_contracts": dict(self.test_contracts),
            "accounts": {name: account.address for name, account in self.accounts.items()},
        }

    def to_json(self) -> dict[str, Any]:
        """For the state file; holds the keys."""
        return asdict(self) | {
            "directory": str(self.directory),
            "env_file": None if self.env_file is None else str(self.env_file),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DevnetInfo:
        """What `to_json` gave. Raises KeyError or TypeError for anything else."""
        return cls(
            **{
                **data,
                "directory": Path(data["directory"]),
                "env_file": None if data["env_file"] is None else Path(data["env_file"]),
                "accounts": {name: DevnetAccount(**account) for name, account in data["accounts"].items()},
            }
        )


def write_env_file(info: DevnetInfo) -> None:
    """Write `info.env_file`. Whoever calls has looked at `env_file_owner` first."""
    if info.env_file is None:
        return
    lines = [MARK, f"{_DIRECTORY_LINE}{info.directory}"]
    lines.append("# The keys are random and belong to this local chain only. Use: autometa --env-file FILE …")
    lines += [f"{name}={value}" for name, value in info.environment().items()]
    lines.append("# For experiments, not read by autometa:")
    lines += [f"# {name}={address}" for name, address in info.test_contracts.items()]
    lines += [f"# {name} account={account.address}" for name, account in info.accounts.items()]
    write_private(info.env_file, "\n".join(lines) + "\n")


def env_file_owner(path: Path) -> Path | None:
    """The directory of the devnet that wrote this file; None if no devnet did. Raises OSError."""
    if path.is_symlink() or not path.is_file():
        return None
    lines = path.read_text(errors="replace").splitlines()[:2]
    if len(lines) == 2 and lines[0] == MARK and lines[1].startswith(_DIRECTORY_LINE):
        return Path(lines[1].removeprefix(_DIRECTORY_LINE))
    return None
