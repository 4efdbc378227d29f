"""A host: one member of a cluster, as this worker sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.config.address import Address

if TYPE_CHECKING:
    import ssl

    from trioproxy.stats.upstream import HostStats
    from trioproxy.upstream.connection import UpstreamConnection
    from trioproxy.upstream.http2_pool import Http2Pool
    from trioproxy.upstream.member import Member


class Host:
    """A member, what is in flight to it and the idle connections.

    `session` is one of TLS that may be resumed, with the context that it belongs to.
    `http2` tells whether it speaks that, None before anybody knows. `removed`: it is none any
    more; connections to it end with what they are used for.
    """

    __slots__ = (
        "active",
        "address",
        "degraded",
        "healthy",
        "http2",
        "idle",
        "member",
        "name",
        "pool",
        "priority",
        "removed",
        "session",
        "stats",
        "weight",
    )

    def __init__(self, member: Member, stats: HostStats) -> None:
        self.active = 0
        self.idle: list[UpstreamConnection] = []
        self.pool: Http2Pool | None = None
        self.http2: bool | None = None
        self.stats = stats
        self.session: tuple[ssl.SSLContext, ssl.SSLSession] | None = None
        self.removed = False
        self.become(member)

    def become(self, member: Member) -> None:
        """Take over what is said of it now, a new address too where it is a logical one."""
        self.member = member
        self.address = Address.parse(member.address)
        self.name = member.address.removeprefix("unix:")
        self.weight = member.weight
        self.priority = member.priority
        self.healthy = member.healthy
        self.degraded = member.degraded

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
