"""schedule: when a workflow runs next."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autometa_cli.executor.schedule import NEVER, next_run, next_run_after_extra
from autometa_cli.units import UINT256_MAX

NOW = 1_700_000_000

dates = st.integers(0, 2 * NOW) | st.integers(0, UINT256_MAX)
intervals = st.integers(1, 200) | st.integers(1, 10**9) | st.integers(1, UINT256_MAX)
nows = st.integers(0, 2 * NOW)
block_times = st.sampled_from([0.0, 0.25, 0.4, 1.0, 2.0, 6.0, 12.0]) | st.floats(0, 3600)


def test_never_is_the_last_second_that_clients_print() -> None:
    from datetime import UTC, datetime

    assert datetime.fromtimestamp(NEVER, UTC).isoformat() == "9999-12-31T23:59:59+00:00"


@pytest.mark.parametrize(
    ("previous", "interval", "expected"),
    [
        pytest.param(NOW, 60, NOW + 60, id="on time"),
        pytest.param(NOW - 5, 60, NOW + 55, id="a little late"),
        pytest.param(NOW - 3600, 600, NOW + 600, id="an hour of missed runs becomes one"),
        pytest.param(NOW - 3601, 600, NOW + 599, id="the phase stays"),
        pytest.param(NOW - 48, 60, NOW + 72, id="exactly the margin is not past it"),
        pytest.param(NOW - 47, 60, NOW + 13, id="one second past the margin"),
        pytest.param(NOW, 1, NOW + 13, id="shorter than a block"),
        pytest.param(0, 60, NOW + 40, id="next run 0 is a date like any other"),
        pytest.param(NOW, 0, NEVER, id="once"),
        pytest.param(NOW, UINT256_MAX, NEVER, id="overflow"),
        pytest.param(UINT256_MAX, UINT256_MAX, NEVER, id="overflow of both"),
        pytest.param(NOW, NEVER - NOW, NEVER, id="the very last date"),
    ],
)
def test_time(previous: int, interval: int, expected: int) -> None:
    assert next_run(previous, interval, NOW, 6.0) == expected


@pytest.mark.parametrize(
    ("interval", "expected"),
    [(60, NOW + 60), (13, NOW + 13), (12, NOW + 13), (1, NOW + 13), (0, NEVER), (UINT256_MAX, NEVER)],
)
def test_price_or_event(interval: int, expected: int) -> None:
    assert next_run(NOW - 500, interval, NOW, 6.0, price_or_event=True) == expected


@given(dates, intervals, nows, block_times)
@example(0, 1, 0, 0.0)
@example(NOW, NEVER - NOW, NOW, 6.0)
def test_it_is_the_smallest_date_of_the_phase_past_the_margin(
    previous: int, interval: int, now: int, block_time: float
) -> None:
    result = next_run(previous, interval, now, block_time)
    margin = 2 * block_time
    assert result - now > margin
    assert result <= NEVER
    if result < NEVER:
        assert result > previous
        assert (result - previous) % interval == 0
        before = result - interval
        assert before - now <= margin or before <= previous
    elif previous < NEVER:
        last = previous + (NEVER - 1 - previous) // interval * interval  # of the phase, before NEVER
        assert last - now <= margin or last <= previous


@given(dates, intervals, nows, block_times)
def test_price_or_event_is_one_interval_from_now(
    previous: int, interval: int, now: int, block_time: float
) -> None:
    result = next_run(previous, interval, now, block_time, price_or_event=True)
    assert result - now > 2 * block_time
    assert result == min(max(now + interval, now + math.floor(2 * block_time) + 1), NEVER)


@given(dates, nows, block_times, st.booleans())
def test_interval_zero_is_never_again_with_every_trigger(
    previous: int, now: int, block_time: float, price_or_event: bool
) -> None:
    assert next_run(previous, 0, now, block_time, price_or_event=price_or_event) == NEVER


@given(dates, intervals | st.just(0), nows, block_times, st.booleans())
def test_an_extra_run_leaves_a_date_that_lies_ahead(
    previous: int, interval: int, now: int, block_time: float, price_or_event: bool
) -> None:
    result = next_run_after_extra(previous, interval, now, block_time, price_or_event=price_or_event)
    if previous > now:
        assert result == previous
    else:
        assert result == next_run(previous, interval, now, block_time, price_or_event=price_or_event)


@pytest.mark.parametrize(
    ("previous", "interval", "now", "block_time"),
    [
        (-1, 1, 1, 1.0),
        (1, -1, 1, 1.0),
        (1, 1, -1, 1.0),
        (1, 1, 1, -1.0),
        (1, 1, 1, math.nan),
        (1, 1, 1, math.inf),
    ],
)
def test_what_is_no_time_is_refused(previous: int, interval: int, now: int, block_time: float) -> None:
    with pytest.raises(ValueError, match="zero or more"):
        next_run(previous, interval, now, block_time)
