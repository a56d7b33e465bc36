"""The state machine of a record as one table: states, events (scripts), guards, effects, and what a verdict leads to.

The scripts decide, each by itself; this table is what they are held to. Tests compare each row with what they are seen
to do, and all of it with docs/state-machine.md; `autometa tx show` speaks its words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class State:
    """One state of a record.

    Attributes:
        means: what it is.
        moves: who may move it, and by what.
    """

    means: str
    moves: str


@dataclass(frozen=True, slots=True)
class Row:
    """Transitions that one script makes: from each of `sources` to each of `targets`.

    Attributes:
        sources, targets: states; "" is no record at all.
        case: what tells it from other rows of the script, or "".
        guard: what must hold, else nothing is written.
        effects: what changes besides the state.
    """

    sources: tuple[str, ...]
    script: str
    targets: tuple[str, ...]
    guard: str
    effects: str
    case: str = ""

    @property
    def moves(self) -> frozenset[tuple[str, str, str]]:
        """(from, script, to) of each transition."""
        return frozenset((source, self.script, target) for source in self.sources for target in self.targets)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a final block decided about a record's nonce.

    Attributes:
        mined: which transaction used the nonce, and how.
        becomes: what that makes of the record.
    """

    mined: str
    becomes: str


STATES: Mapping[str, State] = MappingProxyType(
    {
        "queued": State("on the list, waiting for a worker", "`adopt`, by whoever took the element"),
        "delayed": State(
            "waiting for its time: a retry, a hold, not due yet",
            "`promote`, when the time has come",
        ),
        "claimed": State(
            "a worker checks it",
            "its holder, under its fence: `bind`, `release`; when the holder died: `reap`",
        ),
        "bound": State(
            "it owns a nonce and its workflow's mutex; nothing is signed",
            "its holder: `write_signed`, `release` (the nonce is freed)",
        ),
        "signed": State(
            "bytes of a call with its nonce may be anywhere",
            "its holder: `write_signed` (a higher fee, or a cancel at the same nonce); anybody with proof: `settle`",
        ),
        "cancelling": State(
            "the last attempt is a self-transfer at the same nonce; which of them is mined decides",
            "the same; never a call again",
        ),
        "settled": State("a finalized block executed it (or its action failed there)", "nobody"),
        "skipped": State(
            "the finalized chain no longer asked for it",
            "nobody; the chain asking again opens the next generation",
        ),
        "dead": State(
            "given up, with its reason: the dead-letter list",
            "`dead_retry`, `dead_drop`; a change of the workflow opens the next generation",
        ),
    }
)

