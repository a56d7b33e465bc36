"""`autometa contracts`: put the three contracts on a chain."""

from __future__ import annotations

from pathlib import Path
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
from autometa_cli.errors import AutometaError
from autometa_cli.units import amount

if TYPE_CHECKING:
    from rich.console import RenderableType

    from autometa_cli.chain.deployment import Deployed, Deployment
    from autometa_cli.chain.deploymentplan import Plan, Planned
    from autometa_cli.networks import Network

app = command_group(
    "Deploy and wire the three contracts.",
    epilog=examples("autometa contracts deploy --dry-run", "autometa contracts deploy --worker 0x…"),
)

VARIABLES = {
    "REGISTRY_ADDRESS": "WorkflowRegistry",
    "ACTIONEXECUTOR_ADDRESS": "ActionExecutor",
    "FEEESCROW_ADDRESS": "FeeEscrow",
}


@app.command(
    "deploy",
    epilog=examples(
        "autometa contracts deploy --dry-run           # what it would do, and cost",
        "autometa contracts deploy --yes >> .env       # keep the addresses",
        "autometa contracts deploy --worker $(autometa wallet address)",
    ),
)
def deploy(
    worker: Annotated[
        list[str] | None,
        typer.Option(
            "--worker",
            metavar="ADDRESS",
            help="Give WORKER_ROLE on the executor to ADDRESS; may be repeated.",
            show_default=False,
        ),
    ] = None,
    state_file: Annotated[
        Path | None,
        typer.Option(
            "--state",
            metavar="FILE",
            help="Remember in FILE how far it got, instead of below .autometa/deployments.",
            show_default=False,
        ),
    ] = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Deploy the three contracts and give them the roles they need.

    ADMIN_PRIVATE_KEY pays, and becomes the admin of all three. Run it again
    after an interruption: it goes on where it was, and what is there already
    is not deployed a second time. Prints lines for your .env.
    """
    state = begin(as_json, env_file)
    from autometa_cli.addresses import parse_address

    workers = [parse_address(text, "--worker") for text in worker or ()]
    state.run(_deploy(state, workers, state_file, dry_run=dry_run, yes=yes))


async def _deploy(
    state: State, workers: list[str], state_file: Path | None, *, dry_run: bool, yes: bool
) -> None:
    from autometa_cli.chain.account import Account
    from autometa_cli.chain.deployment import Deployment
    from autometa_cli.chain.journal import Journal
    from autometa_cli.chain.rpc import Rpc

    settings, console = state.settings, state.console
    network = settings.network
    signer = settings.admin_key().load(chain_id=settings.chain_id)
    async with Rpc.of(settings) as rpc:
        genesis = await rpc.genesis_hash()
        name = f"{settings.chain_id}-{genesis[2:10]}-{signer.address[2:10].lower()}.json"
        journal = Journal(
            state_file or Path(".autometa") / "deployments" / name,
            chain_id=settings.chain_id,
            genesis=genesis,
            deployer=signer.address,
        )
        account = Account(rpc, signer, network, max_fee_wei=settings.max_fee_wei)
        deployment = Deployment(account, journal, workers=workers, notify=console.status)
        plan = await deployment.plan()
        if dry_run:
            document = _document(deployment, plan, None) | {"dry_run": True}
            console.result(document, lambda: _planned(state, plan, network))
            console.status(_summary(plan, network) + "; nothing was sent")
            return
        deployment.check_funds(plan)
        if (
            not plan.done
            and not network.local
            and not console.confirm(f"{_summary(plan, network)}. Go on?", yes=yes)
        ):
            raise AutometaError("nothing was sent")
        deployed = await deployment.run()
    document = _document(deployment, plan, deployed) | {"dry_run": False}
    console.result(document, "\n".join(f"{name}={document['env'][name]}" for name in VARIABLES))
    _say_how_it_went(state, deployment, deployed)


def _document(deployment: Deployment, plan: Plan, deployed: Deployed | None) -> dict[str, Any]:
    network = deployment.account.network
    addresses = plan.addresses if deployed is None else deployed.addresses
    return {
        "network": network.name,
        "chain_id": network.chain_id,
        "deployer": deployment.account.address,
        "balance": str(plan.balance),
        "cost": str(plan.cost if deployed is None else sum(sent.fee_paid for sent in deployed.sent.values())),
        "state": str(deployment.journal.path),
        "done": plan.done or deployed is not None,
        "contracts": dict(addresses),
        "env": {name: addresses[contract] for name, contract in VARIABLES.items()},
        "steps": [_step(planned, addresses, network, deployed) for planned in plan.steps],
    }


def _step(planned: Planned, addresses: Any, network: Network, deployed: Deployed | None) -> dict[str, Any]:
    from autometa_cli.networks import explorer_address

    step = planned.step
    address = addresses[step.contract]
    found: dict[str, Any] = {
        "step": step.kind,
        "contract": step.contract,
        "role": step.role or None,
        "holder": step.holder or None,
        "address": address,
        "done": planned.done or deployed is not None,
        "gas": planned.gas,
        "explorer": explorer_address(network, address),
    }
    sent = None if deployed is None else deployed.sent.get(step)
    if sent is not None:
        found |= {"transaction": sent.hash, "block": sent.block_number, "gas": sent.gas_used}
        found |= {"cost": str(sent.fee_paid), "explorer": sent.explorer or found["explorer"]}
    return found


def _planned(state: State, plan: Plan, network: Network) -> RenderableType:
    rows = [
        (
            planned.step.title,
            planned.address,
            "is there" if planned.done else "to do",
            planned.gas,
            amount(planned.gas * plan.gas_price, network.symbol),
        )
        for planned in plan.steps
    ]
    return state.console.table(("step", "contract", "state", "gas", "about"), rows)


def _summary(plan: Plan, network: Network) -> str:
    left = sum(not planned.done for planned in plan.steps)
    if not left:
        return f"all is there on {network.title}"
    cost, balance = amount(plan.cost, network.symbol), amount(plan.balance, network.symbol)
    return f"{left} transaction(s) on {network.title} for about {cost}; the account has {balance}"


def _say_how_it_went(state: State, deployment: Deployment, deployed: Deployed) -> None:
    from autometa_cli.networks import explorer_address

    network, console = deployment.account.network, state.console
    for step, sent in deployed.sent.items():
        console.status(f"{step.title}: {sent.explorer or sent.hash} (block {sent.block_number})")
    for contract, address in deployed.addresses.items():
        link = explorer_address(network, address)
        if link:
            console.status(f"{contract}: {link}")
    count = len(deployed.sent)
    if count:
        console.success(f"deployed and wired on {network.title}, with {count} transaction(s)")
    else:
        console.success(
            f"all was there already on {network.title} (see {deployment.journal.path}); nothing was sent"
        )
    if not deployment.workers:
        console.status("a worker needs its role: autometa role grant ADDRESS")
