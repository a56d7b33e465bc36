"""Where configuration comes from: options over environment over `.env`, each value with its origin."""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autometa_cli.errors import ConfigError
from autometa_cli.options import BY_NAME

DEFAULT_ENV_FILE = Path(".env")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,47}")
_TYPO_CUTOFF = 0.8


@dataclass(frozen=True, slots=True)
class Value:
    """A value as text, and where it stands: "option", "environment", the path of a file, "default" or
    "network preset"."""

    text: str
    origin: str

    def __repr__(self) -> str:  # the text may be a secret
        return f"<Value from {self.origin}>"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        variable: whose value it is; empty where it is a line of a file.
        origin: where that value stands.
        message, hint: as in `AutometaError`.
    """

    variable: str
    origin: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Layers:
    """Everything that was set, before validation.

    Attributes:
        values: by variable; an empty value counts as not set.
        env_file: the file that was read, if any.
        problems: lines of that file that cannot be read.
        warnings: for people; they stop nothing.
        unknown: names in the file that are none of ours.
    """

    values: Mapping[str, Value]
    env_file: Path | None = None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def gather(
    env_file: Path | None = None,
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Layers:
    """Reads the layers.

    Args:
        env_file: a file that must exist; None reads `./.env` where there is one.
        overrides: values given as command-line options, by variable.
        environ: instead of the process's environment.

    Raises:
        ConfigError: the file is missing or cannot be read.
    """
    path = env_file or (DEFAULT_ENV_FILE if DEFAULT_ENV_FILE.is_file() else None)
    values: dict[str, Value] = {}
    problems: list[Problem] = []
    warnings: list[str] = []
    unknown: list[str] = []
    if path is not None:
        found, problems = _parse(_read(path), str(path))
        unknown = [name for name in found if name not in BY_NAME]
        for name in unknown:
            near = difflib.get_close_matches(name.upper(), BY_NAME, n=1, cutoff=_TYPO_CUTOFF)
            if near:
                warnings.append(f"{name} in {path} is not a variable of autometa; did you mean {near[0]}?")
        values = {name: Value(text, str(path)) for name, text in found.items() if name in BY_NAME and text}
        warnings += _permissions(path, values)
    source = os.environ if environ is None else environ
    values |= {name: Value(source[name], "environment") for name in BY_NAME if source.get(name)}
    values |= {name: Value(text, "option") for name, text in (overrides or {}).items() if text}
    return Layers(values, path, tuple(problems), tuple(warnings), tuple(unknown))


def _read(path: Path) -> str:
    try:
        return path.expanduser().read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist", "give --env-file the path of an existing file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not a text file in UTF-8") from None
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the path cannot be used"
        raise ConfigError(f"{path} cannot be read: {reason}") from None


def _parse(content: str, origin: str) -> tuple[dict[str, str], list[Problem]]:
    """Names and values of a `.env` file. What is wrong is told by line number: a line may be a pasted key."""
    import io

    from dotenv.parser import parse_stream

    found: dict[str, str] = {}
    problems: list[Problem] = []
    for binding in parse_stream(io.StringIO(content)):
        original = binding.original
        blank = original.string[: -len(original.string.lstrip()) or None]
        line = original.line + blank.count("\n")
        if binding.key is None and not binding.error:
            continue  # a comment or an empty line
        name = binding.key or ""
        if binding.error or binding.value is None or not _NAME.fullmatch(name):
            problems.append(Problem("", origin, f"line {line} of {origin} is not NAME=value"))
        else:
            found[name] = binding.value
    return found, problems


def _permissions(path: Path, values: Mapping[str, Value]) -> list[str]:
    """Warns where others may read a file that holds a secret."""
    secrets = [name for name in values if BY_NAME[name].secret]
    try:
        open_to_others = path.expanduser().stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)
    except OSError:
        return []
    if secrets and open_to_others:
        return [f"{path} holds {secrets[0]} and others on this machine may read it; chmod 600 {path}"]
    return []
