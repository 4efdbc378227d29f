"""Whether a request is tried again, and when: decided in plain functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.config.cluster import RetryBudget

if TYPE_CHECKING:
    from random import Random

    from trioproxy.config.retry import Retry
    from trioproxy.errors import UpstreamError

GATEWAY_ERRORS = frozenset({502, 503, 504})


class RetryPolicy:
    """A route's `retry`, ready to be asked."""

    def __init__(self, retry: Retry) -> None:
        self.attempts = retry.attempts
        self.per_try_timeout = retry.per_try_timeout
        self.same_host = retry.retry_host_predicate == "none"
        self.hedges = retry.hedge_on_per_try_timeout
        self._on = frozenset(retry.on)
        self.budget = None if retry.budget is None else RetryBudget(retry.budget)
        self._backoff = retry.backoff
        self._statuses = self._retried_statuses(retry)

    def _retried_statuses(self, retry: Retry) -> frozenset[int]:
        statuses = set(retry.status_codes)
        if "5xx" in self._on:
            statuses.update(range(500, 600))
        if "gateway_error" in self._on:
            statuses |= GATEWAY_ERRORS
        if "retriable_4xx" in self._on:
            statuses.add(409)
        return frozenset(statuses)

    def wants_after(self, failure: UpstreamError) -> bool:
        """Whether an attempt that failed so is to be made again."""
        return failure.retry_on in self._on or (
            bool(failure.retry_on) and bool(self._on & {"5xx", "gateway_error"})
        )

    def wants_instead_of(self, status: int) -> bool:
        """Whether a response with this status is to be replaced by another attempt's."""
        return status in self._statuses

    def pause(self, retry: int, rng: Random) -> float:
        """Seconds before the `retry`-th retry: fully jittered, exponentially longer."""
        longest = min(self._backoff.base * (2**retry - 1), self._backoff.max)
        return rng.uniform(0, longest)
