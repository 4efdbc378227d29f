from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from trioproxy.drain.sweep import Sweep
from trioproxy.upstream.upkeep import Upkeep

if TYPE_CHECKING:
    from collections.abc import Callable

    from backends import Scene

from math import inf

from backends import numbered


class Clock:
    now = 0.0


async def test_tables_are_filled_while_others_run(
    scene: Callable[..., Scene], autojump_clock: trio.testing.MockClock
) -> None:
    hosts = numbered(100)
    lb = scene("maglev", hosts).lb
    sweep = Sweep(Clock())
    upkeep = Upkeep(lb, sweep)  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sweep.run)
        await trio.testing.wait_all_tasks_blocked()
        upkeep.schedule()
        assert upkeep not in sweep.timed, "there is nothing to do"
        lb.update(hosts[1:], trio.current_time())
        upkeep.schedule()
        assert upkeep in sweep.timed
        turns = 0
        while lb.when != inf:
            await trio.sleep(0.01)
            turns += 1
        assert turns > 5
        assert upkeep not in sweep.timed
        nursery.cancel_scope.cancel()


def test_what_is_left_undone_is_forgotten(scene: Callable[..., Scene]) -> None:
    hosts = numbered(100)
    lb = scene("maglev", hosts).lb
    sweep = Sweep(Clock())
    upkeep = Upkeep(lb, sweep)  # type: ignore[arg-type]
    lb.update(hosts[1:], 0.0)
    upkeep.schedule()
    upkeep.close()
    assert not sweep.timed
