"""`autometa devnet`: a local chain with everything on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autometa_cli.commands.context import EnvFileOption, JsonOption, State, begin, command_group
from autometa_cli.commands.help import examples
from autometa_cli.errors import ExitCode
from autometa_cli.interrupts import ending_like_ctrl_c

if TYPE_CHECKING:
    from rich.console import RenderableType

    from autometa_cli.devnet.info import DevnetInfo
    from autometa_cli.devnet.network import Devnet, Status

app = command_group(
    "Start and stop a local chain with everything on it.",
    epilog=examples(
        "autometa devnet up",
        "autometa --env-file .env.devnet worker",
        "autometa devnet down",
    ),
)

DirectoryOption = Annotated[
    Path | None,
    typer.Option(
        "--dir",
        metavar="DIR",
        help="Where its state, logs and data are, instead of .autometa/devnet.",
        show_default=False,
    ),
]


@app.command(
    "up",
    epilog=examples(
        "autometa devnet up",
        "autometa devnet up --rpc-port 0 --redis-port 0    # any free ports",
        "autometa devnet up --block-time 6                 # as slow as Moonbase",
    ),
)
def up(
    rpc_port: Annotated[
        int, typer.Option("--rpc-port", min=0, max=65535, help="Port of the chain; 0: any free one.")
    ] = 8545,
    redis_port: Annotated[
        int,
        typer.Option("--redis-port", min=0, max=65535, help="Port of the queue's server; 0: any free one."),
    ] = 6390,
    chain_id: Annotated[int, typer.Option("--chain-id", min=1, help="What the chain says it is.")] = 1287,
    block_time: Annotated[float, typer.Option("--block-time", help="Seconds between two blocks.")] = 1.0,
    anvil_version: Annotated[
        str | None,
        typer.Option(
            "--anvil-version",
            metavar="VERSION",
            help="Of anvil, where it has to be installed.",
            show_default=False,
        ),
    ] = None,
    directory: DirectoryOption = None,
    as_json: JsonOption = False,
    env_file: Annotated[
        Path | None,
        typer.Option(
            "--env-file",
            metavar="FILE",
            help="Write the settings to FILE instead of ./.env.devnet.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Start a chain and a queue, and deploy and wire the contracts.

    The settings, with the keys of its funded accounts, go to .env.devnet.
    It runs until `autometa devnet down`. All of it is local and temporary:
    when the chain ends, it is gone, and its queue with it.
    """
    state = begin(as_json, env_file)
    from autometa_cli.devnet.anvil_binary import VERSION
    from autometa_cli.devnet.network import DIRECTORY, ENV_FILE, Devnet

    devnet = Devnet(
        directory or DIRECTORY,
        env_file=state.env_file or ENV_FILE,
        anvil_version=anvil_version or VERSION,
        notify=state.console.status,
    )
    with ending_like_ctrl_c():
        done = devnet.up(rpc_port=rpc_port, redis_port=redis_port, chain_id=chain_id, block_time=block_time)
    if done.discarded:
        state.console.warn(
            "the devnet had ended by itself; its chain is lost, so its queue was discarded too"
        )
    document = {"outcome": done.outcome, "discarded": done.discarded, **done.info.public()}
    state.console.result(document, lambda: _fields(state, done.info))
    said = {
        "started": "the devnet is running",
        "running": "the devnet was running already; nothing was changed",
        "repaired": "the queue's server had ended; it runs again, with the data that is in its directory",
    }
    state.console.success(said[done.outcome])
    if done.info.env_file is not None:
        state.console.status(f"try: autometa --env-file {_shown(done.info.env_file)} wallet balance")


@app.command("down", epilog=examples("autometa devnet down"))
def down(
    directory: DirectoryOption = None, as_json: JsonOption = False, env_file: EnvFileOption = None
) -> None:
    """Stop the chain and the queue, and forget both.

    The logs and the lock file stay in the directory, .autometa/devnet
    unless another was named; it may be deleted.
    """
    state = begin(as_json, env_file)
    devnet = _devnet(state, directory)
    stopped = devnet.down()
    if state.console.json:
        state.console.result({"stopped": stopped, "directory": str(devnet.directory)})
    if stopped:
        state.console.success("the devnet is stopped; its chain and its queue are gone")
    else:
        state.console.status(f"no devnet is running in {devnet.directory}")


@app.command("status", epilog=examples("autometa devnet status", "autometa devnet status --json"))
def status(
    directory: DirectoryOption = None, as_json: JsonOption = False, env_file: EnvFileOption = None
) -> None:
    """Show what is running, and where. Exit code 8 if not all of it is."""
    state = begin(as_json, env_file)
    devnet = _devnet(state, directory)
    seen = devnet.status()
    document: dict[str, Any] = {
        "condition": seen.condition,
        "running": seen.condition == "running",
        "block_number": seen.block_number,
        "anvil": seen.anvil,
        "valkey": seen.valkey,
        "directory": str(devnet.directory),
        **({} if seen.info is None else seen.info.public()),
    }
    state.console.result(document, lambda: _seen(state, seen))
    if seen.condition != "running":
        state.console.warn(_trouble(seen), "autometa devnet up")
        raise typer.Exit(ExitCode.NEGATIVE)


def _devnet(state: State, directory: Path | None) -> Devnet:
    from autometa_cli.devnet.info import env_file_owner
    from autometa_cli.devnet.network import DIRECTORY, ENV_FILE, Devnet

    if directory is None and state.env_file is not None:
        directory = env_file_owner(state.env_file)
    return Devnet(directory or DIRECTORY, env_file=state.env_file or ENV_FILE, notify=state.console.status)


def _fields(state: State, info: DevnetInfo) -> RenderableType:
    chain = f"{info.rpc_url} (id {info.chain_id}, a block every {info.block_time:g} s)"
    return state.console.fields([("chain", chain), ("queue", info.redis_url), *_places(info)])


def _seen(state: State, seen: Status) -> RenderableType:
    pairs: list[tuple[str, Any]] = [("condition", seen.condition)]
    if seen.block_number is not None:
        pairs.append(("block", seen.block_number))
    for name, server in (("chain", seen.anvil), ("queue", seen.valkey)):
        if server is not None:
            process = f"process {server['pid']}" if server["pid"] else "not running"
            pairs.append((name, f"{process}, port {server['port']}, log {server['log']}"))
    return state.console.fields(pairs + ([] if seen.info is None else _places(seen.info)))


def _places(info: DevnetInfo) -> list[tuple[str, Any]]:
    public = info.public()
    addresses = {**public["contracts"], **public["test_contracts"], **public["accounts"]}
    return [("settings", info.env_file), ("directory", info.directory), *addresses.items()]


def _trouble(seen: Status) -> str:
    if seen.anvil is None or seen.valkey is None:
        return "no devnet is running here"
    silent = [
        name for name, server in (("chain", seen.anvil), ("queue", seen.valkey)) if not server["answers"]
    ]
    if not silent:
        return "the devnet was never completed"
    return f"the {' and the '.join(silent)} of the devnet {'do' if len(silent) > 1 else 'does'} not answer"


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
