"""How far a drain has come, and what is still to leave."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import trio

from trioproxy.drain.lifetime import Stand

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trioproxy.drain.lifetime import Lifetime

COUNTS = ("open", "idle", "told", "moving")
MOMENTS = ("next", "last")


def progress(lifetimes: Iterable[Lifetime]) -> dict[str, float]:
    """Count connections: open, idle between requests, told to leave, about to move.

    Where some are to leave, `next` and `last` are the seconds until the first and the last of
    them have to be gone.
    """
    now = trio.current_time()
    counts = dict.fromkeys(COUNTS, 0.0)
    first, last = inf, -inf
    for lifetime in lifetimes:
        counts["open"] += 1
        counts["idle"] += lifetime.stands is Stand.IDLE
        counts["told"] += lifetime.noticed
        counts["moving"] += lifetime.moving
        if lifetime.ladder.life < inf:
            first, last = min(first, lifetime.when), max(last, lifetime.ladder.life)
    if last > -inf:
        counts |= {"next": max(first - now, 0.0), "last": max(last - now, 0.0)}
    return counts
