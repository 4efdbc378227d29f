"""The HTTP/2 connections to one host: as many as its requests need at a time, mostly one."""

from __future__ import annotations

from contextlib import contextmanager
from math import inf
from typing import TYPE_CHECKING

import trio

from trioproxy.codec.h2.limits import Limits
from trioproxy.errors import ConnectFailed, RequestRefused
from trioproxy.upstream.http2 import Http2Upstream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trioproxy.codec.h2.codec import Codec
    from trioproxy.config.http2 import Http2Options
    from trioproxy.stats.http2 import Http2Stats
    from trioproxy.upstream.cluster import Cluster
    from trioproxy.upstream.connection import UpstreamConnection
    from trioproxy.upstream.host import Host

HTTP1, HTTP2 = "http/1.1", "h2"  # as they are called in TLS


class Http2Pool:
    """Lends room for a request. Whoever finds none and nobody connecting connects for them all."""

    def __init__(
        self,
        cluster: Cluster,
        host: Host,
        nursery: trio.Nursery,
        codec: Codec,
        stats: Http2Stats,
    ) -> None:
        self.cluster = cluster
        self.codec = codec
        self.stats = stats
        self.options: Http2Options = cluster.config.http2_options
        self.limits = limits(self.options)
        self.most_streams = self.options.max_concurrent_streams
        self._host = host
        self._nursery = nursery
        self._connections: list[Http2Upstream] = []
        self._connecting = False
        self._waiting = trio.lowlevel.ParkingLot()
        self._failures = 0
        self._failure = ""

    def __repr__(self) -> str:
        return f"<Http2Pool {self._host.name}, {len(self._connections)} connections>"

    def __len__(self) -> int:
        return len(self._connections)

    async def lease(self, until: float) -> Http2Upstream:
        """Return a connection that has room; to be used before anything is awaited.

        Raises UpstreamOverflow where too many wait already, ConnectFailed, or UpstreamTimeout at
        `until` on Trio's clock.
        """
        while True:
            for upstream in self._connections:
                if upstream.has_room:
                    return upstream
            if not self._connecting and (self.cluster.connections.admits or self._stuck):
                await self._connect(until)
            else:
                await self._wait(until)

    async def lease_introduced(self, until: float) -> Http2Upstream:
        """Do as `lease`, but wait for the host's settings."""
        while not (upstream := await self.lease(until)).introduced:
            await self._wait(until)
        return upstream

    @property
    def _stuck(self) -> bool:
        """Whether no connection will ever have room: then let the circuit breaker say no."""
        return not self._connections

    async def _connect(self, until: float) -> None:
        with self._connects():
            self._adopt(await self.cluster.connect(self._host, until))

    @contextmanager
    def _connects(self) -> Iterator[None]:
        """Connect for all who wait: if it fails, it does for all of them."""
        self._connecting = True
        try:
            yield
        except ConnectFailed as failure:
            self._failures += 1
            self._failure = str(failure)
            raise
        finally:
            self._connecting = False
            self._waiting.unpark_all()

    def _adopt(self, connection: UpstreamConnection) -> None:
        if connection.alpn == HTTP1:
            raise changed_its_mind(connection)
        self.cluster.stats.upstream_cx_http2_total.add()
        upstream = Http2Upstream(self, connection)
        self._connections.append(upstream)
        self._nursery.start_soon(upstream.run)

    async def agree(self, until: float) -> None:
        """Connect, unless somebody else does, to know what the host speaks; raises as `lease`."""
        if self._connecting:
            await self._wait(until)
            return
        with self._connects():
            connection = await self.cluster.connect(self._host, until)
            self._host.http2 = connection.alpn == HTTP2
            if self._host.http2:
                self._adopt(connection)
            else:
                self.cluster.stats.upstream_cx_http1_total.add()
                self.cluster.release(connection)

    async def _wait(self, until: float) -> None:
        failures = self._failures
        await self.cluster.wait(until, self._waiting)
        if failures != self._failures:
            raise ConnectFailed(self._failure)

    def has_room(self) -> None:
        """A connection has room, or one more can be made."""
        if self._waiting:
            self._waiting.unpark_all()

    def forget(self, upstream: Http2Upstream) -> None:
        """A connection takes no new requests."""
        self._connections.remove(upstream)
        self.has_room()

    def is_worn(self, connection: UpstreamConnection) -> bool:
        """Whether a connection has served as much, or as long, as it may."""
        now = self.cluster.sweep.clock.now
        return self._host.removed or self.cluster.is_worn(connection, now)

    def part(self) -> None:
        """Let go of every connection as soon as its requests are done."""
        for upstream in self._connections.copy():
            upstream.part()

    def idle_until(self) -> float:
        """Return until when a connection may have nothing to do, beginning now."""
        return self.cluster.sweep.later(self.cluster.config.idle_timeout or inf)


def changed_its_mind(connection: UpstreamConnection) -> RequestRefused:
    """A host that once agreed on one version of HTTP does so on another: begin anew."""
    connection.host.http2 = None
    connection.close()
    return RequestRefused("the host has changed the version of HTTP that it speaks")


def limits(options: Http2Options) -> Limits:
    """Return what a host may do on a connection."""
    return Limits(
        stream_window=options.initial_stream_window_size,
        connection_window=options.initial_connection_window_size,
    )
