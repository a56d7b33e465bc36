"""`autometa role`: who may do what on the three contracts, and changing it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from autometa_cli.commands.context import (
    DryRunOption,
    EnvFileOption,
    JsonOption,
    State,
    YesOption,
    begin,
    command_group,
)
from autometa_cli.commands.help import examples
from autometa_cli.commands.rolequestion import (
    AddressArgument,
    ContractOption,
    RoleOption,
    RoleQuestion,
    WorkerAsAdminOption,
    admin_signer,
    is_held,
    role_question,
    worker_address,
)
from autometa_cli.commands.sending import (
    account_of,
    announce,
    contract_address,
    transaction_document,
    transaction_rows,
)
from autometa_cli.errors import AutometaError, ExitCode

if TYPE_CHECKING:
    from autometa_cli.secrets import Signer

app = command_group(
    "Grant, revoke, check and list the roles of the contracts.",
    epilog=examples("autometa role list", "autometa role grant", "autometa role check || echo 'not yet'"),
)


@app.command(
    "grant",
    epilog=examples(
        "autometa role grant                  # WORKER_ROLE for the worker's address",
        "autometa role grant $WORKER --dry-run",
        "autometa role grant --contract WorkflowRegistry   # for the ActionExecutor",
    ),
)
def grant(
    account: AddressArgument = None,
    role: RoleOption = None,
    contract: ContractOption = "ActionExecutor",
    worker_as_admin: WorkerAsAdminOption = False,
    dry_run: DryRunOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", hidden=True)] = False,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Give a role, and verify it on chain.

    Signed with ADMIN_PRIVATE_KEY (or its other forms), never with the
    worker's key. Nothing is sent when the role is there already.
    """
    state = begin(as_json, env_file)
    asked = role_question(state, account, role, contract)
    signer = admin_signer(state, asked, worker_as_admin, granting=True)
    held = is_held(state, asked)
    if not held:
        signer = _ready(state, asked, signer)
        if asked.power:
            state.console.warn(f"whoever has {asked.text} {asked.power}")
    _finish(state, asked, signer, dry_run, held, hold=True)


