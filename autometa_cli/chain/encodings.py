"""Actions and triggers as they stand on chain, both ways: one place to import them from."""

from __future__ import annotations

from autometa_cli.chain.actions import (
    Action,
    ActionType,
    ContractCall,
    NativeTransfer,
    TokenTransfer,
    decode_action,
    encode_action,
    native_value,
)
from autometa_cli.chain.triggers import (
    Comparator,
    Direction,
    PriceTrigger,
    TimeTrigger,
    Trigger,
    TriggerType,
    WalletTrigger,
    decode_trigger,
    encode_trigger,
    encode_trigger_json,
)
from autometa_cli.chain.words import BadEncoding

__all__ = [
    "Action",
    "ActionType",
    "BadEncoding",
    "Comparator",
    "ContractCall",
    "Direction",
    "NativeTransfer",
    "PriceTrigger",
    "TimeTrigger",
    "TokenTransfer",
    "Trigger",
    "TriggerType",
    "WalletTrigger",
    "decode_action",
    "decode_trigger",
    "encode_action",
    "encode_trigger",
    "encode_trigger_json",
    "native_value",
]
