"""`autometa workflow create` and `update`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from autometa_cli.commands.context import DryRunOption, EnvFileOption, JsonOption, YesOption, begin
from autometa_cli.commands.sending import parse_amount
from autometa_cli.commands.workflowchange import change_workflow, warn_of_trouble
from autometa_cli.commands.workflowoptions import (
    ActionDataOption,
    AmountOption,
    CallOption,
    DataOption,
    DecimalsOption,
    EveryOption,
    GasBudgetOption,
    OnceOption,
    StartOption,
    TokenOption,
    TokenWish,
    ToOption,
    TransferOption,
    TriggerDataOption,
    TriggerTypeOption,
    ValueOption,
    parse_action,
    parse_id,
    parse_schedule,
    parse_start,
    parse_trigger_data,
    parse_trigger_type,
    token_action,
)
from autometa_cli.commands.workflowtrigger import (
    PRICE,
    WALLET,
    AboveOption,
    BelowOption,
    MinOption,
    OfOption,
    OnTransferOption,
    PriceOption,
    PriceWish,
    TransferWish,
    parse_trigger_wish,
    transfer_trigger,
)
from autometa_cli.errors import AutometaError, UsageProblem
from autometa_cli.times import relative

if TYPE_CHECKING:
    from autometa_cli.chain.view import View
    from autometa_cli.chain.workflows import Done, Owner

TIME = 1


def create(
    transfer: TransferOption = None,
    token: TokenOption = None,
    to: ToOption = None,
    amount: AmountOption = None,
    decimals: DecimalsOption = None,
    call: CallOption = None,
    value: ValueOption = None,
    data: DataOption = None,
    price: PriceOption = None,
    above: AboveOption = None,
    below: BelowOption = None,
    on_transfer: OnTransferOption = None,
    of: OfOption = None,
    least: MinOption = None,
    every: EveryOption = None,
    once: OnceOption = False,
    start: StartOption = None,
    gas_budget: GasBudgetOption = None,
    trigger_type: TriggerTypeOption = None,
    trigger_data: TriggerDataOption = None,
    action_data: ActionDataOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Create a workflow; it is active from the start.

    Signed with OWNER_PRIVATE_KEY (or its other forms), whose address owns
    it. It runs at --start (else now), and again --every so often; without
    that once. With --price or --on-transfer it waits for that, too. What it
    pays comes out of what the ActionExecutor contract holds. Without
    --gas-budget its owner is charged nothing. Asks first where no
    scheduler would understand --trigger-data.
    """
    state = begin(as_json, env_file)
    wanted = parse_action(
        transfer=transfer,
        token=token,
        to=to,
        amount=amount,
        decimals=decimals,
        call=call,
        value=value,
        data=data,
        raw=action_data,
    )
    if wanted is None:
        raise UsageProblem("what is it to do?", "give --transfer, --token, --call or --action-data")
    interval = parse_schedule(every, once) or 0
    parse_start(start, 0)
    budget = parse_amount(gas_budget, "--gas-budget") if gas_budget is not None else 0
    wish = parse_trigger_wish(
        price=price,
        above=above,
        below=below,
        on_transfer=on_transfer,
        of=of,
        least=least,
        others=trigger_type is not None or trigger_data is not None,
    )
    kind = parse_trigger_type(trigger_type) if trigger_type is not None else TIME
    given = parse_trigger_data(trigger_data) if trigger_data is not None else None
    if isinstance(wish, PriceWish):
        kind, given = PRICE, wish.data
    elif wish is None and given is None and kind != TIME:
        raise UsageProblem("--trigger-data is missing", "only a time trigger can do without")

    async def act(owner: Owner, view: View) -> Done:
        from autometa_cli.chain.workflows import Draft

        action = await token_action(wanted, view) if isinstance(wanted, TokenWish) else wanted
        now = view.block.timestamp
        next_run = parse_start(start or "now", now) or 0
        trigger = _time_trigger(next_run, interval) if given is None else given
        if isinstance(wish, TransferWish):
            trigger = await transfer_trigger(wish, owner.account.address, view)
        draft = Draft(
            trigger_type=WALLET if isinstance(wish, TransferWish) else kind,
            trigger_data=trigger,
            action_type=action[0] if action else 0,
            action_data=action,
            next_run=next_run,
            interval=interval,
            gas_budget=budget,
        )
        await warn_of_trouble(state, view, owner.account.address, draft, sure=yes or dry_run)
        if start is not None and next_run < now:
            state.console.warn(f"--start is in the past ({relative(next_run, now)}): it is due at once")
        return await owner.create(draft)

    change_workflow(state, act, dry_run=dry_run, said="created")


