"""Shares as Envoy's documentation works them out."""

from __future__ import annotations

import pytest

from trioproxy.upstream.priority import Fitness, Level, distribute

HEALTHY, DEGRADED, ANY = Fitness.HEALTHY, Fitness.DEGRADED, Fitness.ANY


def shares(*levels: tuple[int, int, int], panic: float = 0.5) -> dict[tuple[int, Fitness], int]:
    """Return the shares in percent of levels of (total, healthy, degraded) hosts."""
    loads = distribute([Level(*level) for level in levels], 1.4, panic)
    assert sum(load.share for load in loads) == pytest.approx(1 if loads else 0)
    return {(load.level, load.fitness): round(load.share * 100) for load in loads}


def test_the_first_priority_takes_all_while_it_can_carry_it() -> None:
    assert shares((100, 100, 0), (100, 100, 0)) == {(0, HEALTHY): 100}
    assert shares((100, 72, 0), (100, 100, 0)) == {(0, HEALTHY): 100}


@pytest.mark.parametrize(("healthy", "first"), [(71, 99), (50, 70), (25, 35)])
def test_what_it_cannot_carry_goes_to_the_next(healthy: int, first: int) -> None:
    assert shares((100, healthy, 0), (100, 100, 0)) == {
        (0, HEALTHY): first,
        (1, HEALTHY): 100 - first,
    }


def test_a_priority_without_a_healthy_host_is_passed_over() -> None:
    assert shares((100, 0, 0), (100, 100, 0)) == {(1, HEALTHY): 100}


def test_where_all_together_cannot_carry_it_they_share_by_what_they_can() -> None:
    assert shares((100, 20, 0), (100, 20, 0), panic=0.1) == {(0, HEALTHY): 50, (1, HEALTHY): 50}


def test_degraded_hosts_serve_for_want_of_healthy_ones() -> None:
    assert shares((100, 80, 20)) == {(0, HEALTHY): 100}
    assert shares((100, 50, 50)) == {(0, HEALTHY): 70, (0, DEGRADED): 30}
    # Healthy hosts of a later priority come before degraded ones of an earlier one.
    assert shares((100, 0, 100), (100, 100, 0)) == {(1, HEALTHY): 100}


def test_one_priority_panics_below_the_threshold() -> None:
    assert shares((10, 5, 0)) == {(0, HEALTHY): 100}
    assert shares((10, 4, 0)) == {(0, ANY): 100}
    assert shares((10, 0, 0)) == {(0, ANY): 100}


def test_nobody_panics_while_the_healthy_ones_can_carry_the_load() -> None:
    assert shares((10, 8, 0), panic=1.0) == {(0, HEALTHY): 100}
    assert shares((10, 1, 0), (10, 10, 0)) == {(0, HEALTHY): 14, (1, HEALTHY): 86}


def test_a_priority_may_panic_beside_one_that_does_not() -> None:
    assert shares((10, 1, 0), (10, 6, 0)) == {(0, ANY): 14, (1, HEALTHY): 86}


def test_where_all_panic_the_hosts_share_evenly() -> None:
    assert shares((30, 1, 0), (10, 1, 0)) == {(0, ANY): 75, (1, ANY): 25}


def test_without_panic_there_may_be_nobody() -> None:
    assert shares((10, 0, 0), panic=0) == {}
    assert shares((10, 1, 0), panic=0) == {(0, HEALTHY): 100}


def test_no_hosts_at_all() -> None:
    assert shares() == {}
