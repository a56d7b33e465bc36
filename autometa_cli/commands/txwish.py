"""`autometa tx bump` and `cancel`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from autometa_cli.commands.context import EnvFileOption, JsonOption, State, YesOption, begin
from autometa_cli.commands.help import examples
from autometa_cli.commands.queueask import ask
from autometa_cli.commands.queueview import record_document
from autometa_cli.commands.txlook import NameArgument, found, on_this_chain
from autometa_cli.errors import AutometaError, ConfigError, Reverted, StillPending
from autometa_cli.units import duration

if TYPE_CHECKING:
    from autometa_cli.executor.executor import EVMExecutor
    from autometa_cli.executor.order import Done
    from autometa_cli.executor.requests import Wish
    from autometa_cli.jobs.queue import JobQueue
    from autometa_cli.jobs.record import Record

NoWaitOption = Annotated[
    bool, typer.Option("--no-wait", help="Do not wait for what comes of it.", show_default=False)
]
TimeoutOption = Annotated[
    float | None,
    typer.Option("--timeout", metavar="S", min=1, help="Wait so long [TX_TIMEOUT].", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add these commands to `autometa tx`."""
    app.command(
        "bump",
        epilog=examples("autometa tx bump 7@1767225600", "autometa tx bump 7 --no-wait"),
    )(bump)
    app.command(
        "cancel",
        epilog=examples(
            "autometa tx cancel 7@1767225600",
            "autometa tx cancel 0x… --yes --timeout 300",
            "autometa tx cancel 7 --yes --no-wait --json",
        ),
    )(cancel)


