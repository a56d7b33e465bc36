"""Which role is meant: from the arguments of `autometa role …` to a contract, a role and an account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from autometa_cli.commands.sending import contract_address
from autometa_cli.errors import ConfigError, UsageProblem
from autometa_cli.parsers import shown

if TYPE_CHECKING:
    from autometa_cli.chain.roles import Need
    from autometa_cli.commands.context import State
    from autometa_cli.secrets import Signer

AddressArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="ADDRESS",
        help="Whose role. Without it the worker's own address; on FeeEscrow and "
        "WorkflowRegistry the ActionExecutor.",
    ),
]
RoleOption = Annotated[
    str | None,
    typer.Option(
        "--role",
        metavar="NAME",
        help="WORKER_ROLE, ADMIN_ROLE, PROJECT_ADMIN or DEFAULT_ADMIN_ROLE. Without it "
        "WORKER_ROLE; on WorkflowRegistry PROJECT_ADMIN.",
        show_default=False,
    ),
]
ContractOption = Annotated[
    str,
    typer.Option("--contract", metavar="NAME", help="ActionExecutor, FeeEscrow or WorkflowRegistry."),
]
WorkerAsAdminOption = Annotated[
    bool,
    typer.Option(
        "--allow-worker-as-admin",
        help="Let the worker's own key sign (where no other is set, it does), although it "
        "should have no such power.",
    ),
]

_OTHER_NAMES = {"registry": "WorkflowRegistry", "executor": "ActionExecutor", "escrow": "FeeEscrow"}
#: What a role lets its holder do, for those that hardly anybody should have.
_POWERS = {
    ("FeeEscrow", "WORKER_ROLE"): "can charge every owner's deposit, and gets the money; "
    "only the ActionExecutor needs it",
    ("FeeEscrow", "ADMIN_ROLE"): "can take out every owner's deposit",
    ("WorkflowRegistry", "PROJECT_ADMIN"): "can make any workflow active and due; "
    "only the ActionExecutor needs it",
    ("ActionExecutor", "ADMIN_ROLE"): "administers that contract",
}


@dataclass(frozen=True, slots=True)
class RoleQuestion:
    """One role of one account on one contract.

    Attributes:
        contract, address: the contract's name and checksummed address.
        role: its name.
        account: whose role, checksummed.
        need: what a working system needs it for; None where it does not.
    """

    contract: str
    address: str
    role: str
    account: str
    need: Need | None

    @property
    def text(self) -> str:
        """`"WORKER_ROLE on ActionExecutor"`."""
        return f"{self.role} on {self.contract}"

    @property
    def power(self) -> str:
        """What its holder can do, where no working system needs that; else empty."""
        if self.need is not None:
            return ""
        return _POWERS.get((self.contract, self.role), "can grant and revoke every role there")


def role_question(state: State, account: str | None, role: str | None, contract: str) -> RoleQuestion:
    """What the arguments mean. Reads a key (the worker's) only where that account is meant.

    Args:
        account, role: None for the one that a working system needs.

    Raises:
        UsageProblem: there is no such contract or role, or it cannot be told whose role is meant.
        ConfigError: an address is malformed, the contract's is not set, or the worker's key cannot be read.
    """
    from autometa_cli.addresses import parse_address
    from autometa_cli.chain.roles import CONTRACTS, REQUIRED

    names = {name.lower(): name for name in CONTRACTS} | _OTHER_NAMES
    contract = names.get(contract.strip().lower(), contract)
    if contract not in CONTRACTS:
        raise UsageProblem(
            f"there is no contract {shown(contract)}", f"--contract is one of {', '.join(CONTRACTS)}"
        )
    usual = next(need for need in REQUIRED if need.contract == contract)
    role = usual.role if role is None else role.strip().upper()
    if role not in CONTRACTS[contract]:
        raise UsageProblem(
            f"{contract} knows no role {shown(role)}", f"--role is one of {', '.join(CONTRACTS[contract])}"
        )
    need = usual if usual.role == role else None
    given = parse_address(account, "ADDRESS") if account is not None else None
    address = contract_address(state, contract)
    if need is None:
        if given is None:
            raise UsageProblem(
                f"say whose {role} on {contract}: give ADDRESS", "no worker and no contract of ours needs it"
            )
        return RoleQuestion(contract, address, role, given, None)
    if need.holder == "worker":
        return RoleQuestion(contract, address, role, given or worker_address(state, needed=True), need)
    holder = given or contract_address(state, need.holder)
    fits = holder == state.settings.actionexecutor_address
    return RoleQuestion(contract, address, role, holder, need if fits else None)


def worker_address(state: State, *, needed: bool = False) -> str:
    """Of the configured worker key; empty where there is none, unless it is needed. Raises ConfigError."""
    source = state.settings.worker_key()
    if not source.variables and not source.incomplete:
        if not needed:
            return ""
        raise UsageProblem(
            "say whose role: give the worker's ADDRESS",
            "`autometa wallet address` on the worker's machine shows it; with a WORKER_ key set here it is derived",
        )
    return source.load(chain_id=state.settings.chain_id).address


def admin_signer(state: State, asked: RoleQuestion, worker_may: bool, *, granting: bool) -> Signer | None:
    """Who signs a change; None where no administrator's key is set.

    Args:
        worker_may: the worker's own key may sign, and does where there is no other.
        granting: the role is given, not taken.

    Raises:
        ConfigError: a key cannot be read, or it is the worker's own.
    """
    settings = state.settings
    source = settings.admin_key()
    if not source.variables and not source.incomplete:
        if not worker_may:
            return None
        source = settings.worker_key()
    signer = source.load(chain_id=settings.chain_id)
    if worker_may:
        return signer
    to_itself = granting and asked.account == signer.address and asked.contract == "ActionExecutor"
    if signer.address == worker_address(state) or (to_itself and asked.role == "WORKER_ROLE"):
        raise ConfigError(
            f"{source.variables[0]} is the key of the worker itself, {signer.address}: "
            "whoever breaks into the worker would be administrator of the contracts",
            "use another account as administrator, or say --allow-worker-as-admin",
        )
    return signer


def is_held(state: State, asked: RoleQuestion) -> bool:
    """Whether the newest block shows the role. Raises RpcUnreachable, ConfigError."""
    from autometa_cli.chain.roles import has_role
    from autometa_cli.chain.rpc import Rpc

    async def read() -> bool:
        async with Rpc.of(state.settings) as rpc:
            return await has_role(await rpc.view(), asked.address, asked.role, asked.account)

    return state.run(read())
