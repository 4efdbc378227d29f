"""A cluster's retries in flight, and whether there may be another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.stats.upstream import RetryStats

if TYPE_CHECKING:
    from trioproxy.config.cluster import CircuitBreakers, RetryBudget
    from trioproxy.stats.upstream import ClusterStats
    from trioproxy.stats.writer import Writer
    from trioproxy.upstream.breaker import Breaker


class Retries:
    """Counts retries: against a budget for the whole instance, or else a limit for this worker.

    A budget is a share of the requests in flight of all workers, in a hot restart those of both
    generations. It is looked at and drawn on under a lock, so that it is never exceeded; a worker
    that is killed draws on it no more.
    """

    def __init__(
        self, limits: CircuitBreakers, breaker: Breaker, stats: ClusterStats, writer: Writer
    ) -> None:
        self._breaker = breaker
        self._budget = limits.retry_budget
        self._shared = writer.shared
        self._in_flight = RetryStats(writer, stats.scope).retries_active
        self._requests = (stats.upstream_rq_active, stats.upstream_rq_pending_active)

    def __repr__(self) -> str:
        return f"<Retries {self.active} active>"

    @property
    def active(self) -> int:
        """How many this worker has in flight."""
        return self._breaker.active

    @property
    def admits(self) -> bool:
        """Whether this worker's limit admits one more."""
        return self._breaker.admits

    def begin(self, budget: RetryBudget | None) -> bool:
        """Count one more if there may be one, by the route's budget or else the cluster's own."""
        budget = budget or self._budget
        if budget is None:
            return self.admits and self._count()
        with self._shared.hold(self._in_flight) as held:
            return held and self._fits(budget) and self._count()

    def _fits(self, budget: RetryBudget) -> bool:
        retries, *requests = self._shared.totals(self._in_flight, *self._requests)
        share = budget.budget_percent * sum(requests)
        return retries < max(share, budget.min_retry_concurrency)

    def _count(self) -> bool:
        self._breaker.enter()
        self._in_flight.add()
        return True

    def end(self) -> None:
        """Count one less."""
        self._breaker.leave()
        self._in_flight.add(-1)
