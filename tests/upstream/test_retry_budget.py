"""What all workers together may retry, and what of it a killed one keeps from them: nothing."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from trioproxy.config.cluster import CircuitBreakers, RetryBudget
from trioproxy.stats.region import Region
from trioproxy.stats.upstream import CircuitBreakerStats, ClusterStats
from trioproxy.upstream.breaker import Breaker
from trioproxy.upstream.retries import Retries

if TYPE_CHECKING:
    from collections.abc import Iterator


class Worker:
    """A worker's share in a cluster."""

    def __init__(self, retries: Retries, stats: ClusterStats) -> None:
        self.retries = retries
        self._stats = stats

    def ask(self, requests: int) -> None:
        """Have so many more requests in flight."""
        self._stats.upstream_rq_active.add(requests)

    def begun(self, tries: int = 20, budget: RetryBudget | None = None) -> int:
        """Try to begin so many retries; returns how many were allowed."""
        return sum(self.retries.begin(budget) for _ in range(tries))


@pytest.fixture
def region() -> Iterator[Region]:
    with Region.create() as region:
        yield region


@contextmanager
def worker(region: Region, epoch: int, budget: RetryBudget | None) -> Iterator[Worker]:
    limits = CircuitBreakers(retry_budget=budget)
    with region.claim(epoch, 0) as writer:
        stats = ClusterStats(writer, "app")
        full = CircuitBreakerStats(writer, "app").rq_retry_open
        breaker = Breaker(limits.max_retries, full)
        yield Worker(Retries(limits, breaker, stats, writer), stats)


BUDGET = RetryBudget(0.2, 3)


def test_workers_of_two_generations_share_the_budget(region: Region) -> None:
    with worker(region, 0, BUDGET) as old, worker(region, 1, BUDGET) as new:
        old.ask(30)
        new.ask(20)
        assert old.begun() == 10
        assert new.begun() == 0
        old.retries.end()
        assert new.begun() == 1


def test_there_is_a_least_budget(region: Region) -> None:
    with worker(region, 0, BUDGET) as one, worker(region, 0, BUDGET) as other:
        assert one.begun(2) == 2
        assert other.begun() == 1


def test_who_is_gone_draws_on_it_no_more(region: Region) -> None:
    with worker(region, 0, BUDGET) as one:
        with worker(region, 0, BUDGET) as other:
            assert other.begun() == 3
            assert one.begun() == 0
        assert one.begun() == 3


def test_the_budget_of_a_route_comes_first(region: Region) -> None:
    with worker(region, 0, BUDGET) as one:
        assert one.begun(budget=RetryBudget(0.2, 5)) == 5


def test_without_a_budget_each_worker_has_its_limit(region: Region) -> None:
    with worker(region, 0, None) as one, worker(region, 0, None) as other:
        assert one.begun() == other.begun() == 3
        one.retries.end()
        assert one.begun() == 1
