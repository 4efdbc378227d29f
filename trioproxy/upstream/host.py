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
    from trioproxy.upstream.monitor import Monitor


class Host:
    """A member, what is in flight to it and the idle connections.

    `session` is one of TLS that may be resumed, with the context that it belongs to.
    `http2` tells whether it speaks that, None before anybody knows. `removed`: it is none any
    more; connections to it end with what they are used for.
    `monitor` is there where outliers are looked for.
    """

    __slots__ = (
        "active",
        "address",
        "healthy",
        "http2",
        "idle",
        "member",
        "monitor",
        "name",
        "pool",
        "priority",
        "removed",
        "session",
        "stats",
    )

    def __init__(self, member: Member, stats: HostStats, monitor: Monitor | None = None) -> None:
        self.active = 0
        self.idle: list[UpstreamConnection] = []
        self.pool: Http2Pool | None = None
        self.http2: bool | None = None
        self.stats = stats
        self.monitor = monitor
        self.session: tuple[ssl.SSLContext, ssl.SSLSession] | None = None
        self.removed = False
        self.healthy = False
        self.become(member)

    def become(self, member: Member) -> None:
        """Take over what is said of it now, a new address too where it is a logical one."""
        self.member = member
        self.address = Address.parse(member.address)
        self.name = member.address.removeprefix("unix:")
        if self.monitor is not None and member.healthy and not self.healthy:
            self.monitor.reset()  # what it did before it was ejected is not held against it twice
        self.healthy = member.healthy

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
