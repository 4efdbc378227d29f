"""How long a host that stands out stays ejected: longer each time, until it behaves for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from trioproxy.config.outlier_detection import OutlierDetection


class Ejection:
    """One host's record; `now` is on any one clock, in seconds.

    Whether the host is ejected it does not tell: the flag in the membership does.
    """

    def __init__(self, config: OutlierDetection) -> None:
        self.count = 0  # ever
        self.last_change: float | None = None
        self._config = config
        self._multiplier = 0
        self._jitter = 0.0

    def __repr__(self) -> str:
        return f"<Ejection {self.count} so far, {self.length:.3g} s>"

    @property
    def length(self) -> float:
        """The seconds that it lasts."""
        config = self._config
        return min(config.base_ejection_time * self._multiplier, config.longest) + self._jitter

    def begin(self, now: float, rng: Random) -> None:
        """Eject the host."""
        self.count += 1
        self.last_change = now
        self._jitter = rng.uniform(0, self._config.max_ejection_time_jitter)
        if self._config.base_ejection_time * self._multiplier < self._config.longest:
            self._multiplier += 1

    def end(self, now: float) -> None:
        """Let it back in."""
        self.last_change = now

    def due(self, now: float) -> bool:
        """Whether it has lasted long enough; it has begun and not ended."""
        return self.last_change is not None and now - self.last_change >= self.length

    def forgive(self) -> None:
        """The host has behaved for an interval, among others: its next ejection may be shorter."""
        if self._multiplier:
            self._multiplier -= 1
