"""What all processes together had counted at one moment."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, TypeVar

import attrs

from trioproxy.stats import buckets

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping

AnyValue = TypeVar("AnyValue")


@attrs.frozen
class Distribution:
    """What a histogram has taken in: the exact sum, and a count per bucket."""

    sum: float
    buckets: tuple[int, ...]

    def __bool__(self) -> bool:
        return any(self.buckets)

    @property
    def count(self) -> int:
        """How many values were recorded."""
        return sum(self.buckets)

    def quantiles(self) -> list[float]:
        """Return the values at `buckets.QUANTILES`; raises ValueError where there is none."""
        return buckets.quantiles(self.buckets)

    def count_to(self, bound: float) -> int:
        """Return how many values are at most `bound`, exact where it is a bucket's bound."""
        return buckets.count_to(self.buckets, bound)


class Type(enum.Enum):
    """The types of statistics by which a reader may choose, as the admin interface calls them."""

    ALL = "All"
    COUNTERS = "Counters"
    GAUGES = "Gauges"
    HISTOGRAMS = "Histograms"


@attrs.frozen
class Snapshot:
    """Every statistic by its name.

    `hidden` are those that are looked up but not listed. `used` are the names that were ever
    seen other than zero: a gauge that fell back to zero goes on being reported.
    """

    counters: Mapping[str, int] = attrs.field(factory=dict)
    gauges: Mapping[str, int] = attrs.field(factory=dict)
    histograms: Mapping[str, Distribution] = attrs.field(factory=dict)
    hidden: Mapping[str, int] = attrs.field(factory=dict)
    used: frozenset[str] = frozenset()

    def select(
        self,
        *,
        pattern: re.Pattern[str] | None = None,
        used_only: bool = False,
        kind: Type = Type.ALL,
    ) -> Snapshot:
        """Return the part whose names the pattern is found in, used ones, of one type only."""

        def wanted(name: str) -> bool:
            if used_only and name not in self.used:
                return False
            return pattern is None or pattern.search(name) is not None

        def part(of: Type, values: Mapping[str, AnyValue]) -> dict[str, AnyValue]:
            return _chosen(values, wanted) if kind in (of, Type.ALL) else {}

        return attrs.evolve(
            self,
            counters=part(Type.COUNTERS, self.counters),
            gauges=part(Type.GAUGES, self.gauges),
            histograms=part(Type.HISTOGRAMS, self.histograms),
        )


def _chosen(values: Mapping[str, AnyValue], wanted: Callable[[str], bool]) -> dict[str, AnyValue]:
    return {name: value for name, value in values.items() if wanted(name)}
