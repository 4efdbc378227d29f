from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import attrs
import pytest
from planes import open_proxy

from trioproxy.config.marks import Invalid
from trioproxy.filters.http.local_rate_limit import (
    LocalRateLimit,
    LocalRateLimiting,
    LocalRateLimitStats,
)
from trioproxy.filters.testing import Hands, Upstream, ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.filters.http.tools import HttpTools
    from trioproxy.stats.region import Region


async def test_what_exceeds_the_burst_is_refused(
    http_tools: HttpTools, counted: Callable[[str], int]
) -> None:
    hands = Hands(0.0)
    stats = LocalRateLimitStats(http_tools.worker.stats, "limit")
    config = LocalRateLimit(tokens_per_second=0.5, burst=2)
    limit = LocalRateLimiting(config, stats, http_tools.worker.stats.shared, lambda: hands.now)
    assert [(await ask(limit)).status for _ in range(3)] == [200, 200, 429]
    hands.now = 1.9
    upstream = Upstream()
    refused = await ask(limit, upstream)
    assert (refused.status, refused.body) == (429, b"local_rate_limited")
    assert not upstream.was_asked
    hands.now = 2.0
    assert (await ask(limit)).status == 200
    names = ("enabled", "ok", "rate_limited", "enforced")
    assert [counted(f"limit.{name}") for name in names] == [5, 3, 2, 2]


@pytest.mark.parametrize("per", ["instance", "remote_address", "connection"])
async def test_all_workers_take_from_one_bucket(
    http_tools: HttpTools, region: Region, per: Literal["instance"]
) -> None:
    config = LocalRateLimit(tokens_per_second=1e-3, burst=3, per=per)
    with region.claim(1, 0) as writer:
        beside = attrs.evolve(http_tools.worker, stats=writer)
        one = config.prepare(http_tools)
        other = config.prepare(attrs.evolve(http_tools, worker=beside))
        statuses = [(await ask(limit)).status for limit in (one, other) * 3]
    assert statuses == [200, 200, 200, 429, 429, 429]


async def test_two_limits_of_one_worker_have_two_buckets(http_tools: HttpTools) -> None:
    config = LocalRateLimit(tokens_per_second=1e-3, burst=1)
    one, other = config.prepare(http_tools), config.prepare(http_tools)
    assert [(await ask(limit)).status for limit in (one, other, one)] == [200, 200, 429]


async def test_status_and_statistics_have_the_names_that_the_operator_chose(
    http_tools: HttpTools, counted: Callable[[str], int]
) -> None:
    config = LocalRateLimit(tokens_per_second=1, status=503, stat_prefix="api")
    limit = config.prepare(http_tools)
    assert [(await ask(limit)).status for _ in range(2)] == [200, 503]
    assert counted("api.http_local_rate_limit.rate_limited") == 1


async def test_each_address_has_a_bucket_of_its_own(http_tools: HttpTools) -> None:
    limit = LocalRateLimit(tokens_per_second=1, per="remote_address").prepare(http_tools)
    one, other = ("192.0.2.1", 1), ("192.0.2.2", 1)
    statuses = [(await ask(limit, remote=remote)).status for remote in (one, one, other)]
    assert statuses == [200, 429, 200]


async def test_the_address_may_be_what_a_trusted_proxy_noted(http_tools: HttpTools) -> None:
    config = LocalRateLimit(tokens_per_second=1, per="remote_address", xff_num_trusted_hops=1)
    limit = config.prepare(http_tools)
    clients = ("198.51.100.1, 192.0.2.1", "198.51.100.2, 192.0.2.1", "198.51.100.1, 192.0.2.1")
    statuses = [
        (await ask(limit, headers={"x-forwarded-for": client})).status for client in clients
    ]
    assert statuses == [200, 200, 429]


@pytest.mark.parametrize("rate", [0, -1, float("inf"), float("nan")])
def test_a_rate_that_makes_no_sense_is_refused(rate: float) -> None:
    with pytest.raises(Invalid, match="more than 0"):
        LocalRateLimit(tokens_per_second=rate)


async def test_in_a_proxy_it_counts_per_connection() -> None:
    async with open_proxy(
        """
        listeners:
        - name: web
          address: 127.0.0.1:0
          filters:
          - http_connection_manager:
              stat_prefix: web
              routes: [{match: {prefix: /}, direct_response: {status: 200}}]
              http_filters:
              - local_rate_limit: {tokens_per_second: 0.001, per: connection}
              - router: {}
        """
    ) as proxy:
        two = "GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\nhost: x\r\n"
        for _ in range(2):
            answers = await proxy.ask(two)
            assert answers.startswith("HTTP/1.1 200 OK")
            assert "HTTP/1.1 429 Too Many Requests" in answers
        assert proxy.counter("http.web.http_local_rate_limit.enforced") == 2
