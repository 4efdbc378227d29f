"""`local_rate_limit`: lets so many requests a second pass, each worker counting for itself."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated, Literal

import attrs
import trio

from trioproxy.config.marks import Count, Invalid, Name, Range
from trioproxy.filters.chain import Forward
from trioproxy.filters.exchange import Exchange
from trioproxy.filters.http.client_address import TrustedHops, client_address
from trioproxy.filters.http.tools import HttpTools
from trioproxy.stats.family import Family
from trioproxy.stats.handles import Counter

REMEMBERED = 16384
"""Buckets that are kept; clients make them necessary, so there is a bound."""

Key = Callable[[Exchange], object]
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
        Literal["worker", "connection", "remote_address"],
        "One bucket for each of these; every worker has its own",
    ] = "worker"
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
        return LocalRateLimiting(self, LocalRateLimitStats(tools.worker.stats, scope))


def key_of(config: LocalRateLimit) -> Key:
    """Return what finds the bucket of an exchange."""
    hops = config.xff_num_trusted_hops
    keys: dict[str, Key] = {
        "worker": lambda _exchange: None,
        "connection": lambda exchange: exchange.connection.id,
        "remote_address": lambda exchange: client_address(exchange, hops),
    }
    return keys[config.per]


class TokenBucket:
    """Holds at most `burst` tokens, full at first, and gains `rate` of them a second."""

    __slots__ = ("_burst", "_rate", "_since", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = self._tokens = burst
        self._since = now

    def take(self, now: float) -> bool:
        """Take a token at `now`, in seconds; returns whether there was one."""
        tokens = min(self._burst, self._tokens + (now - self._since) * self._rate)
        self._since = now
        self._tokens = tokens - 1 if tokens >= 1 else tokens
        return tokens >= 1


class LocalRateLimiting:
    """A `local_rate_limit` in service."""

    def __init__(self, config: LocalRateLimit, stats: LocalRateLimitStats) -> None:
        self._rate = config.tokens_per_second
        self._burst = config.burst or max(1.0, config.tokens_per_second)
        self._status = config.status
        self._key = key_of(config)
        self._buckets: OrderedDict[object, TokenBucket] = OrderedDict()
        self._stats = stats

    async def __call__(self, exchange: Exchange, forward: Forward[Exchange]) -> None:
        """Forward where there is a token, refuse where there is none."""
        stats = self._stats
        stats.enabled.add()
        now = trio.current_time()
        if self._bucket(self._key(exchange), now).take(now):
            stats.ok.add()
            await forward(exchange)
            return
        stats.rate_limited.add()
        stats.enforced.add()
        exchange.record.flag("RL")
        exchange.record.details = "local_rate_limited"
        await exchange.respond(self._status, "local_rate_limited")

    def _bucket(self, key: object, now: float) -> TokenBucket:
        """Return the bucket of `key`; the one unused for longest makes room for a new one."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(self._rate, self._burst, now)
            if len(self._buckets) > REMEMBERED:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket
