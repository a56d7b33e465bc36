"""Ctrl-C at a bad moment."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest

from autometa_cli.interrupts import SIGNALS, ending_like_ctrl_c, undisturbed


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize("number", SIGNALS)
def test_what_must_not_be_left_half_done_is_finished_first(number: signal.Signals) -> None:
    before, done = handlers(), []

    def work() -> None:
        with ending_like_ctrl_c(), undisturbed():
            os.kill(os.getpid(), number)
            done.append("the rest")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["the rest"]
    assert handlers() == before


def test_it_is_not_lost_where_that_failed() -> None:
    def fail() -> None:
        with undisturbed():
            os.kill(os.getpid(), signal.SIGINT)
            raise ValueError

    with pytest.raises(KeyboardInterrupt):
        fail()


def test_without_a_signal_nothing_happens() -> None:
    before = handlers()
    with ending_like_ctrl_c(), undisturbed():
        pass
    with pytest.raises(ValueError, match="mine"), undisturbed():
        raise ValueError("mine")
    assert handlers() == before


@pytest.mark.parametrize("number", SIGNALS)
def test_an_event_loop_ends_in_good_order(number: signal.Signals) -> None:
    ended = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), number)
            await asyncio.sleep(10)
        finally:
            await asyncio.sleep(0)  # what is closed here may need the loop
            ended.append("cleaned up")

    with ending_like_ctrl_c(), pytest.raises(KeyboardInterrupt):
        asyncio.run(work())
    assert ended == ["cleaned up"]


def test_in_another_thread_it_changes_nothing() -> None:
    seen: list[object] = []

    def work() -> None:
        with ending_like_ctrl_c(), undisturbed():
            seen.extend(handlers())

    before = handlers()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == before


def test_what_nohup_ignores_stays_ignored() -> None:
    code = (
        "import os, signal; from autometa_cli.interrupts import *\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with ending_like_ctrl_c(), undisturbed():\n    os.kill(os.getpid(), signal.SIGHUP)\nprint('on')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "on\n"


def test_in_the_background_of_a_script_a_kill_still_ends_it() -> None:
    code = (
        "import os, signal; from autometa_cli.interrupts import *\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "try:\n"
        "    with ending_like_ctrl_c():\n        os.kill(os.getpid(), signal.SIGTERM)\n"
        "except KeyboardInterrupt:\n    print('ended')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "ended\n"
