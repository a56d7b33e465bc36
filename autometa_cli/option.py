"""One configuration variable: its name, its default, what it means, what is a valid value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autometa_cli import parsers

Kind = Literal["plain", "url", "secret", "path"]


@dataclass(frozen=True, slots=True)
class Option:
    """One variable.

    Attributes:
        name: of the environment variable.
        attribute: of `Settings`; empty for the key variables, which become `KeySource`s.
        parser: `(text, name) -> value`; raises ConfigError that names the variable.
        default: as text; empty where there is none, or where the network's preset gives it.
        help: for people, with the unit.
        kind: "secret" is never shown, "url" only redacted.
        group: heading in `.env.example` and `config show`.
        idle: known and checked, but nothing reads it yet; setting it warns, so that nobody relies on it.
    """

    name: str
    attribute: str
    parser: parsers.Parser
    default: str
    help: str
    kind: Kind = "plain"
    group: str = ""
    idle: bool = False

    @property
    def secret(self) -> bool:
        """Whether its value is never shown."""
        return self.kind == "secret"
