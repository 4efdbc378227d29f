"""A host: one endpoint of a cluster, as this worker sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trioproxy.config.address import Address
    from trioproxy.config.cluster import Endpoint
    from trioproxy.stats.upstream import HostStats
    from trioproxy.upstream.connection import UpstreamConnection
    from trioproxy.upstream.http2_pool import Http2Pool


class Host:
    """An address with its weight, its health, what is in flight and the idle connections to it."""

    __slots__ = ("active", "address", "healthy", "idle", "name", "pool", "stats", "weight")

    def __init__(self, endpoint: Endpoint, stats: HostStats) -> None:
        self.address: Address = endpoint.address
        self.name = str(endpoint.address).removeprefix("unix:")
        self.weight = endpoint.weight
        self.healthy = True
        self.active = 0
        self.idle: list[UpstreamConnection] = []
        self.pool: Http2Pool | None = None
        self.stats = stats

    def begin(self) -> None:
        """Count a request to it."""
        self.active += 1
        self.stats.rq_total.add()
        self.stats.rq_active.add()

    def end(self, *, succeeded: bool) -> None:
        """Count a request to it out."""
        self.active -= 1
        self.stats.rq_active.add(-1)
        (self.stats.rq_success if succeeded else self.stats.rq_error).add()

    def __repr__(self) -> str:
        health = "healthy" if self.healthy else "unhealthy"
        return f"<Host {self.name} {health}, {self.active} active, {len(self.idle)} idle>"