def update(
    id: Annotated[str, typer.Argument(metavar="ID", help="Of the workflow.", show_default=False)],
    transfer: TransferOption = None,
    token: TokenOption = None,
    to: ToOption = None,
    amount: AmountOption = None,
    decimals: DecimalsOption = None,
    call: CallOption = None,
    value: ValueOption = None,
    data: DataOption = None,
    every: EveryOption = None,
    once: OnceOption = False,
    start: StartOption = None,
    gas_budget: GasBudgetOption = None,
    trigger_data: TriggerDataOption = None,
    action_data: ActionDataOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
    env_file: EnvFileOption = None,
) -> None:
    """Change a workflow; what is not given stays as it is.

    Signed with OWNER_PRIVATE_KEY (or its other forms). The kind of trigger
    cannot be changed. A workflow that is due is to be paused first, or
    given a new --start: an execution in between would otherwise be undone
    in the registry, and happen again.
    """
    state = begin(as_json, env_file)
    number = parse_id(id)
    wanted = parse_action(
        transfer=transfer,
        token=token,
        to=to,
        amount=amount,
        decimals=decimals,
        call=call,
        value=value,
        data=data,
        raw=action_data,
    )
    interval = parse_schedule(every, once)
    parse_start(start, 0)
    budget = parse_amount(gas_budget, "--gas-budget") if gas_budget is not None else None
    given = parse_trigger_data(trigger_data) if trigger_data is not None else None
    if all(each is None for each in (wanted, interval, start, budget, given)):
        raise UsageProblem("nothing to change was given", "autometa workflow update --help lists what can be")

    async def act(owner: Owner, view: View) -> Done:
        from autometa_cli.chain.workflows import Done, Draft, may_run_meanwhile

        workflow = await owner.mine(number)
        old = Draft.of(workflow)
        new = old
        if wanted is not None:
            action = await token_action(wanted, view) if isinstance(wanted, TokenWish) else wanted
            new = replace(new, action_data=action)
        next_run = parse_start(start, view.block.timestamp)
        if interval is not None or next_run is not None:
            new = replace(
                new,
                interval=old.interval if interval is None else interval,
                next_run=old.next_run if next_run is None else next_run,
            )
            if old.trigger_type == TIME:
                new = replace(new, trigger_data=_time_trigger(new.next_run, new.interval))
        if budget is not None:
            new = replace(new, gas_budget=budget)
        if given is not None:
            new = replace(new, trigger_data=given)
        if new == old:
            return Done(number, changed=False, workflow=workflow)
        if next_run is None and may_run_meanwhile(workflow, view.block.timestamp):
            raise AutometaError(
                f"workflow {number} is due: it may be executed while it is changed, and the old date of its "
                "next run would be written back, so that it runs again",
                f"pause it first: autometa workflow pause {number}; or say when it is to run next: --start",
            )
        sure = yes or dry_run or given is None
        await warn_of_trouble(state, view, owner.account.address, new, sure=sure)
        return await owner.update(workflow, new)

    change_workflow(
        state, act, dry_run=dry_run, said="changed", unchanged=f"workflow {number} is like that already"
    )


def _time_trigger(next_run: int, interval: int) -> bytes:
    """What clients note about a schedule; it decides nothing."""
    from autometa_cli.chain.trigger_abi import encode_trigger
    from autometa_cli.chain.triggers import TimeTrigger

    return encode_trigger(TimeTrigger(next_run, interval))
