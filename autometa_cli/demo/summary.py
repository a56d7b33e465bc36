"""The verdict, shown: a table for people, a document for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from autometa_cli.console import printable
from autometa_cli.times import utc
from autometa_cli.units import short

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

    from autometa_cli.demo.play import Performance
    from autometa_cli.demo.verdict import Check, Judged, Verdict

#: From this width on a transaction's hash is shown whole.
WIDE = 150
#: Below this width the title stands above what became of it.
NARROW = 90


class Summary:
    """A table of what became of each workflow, as wide as there is room."""

    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Rows by the width at hand."""
        width, marks = options.max_width, ("ok", "NO") if options.ascii_only else ("✓", "✗")
        table = Table(box=None, pad_edge=False, padding=(0, 1), show_edge=False)
        table.add_column("")
        table.add_column("#")
        table.add_column("workflow" if width >= NARROW else "workflow, and what became of it", max_width=32)
        if width >= NARROW:
            table.add_column("outcome", max_width=28 if width < WIDE else None)
        table.add_column("what the chain says", overflow="fold")
        for judged in self._verdict.workflows:
            title, outcome = Text(judged.part.title), _outcome(judged)
            cells = [title, outcome] if width >= NARROW else [title + Text("\n") + outcome]
            table.add_row(_mark(judged.holds, marks), str(judged.id), *cells, _facts(judged, width))
        books = _joined(self._verdict.books, lambda check: check.said if check.brief else "")
        holds = all(check.holds for check in self._verdict.books)
        last = [Text("the books"), Text("")] if width >= NARROW else [Text("the books")]
        table.add_row(_mark(holds, marks), "", *last, books)
        yield table


def headline(performance: Performance) -> str:
    """One line: whether the chain agrees."""
    checks = performance.verdict.checks
    good = sum(check.holds for _, check in checks)
    which = f"all {good}" if good == len(checks) else f"{good} of {len(checks)}"
    return f"{which} expectations hold on the chain ({performance.seconds:.0f} s)"


def document(performance: Performance) -> dict[str, Any]:
    """The same for `--json`; amounts are wei, as decimal strings."""
    verdict, info = performance.verdict, performance.info
    return {
        "ok": performance.ok,
        "seconds": round(performance.seconds, 1),
        "final_block": verdict.block,
        "chain_id": info.chain_id,
        "contracts": info.public()["contracts"],
        "test_contracts": dict(info.test_contracts),
        "accounts": info.public()["accounts"],
        "workflows": [_workflow(judged) for judged in verdict.workflows],
        "books": [_check(check) for check in verdict.books],
        "expectations": len(verdict.checks),
        "failures": verdict.failures,
        "troubles": list(performance.troubles),
        "kept": _kept(performance),
    }


def _kept(performance: Performance) -> dict[str, Any] | None:
    if not performance.kept:
        return None
    public = performance.info.public()
    return {name: public[name] for name in ("directory", "env_file", "rpc_url", "redis_url")}


def _workflow(judged: Judged) -> dict[str, Any]:
    return {
        "id": judged.id,
        "name": judged.part.name,
        "title": judged.part.title,
        "ok": judged.holds,
        "outcome": judged.outcome,
        "executions": [
            {
                "tx": each.tx,
                "block": each.block,
                "time": each.timestamp,
                "success": each.success,
                "charged": str(each.charged),
                "new_next_run": each.new_next_run,
            }
            for each in judged.executions
        ],
        "expectations": [_check(check) for check in judged.checks],
    }


def _check(check: Check) -> dict[str, Any]:
    return {"what": check.what, "expected": check.expected, "found": check.found, "ok": check.holds}


def _mark(holds: bool, marks: tuple[str, str]) -> Text:
    return Text(marks[0], style="green") if holds else Text(marks[1], style="bold red")


def _outcome(judged: Judged) -> Text:
    return Text(printable(judged.outcome), style="bold" if judged.holds else "bold red")


def _facts(judged: Judged, width: int) -> Text:
    text = _joined(judged.checks, lambda check: check.said if check.brief else "")
    for each in judged.executions:
        tx = each.tx if width >= WIDE else short(each.tx, 10, 6)
        where = f" in block {each.block} at {str(utc(each.timestamp))[11:19]}" if width >= NARROW else ""
        text.append(f"\n{tx}{where}", style="dim")
    return text


def _joined(checks: tuple[Check, ...], said: Any) -> Text:
    """What holds in one sentence, then a line for each thing that does not."""
    text = Text("; ".join(filter(None, (said(check) for check in checks if check.holds))))
    for check in checks:
        if not check.holds:
            text.append(("\n" if text else "") + printable(check.sentence), style="bold red")
    return text
