"""`autometa config`: what is configured, where it comes from, and whether it holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from autometa_cli.commands.context import EnvFileOption, JsonOption, State, begin, command_group, examples
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
    from autometa_cli.config import effective, shown
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
        "autometa config check --json || echo broken",
    ),
)
def check(as_json: JsonOption = False, env_file: EnvFileOption = None) -> None:
    """Read everything, keys included, and tell what is wrong.

    Asks neither the chain nor Redis. Exit code 3 when something is
    broken; warnings alone leave it at 0.
    """
    state = begin(as_json, env_file)
    findings = _findings(state)
    broken = any(finding["level"] == "error" for finding in findings)
    state.console.result(
        {"ok": not broken, "findings": findings},
        lambda: state.console.table(
            ("", "VARIABLE", "FINDING"),
            [
                (
                    finding["level"],
                    finding["variable"],
                    finding["message"] + (f"\n→ {finding['hint']}" if finding["hint"] else ""),
                )
                for finding in findings
            ],
        ),
    )
    if broken:
        raise typer.Exit(ExitCode.CONFIG)


def _findings(state: State) -> list[dict[str, Any]]:
    """Everything there is to say: errors, then warnings, then what is well."""
    from autometa_cli.config import SettingsError, build
    from autometa_cli.layers import gather

    layers = gather(state.env_file, state.overrides)
    settings: Settings | None = None
    errors: list[dict[str, Any]] = []
    try:
        settings = build(layers)
    except SettingsError as error:
        errors = [
            _finding("error", f"{found.message} ({found.origin})", found.variable, found.hint)
            for found in error.problems
        ]
    warnings = settings.warnings if settings else layers.warnings
    found = [*errors, *(_finding("warning", warning) for warning in warnings)]
    if layers.unknown:
        names = ", ".join(layers.unknown)
        found.append(_finding("note", f"{layers.env_file} also sets {names}, which autometa does not use"))
    if settings is None:
        found.append(_finding("note", "the keys are read when everything else is right"))
        return found
    return [*found, *_keys(settings), *_well(settings)]


def _keys(settings: Settings) -> list[dict[str, Any]]:
    found = []
    for source in (settings.worker_key(), settings.admin_key(), settings.owner_key()):
        variable = source.variables[0] if source.variables else f"{source.name}_PRIVATE_KEY"
        try:
            if not source.variables and not source.incomplete:
                found.append(_finding("note", "not set", variable))
                continue
            address = source.load(chain_id=settings.chain_id).address
            found.append(_finding("ok", f"the key of {address}", variable))
        except ConfigError as error:
            found.append(_finding("error", error.message, variable, error.hint))
    return found


def _well(settings: Settings) -> list[dict[str, Any]]:
    from autometa_cli.secrets import redact_url

    network = settings.network
    found = [_finding("ok", f"{network.title}, chain {settings.chain_id}", "NETWORK")]
    urls = ", ".join(redact_url(url) for url in settings.rpc_urls)
    found.append(_finding("ok" if urls else "warning", urls or "not set, and no preset has one", "RPC_URLS"))
    found.append(_finding("ok", redact_url(settings.redis_url), "REDIS_URL"))
    for name in ("REGISTRY_ADDRESS", "ACTIONEXECUTOR_ADDRESS", "FEEESCROW_ADDRESS"):
        address = getattr(settings, name.lower())
        text = f"{address} ({settings.origin(name)})" if address else "not set, and the network has no preset"
        found.append(_finding("ok" if address else "warning", text, name))
    return found


def _finding(level: str, message: str, variable: str = "", hint: str = "") -> dict[str, Any]:
    return {"level": level, "variable": variable or None, "message": message, "hint": hint or None}
