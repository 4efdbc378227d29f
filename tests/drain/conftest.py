"""A running sweep; a test gets the virtual clock if it asks for `autojump_clock` itself."""

from __future__ import annotations

import pytest
import trio

from trioproxy.drain.sweep import Sweep


class Wristwatch:
    """What takes the time each turn of the loop; here only the sweep sets it."""

    def __init__(self) -> None:
        self.now = trio.current_time()


@pytest.fixture
async def sweep(nursery: trio.Nursery) -> Sweep:
    sweep = Sweep(Wristwatch())
    nursery.start_soon(sweep.run)
    return sweep
