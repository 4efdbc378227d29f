"""One task per worker that ends what has stayed past its time.

Assigning a deadline to a Trio scope costs two microseconds and more, several times a request. So
whoever waits only notes in a plain attribute until when, and the sweep looks at everybody every
quarter of a second, and at the moment the next one is due in between. Ten thousand that are due at
once are ended in portions, with the loop running in between.
"""

from __future__ import annotations

from math import inf
from typing import Protocol

import trio

GRAIN = 0.25
FINEST_GRAIN = 0.01
PORTION = 100
ROUGH = 20 * GRAIN


class Timed(Protocol):
    """Something that must not stay past `when`, a time on Trio's clock in seconds."""

    when: float

    def expire(self) -> None:
        """Its time is over; called once a sweep until `when` moves."""
        ...


class Clock(Protocol):
    """Trio's time in seconds, as of the last turn of the loop."""

    now: float


class Sweep:
    """Whoever is in `timed` expires when its time has come, to within FINEST_GRAIN.

    `clock` is whoever takes the time each turn; the sweep sees that it is never older than GRAIN.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.timed: set[Timed] = set()
        self._next = inf
        self._earliest = -inf
        self._sleep = trio.CancelScope()

    def __repr__(self) -> str:
        return f"<Sweep over {len(self.timed)}>"

    def later(self, timeout: float) -> float:
        """Return the time `timeout` seconds from now.

        The turn's time will do, but not for a short timeout: it may be older by GRAIN.
        """
        return (self.clock.now if timeout > ROUGH else trio.current_time()) + timeout

    def hurry(self, when: float) -> None:
        """Look again at `when`, if that is before the next look; no two are within FINEST_GRAIN."""
        if when < self._next:
            soon = max(when, self._earliest)
            if soon < self._next:
                self._next = self._sleep.deadline = soon

    async def run(self) -> None:
        """Sweep until cancelled."""
        self._next = min(self._next, trio.current_time() + GRAIN)
        while True:
            with trio.move_on_at(self._next) as self._sleep:
                await trio.sleep_forever()
            await self._sweep()

    async def _sweep(self) -> None:
        now = self.clock.now = trio.current_time()
        due = []
        soonest = now + GRAIN
        for timed in self.timed:
            if timed.when <= now:
                due.append(timed)
            elif timed.when < soonest:
                soonest = timed.when
        self._earliest = now + FINEST_GRAIN
        self._next = max(soonest, self._earliest)
        for index, timed in enumerate(due, start=1):
            if timed.when <= now and timed in self.timed:
                timed.expire()
            if not index % PORTION:
                await trio.lowlevel.checkpoint()
