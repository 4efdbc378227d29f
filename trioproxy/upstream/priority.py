"""How the load is divided between priorities, and the healthy and the degraded: Envoy's way.

Each priority takes what its healthy hosts can carry, which is their share times an
overprovisioning factor; what is left goes to the next. Where too few are healthy all over, it is
better to send requests to all hosts than to have the last healthy ones break down: panic.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

DUST = 1e-9
"""A share that is only an error of rounding."""


class Fitness(enum.Enum):
    """Which of a priority's hosts."""

    HEALTHY = enum.auto()
    DEGRADED = enum.auto()
    ANY = enum.auto()  # in panic


class Level(NamedTuple):
    """How many hosts a priority has; the degraded are not among the healthy."""

    total: int
    healthy: int
    degraded: int = 0


class Load(NamedTuple):
    """A share of the requests, of 1, and who takes it."""

    level: int
    fitness: Fitness
    share: float


def distribute(levels: Sequence[Level], overprovisioning: float, panic: float) -> list[Load]:
    """Return who takes which share; nobody, where no host is fit and none may panic.

    `panic` is the share of fit hosts below which a priority panics, as long as the fit hosts of
    all priorities cannot carry the whole load.
    """
    healthy = [_carried(level.healthy, level.total, overprovisioning) for level in levels]
    degraded = [_carried(level.degraded, level.total, overprovisioning) for level in levels]
    available = min(1.0, sum(healthy, 0.0) + sum(degraded, 0.0))
    panicking = [available < 1 and _fit(level) < panic for level in levels]
    if all(panicking):
        hosts = sum(level.total for level in levels)
        return [
            Load(priority, Fitness.ANY, level.total / hosts)
            for priority, level in enumerate(levels)
            if level.total
        ]
    loads, left = [], 1.0
    for fitness, parts in ((Fitness.HEALTHY, healthy), (Fitness.DEGRADED, degraded)):
        for priority, part in enumerate(parts):
            share = min(left, part / available) if available else 0.0
            left -= share
            if share > DUST:
                loads.append(Load(priority, Fitness.ANY if panicking[priority] else fitness, share))
    return loads


def _carried(fit: int, total: int, overprovisioning: float) -> float:
    return min(1.0, overprovisioning * fit / total) if total else 0.0


def _fit(level: Level) -> float:
    return (level.healthy + level.degraded) / level.total if level.total else 0.0
