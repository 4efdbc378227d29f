"""Looks for the hosts of a cluster again and again, at a pace that spares whoever is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

import attrs
import trio

if TYPE_CHECKING:
    from random import Random

    from trioproxy.clusters.membership import Membership
    from trioproxy.upstream.member import Member

SHORTEST = 1.0  # seconds, where the answer says itself how long it holds
LONGEST = 300.0
FIRST_RETRY, LAST_RETRY = 0.5, 30.0  # seconds after a failure, doubled with each that follows
DOUBLINGS = 10  # more than it takes from the first to the last
JITTER = 0.1  # the share by which a pause is shorter, so that not all instances ask at once


class DiscoveryFailed(Exception):
    """The hosts could not be found this time; the text says why."""


@attrs.frozen
class Found:
    """The hosts, and for how many seconds they hold, where that is known."""

    members: tuple[Member, ...]
    holds: float | None = None


Find: TypeAlias = Callable[[], Awaitable[Found]]
"""Looks for hosts once; raises DiscoveryFailed."""


class Pace:
    """How long to wait, in seconds: `refresh` where that is set, else as long as what was found."""

    def __init__(self, refresh: float | None, rng: Random) -> None:
        self._refresh = refresh
        self._rng = rng
        self._failures = 0

    def after(self, holds: float | None) -> float:
        """Return the pause after a success."""
        self._failures = 0
        if self._refresh is not None:
            return self._jittered(self._refresh)
        return self._jittered(min(max(holds or 0.0, SHORTEST), LONGEST))

    def after_failure(self) -> float:
        """Return the pause after one more failure in a row."""
        pause = min(FIRST_RETRY * 2.0 ** min(self._failures, DOUBLINGS), LAST_RETRY)
        self._failures += 1
        return self._jittered(pause if self._refresh is None else min(pause, self._refresh))

    def _jittered(self, pause: float) -> float:
        return pause * (1.0 - JITTER * self._rng.random())


async def keep_finding(membership: Membership, find: Find, pace: Pace) -> None:
    """Keep the membership up to date, until cancelled."""
    while True:
        membership.attempt()
        try:
            found = await find()
        except DiscoveryFailed as failure:
            membership.fail(str(failure))
            pause = pace.after_failure()
        else:
            membership.replace(found.members)
            pause = pace.after(found.holds)
        await trio.sleep(pause)
