from __future__ import annotations

import pytest

from trioproxy.clusters.success_rates import Outcome, compare, rates


def test_an_outcome_since_another() -> None:
    since = Outcome(95, 15) - Outcome(5, 5)
    assert since == Outcome(90, 10)
    assert since.volume == 100
    assert since.rate == 90


def test_only_who_had_enough_requests_has_a_rate() -> None:
    outcomes = {"a": Outcome(50, 50), "b": Outcome(99, 0), "c": Outcome(0, 0)}
    assert rates(outcomes, 100) == {"a": 50}
    assert rates(outcomes, 1) == {"a": 50, "b": 100}


def test_who_is_far_below_the_others() -> None:
    """Mean 90, standard deviation 20: normal is what is at least 90 - 1.9 * 20."""
    known = {"a": 100.0, "b": 100.0, "c": 100.0, "d": 100.0, "e": 50.0}
    comparison = compare(known, 1.9)
    assert comparison.mean == 90
    assert comparison.least == pytest.approx(52)
    assert comparison.outliers == ["e"]
    assert compare(known, 2.1).outliers == []


def test_nobody_stands_out_where_all_are_alike() -> None:
    assert compare({"a": 20.0, "b": 20.0}, 1.9).outliers == []
