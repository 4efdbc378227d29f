"""A connection to a host: made, lent to one exchange at a time, and ended by its timeouts."""

from __future__ import annotations

import errno
import os
import socket
from math import inf
from typing import TYPE_CHECKING

import trio

from trioproxy.errors import ConnectFailed, UpstreamTimeout
from trioproxy.reactor.epoll import IN, OUT
from trioproxy.reactor.tls import TlsTransport
from trioproxy.reactor.transport import Transport
from trioproxy.upstream.bounded import Bounded

if TYPE_CHECKING:
    from trioproxy.codec.proxy_protocol import Ends
    from trioproxy.upstream.cluster import Cluster
    from trioproxy.upstream.host import Host


class UpstreamConnection(Bounded):
    """A transport to `host`.

    While it is lent, `wait_until` bounds its waits by an error; idle in its pool it is closed.
    """

    __slots__ = ("begun", "cluster", "host", "idle", "requests", "transport")

    def __init__(self, cluster: Cluster, host: Host, transport: Transport) -> None:
        super().__init__(cluster.sweep)
        self.cluster = cluster
        self.host = host
        self.transport = transport
        self.requests = 0
        self.idle = False
        self.begun = trio.current_time()

    def __repr__(self) -> str:
        state = "idle" if self.idle else "closed" if self.transport.closed else "busy"
        return f"<UpstreamConnection {self.host.name} {state}, request count {self.requests}>"

    def turn(self) -> bool:
        """The reactor saw an event while it was idle: closed by its host, or told unasked."""
        if self.idle and self.transport.ready & IN:
            self.cluster.forget(self)
        return False

    def expire(self) -> None:
        """Its time is over: called by the sweep."""
        if self.idle:
            self.cluster.stats.upstream_cx_idle_timeout.add()
            self.cluster.forget(self)
        else:
            self.transport.interrupt(self.error())

    @property
    def alpn(self) -> str | None:
        """The protocol that the host and we have agreed on by TLS, if we did."""
        transport = self.transport
        return transport.alpn if isinstance(transport, TlsTransport) else None

    def settle(self) -> bool:
        """Look whether anything is left to read; returns whether the connection is clean."""
        if self.transport.ready & IN:
            try:
                return self.transport.receive_nowait(1) is None
            except OSError:
                return False
        return not self.transport.hangup

    def close(self, *, abort: bool = False) -> None:
        """Close, by a reset if `abort`; a second call does nothing."""
        if not self.transport.closed:
            if abort:
                self.transport.abort()
            else:
                self.remember()
                self.transport.close()
            self.cluster.closed(self, active_rq=abort)

    def end(self, *, active_rq: bool) -> None:
        """Close without a reset, whatever was going on: the host has been told in its protocol."""
        self.remember()
        self.transport.close()
        self.cluster.closed(self, active_rq=active_rq)

    def remember(self) -> None:
        """Keep its session for the next connection to the host, if it speaks TLS."""
        origination, transport = self.cluster.origination, self.transport
        if origination is not None and isinstance(transport, TlsTransport):
            origination.remember(self.host, transport)

    def depart(self) -> None:
        """Close it here: it goes on in another process."""
        self.transport.close()
        self.cluster.departed(self)


async def connect(
    cluster: Cluster, host: Host, until: float, client: Ends | None = None
) -> UpstreamConnection:
    """Connect, with TLS where it has that, within `connect_timeout` and before `until`.

    A cluster with a `proxy_protocol` is told the `client`. Raises ConnectFailed with the reason, or
    UpstreamTimeout.
    """
    try:
        connection = UpstreamConnection(cluster, host, _begin(cluster, host))
    except OSError as error:
        raise ConnectFailed(reason(error)) from error
    cluster.opened(connection)
    try:
        await _finish(connection, until, cluster.introduction(client))
    except BaseException:
        connection.close()
        raise
    return connection


def _begin(cluster: Cluster, host: Host) -> Transport:
    address = host.address
    sock = socket.socket(address.family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        if address.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = sock.connect_ex(address.sockaddr)
        if code not in {0, errno.EINPROGRESS}:
            raise OSError(code, os.strerror(code))
        return Transport(cluster.reactor, sock)
    except BaseException:
        sock.close()
        raise


async def _finish(connection: UpstreamConnection, until: float, introduction: bytes) -> None:
    """Wait until it stands, TLS included; the introduction goes before all else."""
    transport, origination = connection.transport, connection.cluster.origination
    established = _established(transport.sock)
    if established:
        transport.ready = OUT  # what the host says first comes as an event
        if origination is None and not introduction:
            return
    _limit(connection, until)
    if not established:
        await _establish(transport)
    if introduction:
        await _introduce(transport, introduction)
    if origination is not None:
        connection.transport = secure = origination.begin(connection.host, transport)
        await origination.finish(secure)
    connection.when = inf


def _limit(connection: UpstreamConnection, until: float) -> None:
    connect_until = trio.current_time() + (connection.cluster.config.connect_timeout or inf)
    if until < connect_until:
        connection.wait_until(until, UpstreamTimeout)
    else:
        connection.wait_until(connect_until, ConnectTimeout)


async def _establish(transport: Transport) -> None:
    transport.ready = 0
    await transport.park(OUT)
    code = transport.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise ConnectFailed(reason(OSError(code, os.strerror(code))))


async def _introduce(transport: Transport, introduction: bytes) -> None:
    try:
        await transport.send(introduction)
    except OSError as error:
        raise ConnectFailed(reason(error)) from error


def _established(sock: socket.socket) -> bool:
    # To a neighbour the handshake is often over before connect returns: spares a wait.
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


class ConnectTimeout(ConnectFailed):
    """The host did not accept within the cluster's connect_timeout."""

    timed_out = True

    def __init__(self) -> None:
        super().__init__("connect timeout")


def reason(error: OSError) -> str:
    """What went wrong, in the words of the access log: `connection refused`."""
    return (error.strerror or str(error)).lower()
