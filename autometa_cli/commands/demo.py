"""`autometa demo`: everything at work, and the chain's own word for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autometa_cli.commands.context import JsonOption, State, begin, single_command
from autometa_cli.commands.help import COMMON_PANEL, examples
from autometa_cli.errors import AutometaError, ExitCode, UsageProblem
from autometa_cli.interrupts import ending_like_ctrl_c

if TYPE_CHECKING:
    from autometa_cli.demo.play import Audience, Performance
    from autometa_cli.demo.view import View
    from autometa_cli.demo.watch import Scene


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the chain and the queue running afterwards, to look around.")
    ] = False,
    as_json: JsonOption = False,
    env_file: Annotated[
        Path | None,
        typer.Option(
            "--env-file",
            metavar="FILE",
            help="With --keep: write the settings to FILE. The demo reads none.",
            rich_help_panel=COMMON_PANEL,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show the whole system at work on a chain of its own.

    Starts a local chain and a queue in a temporary directory, creates six
    workflows, and runs `autometa scheduler` and `autometa worker` on them
    as processes of their own. Then it asks the chain whether each of them
    was executed as often as it should, exactly: events, balances to the
    wei, next runs. Exit code 0 only if the chain agrees with everything.

    Takes about 20 seconds; the first time it may have to install the
    chain's program (anvil). Nothing is left running or on disk.
    """
    state = begin(as_json, env_file)
    with ending_like_ctrl_c():
        state.console.status("A chain, a queue, a scheduler and a worker on this machine")
        if state.env_file is not None and not keep:
            raise UsageProblem(
                "the demo makes its own settings and reads none",
                "leave --env-file out; with --keep it says where to write them",
            )
        from autometa_cli.demo import summary
        from autometa_cli.demo.play import play

        with _audience(state) as audience:
            done = play(audience, keep=keep, env_file=state.env_file)
    state.console.result(summary.document(done), lambda: summary.Summary(done.verdict))
    if done.kept:
        _say_how_to_go_on(state, done)
    if not done.ok:
        what = "the chain does not agree with what was expected:" if done.verdict.failures else "trouble:"
        text = "\n  ".join([what, *done.verdict.failures, *done.troubles])
        hint = "" if keep else "autometa demo --keep leaves everything there to look at"
        state.console.error(AutometaError(text, hint))  # to stderr: the result is on stdout already
        raise typer.Exit(ExitCode.FAILED)
    state.console.success(summary.headline(done))


def _say_how_to_go_on(state: State, done: Performance) -> None:
    lines = [
        "The chain and the queue are still running. Try:",
        f"  autometa --env-file {done.env_file} workflow list",
        f"  autometa --env-file {done.env_file} worker",
        f"  autometa devnet down --dir {done.info.directory}    # ends them",
    ]
    state.console.status("\n".join(lines))


@contextmanager
def _audience(state: State) -> Iterator[Audience]:
    """A view that is drawn again and again on a terminal, lines elsewhere; both on stderr."""
    if not state.console.draws:
        yield _Reader(state)
        return
    from autometa_cli.demo.view import View

    view = View()
    with state.console.live(lambda: view, refresh_per_second=8):
        try:
            yield _Spectator(view)
        finally:
            view.over = True
    state.console.status("")  # what follows stands on its own


class _Spectator:
    """Sees the view."""

    def __init__(self, view: View) -> None:
        self._view = view

    def step(self, text: str) -> None:
        self._view.step = text

    def changed(self, text: str) -> None:
        """The view shows it."""

    def scene(self, scene: Scene) -> None:
        self._view.scene = scene


class _Reader:
    """Reads lines, each with the seconds since the beginning."""

    def __init__(self, state: State) -> None:
        self._console = state.console
        self._started = time.monotonic()

    def step(self, text: str) -> None:
        self.changed(text)

    def changed(self, text: str) -> None:
        self._console.status(f"{time.monotonic() - self._started:5.1f} s  {text}")

    def scene(self, scene: Scene) -> None:
        """The lines say what changes in it."""


app = single_command(
    demo,
    epilog=examples(
        "autometa demo",
        "autometa demo --keep      # look around afterwards, with every command",
        "autometa demo --json | jq .ok",
    ),
)
