"""`autometa config`: what is configured, where it comes from, and whether it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from autometa_cli.commands.configconnect import connect, finding
from autometa_cli.commands.context import EnvFileOption, JsonOption, State, begin, command_group
from autometa_cli.commands.help import examples
from autometa_cli.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from autometa_cli.config import Settings

app = command_group(
    "Show and check the configuration.",
    epilog=examples("autometa config show", "autometa --env-file .env.devnet config check"),
)


@app.command(
    "show",
    epilog=examples(
        "autometa config show",
        "autometa config show --all          # those that are not set, too",
        "autometa config show --json | jq '.variables[] | select(.origin != \"default\")'",
    ),
)
def show(
    everything: bool = typer.Option(False, "--all", "-a", help="List variables without a value, too."),
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Show every setting, and where it comes from.

    Keys and passwords are hidden, addresses of servers shown without
    user, password and path. Values are shown as they stand, right or
    wrong; `autometa config check` tells which.
    """
    state = begin(as_json, env_file)
    from autometa_cli.confidential import shown
    from autometa_cli.config import effective
    from autometa_cli.layers import gather
    from autometa_cli.options import OPTIONS

    layers = gather(state.env_file, state.overrides)
    for warning in layers.warnings:
        state.console.warn(warning)
    values = effective(layers)
    variables = []
    for option in OPTIONS:
        value = values.get(option.name)
        variables.append(
            {
                "name": option.name,
                "value": shown(option.name, value.text) if value else None,
                "origin": value.origin if value else "default",
                "secret": option.secret,
                "group": option.group,
                "help": option.help,
            }
        )
    rows = [
        (entry["name"], entry["value"], entry["origin"] if entry["value"] is not None else "not set")
        for entry in variables
        if everything or entry["value"] is not None
    ]
    state.console.result(
        {"env_file": str(layers.env_file) if layers.env_file else None, "variables": variables},
        lambda: state.console.table(("VARIABLE", "VALUE", "FROM"), rows),
    )


@app.command(
    "check",
    epilog=examples(
        "autometa config check",
        "autometa --env-file .env.devnet config check",
        "autometa config check --connect         # ask the servers, too",
        "autometa config check --json || echo broken",
    ),
)
def check(
    ask: Annotated[
        bool, typer.Option("--connect", help="Ask Redis, every RPC endpoint and the contracts, too.")
    ] = False,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Read everything, keys included, and tell what is wrong.

    Asks neither the chain nor Redis, unless told to: --connect tells
    whether they answer, whether they are the chain and the kind of
    Redis that is meant, and whether the contracts are there. It changes
    nothing. Exit code 3 when something has to be set differently, 5
    when a server that is needed does not answer; warnings alone leave
    it at 0.
    """
    state = begin(as_json, env_file)
    findings, settings = _findings(state)
    code = ExitCode.CONFIG if any(each["level"] == "error" for each in findings) else ExitCode.DONE
    if ask and settings is not None:
        answers = state.run(connect(settings))
        findings += answers.found
        code = code or answers.code
    elif ask:
        findings.append(finding("note", "the servers are asked when the settings are right"))
    broken = code is not ExitCode.DONE
    state.console.result(
        {"ok": not broken, "findings": findings},
        lambda: state.console.table(
            ("", "VARIABLE", "FINDING"),
            [
                (
                    each["level"],
                    each["variable"],
                    each["message"] + (f"\n→ {each['hint']}" if each["hint"] else ""),
                )
                for each in findings
            ],
        ),
    )
    if broken:
        raise typer.Exit(code)


def _findings(state: State) -> tuple[list[dict[str, Any]], Settings | None]:
    """Everything that the settings tell: errors, then warnings, then what is well; and they, where they hold."""
    from autometa_cli.config import SettingsError, build
    from autometa_cli.layers import gather

    layers = gather(state.env_file, state.overrides)
    settings: Settings | None = None
    errors: list[dict[str, Any]] = []
    try:
        settings = build(layers)
    except SettingsError as error:
        errors = [
            finding("error", f"{found.message} ({found.origin})", found.variable, found.hint)
            for found in error.problems
        ]
    warnings = settings.warnings if settings else layers.warnings
    found = [*errors, *(finding("warning", warning) for warning in warnings)]
    told = " ".join(layers.warnings)
    unknown = [name for name in layers.unknown if f"{name} in " not in told]
    if unknown:
        names = ", ".join(unknown)
        found.append(finding("note", f"{layers.env_file} also sets {names}, which autometa does not use"))
    if settings is None:
        found.append(finding("note", "the keys are read when everything else is right"))
        return found, None
    return [*found, *_symbols(settings), *_keys(settings), *_well(settings)], settings


def _symbols(settings: Settings) -> list[dict[str, Any]]:
    """The file that PRICE_SYMBOLS names, read as the scheduler does."""
    if settings.price_symbols is None:
        return []
    from autometa_cli.scheduling.pricehttp import symbols_with

    try:
        symbols_with(settings.price_symbols)
    except ConfigError as error:
        return [finding("error", error.message, "PRICE_SYMBOLS", error.hint)]
    return [finding("ok", settings.price_symbols, "PRICE_SYMBOLS")]


def _keys(settings: Settings) -> list[dict[str, Any]]:
    found = []
    for source in (settings.worker_key(), settings.admin_key(), settings.owner_key()):
        variable = source.variables[0] if source.variables else f"{source.name}_PRIVATE_KEY"
        try:
            if not source.variables and not source.incomplete:
                missing = "not set; a worker needs it, or another of its forms"
                found.append(finding("note", missing if source.name == "WORKER" else "not set", variable))
                continue
            address = source.load(chain_id=settings.chain_id).address
            found.append(finding("ok", f"the key of {address}", variable))
        except ConfigError as error:
            found.append(finding("error", error.message, variable, error.hint))
    return found


def _well(settings: Settings) -> list[dict[str, Any]]:
    from autometa_cli.secrets import redact_url

    network = settings.network
    found = [finding("ok", f"{network.title}, chain {settings.chain_id}", "NETWORK")]
    urls = ", ".join(redact_url(url) + _limit(settings.rpc_rate(url)) for url in settings.rpc_urls)
    found.append(finding("ok" if urls else "warning", urls or "not set, and no preset has one", "RPC_URLS"))
    if settings.private_rpc_url:
        found.append(finding("ok", redact_url(settings.private_rpc_url), "PRIVATE_RPC_URL"))
    found.append(finding("ok", redact_url(settings.redis_url), "REDIS_URL"))
    for name in ("REGISTRY_ADDRESS", "ACTIONEXECUTOR_ADDRESS", "FEEESCROW_ADDRESS"):
        address = getattr(settings, name.lower())
        text = f"{address} ({settings.origin(name)})" if address else "not set, and the network has no preset"
        found.append(finding("ok" if address else "warning", text, name))
    return found


def _limit(rate: int | None) -> str:
    return f" ({rate} requests/s)" if rate else ""
