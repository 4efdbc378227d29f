"""Whether a host is healthy, by the checks that it passed and failed, and when to look again."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from trioproxy.config.health_check import ActiveHealthCheck


class Change(enum.Enum):
    """What a check did to a host's health."""

    NONE = "as before"
    BEGUN = "on the way to another one"
    DONE = "another one"


class Verdict:
    """What is thought of one host; until its first check that is a guess, and `pending`."""

    def __init__(self, check: ActiveHealthCheck, *, healthy: bool = False) -> None:
        self.healthy = healthy
        self.pending = True
        self.change = Change.NONE
        self._check = check
        self._against = 0  # checks in a row that speak against `healthy`

    def __repr__(self) -> str:
        state = "healthy" if self.healthy else "unhealthy"
        return f"<Verdict {'maybe ' if self.pending else ''}{state}, {self._against} against>"

    def passed(self) -> Change:
        """Take note of a check that was passed; the first one decides by itself."""
        return self._hear(healthy=True, needed=self._check.healthy_threshold)

    def failed(self, *, at_once: bool) -> Change:
        """Take note of a check that failed; `at_once`: no more are needed."""
        return self._hear(healthy=False, needed=1 if at_once else self._check.unhealthy_threshold)

    def pause(self, rng: Random, *, traffic: bool) -> float:
        """Return the seconds until the next check, jitter included.

        `traffic`: whether anybody ever had a use for the cluster.
        """
        check = self._check
        pause = self._interval() if traffic else self._quiet_interval()
        jitter = check.interval_jitter + pause * check.interval_jitter_percent
        return pause + rng.uniform(0, jitter)

    def _hear(self, *, healthy: bool, needed: int) -> Change:
        if healthy == self.healthy:
            self._against = 0
            self.change = Change.NONE
        else:
            self._against += 1
            decided = self.pending or self._against >= needed
            self.change = Change.DONE if decided else Change.BEGUN
        if self.change is Change.DONE:
            self.healthy, self._against = healthy, 0
        self.pending = False
        return self.change

    def _interval(self) -> float:
        check, begun = self._check, self.change is Change.BEGUN
        unhealthy = default(check.unhealthy_interval, check.interval)
        if begun and self.healthy:
            return default(check.unhealthy_edge_interval, unhealthy)
        if begun:
            return default(check.healthy_edge_interval, check.interval)
        return check.interval if self.healthy else unhealthy

    def _quiet_interval(self) -> float:
        check = self._check
        if self.healthy:
            return default(check.no_traffic_healthy_interval, check.no_traffic_interval)
        return check.no_traffic_interval


def default(value: float | None, otherwise: float) -> float:
    """Return `value` where there is one."""
    return otherwise if value is None else value
