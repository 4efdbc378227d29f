"""The buckets of every histogram, and the quantiles that can be read from them.

Log-linear: 32 buckets a decade, none wider than an eighth of where it starts. The same bounds
serve milliseconds and bytes; what is below the first bound counts as zero.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_STEPS = (
    [1 + step / 10 for step in range(10)]
    + [2 + step / 4 for step in range(12)]
    + [5 + step / 2 for step in range(10)]
)
_DECADES = ["e-2", "e-1", "e0", "e1", "e2", "e3", "e4", "e5", "e6", "e7"]

BOUNDS = [*(float(f"{step}{decade}") for decade in _DECADES for step in _STEPS), 1e8]
"""Bucket i holds what is at least BOUNDS[i - 1] and less than BOUNDS[i]; the last one the rest."""

QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 1.0)

_LOWER = [0.0, *BOUNDS]
_UPPER = [0.0, *BOUNDS[1:], BOUNDS[-1]]  # the outermost buckets stand for one value each


def quantiles(buckets: Sequence[int], wanted: Sequence[float] = QUANTILES) -> list[float]:
    """Return the value at each of the `wanted` ranks (0..1, ascending), linear within a bucket.

    Raises ValueError where nothing was recorded.
    """
    reached = list(accumulate(buckets))
    if not reached[-1]:
        raise ValueError("no recorded values")
    return [_at_rank(rank * reached[-1], buckets, reached) for rank in wanted]


def _at_rank(target: float, buckets: Sequence[int], reached: Sequence[int]) -> float:
    bucket = next(i for i, count in enumerate(buckets) if count and reached[i] >= target)
    below = reached[bucket] - buckets[bucket]
    share = max(0.0, target - below) / buckets[bucket]
    return _LOWER[bucket] + share * (_UPPER[bucket] - _LOWER[bucket])


def count_below(buckets: Sequence[int], bound: float) -> int:
    """Return how many values lie in buckets that end at or below `bound`."""
    return sum(buckets[: bisect_right(BOUNDS, bound)])
