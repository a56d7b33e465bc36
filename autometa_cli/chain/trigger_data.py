"""`triggerData`: what three client programs wrote, all of which is on chain.

    time    empty, (uint256 interval) or (uint256 start, uint256 interval). For information only: the
            workflow's own `nextRun` and `interval` decide.
    price   (string symbol, uint256 thresholdUsd1e18, uint8 direction), direction 0 above, 1 below;
            the same with bytes32 symbol (zeros at its end);
            JSON {"token": "dot", "comparator": 0..3, "price_usd": 5.2} with 0 <, 1 <=, 2 >, 3 >=
    wallet  (address token, uint8 direction), direction 0 incoming, 1 outgoing, token zero: the native one,
            watching the workflow's owner;
            JSON {"monitor": "0x…", "token": "0x…", "min_amount": 123}, incoming, no token: the native one

No contract reads these bytes, so unlike actions they are read strictly: exactly what `abi.encode` gives.
Two readers that differ over the same bytes would differ over when money moves.
"""

from __future__ import annotations

from autometa_cli.chain import trigger_abi, trigger_json
from autometa_cli.chain.triggers import Trigger, TriggerType
from autometa_cli.chain.words import BadEncoding


def decode_trigger(trigger_type: int, data: bytes) -> Trigger:
    """Read `triggerData`. Raises BadEncoding when no known form fits, and for an unknown type."""
    data = bytes(data)
    match trigger_type:
        case TriggerType.TIME:
            return trigger_abi.decode_time(data)
        case TriggerType.PRICE:
            return trigger_json.decode_price(data) if _is_json(data) else trigger_abi.decode_price(data)
        case TriggerType.WALLET:
            return trigger_json.decode_wallet(data) if _is_json(data) else trigger_abi.decode_wallet(data)
        case _:
            raise BadEncoding("the trigger type is not known (1 time, 2 price, 3 wallet event)")


def _is_json(data: bytes) -> bool:
    # No ABI form begins like this: an offset or address begins with zeros, a bytes32 symbol not with a brace.
    return data[:64].lstrip(b" \t\r\n").startswith(b"{")
