"""What a transaction offers for gas (EIP-1559), and how an offer is raised."""

from __future__ import annotations

from dataclasses import dataclass

from autometa_cli.errors import AutometaError
from autometa_cli.units import gwei

#: Where MAX_FEE_GWEI sets no cap, a raise ends at so many times what the chain asks for. What is not mined then waits
#: for something else: for blocks, or for a lower nonce. Raised on, it would cost all that the key has once it is mined.
CEILING = 10


class FeeCapReached(AutometaError):
    """The chain asks for more than MAX_FEE_GWEI allows.

    Attributes:
        needed, cap: wei per gas.
    """

    def __init__(self, needed: int, cap: int) -> None:
        super().__init__(
            f"gas costs {gwei(needed)} at least, and the cap is {gwei(cap)}",
            "wait until gas is cheaper, or raise MAX_FEE_GWEI",
        )
        self.needed = needed
        self.cap = cap


class CeilingReached(FeeCapReached):
    """An offer is many times what the chain asks for, and no cap says how far it may go."""

    def __init__(self, needed: int, cap: int) -> None:
        AutometaError.__init__(
            self,
            f"raised, it would offer {gwei(needed)} for gas, more than {CEILING} times what the chain asks for; "
            "it waits for something else (MAX_FEE_GWEI is not set, and would allow more)",
            "see what it waits for: autometa tx show",
        )
        self.needed = needed
        self.cap = cap


@dataclass(frozen=True, slots=True)
class FeeQuote:
    """An offer, all in wei per gas.

    Attributes:
        base_fee: what the block asked for when the offer was made.
        priority_fee: the tip on top of it; never 0, since Moonbeam orders and replaces by tip alone.
        max_fee: the most that is paid in all; never below `priority_fee`.
    """

    base_fee: int
    priority_fee: int
    max_fee: int


def bump(
    offer: FeeQuote,
    max_fee_wei: int | None = None,
    now: FeeQuote | None = None,
    *,
    must: bool = False,
) -> FeeQuote:
    """A higher offer that replaces a transaction of the same nonce: tip and most each 12.5 % higher, rounded
    up, and by 1 wei at least.

    Args:
        offer: the one that is in the pool.
        max_fee_wei: the cap in wei per gas.
        now: a fresh quote, where there is one; the result is never below it.
        must: the ceiling does not hold: this offer has to beat the other, once, whatever that is.

    Raises:
        FeeCapReached: the higher offer would be above the cap.
        CeilingReached: there is no cap, and it would be more than `CEILING` times the fresh quote.
    """
    base_fee = offer.base_fee if now is None else now.base_fee
    priority_fee, max_fee = _raised(offer.priority_fee), _raised(offer.max_fee)
    if now is not None:
        priority_fee, max_fee = max(priority_fee, now.priority_fee), max(max_fee, now.max_fee)
        if max_fee_wei is not None:  # the fresh quote's room is a wish, the raise is a must
            max_fee = max(min(max_fee, max_fee_wei), _raised(offer.max_fee), base_fee + priority_fee)
    max_fee = max(max_fee, priority_fee)
    if max_fee_wei is not None and max_fee > max_fee_wei:
        raise FeeCapReached(max_fee, max_fee_wei)
    if now is not None and max_fee_wei is None and not must and max_fee > CEILING * now.max_fee:
        raise CeilingReached(max_fee, CEILING * now.max_fee)
    return FeeQuote(base_fee, priority_fee, max_fee)


def capped(offer: FeeQuote, cap: int | None) -> FeeQuote:
    """An offer cut to the cap (wei per gas) while that covers base fee and tip. Raises FeeCapReached."""
    if cap is None or offer.max_fee <= cap:
        return offer
    needed = offer.base_fee + offer.priority_fee
    if needed > cap:
        raise FeeCapReached(needed, cap)
    return FeeQuote(offer.base_fee, offer.priority_fee, cap)


def _raised(fee: int) -> int:
    return max(-(-fee * 9 // 8), fee + 1)
