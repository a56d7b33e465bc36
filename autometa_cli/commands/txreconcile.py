"""`autometa tx reconcile`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from autometa_cli.commands.context import DryRunOption, EnvFileOption, JsonOption, State, begin
from autometa_cli.commands.help import examples
from autometa_cli.commands.queueask import ask
from autometa_cli.commands.txlook import catalog_of, crew_of, found, on_this_chain
from autometa_cli.commands.txview import evidence_document, list_document
from autometa_cli.errors import AutometaError, ExitCode, UsageProblem

if TYPE_CHECKING:
    from rich.console import RenderableType

    from autometa_cli.executor.reconcile import Finding, KeyFinding
    from autometa_cli.executor.standing import Crew
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.record import Record

#: Outcomes that end `tx reconcile NAME` with 6.
_FAILED = ("reverted", "no_role", "refused", "action_failed")


def register(app: typer.Typer) -> None:
    """Add the command to `autometa tx`."""
    app.command(
        "reconcile",
        epilog=examples(
            "autometa tx reconcile --all --dry-run",
            "autometa tx reconcile --all",
            "autometa tx reconcile 7@1767225600 --json | jq .records[0].verdict",
        ),
    )(reconcile)


def reconcile(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="Key, short name, id, hash, or workflow number.", show_default=False
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that hold a nonce.")] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Compare the ledger with the chain, and settle what a final block decided.

    Needs no key: the proof is what workers settle by, too, and beside them
    it does no harm. What is not decided yet is said and left alone.
    """
    state = begin(as_json, env_file)
    if (name is None) != everything:
        raise UsageProblem("name a transaction, or say --all", "autometa tx list shows them")
    findings, keys, crew, now, left_out = ask(state, lambda queue: _compare(state, queue, name, dry_run))
    from autometa_cli.executor.standing import waits_for

    waits = [waits_for(each.record, crew, None, each.evidence) for each in findings]
    document = {
        "dry_run": dry_run,
        "records": [_document(each, crew, now, words) for each, words in zip(findings, waits, strict=True)],
        "keys": [_key_document(each) for each in keys],
        "other_chains": left_out,
    }
    state.console.result(document, lambda: _shown(state, findings, waits))
    if left_out:
        state.console.warn(f"{left_out} records are of other chains, and were left alone")
    for key in keys:
        if key.trouble:
            state.console.warn(f"{key.sender}: {key.text}")
    if code := _code(findings, alone=name is not None):
        raise typer.Exit(code)


async def _compare(
    state: State, queue: JobQueue, name: str | None, dry_run: bool
) -> tuple[list[Finding], list[KeyFinding], Crew, int, int]:
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.executor.catalog import Chosen
    from autometa_cli.executor.evidence import Moment
    from autometa_cli.executor.ledger import Ledger
    from autometa_cli.executor.reconcile import Reconciler

    settings, left_out = state.settings, 0
    if name is not None:
        records = [await found(state, queue, name)]
        on_this_chain(state, records[0])
        _needs_transaction(records[0])
    else:
        every: list[Record] = [
            each async for page in catalog_of(state, queue).walk(Chosen()) for each in page
        ]
        records = [record for record in every if record.chain == settings.chain_id]
        left_out = len(every) - len(records)
    if not dry_run:
        await queue.join()
    ledger = Ledger(
        queue,
        max_open_nonces=settings.max_open_nonces,
        max_retries=settings.max_retries,
        retry_delay=settings.retry_delay,
    )
    async with Rpc.of(settings) as rpc:
        reconciler = Reconciler(
            queue, ledger, await Moment.of(rpc, settings.confirmations), settings.network.log_range
        )
        findings = await reconciler.each(records, dry_run=dry_run)
        return findings, await reconciler.keys(findings), await crew_of(queue), await queue.clock(), left_out


def _needs_transaction(record: Record) -> None:
    if record.state in ("queued", "claimed", "delayed") and not record.outcome:
        raise AutometaError(
            f"{record.label} is {record.state}: it has no transaction",
            f"autometa tx show {record.label} says more",
        )


def _document(finding: Finding, crew: Crew, now: int, waits: str) -> dict[str, Any]:
    return {
        **list_document(finding.record, crew, now, waits),
        "action": finding.action,
        "verdict": finding.verdict or None,
        "verdict_text": finding.text or None,
        "chain": evidence_document(finding.evidence),
    }


def _key_document(key: KeyFinding) -> dict[str, Any]:
    counts = key.counts
    return {
        "sender": key.sender,
        "next": key.next,
        "open": key.open,
        "latest": counts.latest,
        "final": counts.final,
        "pending": counts.pending,
        "trouble": key.trouble,
        "text": key.text,
    }


def _shown(state: State, findings: list[Finding], waits: list[str]) -> RenderableType:
    rows = []
    for finding, waiting in zip(findings, waits, strict=True):
        record = finding.record
        done = {
            "settled": f"settled: it is {record.state}",
            "would_settle": "would be settled",
            "open": f"waits {_for(waiting)}",
            "closed": f"it is {record.state}",
            "trouble": "cannot be settled",
        }[finding.action]
        rows.append((record.label, record.nonce, finding.verdict, done, finding.text))
    return state.console.table(
        ("JOB", "NONCE", "VERDICT", "WHAT WAS DONE", "WHY"), rows, empty="nothing is on its way"
    )


def _for(waiting: str) -> str:
    return f"for {waiting}" if not waiting.startswith("to be") else waiting


def _code(findings: list[Finding], *, alone: bool) -> int:
    if any(each.action == "trouble" for each in findings):
        return ExitCode.FAILED
    if not alone:
        return ExitCode.DONE
    (only,) = findings
    if only.action == "open":
        return ExitCode.PENDING
    return ExitCode.REVERTED if only.verdict in _FAILED else ExitCode.DONE
