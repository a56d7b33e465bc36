"""Log lines: what programs and people get to read, and what nobody does."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator

import pytest

from autometa_cli import secrets
from autometa_cli.telemetry import logs

LOGGER = logging.getLogger("autometa_cli.scheduler")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("autometa_cli")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def start(log_format: str, log_level: str) -> None:
    logging.getLogger().handlers.clear()  # pytest's own, which mask nothing
    logs.configure(log_format, log_level)


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    start("text", "info")
    LOGGER.info("queued %d", 3)
    LOGGER.debug("not shown")

    out = capsys.readouterr()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO    scheduler: queued 3\n", out.err)
    assert out.out == ""


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    start("json", "debug")
    LOGGER.debug("queued %d", 3, extra={"fields": {"enqueued": 3, "wei": 2**60, "level": "no"}})

    entry = json.loads(capsys.readouterr().err)
    assert list(entry)[:4] == ["ts", "level", "logger", "message"]
    assert (entry["level"], entry["logger"], entry["message"]) == ("debug", "scheduler", "queued 3")
    assert (entry["enqueued"], entry["wei"]) == (3, str(2**60))


def test_configuring_again_replaces(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "info")
    logs.configure("text", "error")
    LOGGER.warning("no")
    LOGGER.error("yes")

    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_secret_is_ever_written(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    password = "hunter2hunter2"
    secrets.conceal(password)
    start(log_format, "info")

    LOGGER.info(
        "at %s", f"redis://user:{password}@host:1/0", extra={"fields": {"url": f"http://x/{password}"}}
    )
    try:
        raise ValueError(f"no way, {password}")
    except ValueError:
        LOGGER.exception("failed with https://rpc.example/v2/some-api-key")
    LOGGER.info("%d", "not a number " + password)  # a mistake of ours: Python would print the arguments

    err = capsys.readouterr().err
    assert password not in err
    assert "some-api-key" not in err
    assert "Traceback" in err
    assert "redis://host:1/0" in err
    assert "could not be written" in err


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_text_from_outside_forges_no_line(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    start(log_format, "info")
    LOGGER.info("reverted: %s", "x\n2026-01-01T00:00:00.000Z INFO    worker: all is well\x1b[2J")

    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "\x1b" not in err


def test_libraries_are_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    start("text", "debug")
    for name in ("web3", "aiohttp", "asyncio", "redis", "web3.providers"):
        logging.getLogger(name).info("chatter")
        logging.getLogger(name).warning("attention")

    err = capsys.readouterr().err
    assert "chatter" not in err
    assert err.count("attention") == 5
