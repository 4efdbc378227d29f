"""A cluster: hosts of one kind, how one is picked, and the connections kept to them."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import trio

from trioproxy.codec.h2.codec import Codec as Http2Codec
from trioproxy.codec.proxy_protocol import write_header
from trioproxy.errors import ConnectFailed, NoHealthyUpstream, PendingTimeout, UpstreamOverflow
from trioproxy.reactor.epoll import IN
from trioproxy.reactor.transport import Transport
from trioproxy.stats.http2 import Http2Stats
from trioproxy.stats.upstream import (
    CircuitBreakerStats,
    ClusterStats,
    GrpcStats,
    HostStats,
    LbStats,
)
from trioproxy.upstream.breaker import Breaker
from trioproxy.upstream.connection import UpstreamConnection, connect
from trioproxy.upstream.figures import HostFigures
from trioproxy.upstream.host import Host
from trioproxy.upstream.host_set import HASHING
from trioproxy.upstream.http2_pool import HTTP2, Http2Pool, changed_its_mind
from trioproxy.upstream.lb import ANY, Balancer, Wish
from trioproxy.upstream.member import member
from trioproxy.upstream.monitor import Monitors
from trioproxy.upstream.origination import Origination
from trioproxy.upstream.retries import Retries
from trioproxy.upstream.upkeep import Upkeep

if TYPE_CHECKING:
    import socket
    from collections.abc import Collection, Sequence

    from trioproxy.codec.proxy_protocol import Ends
    from trioproxy.config import cluster as config
    from trioproxy.upstream.member import Member
    from trioproxy.upstream.tools import ClusterTools

PROTOCOLS = {"http1": False, "http2": True, "auto": None}
UNLIMITED = 2**32


class Cluster:
    """One cluster, as one worker runs it. Decides synchronously, then does the I/O."""

    def __init__(self, cluster: config.Cluster, tools: ClusterTools) -> None:
        self.config = cluster
        self.name = cluster.name
        self.reactor = tools.reactor
        self.sweep = tools.sweep
        self.stats = ClusterStats(tools.stats, cluster.name)
        self.origination = Origination(cluster.tls, cluster.name, tools) if cluster.tls else None
        self.hashes = cluster.lb_policy in HASHING
        self._balancer: Balancer[Host] = Balancer(
            cluster, LbStats(tools.stats, cluster.name), tools.rng
        )
        self._upkeep = Upkeep(self._balancer, tools.sweep)
        self._figures = HostFigures(tools.stats, cluster.name, HostStats)
        self._monitors = Monitors(cluster, tools)
        self.hosts: list[Host] = []
        self.update([member(endpoint) for endpoint in cluster.endpoints])
        limits = cluster.circuit_breakers
        full = CircuitBreakerStats(tools.stats, cluster.name)
        self.connections = Breaker(limits.max_connections, full.cx_open)
        self.pending = Breaker(limits.max_pending_requests, full.rq_pending_open)
        self.requests = Breaker(limits.max_requests, full.rq_open)
        most_retries = limits.max_retries if limits.retry_budget is None else UNLIMITED
        breaker = Breaker(most_retries, full.rq_retry_open)
        self.retries = Retries(limits, breaker, self.stats, tools.stats)
        self._speaks_http2 = PROTOCOLS[cluster.protocol]
        self._tools = tools
        self._http2_codec = Http2Codec()
        self.grpc_stats = GrpcStats(tools.stats, cluster.name)
        self._http2_stats = Http2Stats(tools.stats, f"cluster.{cluster.name}.http2")
        self._waiting = trio.lowlevel.ParkingLot()
        self._idle_timeout = cluster.idle_timeout or inf
        self._max_requests = cluster.max_requests_per_connection or inf
        self._max_age = cluster.max_connection_duration or inf

    def __repr__(self) -> str:
        return f"<Cluster {self.name} {len(self.hosts)} hosts>"

    def update(self, members: Sequence[Member]) -> None:
        """Have these hosts from now on, each once; who stays is the same object as before.

        Who is gone is drained: its idle connections are closed, others when they are given back.
        """
        leaving = {host.member.key: host for host in self.hosts}
        self.hosts = [self._host(each, leaving.pop(each.key, None)) for each in members]
        self._balancer.update(self.hosts, self.sweep.clock.now)
        self._upkeep.schedule()
        for host in leaving.values():
            host.removed = True
            self.drop_idle(host)
            if host.pool is not None:
                host.pool.part()

    def prepare(self) -> None:
        """Finish what is otherwise done beside the traffic: there is none yet."""
        self._balancer.finish()
        self._upkeep.schedule()

    def _host(self, member: Member, known: Host | None) -> Host:
        if known is None:
            return Host(member, self._figures.of(member.key), self._monitors.of(member.key))
        if member != known.member:
            known.become(member)
        return known

    def pick(self, tried: Collection[Host] = (), wish: Wish = ANY) -> Host:
        """Pick a host, one that was not tried if possible; raises NoHealthyUpstream."""
        host = self._balancer.pick(tried, wish)
        if host is None:
            self.stats.upstream_cx_none_healthy.add()
            raise NoHealthyUpstream("no healthy upstream")
        return host

    def introduction(self, client: Ends | None) -> bytes:
        """Return what a new connection is to say first."""
        version = self.config.proxy_protocol
        return b"" if version is None else write_header(version, client)

    async def connect(
        self, host: Host, until: float = inf, client: Ends | None = None
    ) -> UpstreamConnection:
        """Make a connection of one's own; where it is to be said, it is that of `client`.

        Raises UpstreamOverflow, ConnectFailed, UpstreamTimeout where it is not made `until` then.
        """
        if not self.connections.admits:
            self.stats.upstream_cx_overflow.add()
            raise UpstreamOverflow("too many connections to the cluster")
        started = trio.current_time()
        try:
            connection = await connect(self, host, until, client)
        except ConnectFailed as failure:
            self._count_failure(host, failure)
            raise
        self.stats.upstream_cx_connect_ms.record((trio.current_time() - started) * 1000)
        return connection

    async def lease(
        self, host: Host, until: float = inf, client: Ends | None = None
    ) -> UpstreamConnection:
        """Lend an idle connection to the host, or make one; give it back with `release`.

        Waits while the cluster has all the connections that it may have. Raises UpstreamOverflow
        where too many wait already, ConnectFailed, or UpstreamTimeout at `until` on Trio's clock.
        """
        while True:
            connection = self.take_idle(host)
            if connection is not None:
                return connection
            if self.connections.admits or self._evict():
                try:
                    connection = await self.connect(host, until, client)
                except BaseException:
                    self._waiting.unpark()  # the room that this one was woken for is still there
                    raise
                if self._speaks_http2 is None and connection.alpn == HTTP2:
                    raise changed_its_mind(connection)
                self.stats.upstream_cx_http1_total.add()
                return connection
            await self.wait(until, self._waiting)

    def speaks_http2(self, host: Host) -> bool | None:
        """Whether the host is spoken HTTP/2 to; None where that is to be agreed on first."""
        return host.http2 if self._speaks_http2 is None else self._speaks_http2

    async def agree(self, host: Host, until: float) -> None:
        """Connect to a host, if nobody does, to know what it speaks; raises as `lease` does."""
        try:
            await self.http2(host).agree(until)
        except ConnectFailed:
            if host.monitor is not None:
                host.monitor.failed()
            raise

    def http2(self, host: Host) -> Http2Pool:
        """Return the HTTP/2 connections to the host."""
        if host.pool is None:
            host.pool = Http2Pool(
                self, host, self._tools.connections, self._http2_codec, self._http2_stats
            )
        return host.pool

    def release(self, connection: UpstreamConnection) -> None:
        """Take back a connection whose exchange is complete, for the next one or to close it."""
        now = self.sweep.clock.now
        bound = connection.host.removed or self.config.proxy_protocol is not None
        if bound or self.is_worn(connection, now) or not connection.settle():
            connection.close()
            return
        if connection.requests == 1:
            connection.remember()
        connection.idle = True
        connection.transport.pump = connection  # it hears of events until it is lent again
        connection.when = now + self._idle_timeout
        connection.host.idle.append(connection)
        if self.pending.active:
            self._waiting.unpark()

    def is_worn(self, connection: UpstreamConnection, now: float) -> bool:
        """Count and tell whether a connection has served as much, or as long, as it may."""
        if connection.requests >= self._max_requests:
            self.stats.upstream_cx_max_requests.add()
            return True
        if now - connection.begun >= self._max_age:
            self.stats.upstream_cx_max_duration_reached.add()
            return True
        return False

    def take_idle(self, host: Host) -> UpstreamConnection | None:
        """Lend an idle connection to the host; None where there is none."""
        while host.idle:
            connection = host.idle.pop()
            connection.idle = False
            connection.transport.pump = None
            connection.when = inf
            if not connection.transport.ready & IN:
                return connection
            connection.close()
        return None

    def drop_idle(self, host: Host) -> None:
        """Close all idle connections to a host: one of them turned out to be stale."""
        while host.idle:
            self.forget(host.idle[-1])

    def _evict(self) -> bool:
        """Make room by closing an idle connection to some other host."""
        for host in self.hosts:
            if host.idle:
                self.forget(host.idle[0])
                return True
        return False

    async def wait(self, until: float, lot: trio.lowlevel.ParkingLot) -> None:
        """Wait in `lot` for a connection; raises UpstreamOverflow, UpstreamTimeout at `until`."""
        if not self.pending.admits:
            self.stats.upstream_rq_pending_overflow.add()
            raise UpstreamOverflow("too many requests wait for a connection")
        self.stats.upstream_rq_pending_total.add()
        self.stats.upstream_rq_pending_active.add()
        try:
            with self.pending.hold(), trio.move_on_at(until) as limit:
                await lot.park()
            if limit.cancelled_caught:
                raise PendingTimeout
        finally:
            self.stats.upstream_rq_pending_active.add(-1)

    def host_named(self, name: str) -> Host | None:
        """Return the host of that address, if it is still one of ours."""
        return next((host for host in self.hosts if host.name == name), None)

    def adopt(self, host: Host, sock: socket.socket) -> UpstreamConnection:
        """Go on with a connection that the previous generation made."""
        connection = UpstreamConnection(self, host, Transport(self.reactor, sock))
        self._enter(connection)
        return connection

    def departed(self, connection: UpstreamConnection) -> None:
        """Count a connection out that goes on in the next generation."""
        self._leave(connection)

    def opened(self, connection: UpstreamConnection) -> None:
        """Count a new connection."""
        self._enter(connection)
        self.stats.upstream_cx_total.add()
        connection.host.stats.cx_total.add()

    def closed(self, connection: UpstreamConnection, *, active_rq: bool) -> None:
        """Count a connection out; `active_rq`: in the middle of something."""
        self._leave(connection)
        self.stats.upstream_cx_end(remote=connection.transport.hangup, active_rq=active_rq)
        self.stats.upstream_cx_length_ms.record((trio.current_time() - connection.begun) * 1000)

    def _enter(self, connection: UpstreamConnection) -> None:
        self.connections.enter()
        self.sweep.timed.add(connection)
        self.stats.upstream_cx_active.add()
        connection.host.stats.cx_active.add()

    def _leave(self, connection: UpstreamConnection) -> None:
        self.connections.leave()
        self.sweep.timed.discard(connection)
        self.stats.upstream_cx_active.add(-1)
        connection.host.stats.cx_active.add(-1)
        self._waiting.unpark()

    def forget(self, connection: UpstreamConnection) -> None:
        """Close an idle connection and take it out of its pool."""
        if connection in connection.host.idle:
            connection.host.idle.remove(connection)
        connection.close()

    def _count_failure(self, host: Host, failure: ConnectFailed) -> None:
        self.stats.upstream_cx_connect_fail.add()
        self.stats.upstream_rq_pending_failure_eject.add()
        host.stats.cx_connect_fail.add()
        if failure.timed_out:
            self.stats.upstream_cx_connect_timeout.add()

    def close(self) -> None:
        """Close the idle connections; those in use are their exchanges' to close."""
        self._upkeep.close()
        for host in self.hosts:
            self.drop_idle(host)
