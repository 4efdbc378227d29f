"""`health_check`: answers a load balancer's question whether this server is to be sent traffic."""

from typing import Annotated, ClassVar

import attrs

from trioproxy.config.route import AbsolutePath
from trioproxy.filters.chain import Forward
from trioproxy.filters.exchange import Exchange
from trioproxy.filters.health import Health
from trioproxy.filters.http.tools import HttpTools
from trioproxy.stats.family import Family
from trioproxy.stats.handles import Counter


class HealthCheckStats(Family):
    """`http.<stat_prefix>.health_check.`"""

    request_total: Counter
    ok: Counter
    failed: Counter


@attrs.frozen
class HealthCheck:
    """Answer one path: 200, or 503 while the operator has the server fail its health checks."""

    later: ClassVar[tuple[str, ...]] = (
        "pass_through_mode",
        "cache_time",
        "cluster_min_healthy_percentages",
    )

    path: Annotated[AbsolutePath, "The path, without its query"] = "/healthz"

    def prepare(self, tools: HttpTools) -> "HealthChecking":
        """Return the filter."""
        stats = HealthCheckStats(tools.worker.stats, f"{tools.scope}.health_check")
        return HealthChecking(self.path, tools.worker.health, stats)


class HealthChecking:
    """A `health_check` in service."""

    def __init__(self, path: str, health: Health, stats: HealthCheckStats) -> None:
        self._path = path
        self._health = health
        self._stats = stats

    async def __call__(self, exchange: Exchange, forward: Forward[Exchange]) -> None:
        """Answer the path, forward everything else."""
        if exchange.request.path.partition("?")[0] != self._path:
            await forward(exchange)
            return
        self._stats.request_total.add()
        if not self._health.failed:
            self._stats.ok.add()
            exchange.record.details = "health_check_ok"
            await exchange.respond(200)
            return
        self._stats.failed.add()
        exchange.record.flag("LH")
        exchange.record.details = "health_check_failed"
        await exchange.respond(503)
