"""`local_rate_limit`: lets so many requests a second pass, all workers counting together."""

import os
from collections.abc import Callable
from functools import lru_cache
from time import monotonic
from typing import Annotated, Literal

import attrs

from trioproxy.config.marks import Count, Invalid, Name, Range
from trioproxy.filters.chain import Forward
from trioproxy.filters.connection import Connection
from trioproxy.filters.exchange import Exchange
from trioproxy.filters.http.client_address import TrustedHops, client_address
from trioproxy.filters.http.tools import HttpTools
from trioproxy.stats.family import Family
from trioproxy.stats.handles import Counter
from trioproxy.stats.shared import Shared
from trioproxy.stats.tokens import TokenBucket

REMEMBERED = 16384
"""Buckets whose whereabouts are kept in mind; clients make them up, so there is a bound."""

Key = Callable[[Exchange], str]
"""An exchange -> what it shares its bucket with others by."""


class LocalRateLimitStats(Family):
    """`<stat_prefix>.http_local_rate_limit.`"""

    enabled: Counter
    enforced: Counter
    ok: Counter
    rate_limited: Counter


@attrs.frozen
class LocalRateLimit:
    """Answer 429 to requests for which the token bucket has no token left."""

    tokens_per_second: Annotated[float, "Tokens that a bucket gains; a request takes one"]
    burst: Annotated[Count | None, "Tokens that it holds at most; null: one second's"] = None
    per: Annotated[
        Literal["instance", "connection", "remote_address"],
        "One bucket for each of these; all workers, in a hot restart those of both generations,"
        " take from it",
    ] = "instance"
    xff_num_trusted_hops: TrustedHops = None
    status: Annotated[int, Range(400, 599), "The status of the refusal"] = 429
    stat_prefix: Annotated[
        Name | None,
        "Its statistics are `<stat_prefix>.http_local_rate_limit.`;"
        " null: `http.` and the connection manager's",
    ] = None

    def __attrs_post_init__(self) -> None:
        if not 0 < self.tokens_per_second <= 1e9:
            raise Invalid("expected a number of more than 0 and at most 1e9", "tokens_per_second")

    def prepare(self, tools: HttpTools) -> "LocalRateLimiting":
        """Return the filter."""
        scope = f"{self.stat_prefix or tools.scope}.http_local_rate_limit"
        stats = LocalRateLimitStats(tools.worker.stats, scope)
        return LocalRateLimiting(self, stats, tools.worker.stats.shared)


def key_of(config: LocalRateLimit) -> Key:
    """Return what finds the bucket of an exchange."""
    hops = config.xff_num_trusted_hops
    keys: dict[str, Key] = {
        "instance": lambda _exchange: "",
        "connection": lambda exchange: connection_key(exchange.connection),
        "remote_address": lambda exchange: client_address(exchange, hops),
    }
    return keys[config.per]


def connection_key(connection: Connection) -> str:
    """Return what a connection is known by, by whichever process has it."""
    return connection.remote if connection.remote_ip else f"{os.getpid()} {connection.id}"


class LocalRateLimiting:
    """A `local_rate_limit` in service."""

    def __init__(
        self,
        config: LocalRateLimit,
        stats: LocalRateLimitStats,
        shared: Shared,
        clock: Callable[[], float] = monotonic,  # Trio's begins anywhere, in each process
    ) -> None:
        rate = config.tokens_per_second
        burst = config.burst or max(1.0, rate)
        name = shared.unique(f"{stats.scope} {config.per}")

        @lru_cache(REMEMBERED)
        def bucket(key: str) -> TokenBucket:
            return shared.token_bucket(f"{name} {key}", rate, burst, clock)

        self._bucket: Callable[[str], TokenBucket] = bucket
        self._status = config.status
        self._key = key_of(config)
        self._stats = stats

    async def __call__(self, exchange: Exchange, forward: Forward[Exchange]) -> None:
        """Forward where there is a token, refuse where there is none."""
        stats = self._stats
        stats.enabled.add()
        if self._bucket(self._key(exchange)).take():
            stats.ok.add()
            await forward(exchange)
            return
        stats.rate_limited.add()
        stats.enforced.add()
        exchange.record.flag("RL")
        exchange.record.details = "local_rate_limited"
        await exchange.respond(self._status, "local_rate_limited")
