"""A circuit breaker: how many of something there may be at once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trioproxy.stats.handles import Gauge


class Breaker:
    """Counts what is there against a limit; `gauge` is 1 while it is full (Envoy: open)."""

    __slots__ = ("_gauge", "active", "limit")

    def __init__(self, limit: int, gauge: Gauge) -> None:
        self.limit = limit
        self.active = 0
        self._gauge = gauge
        gauge.set(int(limit == 0))

    def __repr__(self) -> str:
        return f"<Breaker {self.active} of {self.limit}>"

    @property
    def admits(self) -> bool:
        """Whether one more is admitted."""
        return self.active < self.limit

    def enter(self) -> None:
        """Count one more; ask `admits` first."""
        self.active += 1
        if self.active == self.limit:
            self._gauge.set(1)

    def leave(self) -> None:
        """Count one less."""
        if self.active == self.limit:
            self._gauge.set(0)
        self.active -= 1

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Count one more for the time of the block."""
        self.enter()
        try:
            yield
        finally:
            self.leave()
