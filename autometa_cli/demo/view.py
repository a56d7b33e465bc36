"""The live view: how far each workflow has come, in as many columns as there are."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Group
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from autometa_cli.console import printable
from autometa_cli.demo.watch import DUE, FINAL, STAGES, Line, Run, Scene
from autometa_cli.units import duration, short

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

#: From this width on the stages are words, not dots.
WORDS = 110
#: Below this width the note stands under the stages.
NARROW = 76


class View:
    """Drawn again and again by another thread; whoever plays only puts new values in.

    Attributes:
        step: what is being done now.
        scene: how the workflows stand.
        over: nothing goes on any more.
    """

    def __init__(self) -> None:
        self.step = ""
        self.scene = Scene()
        self.over = False
        self._started = time.monotonic()
        self._spinner = Spinner("dots")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """What is being done, then a line for each workflow."""
        head = Text.assemble((f"{self.step}", "bold"), (f"  {time.monotonic() - self._started:.0f} s", "dim"))
        if not self.over and not options.ascii_only:
            self._spinner.update(text=head)
            yield self._spinner
        else:
            yield head
        if self.scene.lines:
            yield Group(_table(self.scene, options), Text(_counts(self.scene), style="dim"))


def _table(scene: Scene, options: ConsoleOptions) -> Table:
    width, narrow = options.max_width, options.max_width < NARROW
    table = Table(box=None, pad_edge=False, padding=(0, 1), expand=False)
    table.add_column("#")
    table.add_column("workflow", max_width=32)
    table.add_column(" > ".join(STAGES) if width >= WORDS else "progress", no_wrap=not narrow)
    if not narrow:
        table.add_column("", overflow="fold")
    for line in scene.lines:
        run = line.runs[-1] if line.runs else None
        progress, note = (
            _progress(line, run, words=width >= WORDS, ascii_only=options.ascii_only),
            _note(line, run),
        )
        cells = [progress + Text("\n") + note] if narrow and note else [progress]
        table.add_row(str(line.id), line.part.title, *(cells if narrow else [progress, note]))
    return table


def _progress(line: Line, run: Run | None, *, words: bool, ascii_only: bool) -> Text:
    if run is None:
        return Text("paused" if line.paused else "waiting", style="dim")
    style = "yellow" if run.stopped else "green"
    if words:
        text = Text()
        for index, name in enumerate(STAGES):
            reached = index <= run.reached
            shown = run.stopped if run.stopped and index == run.reached + 1 else name
            now = index == run.reached and not run.stopped
            text.append(
                shown,
                style="bold yellow"
                if shown == run.stopped
                else f"{'bold ' * now}{style}"
                if reached
                else "dim",
            )
            if shown == run.stopped:
                break
            text.append(" > " if index + 1 < len(STAGES) else "", style="dim")
        return text
    full, empty = ("#", ".") if ascii_only else ("●", "○")
    text = Text(full * (run.reached + 1), style=style)
    text.append(empty * (FINAL - run.reached), style="dim")
    return text.append(f" {run.stopped or STAGES[run.reached]}", style=f"bold {style}")


def _note(line: Line, run: Run | None) -> Text:
    """What else is to be known: the run, its transaction, why it stopped, when it is due."""
    parts = []
    if line.part.interval and run is not None:
        parts.append(f"run {run.number}")
    if run is not None and run.note:
        parts.append(run.note)
    elif run is not None and run.tx:
        parts.append(short(run.tx, 10, 4) + (f" in block {run.block}" if run.block else ""))
    workflow = line.workflow
    ahead = workflow is not None and workflow.next_run - line.now
    resting = run is None or run.reached == FINAL
    if workflow is not None and resting and 0 < ahead < 3600:
        parts.append(f"would be due in {duration(ahead)}" if line.paused else f"due in {duration(ahead)}")
    if run is None and line.paused and ahead is not False and ahead <= 0:
        parts.append("due date passed")
    return Text(
        printable(", ".join(parts)), style="dim" if run is None or run.reached in (DUE, FINAL) else ""
    )


def _counts(scene: Scene) -> str:
    text = f"block {scene.block}, {scene.final} is final"
    counts = scene.counts
    if counts is None:
        return text
    jobs = (
        f"{counts.pending} pending, {counts.inflight} in flight, {counts.delayed} held, {counts.dead} buried"
    )
    return f"{text}; jobs: {jobs}"
