"""Has a balancer do beside the traffic what it put off, a little at a time."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trioproxy.drain.sweep import Sweep
    from trioproxy.upstream.host import Host
    from trioproxy.upstream.lb import Balancer


class Upkeep:
    """An entry of the sweep, for as long as there is something to do."""

    def __init__(self, balancer: Balancer[Host], sweep: Sweep) -> None:
        self.when = inf
        self._balancer = balancer
        self._sweep = sweep

    def schedule(self) -> None:
        """See that it is called when the balancer wants it to be."""
        self.when = self._balancer.when
        if self.when == inf:
            self._sweep.timed.discard(self)
        else:
            self._sweep.timed.add(self)
            self._sweep.hurry(self.when)

    def expire(self) -> None:
        """It is time: called by the sweep."""
        self._balancer.work(self._sweep.clock.now)
        self.schedule()

    def close(self) -> None:
        """Leave the rest undone."""
        self._sweep.timed.discard(self)
