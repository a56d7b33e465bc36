"""Logging of the long-running services: one line per event on stderr, as text or JSON, never with a secret.

    text    2026-05-04T12:00:00.123Z INFO    scheduler: 3 workflows queued
    json    {"ts": "2026-05-04T12:00:00.123Z", "level": "info", "logger": "scheduler", "message": "…"}

Values that programs read along with a message: `_log.info("…", extra={"fields": {"enqueued": 3}})`; JSON lines
have them beside the message, text lines leave them out.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping
from typing import Any

from autometa_cli.secrets import mask

_PACKAGE = "autometa_cli"
#: Control characters as `\\x1b`: what comes from outside can neither drive a terminal nor forge a line.
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_CONTROL_IN_TRACEBACK = {code: text for code, text in _CONTROL.items() if chr(code) not in "\n\t"}


def configure(log_format: str, log_level: str) -> None:
    """Send the log to stderr; replaces what an earlier call set up.

    Args:
        log_format: `text` or `json`.
        log_level: `debug`, `info`, `warning` or `error`, for our own loggers. Libraries log from `warning` on.
    """
    level = logging.getLevelNamesMapping()[log_level.upper()]
    root = logging.getLogger()
    for handler in [each for each in root.handlers if isinstance(each, _Stderr)]:
        root.removeHandler(handler)
    handler = _Stderr()
    handler.setFormatter(_Json() if log_format == "json" else _Text())
    root.addHandler(handler)
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger(_PACKAGE).setLevel(level)


class _Stderr(logging.StreamHandler[Any]):
    """Writes to what stderr is at the time; a reader that is gone is nobody's trouble."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, value: Any) -> None:
        raise AttributeError("the log goes to stderr")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Python would print the record with its arguments, unmasked."""
        kind = sys.exc_info()[0]
        if kind is not None and issubclass(kind, OSError):
            return
        text = (
            f"a log record of {record.name} could not be written ({kind.__name__ if kind else 'unknown'})\n"
        )
        try:
            self.stream.write(text)
        except (OSError, ValueError):
            return


class _Formatter(logging.Formatter):
    """What both forms share: UTC, short logger names, and `mask` over everything."""

    def stamp(self, record: logging.LogRecord) -> str:
        whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{whole}.{int(record.msecs):03d}Z"

    def name(self, record: logging.LogRecord) -> str:
        return record.name.removeprefix(f"{_PACKAGE}.")

    def trace(self, record: logging.LogRecord) -> str:
        if not record.exc_info or record.exc_info[0] is None:
            return ""
        return mask(self.formatException(record.exc_info))

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        given = getattr(record, "fields", None)
        return {str(key): _clean(value) for key, value in given.items()} if isinstance(given, Mapping) else {}


class _Text(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message = mask(record.getMessage()).translate(_CONTROL)
        line = f"{self.stamp(record)} {record.levelname:<7} {self.name(record)}: {message}"
        trace = self.trace(record)
        return f"{line}\n{trace.translate(_CONTROL_IN_TRACEBACK)}" if trace else line


class _Json(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = self.fields(record) | {
            "ts": self.stamp(record),
            "level": record.levelname.lower(),
            "logger": self.name(record),
            "message": mask(record.getMessage()),
        }
        if trace := self.trace(record):
            entry["traceback"] = trace
        # The fixed members first: people read these lines, too.
        order = ("ts", "level", "logger", "message")
        ordered = {name: entry[name] for name in order} | entry
        return json.dumps(ordered, ensure_ascii=False)


def _clean(value: Any) -> Any:
    """A field's value without secrets, as JSON takes it; numbers too large for others to read become text."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else str(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(each) for each in value]
    if isinstance(value, Mapping):
        return {str(key): _clean(each) for key, each in value.items()}
    return mask(str(value))
