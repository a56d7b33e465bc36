"""The variables that say where a private key comes from: the same forms for each of the three keys."""

from __future__ import annotations

from autometa_cli import parsers
from autometa_cli.option import Kind, Option

KEY_NAMES = {
    "WORKER": "the worker's key: it signs the executions and pays their gas",
    "ADMIN": "the administrator's key: role and deploy commands only, never needed by a worker",
    "OWNER": "a workflow owner's key: escrow and workflow commands only",
}


def key_options() -> tuple[Option, ...]:
    """A row for each form of each key."""
    options = []
    for prefix, what in KEY_NAMES.items():
        forms: tuple[tuple[str, str, Kind], ...] = (
            ("PRIVATE_KEY", f"{what}; 64 hex digits, 0x or not", "secret"),
            ("PRIVATE_KEY_FILE", "or the path of a file that holds the key", "path"),
            ("KEYSTORE", "or the path of an encrypted keystore (Web3 Secret Storage, JSON)", "path"),
            ("KEYSTORE_PASSWORD", "the keystore's password", "secret"),
            ("KEYSTORE_PASSWORD_FILE", "or the path of a file that holds the password", "path"),
            ("KEY_COMMAND", "or a command that prints the key, for a secrets manager; no shell", "secret"),
        )
        for form, meaning, kind in forms:
            options.append(Option(f"{prefix}_{form}", "", parsers.line, "", meaning, kind))
    return tuple(options)
