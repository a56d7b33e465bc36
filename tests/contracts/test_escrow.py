"""FeeEscrow: deposits, withdrawals, charges."""

from web3 import Web3

from .wired import ADMIN_ROLE, DEFAULT_ADMIN_ROLE, WORKER_ROLE, System, calldata

ETHER = 10**18


def _deposit(system: System, amount: int) -> None:
    system.send(system.escrow.functions.depositGas(), system.accounts.owner, value=amount)


def test_deposits_add_up(system: System) -> None:
    functions, owner = system.escrow.functions, system.accounts.owner
    receipt = system.send(functions.depositGas(), owner, value=3)
    assert system.events(system.escrow, receipt) == [("GasDeposited", {"user": owner, "amount": 3})]
    _deposit(system, 4)
    assert functions.balances(owner).call() == 7
    assert functions.balances(system.accounts.stranger).call() == 0
    assert system.balance(system.escrow.address) == 7


def test_an_empty_deposit_is_refused(system: System) -> None:
    refusal = system.rejected(system.escrow.functions.depositGas(), system.accounts.owner)
    assert refusal == ("Error", "Zero deposit")


def test_withdrawal(system: System) -> None:
    functions, owner = system.escrow.functions, system.accounts.owner
    _deposit(system, ETHER)
    before = system.balance(owner)
    receipt = system.send(functions.withdrawGas(ETHER // 4), owner)
    assert system.events(system.escrow, receipt) == [("GasWithdrawn", {"user": owner, "amount": ETHER // 4})]
    fee = receipt["gasUsed"] * receipt["effectiveGasPrice"]
    assert system.balance(owner) == before + ETHER // 4 - fee
    assert functions.balances(owner).call() == ETHER - ETHER // 4


def test_nobody_withdraws_more_than_they_have(system: System) -> None:
    functions = system.escrow.functions
    _deposit(system, ETHER)
    assert system.rejected(functions.withdrawGas(ETHER + 1), system.accounts.owner) == (
        "Error",
        "Not enough balance",
    )
    assert system.rejected(functions.withdrawGas(1), system.accounts.stranger) == (
        "Error",
        "Not enough balance",
    )


def test_a_charge_is_paid_to_the_caller(system: System) -> None:
    functions, owner, worker = system.escrow.functions, system.accounts.owner, system.accounts.worker
    system.send(functions.grantRole(WORKER_ROLE, worker), system.accounts.admin)
    _deposit(system, ETHER)
    before = system.balance(worker)
    receipt = system.send(functions.chargeGas(owner, 1_000), worker)
    expected = ("GasCharged", {"user": owner, "amount": 1_000, "worker": worker})
    assert system.events(system.escrow, receipt) == [expected]
    assert system.balance(worker) == before + 1_000 - receipt["gasUsed"] * receipt["effectiveGasPrice"]
    assert functions.balances(owner).call() == ETHER - 1_000
    assert system.rejected(functions.chargeGas(owner, ETHER), worker) == ("Error", "Insufficient balance")


def test_only_a_worker_charges(system: System) -> None:
    _deposit(system, ETHER)
    call = system.escrow.functions.chargeGas(system.accounts.owner, 1)
    for sender in (system.accounts.owner, system.accounts.admin, system.accounts.worker):
        refusal = ("AccessControlUnauthorizedAccount", sender.lower(), bytes(WORKER_ROLE))
        assert system.rejected(call, sender) == refusal


def test_emergency_withdrawal_takes_money_but_leaves_the_balances(system: System) -> None:
    functions, owner, admin = system.escrow.functions, system.accounts.owner, system.accounts.admin
    _deposit(system, ETHER)
    call = functions.emergencyWithdraw(ETHER)
    refusal = ("AccessControlUnauthorizedAccount", owner.lower(), bytes(ADMIN_ROLE))
    assert system.rejected(call, owner) == refusal
    receipt = system.send(call, admin)
    assert system.events(system.escrow, receipt) == [("EmergencyWithdraw", {"admin": admin, "amount": ETHER})]
    assert system.balance(system.escrow.address) == 0
    assert functions.balances(owner).call() == ETHER
    assert system.rejected(functions.withdrawGas(1), owner) == ("InsufficientBalance", 0, 1)


def test_a_recipient_cannot_withdraw_twice_by_calling_back(system: System) -> None:
    target = system.deploy("test/ReentrantTarget")
    stranger = system.accounts.stranger
    _deposit(system, ETHER)  # somebody else's money, within reach
    system.send(
        target.functions.act(system.escrow.address, calldata(system.escrow, "depositGas")), stranger, value=5
    )
    withdraw = calldata(system.escrow, "withdrawGas", 5)
    system.send(target.functions.arm(system.escrow.address, withdraw, False), stranger)
    system.send(target.functions.act(system.escrow.address, withdraw), stranger)
    assert target.functions.attempts().call() == 1
    assert not target.functions.lastSuccess().call()
    error = system.decode_error(bytes(target.functions.lastResult().call()))
    assert error == ("ReentrancyGuardReentrantCall",)
    assert system.balance(target.address) == 5


def test_plain_transfers_are_refused(system: System) -> None:
    receipt = system.web3.eth.wait_for_transaction_receipt(
        system.web3.eth.send_transaction(
            {
                "from": system.accounts.owner,
                "to": system.escrow.address,
                "value": Web3.to_wei(1, "wei"),
                "gas": 100_000,
                "gasPrice": Web3.to_wei(10, "gwei"),
            }
        )
    )
    assert receipt["status"] == 0


def test_first_roles(system: System) -> None:
    admin, deployer = system.accounts.admin, system.accounts.deployer
    for contract in (system.escrow, system.executor):
        has_role = contract.functions.hasRole
        assert bytes(contract.functions.WORKER_ROLE().call()) == WORKER_ROLE
        assert bytes(contract.functions.ADMIN_ROLE().call()) == ADMIN_ROLE
        assert has_role(DEFAULT_ADMIN_ROLE, admin).call()
        assert has_role(ADMIN_ROLE, admin).call()
        assert not has_role(WORKER_ROLE, admin).call()
        assert not has_role(DEFAULT_ADMIN_ROLE, deployer).call()
