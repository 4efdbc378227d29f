from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from trioproxy.drain.pace import LAG, Pace

if TYPE_CHECKING:
    from trio.testing import MockClock


async def test_turns_are_spaced(autojump_clock: MockClock) -> None:
    begun = trio.current_time()
    pace, times = Pace(0.5), []
    for _ in range(4):
        await pace.turn()
        times.append(trio.current_time() - begun)
    assert times == [0.0, 0.5, 1.0, 1.5]


async def test_who_is_held_up_does_not_make_up_for_it_in_a_burst(
    autojump_clock: MockClock,
) -> None:
    pace = Pace(0.5)
    await pace.turn()
    await trio.sleep(60)
    begun = trio.current_time()
    for _ in range(3):
        await pace.turn()
    assert trio.current_time() - begun == pytest.approx(1.0 - LAG)


async def test_without_a_pause_nobody_waits(mock_clock: MockClock) -> None:
    pace = Pace(0.0)
    for _ in range(1000):
        await pace.turn()
