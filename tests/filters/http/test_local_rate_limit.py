from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from planes import open_proxy

from trioproxy.config.marks import Invalid
from trioproxy.filters.http import local_rate_limit
from trioproxy.filters.http.local_rate_limit import LocalRateLimit, TokenBucket
from trioproxy.filters.testing import Upstream, ask

if TYPE_CHECKING:
    from collections.abc import Callable

    import trio.testing

    from trioproxy.filters.http.tools import HttpTools


def test_a_bucket_is_full_at_first_and_gains_at_its_rate() -> None:
    bucket = TokenBucket(rate=2.0, burst=3, now=100.0)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(100.4)
    assert bucket.take(100.5)
    assert not bucket.take(100.9)


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    bucket = TokenBucket(rate=1000.0, burst=2, now=0.0)
    assert [bucket.take(3600.0) for _ in range(3)] == [True, True, False]


async def test_what_exceeds_the_burst_is_refused(
    http_tools: HttpTools,
    counted: Callable[[str], int],
    autojump_clock: trio.testing.MockClock,
) -> None:
    limit = LocalRateLimit(tokens_per_second=0.5, burst=2).prepare(http_tools)
    assert [(await ask(limit)).status for _ in range(3)] == [200, 200, 429]
    autojump_clock.jump(1.9)
    upstream = Upstream()
    refused = await ask(limit, upstream)
    assert (refused.status, refused.body) == (429, b"local_rate_limited")
    assert not upstream.was_asked
    autojump_clock.jump(0.1)
    assert (await ask(limit)).status == 200
    scope = "http.web.http_local_rate_limit"
    names = ("enabled", "ok", "rate_limited", "enforced")
    assert [counted(f"{scope}.{name}") for name in names] == [5, 3, 2, 2]


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


async def test_the_bucket_unused_for_longest_is_forgotten(
    http_tools: HttpTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_rate_limit, "REMEMBERED", 2)
    limit = LocalRateLimit(tokens_per_second=1e-3, burst=1, per="remote_address").prepare(
        http_tools
    )
    addresses = ["a", "b", "a", "c", "a", "b"]
    statuses = [(await ask(limit, remote=(name, 1))).status for name in addresses]
    assert statuses == [200, 200, 429, 200, 429, 200]


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
