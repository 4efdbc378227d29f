"""Who stands out among hosts by their rates of success; all rates here are percentages."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping


@attrs.frozen
class Outcome:
    """What came of a number of tries."""

    success: int
    failure: int

    def __sub__(self, earlier: Outcome) -> Outcome:
        return Outcome(self.success - earlier.success, self.failure - earlier.failure)

    @property
    def volume(self) -> int:
        """How many there were."""
        return self.success + self.failure

    @property
    def rate(self) -> float:
        """The percentage that succeeded; there was at least one."""
        return 100.0 * self.success / self.volume


NOT_KNOWN = -1.0
"""A rate that was not measured, as Envoy writes it."""


@attrs.frozen
class Comparison:
    """How the hosts that had enough requests did: `mean`, and the least that is still normal."""

    rates: Mapping[str, float] = attrs.Factory(dict)
    mean: float = NOT_KNOWN
    least: float = NOT_KNOWN

    @property
    def outliers(self) -> list[str]:
        """Who did worse than is normal."""
        return [host for host, rate in self.rates.items() if rate < self.least]


def rates(outcomes: Mapping[str, Outcome], volume: int) -> dict[str, float]:
    """Return the rate of each host that had at least `volume` requests."""
    return {
        host: outcome.rate for host, outcome in outcomes.items() if outcome.volume >= max(volume, 1)
    }


def compare(known: Mapping[str, float], deviations: float) -> Comparison:
    """Compare the hosts of which a rate is known, one at least.

    Normal is what is less than so many standard `deviations` below the mean.
    """
    mean = sum(known.values()) / len(known)
    variance = sum((rate - mean) ** 2 for rate in known.values()) / len(known)
    return Comparison(known, mean, mean - deviations * sqrt(variance))
