"""The buckets of every histogram, and the quantiles that can be read from them.

Log-linear: 29 buckets a decade, none wider than an eighth of where it starts. The same bounds
serve milliseconds and bytes; what is not above the first bound counts as zero.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_STEPS = (
    *(1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9),
    *(2, 2.25, 2.5, 2.75, 3, 3.3, 3.6, 4, 4.5),
    *(5, 5.5, 6, 6.5, 7, 7.5, 8, 8.5, 9, 9.5),
)

# By way of text, so that a bound is the very float that stands for its decimals.
BOUNDS = [float(f"{step}e{decade}") for decade in range(-2, 8) for step in _STEPS] + [1e8]
"""Bucket i holds what is above BOUNDS[i - 1] and at most BOUNDS[i]; the last one the rest."""

QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1.0)

_LOWER = [0.0, *BOUNDS]
_UPPER = [0.0, *BOUNDS[1:], BOUNDS[-1]]  # the outermost buckets stand for one value each


def quantiles(buckets: Sequence[int], wanted: Sequence[float] = QUANTILES) -> list[float]:
    """Return the value at each of the `wanted` ranks (0..1) as Envoy estimates it.

    The values of a bucket are taken to be spread evenly over it. Raises ValueError where nothing
    was recorded.
    """
    reached = list(accumulate(buckets))
    if not reached[-1]:
        raise ValueError("no recorded values")
    return [_value(max(1, ceil(rank * reached[-1])), buckets, reached) for rank in wanted]


def count_to(buckets: Sequence[int], bound: float) -> int:
    """Return how many values lie in the buckets that end at or below `bound`."""
    return sum(buckets[: bisect_right(BOUNDS, bound)])


def _value(nth: int, buckets: Sequence[int], reached: Sequence[int]) -> float:
    bucket = next(i for i, count in enumerate(reached) if count >= nth)
    position = nth - (reached[bucket] - buckets[bucket])
    width = _UPPER[bucket] - _LOWER[bucket]
    return _LOWER[bucket] + width * position / (buckets[bucket] + 1)
