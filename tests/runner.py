"""Running `autometa` in tests: inside this process, or as the program that a user starts."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autometa_cli import app


@dataclass(frozen=True)
class Result:
    """What came out."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The document on stdout; fails where there is anything else."""
        return json.loads(self.stdout)


class Cli:
    """`cli("queue", "len")` runs the command through the program's own error handling.

    Exceptions that nobody expected are raised, not turned into a message. Runs in an empty directory, with
    none of our variables set; `env` sets some for one run.
    """

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self._monkeypatch = monkeypatch

    def __call__(
        self, *arguments: str | Path, env: Mapping[str, str] | None = None, stdin: str | None = None
    ) -> Result:
        def raise_it(error: Exception) -> Any:
            raise error

        out, err = _Stream(), _Stream()
        with self._monkeypatch.context() as patch:
            patch.setattr(app, "_bug", raise_it)
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            patch.setattr(sys, "stdin", io.StringIO(stdin or ""))
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            code = app.run([str(argument) for argument in arguments])
        return Result(code, out.text, err.text)

    def process(
        self,
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        timeout: float = 60,
    ) -> Result:
        """The same in a process of its own."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.directory,
            env={**os.environ, **(env or {})},
            input=stdin or "",
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    @staticmethod
    def command(*arguments: str | Path) -> list[str]:
        """The argument vector, for a test that starts the process itself."""
        return [sys.executable, "-m", "autometa_cli", *map(str, arguments)]


class _Stream(io.TextIOWrapper):
    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")

    @property
    def text(self) -> str:
        self.flush()
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode()
