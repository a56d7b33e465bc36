"""The contracts for tests and local chains do what the tests elsewhere count on."""

from web3.contract import Contract

from .wired import GAS_PRICE, System, calldata

HEALTHY, LARGEST = 0, 2**256 - 1


def test_price_feed(system: System) -> None:
    feed = system.deploy("test/TestPriceFeed", 8, "DOT / USD", 520_000_000)
    functions, sender = feed.functions, system.accounts.stranger
    assert (functions.decimals().call(), functions.description().call(), functions.version().call()) == (
        8,
        "DOT / USD",
        4,
    )
    deployed = system.web3.eth.get_block("latest")["timestamp"]
    assert functions.latestRoundData().call() == [1, 520_000_000, deployed, deployed, 1]
    receipt = system.send(functions.setAnswer(-5), sender)
    now = system.web3.eth.get_block("latest")["timestamp"]
    assert functions.latestRoundData().call() == [2, -5, now, now, 2]
    event = ("AnswerUpdated", {"current": -5, "roundId": 2, "updatedAt": now})
    assert system.events(feed, receipt) == [event]
    assert functions.getRoundData(1).call()[1] == 520_000_000
    system.send(functions.setRound(9, 1, 10, 11, 8), sender)
    assert functions.latestRoundData().call() == [9, 1, 10, 11, 8]
    system.send(functions.setRound(10, 1, 0, 0, 10), sender)
    assert system.error_of(functions.latestRoundData(), sender) == ("Error", "No data present")


def test_token(system: System) -> None:
    token = system.deploy("test/TestToken", "Test Token", "TST")
    functions, sender, to = token.functions, system.accounts.stranger, system.accounts.owner
    assert (functions.name().call(), functions.symbol().call(), functions.decimals().call()) == (
        "Test Token",
        "TST",
        18,
    )
    minted = system.send(functions.mint(sender, 50), sender)
    assert [name for name, _ in system.events(token, minted)] == ["Transfer"]
    assert functions.transfer(to, 20).call({"from": sender}) is True
    system.send(functions.transfer(to, 20), sender)
    system.send(functions.setRefusal(1), sender)
    assert functions.transfer(to, 20).call({"from": sender}) is False
    system.send(functions.setRefusal(2), sender)
    assert system.rejected(functions.transfer(to, 20), sender) == (
        "TransfersRefused",
        sender.lower(),
        to.lower(),
        20,
    )
    assert (functions.balanceOf(sender).call(), functions.balanceOf(to).call()) == (30, 20)
    assert functions.totalSupply().call() == 50


def _healthy_target(system: System) -> Contract:
    target = system.deploy("test/RevertingTarget")
    system.send(target.functions.setMode(HEALTHY), system.accounts.stranger)
    return target


def test_reverting_target_can_be_mended(system: System) -> None:
    target, sender = system.deploy("test/RevertingTarget"), system.accounts.stranger
    system.send(target.functions.setReason("closed on Sundays"), sender)
    assert system.rejected(target.functions.act(), sender) == ("Error", "closed on Sundays")
    system.send(target.functions.setMode(HEALTHY), sender)
    system.send(target.functions.act(), sender, value=1)
    assert target.functions.calls().call() == 1
    assert system.balance(target.address) == 1


def test_reverting_target_can_pass_a_simulation_and_fail_on_chain(system: System) -> None:
    target, sender = _healthy_target(system), system.accounts.stranger
    system.send(target.functions.setLimits(GAS_PRICE - 1, LARGEST), sender)
    assert target.functions.act().call({"from": sender}) == 1  # a call without a gas price
    assert system.mine(target.functions.act(), sender)["status"] == 0
    head = system.web3.eth.block_number
    system.send(target.functions.setLimits(LARGEST, head + 2), sender)
    system.send(target.functions.act(), sender)
    receipt = system.mine(target.functions.act(), sender)
    assert (receipt["status"], receipt["blockNumber"]) == (0, head + 3)
    assert system.error_of(target.functions.act(), sender)[0] == "LimitPassed"


def test_recorder_counts_calls_payments_and_marks(system: System) -> None:
    recorder, sender = system.deploy("test/Recorder"), system.accounts.stranger
    functions, key = recorder.functions, b"\x01" * 32
    receipt = system.send(functions.mark(key), sender, value=3)
    data = calldata(recorder, "mark", key)
    recorded = ("Recorded", {"sender": sender, "value": 3, "data": data})
    assert system.events(recorder, receipt) == [recorded]
    system.send(functions.mark(key), sender)
    system.send(functions.mark(b"\x02" * 32), sender)
    target = system.deploy("test/ReentrantTarget")
    system.send(target.functions.act(recorder.address, b""), sender, value=4)
    assert functions.lastValue().call() == 4
    assert functions.lastSender().call() == target.address
    system.send(target.functions.act(recorder.address, b"\xde\xad"), sender)
    assert (functions.lastValue().call(), functions.lastData().call()) == (0, b"\xde\xad")
    assert functions.calls().call() == 5
    assert functions.marks(key).call() == 2
