"""When a workflow runs next. Pure: "now" is given, it is never the machine's clock.

"Now" is the later of the pinned head's timestamp and Redis TIME (the caller's business). Two block times are
kept between it and the new next run, so that the date still lies ahead when the transaction is mined.
"""

from __future__ import annotations

import math

NEVER = 253_402_300_799
"""9999-12-31T23:59:59Z in seconds: "never again", as a date that every client can print."""
MARGIN_BLOCKS = 2


def next_run(
    next_run: int, interval: int, now: int, block_time: float, *, price_or_event: bool = False
) -> int:
    """The `newNextRun` to write when the occurrence `next_run` is executed.

    Args:
        next_run: the chain's `nextRun`, seconds since 1970; 0 is an ordinary date, long past.
        interval: the chain's `interval`, seconds; 0 means once, whatever the trigger.
        now: seconds since 1970.
        block_time: seconds between blocks.
        price_or_event: the trigger is a price or a wallet event.

    Returns:
        Always more than now + two block times, at most `NEVER` (which also stands for any overflow).
        Time triggers: the smallest next_run + k · interval (k ≥ 1) that is: missed runs coalesce, the phase
        stays. Price and event triggers: now + interval, or the first second past the margin where the
        interval is shorter than that.

    Raises:
        ValueError: a negative number, or a block time that is none.
    """
    if min(next_run, interval, now) < 0 or not (math.isfinite(block_time) and block_time >= 0):
        raise ValueError("next_run, interval, now and block_time must be zero or more")
    if interval == 0:
        return NEVER
    earliest = now + math.floor(MARGIN_BLOCKS * block_time) + 1  # the first whole second past the margin
    if price_or_event:
        return min(max(now + interval, earliest), NEVER)
    runs = max(1, -((next_run - earliest) // interval))  # rounds up
    return min(next_run + runs * interval, NEVER)


def next_run_after_extra(
    chain_next_run: int, interval: int, now: int, block_time: float, *, price_or_event: bool = False
) -> int:
    """The `newNextRun` of a run outside the schedule (a hand-pushed "now" job).

    A date that lies ahead stays as it is. One that is due has just been served by this run.
    Arguments and errors as for `next_run`.
    """
    if chain_next_run > now:
        return chain_next_run
    return next_run(chain_next_run, interval, now, block_time, price_or_event=price_or_event)