@app.command(
    "revoke",
    epilog=examples(
        "autometa role revoke $WORKER",
        "autometa role revoke --yes         # the worker's own, without asking",
        "autometa role revoke --dry-run",
    ),
)
def revoke(
    account: AddressArgument = None,
    role: RoleOption = None,
    contract: ContractOption = "ActionExecutor",
    worker_as_admin: WorkerAsAdminOption = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Take a role away, and verify it on chain.

    Signed with ADMIN_PRIVATE_KEY (or its other forms). Asks first.
    Nothing is sent when the role is not there.
    """
    state = begin(as_json, env_file)
    asked = role_question(state, account, role, contract)
    signer = admin_signer(state, asked, worker_as_admin, granting=False)
    held = is_held(state, asked)
    if held:
        signer = _ready(state, asked, signer)
        _warn_of_loss(state, asked, signer)
        question = f"Take {asked.text} from {asked.account}?"
        if not dry_run and not state.console.confirm(question, yes=yes):
            raise AutometaError("nothing was changed")
    _finish(state, asked, signer, dry_run, held, hold=False)


@app.command(
    "check",
    epilog=examples(
        "autometa role check",
        "autometa role check --contract FeeEscrow   # of the ActionExecutor",
        "autometa role check --json || autometa role grant",
    ),
)
def check(
    account: AddressArgument = None,
    role: RoleOption = None,
    contract: ContractOption = "ActionExecutor",
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Tell whether an address has a role: exit code 0, or 8 if not.

    Needs no key when ADDRESS is given.
    """
    state = begin(as_json, env_file)
    asked = role_question(state, account, role, contract)
    held = is_held(state, asked)
    _show(state, asked, {"held": held}, [])
    if not held:
        grant_it = f"autometa role grant {asked.account} --role {asked.role} --contract {asked.contract}"
        why = f": {asked.need.why}" if asked.need else ""
        state.console.warn(f"{asked.account} lacks {asked.text}{why}", grant_it)
        raise typer.Exit(ExitCode.NEGATIVE)


@app.command(
    "list",
    epilog=examples(
        "autometa role list",
        "autometa role list $WORKER1 $WORKER2",
        "autometa role list --json | jq 'all(.[]; .held)'",
    ),
)
def list_roles(
    workers: Annotated[
        list[str] | None,
        typer.Argument(metavar="ADDRESS...", help="Addresses of workers; without any, the worker key's."),
    ] = None,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """List the roles that a working system needs, and who has them."""
    state = begin(as_json, env_file)
    from autometa_cli.addresses import parse_address
    from autometa_cli.chain.roles import CONTRACTS, Wire, wiring
    from autometa_cli.chain.rpc import Rpc

    given = [parse_address(text, f"ADDRESS (number {n})") for n, text in enumerate(workers or [], 1)]
    addresses = {name: contract_address(state, name) for name in CONTRACTS}
    given = given or [address for address in [worker_address(state)] if address]

    async def read() -> list[Wire]:
        async with Rpc.of(state.settings) as rpc:
            return await wiring(await rpc.view(), addresses, given)

    found = state.run(read())
    state.console.result(
        [
            {
                "contract": wire.need.contract,
                "contract_address": wire.address,
                "role": wire.need.role,
                "holder": wire.need.holder,
                "account": wire.account,
                "held": wire.held,
                "why": wire.need.why,
            }
            for wire in found
        ],
        lambda: state.console.table(
            ("CONTRACT", "ROLE", "HELD", "HOLDER", "ADDRESS"),
            [
                (w.need.contract, w.need.role, "yes" if w.held else "no", w.need.holder, w.account)
                for w in found
            ],
        ),
    )
    if not given:
        state.console.warn(
            "no worker's address is known, so none was looked at", "give ADDRESS, or set WORKER_PRIVATE_KEY"
        )
    for wire in found:
        if not wire.held:
            state.console.warn(
                f"{wire.account} lacks {wire.need.role} on {wire.need.contract}: {wire.need.why}",
                f"autometa role grant {wire.account} --role {wire.need.role} --contract {wire.need.contract}",
            )


def _ready(state: State, asked: RoleQuestion, signer: Signer | None) -> Signer:
    """The administrator's key, which is needed from here on. Says what will be sent from where."""
    signer = signer or state.settings.admin_key().load(chain_id=state.settings.chain_id)
    announce(state, asked.contract, signer.address)
    return signer


def _finish(
    state: State, asked: RoleQuestion, signer: Signer | None, dry_run: bool, held: bool, *, hold: bool
) -> None:
    """Sends what is to be sent, and tells what became of it."""
    from autometa_cli.chain.roles import Change, change

    async def send(signer: Signer) -> Change:
        async with account_of(state, signer) as account:
            return await change(
                account, asked.contract, asked.address, asked.role, asked.account, hold=hold, dry_run=dry_run
            )

    if held == hold or signer is None:
        done = Change(asked.contract, asked.role, asked.account, changed=False, holds=held)
    else:
        done = state.run(send(signer))
    document = {
        "held": done.holds,
        "changed": done.changed and not dry_run,
        "dry_run": dry_run,
        "from": signer.address if signer else None,
        **transaction_document(done.sent, done.gas),
    }
    _show(state, asked, document, transaction_rows(done.sent, done.gas, state.settings.network.symbol))
    if not done.changed:
        how = f"has {asked.text} already" if hold else f"does not have {asked.text}"
        state.console.success(f"{asked.account} {how}; nothing was sent")
    elif dry_run:
        state.console.success("this would work; nothing was sent")
    else:
        state.console.success(f"{asked.text} {'granted to' if hold else 'revoked from'} {asked.account}")


def _show(state: State, asked: RoleQuestion, document: dict[str, Any], rows: list[tuple[str, Any]]) -> None:
    """The result: what was asked about, whether it is held, and what was sent."""
    held = "yes" if document["held"] else "no"
    if document.get("transaction"):
        held += ", as the chain shows after this transaction"
    state.console.result(
        {
            "contract": asked.contract,
            "contract_address": asked.address,
            "role": asked.role,
            "account": asked.account,
            "chain_id": state.settings.chain_id,
            **document,
        },
        lambda: state.console.fields(
            [
                ("role", asked.role),
                ("contract", f"{asked.contract} {asked.address}"),
                ("account", asked.account),
                ("held", held),
                *rows,
            ]
        ),
    )


def _warn_of_loss(state: State, asked: RoleQuestion, signer: Signer | None) -> None:
    """Says what will not work any more without the role."""
    if asked.need is not None:
        state.console.warn(f"without {asked.text} {asked.need.why}")
    if asked.role == "DEFAULT_ADMIN_ROLE":
        own = "this is your own role; " if signer and signer.address == asked.account else ""
        state.console.warn(
            f"{own}if {asked.account} is the last one with {asked.text}, nobody can ever grant or revoke a role "
            "there again"
        )
