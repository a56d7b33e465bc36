"""Do the chain's clock and Redis's agree? "Now" is the later of the two, so one that runs ahead pays early."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autometa_cli.units import duration

if TYPE_CHECKING:
    from autometa_cli.networks import Network

#: They may differ by this many block times; more means that one of them is wrong, or the chain stands still.
CLOCK_BLOCKS = 10


def clock_trouble(network: Network, apart: int) -> str:
    """Why "now" cannot be told, or "".

    On a local chain the clocks are never compared: it mines when it is asked to, and people send it into the
    future to see what happens. "Now" is what its head says, if that is later than Redis's clock.

    Args:
        apart: Redis TIME minus the newest block's timestamp, seconds.
    """
    if network.local or abs(apart) <= CLOCK_BLOCKS * network.block_time:
        return ""
    which = "behind" if apart > 0 else "ahead of"
    return (
        f"the chain's newest block is {duration(abs(apart))} {which} Redis's clock, so nobody can tell what is due; "
        f"on {network.title} the two may differ by {duration(CLOCK_BLOCKS * network.block_time)}"
    )