def bump(
    name: NameArgument,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Send a transaction again with a higher fee, now.

    Same nonce, same call; MAX_FEE_GWEI holds. Where its workflow was paused
    or changed since, it is cancelled instead. The worker that holds it does
    it. Where that one is gone, another with its key does, or this command,
    if WORKER_PRIVATE_KEY (or another form) is that key.
    """
    state = begin(as_json, env_file, TX_TIMEOUT=timeout)
    record = ask(state, lambda queue: _signed(state, queue, name, "bump"))
    done = _carry_out(state, record, "bump", wait=not no_wait)
    if done.ended:
        _tell_bumped(state, done)
        return
    if done.obeyed and not done.raised:
        raise AutometaError(f"{record.label} was not raised: {done.said or 'nobody says why'}")
    _tell_open(state, done, "bump", wait=not no_wait)


def cancel(
    name: NameArgument,
    yes: YesOption = False,
    no_wait: NoWaitOption = False,
    timeout: TimeoutOption = None,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Put a self-transfer in the place of a transaction that is not mined.

    Same nonce, higher fee; which of the two is mined decides. If it is the
    self-transfer, the job becomes a dead letter and is not tried again by
    itself. Done by whoever `tx bump` would be.
    """
    state = begin(as_json, env_file, TX_TIMEOUT=timeout)
    record = ask(state, lambda queue: _signed(state, queue, name, "cancel"))
    what = f"{record.label}, nonce {record.nonce} of {record.sender}"
    if not state.console.confirm(f"Cancel {what}?", yes=yes):
        raise AutometaError("nothing was changed")
    done = _carry_out(state, record, "cancel", wait=not no_wait)
    if done.ended:
        _tell_cancelled(state, done)
        return
    if done.obeyed and (done.record is None or done.record.state != "cancelling"):
        raise AutometaError(f"{record.label} was not cancelled: {done.said or 'nobody says why'}")
    _tell_open(state, done, "cancel", wait=not no_wait)


async def _signed(state: State, queue: JobQueue, name: str, wish: Wish) -> Record:
    """The record, where something can be done about it."""
    from autometa_cli.jobs.record import SIGNED_STATES

    record = await found(state, queue, name)
    if record.state not in SIGNED_STATES:
        how = {"bound": "nothing is signed yet", "claimed": "nothing is signed yet"}.get(record.state, "")
        if record.outcome:
            how = record.outcome
        raise AutometaError(
            f"there is nothing to {wish}: {record.label} is {record.state}{how and f' ({how})'}",
            f"autometa tx show {record.label} says more"
            + ("" if record.state in ("settled", "skipped", "dead") else f"; autometa workflow pause {record.workflow} "
               "stops its workflow"),
        )  # fmt: skip
    on_this_chain(state, record)
    if wish == "cancel" and record.kind == "noop":
        raise AutometaError(f"there is nothing to cancel: {record.label} is a self-transfer, it pays nobody")
    return record


def _carry_out(state: State, record: Record, wish: Wish, *, wait: bool) -> Done:
    import asyncio

    from autometa_cli.executor.order import carry_out

    async def carried(queue: JobQueue) -> Done:
        until = asyncio.get_running_loop().time() + state.settings.tx_timeout
        return await carry_out(
            queue, record, wish, lambda: _own(state, queue, record),
            until=until, wait=wait, tell=state.console.status,
        )  # fmt: skip

    return ask(state, carried)


@asynccontextmanager
async def _own(state: State, queue: JobQueue, record: Record) -> AsyncIterator[EVMExecutor]:
    """An executor with the configured key, where that is the record's. Raises ConfigError."""
    from autometa_cli.chain.rpc import Rpc
    from autometa_cli.executor.executor import EVMExecutor
    from autometa_cli.scheduling.triggers import Triggers

    settings = state.settings
    hint = (
        f"start a worker with the key of {record.sender}, or set WORKER_PRIVATE_KEY (or its other forms) to it "
        "and run this again; any worker sends its bytes again meanwhile"
    )
    nobody = f"no living worker has the key of {record.sender}, so nobody can sign for nonce {record.nonce}"
    try:
        signer = settings.worker_key().load(chain_id=settings.chain_id)
    except ConfigError as error:
        raise ConfigError(f"{nobody}, and it is not configured here: {error.message}", hint) from None
    if signer.address.lower() != record.sender.lower():
        raise ConfigError(f"{nobody}, and the key that is configured here is that of {signer.address}", hint)
    settings.require("ACTIONEXECUTOR_ADDRESS")
    executor = settings.actionexecutor_address or ""
    if record.kind != "noop" and record.executor.lower() != executor.lower():
        raise ConfigError(
            f"{record.label} calls the executor contract {record.executor}, and ACTIONEXECUTOR_ADDRESS is {executor}",
            "set ACTIONEXECUTOR_ADDRESS (and the other two) to the contracts that it was signed for",
        )
    async with Rpc.of(settings) as rpc:
        yield EVMExecutor(
            settings=settings,
            queue=queue,
            rpc=rpc,
            signer=signer,
            genesis=await rpc.genesis_hash(),
            triggers=Triggers.of(settings),
            closed=lambda key, state, verdict: None,
        )


def _document(done: Done, **more: Any) -> dict[str, Any]:
    record = done.record or done.before
    return {
        **record_document(record),
        "by": done.by or None,
        "done_here": done.ours,
        "obeyed": done.obeyed,
        "said": done.said or None,
        "ended": done.ended,
        "replaced": done.raised,
        **more,
    }


def _tell_open(state: State, done: Done, wish: Wish, *, wait: bool) -> None:
    """It is not decided yet."""
    record = done.record or done.before
    last = record.attempts_sent[-1].hash if record.attempts_sent else ""
    seconds = duration(state.settings.tx_timeout)
    hint = f"autometa tx show {record.label} shows how it goes on"
    if not done.by:
        raise StillPending(
            f"nobody could be asked to {wish} {record.label} within {seconds}: its worker is gone, and no other took "
            "it over",
            hint,
        )
    if not wait:
        words = done.said if done.obeyed else f"{done.by} is asked; it does so within a moment"
        state.console.result(_document(done), f"{record.label}: {words}")
        return
    if not done.obeyed and not done.raised:
        raise StillPending(
            f"{done.by} was asked to {wish} {record.label} and has not done so within {seconds}; "
            "the wish stands for an hour",
            hint,
        )
    said = f" ({done.said})" if done.said else ""
    raise StillPending(f"{record.label}: {last} is not final after {seconds}{said}", hint)


def _tell_bumped(state: State, done: Done) -> None:
    record = done.record or done.before
    how = f"{record.label} is {record.state}: {record.outcome}{_in(record)}"
    if record.outcome in ("reverted", "no_role", "refused", "action_failed"):
        raise Reverted(how, record.text)
    if record.outcome != "executed" and record.kind != "noop":
        _failed(record, how)
    state.console.result(_document(done), how)


def _tell_cancelled(state: State, done: Done) -> None:
    record = done.record or done.before
    how = f"{record.label} is {record.state}: {record.outcome}{_in(record)}"
    if record.outcome in ("executed", "action_failed"):
        raise AutometaError(f"too late, the call was mined: {how}", f"autometa tx show {record.label}")
    if record.state not in ("dead", "skipped"):
        _failed(record, f"its nonce is used up, but it goes on: {how}")
    state.console.result(_document(done), how)


def _failed(record: Record, how: str) -> NoReturn:
    raise AutometaError(how, f"autometa tx show {record.label} says more; autometa workflow pause {record.workflow} "
                        "stops its workflow")  # fmt: skip


def _in(record: Record) -> str:
    return f" in {record.tx}" if record.tx else ""
