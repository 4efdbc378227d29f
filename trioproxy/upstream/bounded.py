"""What is waited for at a host, until when, and what to raise then."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from trioproxy.errors import ProxyError

if TYPE_CHECKING:
    from trioproxy.drain.sweep import Sweep


class Bounded:
    """A connection or a stream; the sweep watches `when`, a time on Trio's clock in seconds."""

    __slots__ = ("error", "sweep", "when")

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        self.error: type[ProxyError] = ProxyError
        self.when = inf

    def wait_until(self, when: float, error: type[ProxyError]) -> None:
        """From `when` on, a task that waits for the host gets `error` raised (inf: never)."""
        self.when = when
        self.error = error
        self.sweep.hurry(when)

    def expire(self) -> None:
        """Its time is over: called by the sweep."""
        raise NotImplementedError
