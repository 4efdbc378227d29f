from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioproxy.stats.buckets import BOUNDS, QUANTILES, count_to, quantiles
from trioproxy.stats.prometheus import LE


def filled(*values: float) -> list[int]:
    counts = [0] * (len(BOUNDS) + 1)
    for value in values:
        counts[bisect_left(BOUNDS, value)] += 1
    return counts


def test_bounds_ascend_and_no_bucket_is_wider_than_an_eighth() -> None:
    assert all(low < high <= low * 1.125000001 for low, high in pairwise(BOUNDS))
    assert set(LE) <= set(BOUNDS)


def test_values_are_spread_evenly_over_their_bucket() -> None:
    found = quantiles(filled(0, 1.05, 1.05), [0, 0.25, 0.5, 0.75, 1])
    assert found == pytest.approx([0, 0, 1 + 0.1 / 3, 1 + 0.2 / 3, 1 + 0.2 / 3])


def test_what_is_off_the_scale_counts_as_its_end() -> None:
    assert quantiles(filled(1e300), [0.5]) == [1e8]


def test_nothing_recorded_has_no_quantiles() -> None:
    with pytest.raises(ValueError, match="no recorded values"):
        quantiles(filled())


@given(st.lists(st.floats(min_value=0.02, max_value=1e8), min_size=1))
def test_quantiles_ascend_and_are_near_the_values(values: list[float]) -> None:
    found = quantiles(filled(*values))
    assert found == sorted(found)
    assert found[0] == pytest.approx(min(values), rel=0.13)
    assert found[QUANTILES.index(0.5)] == pytest.approx(
        sorted(values)[(len(values) + 1) // 2 - 1], rel=0.13
    )
    assert found[-1] == pytest.approx(max(values), rel=0.13)


@given(st.lists(st.floats(min_value=0, max_value=1e9)), st.sampled_from(LE))
def test_a_count_up_to_a_bound_is_exact(values: list[float], bound: float) -> None:
    assert count_to(filled(*values), bound) == sum(value <= bound for value in values)
