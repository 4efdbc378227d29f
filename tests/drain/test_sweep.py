from __future__ import annotations

from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING

import pytest
import trio

from trioproxy.drain.sweep import FINEST_GRAIN, GRAIN, PORTION, Sweep

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.testing import MockClock


class Guest:
    """Someone who notes when it was told to leave."""

    def __init__(
        self, sweep: Sweep, when: float, told: Callable[[], object] = lambda: None
    ) -> None:
        self.sweep, self.when, self.told = sweep, when, told
        self.left: list[float] = []
        sweep.timed.add(self)
        sweep.hurry(when)

    def expire(self) -> None:
        self.left.append(trio.current_time())
        self.sweep.timed.discard(self)
        self.told()


@pytest.mark.parametrize("after", [0.0, 0.003, 0.01, 0.1, 0.249, 0.25, 0.251, 3.21, 599.99])
async def test_each_leaves_at_its_time_to_within_the_finest_grain(
    autojump_clock: MockClock, sweep: Sweep, after: float
) -> None:
    await trio.sleep(0.123)
    begun = trio.current_time()
    guest = Guest(sweep, begun + after)
    await trio.sleep(after + 1)
    [left] = guest.left
    assert -1e-9 <= left - (begun + after) <= FINEST_GRAIN + 1e-6


async def test_many_at_odd_times_all_leave_in_time(autojump_clock: MockClock, sweep: Sweep) -> None:
    begun = trio.current_time()
    guests = [Guest(sweep, begun + 7.3 * number % 5) for number in range(500)]
    await trio.sleep(6)
    assert all(-1e-9 <= guest.left[0] - guest.when <= FINEST_GRAIN + 1e-6 for guest in guests)
    assert repr(sweep) == "<Sweep over 0>"


async def test_who_moves_its_time_away_stays(autojump_clock: MockClock, sweep: Sweep) -> None:
    guest = Guest(sweep, trio.current_time() + 1)
    await trio.sleep(0.9)
    guest.when += 10
    await trio.sleep(9)
    assert guest.left == []
    await trio.sleep(2)
    assert len(guest.left) == 1


async def test_without_a_hurry_nobody_overstays_by_more_than_the_grain(
    autojump_clock: MockClock, sweep: Sweep
) -> None:
    guest = Guest(sweep, inf)
    await trio.sleep(0.01)
    guest.when = trio.current_time() + 0.05
    await trio.sleep(1)
    assert -1e-9 <= guest.left[0] - guest.when <= GRAIN


async def test_who_does_not_go_is_told_again(autojump_clock: MockClock, sweep: Sweep) -> None:
    guest = Guest(sweep, trio.current_time() + 1)
    guest.sweep = Sweep(sweep.clock)
    await trio.sleep(3)
    assert len(guest.left) > 2


async def test_a_crowd_leaves_in_portions_while_the_loop_runs(
    autojump_clock: MockClock, sweep: Sweep
) -> None:
    """10,000 at once: after each portion, whoever waits in the loop gets a turn."""
    gone = 0
    seen: list[int] = []

    def count() -> None:
        nonlocal gone
        gone += 1

    when = trio.current_time() + 1
    for _ in range(10_000):
        Guest(sweep, when, count)
    await trio.sleep_until(when)
    while gone < 10_000:
        seen.append(gone)
        await trio.lowlevel.checkpoint()
    steps = [after - before for before, after in pairwise(seen)]
    assert max(steps) <= 2 * PORTION
    assert len(seen) >= 10_000 / (2 * PORTION)


async def test_who_leaves_while_a_crowd_is_told_is_not_told(
    autojump_clock: MockClock, sweep: Sweep
) -> None:
    when = trio.current_time() + 1
    crowd = [Guest(sweep, when) for _ in range(10 * PORTION)]
    await trio.sleep_until(when)
    while not any(guest.left for guest in crowd):
        await trio.lowlevel.checkpoint()
    early = [guest for guest in crowd if not guest.left]
    assert early
    sweep.timed.difference_update(early)
    await trio.sleep(1)
    assert not any(guest.left for guest in early)


async def test_looks_are_never_closer_than_the_finest_grain(
    autojump_clock: MockClock, sweep: Sweep
) -> None:
    looks: set[float] = set()
    end = trio.current_time() + 1
    while trio.current_time() < end:
        Guest(sweep, trio.current_time(), lambda: looks.add(trio.current_time()))
        await trio.sleep(FINEST_GRAIN / 10)
    times = sorted(looks)
    apart = [after - before for before, after in pairwise(times)]
    assert len(apart) > 50
    assert min(apart) >= FINEST_GRAIN - 1e-6


async def test_the_clock_is_never_older_than_the_grain(
    autojump_clock: MockClock, sweep: Sweep
) -> None:
    for _ in range(100):
        await trio.sleep(0.07)
        assert trio.current_time() - sweep.clock.now <= GRAIN + 1e-6