#: *Owner*: the caller is alive, and holder and fence of the record are still the caller's.
TABLE: tuple[Row, ...] = (
    Row(
        ("",), "enqueue", ("queued",),
        "no record; not behind the workflow's `block`; generation 0, or the one before closed and a *finalized* block "
        "that shows it again (dead: with another digest, later)",
        "element on the list; `seen` = the block that was looked at",
    ),
    Row(
        ("",), "enqueue_many", ("queued",),
        "as `enqueue`, of generation 0 only", "the same, for each",
    ),
    Row(
        ("", "queued"), "adopt", ("claimed",),
        'caller alive; the element is in its list; not behind `seen` nor `block`; no other "now" job open (or `force`)',
        "element becomes an envelope; fence + 1; holder",
    ),
    Row(
        ("",), "adopt", ("dead",),
        'another "now" job of the workflow is open',
        "dead letter `duplicate`",
        case='a second "now" job',
    ),
    Row(
        ("",), "entomb", ("dead",),
        "the element is no job, or lies about its workflow",
        "dead letter `unreadable` or `mismatch`, kept byte for byte",
    ),
    Row(
        ("bound",), "adopt", ("bound",),
        "as `adopt` above", "the same; the nonce stays",
        case="given back by `reap`",
    ),
    Row(
        ("claimed",), "bind", ("bound",),
        "owner; checked at or past `block`; workflow's mutex free; chain's counts fit the counter; inside the window",
        "lowest freed nonce, else the next; mutex; in the index of open records",
    ),
    Row(
        ("bound",), "bind", ("bound",),
        "the same, and that nonce is not consumed", "the old nonce is freed, a new one taken",
        case="another key's",
    ),
    Row(
        ("claimed", "bound"), "release", ("queued", "delayed", "skipped", "dead"),
        "owner",
        "nonce freed, mutex free; skipped and dead move the workflow's watermark; "
        "a skipped one's transfer may wait again",
    ),
    Row(
        ("bound", "signed"), "write_signed", ("signed",),
        "owner; nonce still the record's; attempt number is the next", "bytes, hash, fees appended",
        case="a call",
    ),
    Row(
        ("bound", "signed", "cancelling"), "write_signed", ("cancelling",),
        "the same",
        "the same; from now on no call is ever written again (bound: only a self-transfer that fills a gap)",
        case="a cancel",
    ),
    Row(
        ("claimed",), "reap", ("queued",),
        "holder's beat older than 10 s", "head of the list; fence + 1; no holder",
    ),
    Row(
        ("bound",), "reap", ("bound",),
        "the same", "the same; the nonce stays",
    ),
    Row(
        ("claimed",), "reap", ("delayed", "dead"),
        "the same, and it was just checked: for the second, the third time within 72 h",
        "fence + 1; `suspect`, dead letter `poison`",
        case="while checked",
    ),
    Row(
        ("signed",), "reap", ("signed",),
        "holder's beat older than 10 s",
        "fence + 1; no holder; its element is dropped, the index of open records has it",
    ),
    Row(
        ("cancelling",), "reap", ("cancelling",),
        "the same", "the same",
    ),
    Row(
        ("bound",), "takeover", ("bound",),
        "holder not alive; a self-transfer", "fence + 1; the caller may sign it, with its key",
    ),
    Row(
        ("signed",), "takeover", ("signed",),
        "holder not alive", "fence + 1; the caller may raise and cancel, with its key",
    ),
    Row(
        ("cancelling",), "takeover", ("cancelling",),
        "the same", "the same",
    ),
    Row(
        ("delayed",), "promote", ("queued",),
        "its time has come", "end of the list",
    ),
    Row(
        ("queued",), "requeue", ("queued",),
        "in no list for 10 minutes", "end of the list; a second element is dropped by `adopt`",
    ),
    Row(
        ("bound",), "requeue", ("bound",),
        "the same; no holder", "the same",
        case="given back by `reap`",
    ),
    Row(
        ("bound", "signed", "cancelling"), "settle", ("settled", "delayed", "dead"),
        "sender and nonce are still the record's; the holder is who the caller thinks",
        "see verdicts below: nonce used up for good, mutex free, fence + 1, history; retried: attempts + 1",
    ),
    Row(
        ("cancelling",), "settle", ("skipped",),
        "the same", "the same; its transfer may wait again",
        case="unwanted",
    ),
    Row(
        ("",), "fill_gap", ("bound",),
        "the sender's next nonce has no owner, was never settled, and signed ones wait above it",
        "a self-transfer with its own record `noop:…`",
    ),
    Row(
        ("",), "dead_retry", ("queued",),
        "the generation before is a dead letter that holds no nonce and no bytes",
        "end of the list; that one stays as it is, and is no dead letter any more",
        case="the next generation",
    ),
    Row(
        ("dead",), "dead_retry", ("queued",),
        "it holds no nonce and no bytes; no other one open (or `force`)", "end of the list; attempts 0",
        case='a "now" job',
    ),
    Row(
        ("dead",), "dead_retry", ("",),
        "it holds no nonce and no bytes", "the element as it was: end of the list",
        case="what was no job",
    ),
    Row(
        ("dead",), "dead_drop", ("dead",),
        "it holds no nonce and no bytes", "`dropped`; no dead letter any more",
    ),
    Row(
        ("", "queued", "delayed", "claimed"), "recovery_bury", ("dead",),
        'a recovery is under way; a "now" job',
        "dead letter `uncertain`; out of its list",
    ),
    Row(
        ("bound",), "recovery_bury", ("signed",),
        "a recovery is under way",
        "fence + 1; no holder; it counts as signed, so that its nonce is judged and not given back",
    ),
    Row(
        ("",), "bury_event", ("dead",),
        "a transfer waits that a forgotten run may have served",
        "dead letter `uncertain`, whose retry is an extra run; the transfer waits no more",
    ),
)  # fmt: skip

VERDICTS: Mapping[str, Verdict] = MappingProxyType(
    {
        "executed": Verdict("our call, with `WorkflowExecuted(success=true)`", "`settled`"),
        "action_failed": Verdict("our call, with `success=false`: `nextRun` has moved", "`settled`"),
        "reverted": Verdict("our call, and it reverted", "`delayed`, after `MAX_RETRIES` retries `dead`"),
        "no_role": Verdict("our call, and it reverted: WORKER_ROLE had been taken from its key", "`delayed`"),
        "refused": Verdict("our self-transfer, as every endpoint refused the call for good", "as `reverted`"),
        "cancelled": Verdict(
            "our self-transfer, made to cancel the call",
            "`skipped` where the chain no longer wants it, `dead` where a person cancelled it, else `delayed`",
        ),
        "foreign": Verdict("somebody else's, and the workflow was not executed since", "`delayed`"),
        "uncertain": Verdict("somebody else's, and nobody can tell", "`dead`"),
    }
)


def states_page() -> list[str]:
    """The states as rows of a Markdown table: state, what it is, who may move it."""
    return [f"| `{name}` | {state.means} | {state.moves} |" for name, state in STATES.items()]


def table_page() -> list[str]:
    """The transitions as rows of a Markdown table: from, script, guard, to, effects."""
    return [
        f"| {_named(row.sources, row.case)} | `{row.script}` | {row.guard} | {_named(row.targets)} | {row.effects} |"
        for row in TABLE
    ]


def verdicts_page() -> list[str]:
    """The verdicts as rows of a Markdown table: verdict, what was mined, what the record becomes."""
    return [f"| `{name}` | {verdict.mined} | {verdict.becomes} |" for name, verdict in VERDICTS.items()]


def _named(states: tuple[str, ...], case: str = "") -> str:
    names = ", ".join(f"`{state}`" if state else "\N{EN DASH}" for state in states)
    return f"{names}: {case}" if case else names
