"""Every error that an operator can meet, and the exit code it leads to.

    AutometaError            1  failed
    ├── UsageProblem         2  wrong usage, or a needed `--yes`
    ├── ConfigError          3  configuration or credentials
    ├── NotPermitted         4  a role is missing on chain
    ├── Unreachable          5  a server does not answer
    │   ├── RedisUnreachable
    │   └── RpcUnreachable
    ├── Reverted             6  the transaction reverted, or its action failed
    ├── StillPending         7  not mined within the time limit
    └── CheckNegative        8  a check answered no

Only `app.main` turns them into text and an exit code; nothing below `commands` prints or exits.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the shell sees. A promise to scripts: the numbers never change."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    CONFIG = 3
    NOT_PERMITTED = 4
    UNREACHABLE = 5
    REVERTED = 6
    PENDING = 7
    NEGATIVE = 8
    INTERRUPTED = 130


class AutometaError(Exception):
    """An error with a message for people and, where there is one, the next step.

    Args:
        message: what is wrong, and where. Never holds a secret.
        hint: what to do next, one sentence or command; may be empty.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageProblem(AutometaError):
    """Wrong arguments, or a destructive command without `--yes` and without a terminal."""

    exit_code = ExitCode.USAGE


class ConfigError(AutometaError):
    """A variable is missing or malformed, or a key cannot be read."""

    exit_code = ExitCode.CONFIG


class NotPermitted(AutometaError):
    """The chain refuses this sender: a role is missing."""

    exit_code = ExitCode.NOT_PERMITTED


class Unreachable(AutometaError):
    """A server that is needed does not answer."""

    exit_code = ExitCode.UNREACHABLE


class RedisUnreachable(Unreachable):
    """Redis does not answer, or refuses to work (read-only, full, wrong password)."""


class RpcUnreachable(Unreachable):
    """No JSON-RPC endpoint gave a usable answer."""


class Reverted(AutometaError):
    """A transaction was mined and reverted, would revert, or its action failed."""

    exit_code = ExitCode.REVERTED


class StillPending(AutometaError):
    """Sent, but not mined within the time limit. It may still be mined."""

    exit_code = ExitCode.PENDING


class CheckNegative(AutometaError):
    """A check was made and its answer is no."""

    exit_code = ExitCode.NEGATIVE
